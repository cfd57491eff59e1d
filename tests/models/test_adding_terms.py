"""Choosing words of a corpus, and adding them to the vocabulary of a model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_makers import TEXTS, byte_pieces, word_pieces, write_bert
from safetensors.numpy import load_file

import lexpand
from lexpand import Document, Encoder, QueryEncoding
from lexpand.encode import Contract, QueryTable
from lexpand.encode.folder import add_query_table, find_folder
from lexpand.errors import DataError, LexpandError, ModelError
from lexpand.models import (
    ImportOptions,
    add_terms,
    check_model,
    choose_terms,
    import_model,
    importing,
    vocabulary,
)

pytest.importorskip("onnx")

WORDS = "bert.embeddings.word_embeddings.weight"
DECODER = "cls.predictions.decoder.weight"
BIAS = "cls.predictions.bias"
OLD = word_pieces().get_vocab_size()


@pytest.fixture(autouse=True)
def _without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make golden pairs with Lexpand's encoder, which is faster."""
    monkeypatch.setattr(importing, "has_torch", lambda: False)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged model with three new terms."""
    dest = tmp_path_factory.mktemp("extended") / "more"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importing, "has_torch", lambda: False)
        add_terms("default", ["login", "WiFi", "Müsli"], dest)
    return dest


def small(folder: Path, choices: ImportOptions | None = None, **changes: Any) -> Path:
    """Return the model folder of a small BERT with random weights."""
    plain = write_bert(folder / "plain", **changes)
    return import_model(plain, folder / "small", choices).path


def tensors(folder: Path) -> dict[str, Any]:
    return load_file(folder / "model.safetensors")


def terms_of(encoder: Encoder, *words: str) -> list[int | None]:
    return [encoder.vocabulary.id(word) for word in words]


# Choosing


def test_words_that_the_tokenizer_splits_are_chosen() -> None:
    texts = ["Reset the login, LOGIN or logins"] * 6 + ["heart valve", "the wifi"] * 5
    chosen = choose_terms("default", texts, 10)
    assert [(term.word, term.documents, term.pieces) for term in chosen] == [
        ("logins", 6, ("log", "##ins")),
        ("wifi", 5, ("wi", "##fi")),
        ("login", 6, ("log", "##in")),
    ]
    assert choose_terms("default", texts, 1) == chosen[:1]
    assert [term.word for term in choose_terms("default", texts, 9, min_documents=6)] == [
        "logins",
        "login",
    ]


def test_a_beginning_of_other_words_ranks_low() -> None:
    texts = ["unc"] * 6 + ["uncoated", "uncoupled", "uncapped", "uncured"] * 3 + ["wifi"] * 5
    assert [term.word for term in choose_terms("default", texts, 2)] == ["wifi", "unc"]


@pytest.mark.parametrize(
    "text",
    [
        "a 12345 2065",
        "p45 log4j 0x0000009f",
        "https://example.com/confluence",
        "www.postgresql.org",
        "someone@mailbox.org",
        "deadbeef feedfaceb",
        "qzxvkwjq",
        "x" * 70,
        "heart [MASK] the",
        "",
    ],
)
def test_what_is_no_word_is_left_out(text: str) -> None:
    assert choose_terms("default", [text] * 9, 10) == []


def test_equal_words_are_in_alphabetical_order() -> None:
    texts = ["wifi vpn login"] * 5
    assert [term.word for term in choose_terms("default", texts, 9)] == ["login", "vpn", "wifi"]


def test_a_tokenizer_can_be_given_whose_words_depend_on_spaces() -> None:
    """An added token with a space makes parts of a text depend on each other."""
    tokenizer = word_pieces()
    tokenizer.add_tokens(["open heart"])
    chosen = choose_terms(tokenizer, ["Opens the heart attacks"] * 5, 9)
    assert [term.word for term in chosen] == ["attacks", "opens"]


def test_bad_numbers_and_models_are_refused(tmp_path: Path) -> None:
    for name in ("count", "min_documents"):
        with pytest.raises(DataError, match=f"{name} must be >= 1, got 0"):
            choose_terms("default", [], **({"count": 1} | {name: 0}))  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"must be WordPiece .* got BPE, which is not supported"):
        choose_terms(byte_pieces(), [], 1)
    with pytest.raises(ModelError, match="no model"):
        choose_terms(tmp_path / "none", [], 1)


# Adding


def test_the_new_folder_is_a_sound_model(extended: Path) -> None:
    contract, before = Contract.load(extended), Contract.load(find_folder("default"))
    assert (contract.name, contract.vocabulary_size) == ("more", before.vocabulary_size + 3)
    assert (contract.license, contract.hash != before.hash) == (before.license, True)
    assert contract.origin.startswith("imported from splade-tiny; rasyosef")
    assert contract.origin.endswith("; 3 terms added")
    assert contract.screening is not None and contract.body_int8 is not None
    assert check_model(extended).pairs == 8
    assert [path.name for path in extended.parent.iterdir()] == ["more"]


def test_a_new_word_is_one_token_in_every_case_and_accent(extended: Path) -> None:
    encoder = Encoder.load(extended)
    login, wifi, cereal = terms_of(encoder, "login", "wifi", "musli")
    assert (login, wifi, cereal) == (30522, 30523, 30524)
    texts = ["LOGIN, (wifi)", "Login WI\u0301FI", "müsli", "mu\u0308sli MÜSLI"]
    read = [_ids(extended, text) for text in texts]
    assert read[0] == [login, 1010, 1006, wifi, 1007]
    assert read[1:] == [[login, wifi], [cereal], [cereal, cereal]]


def _ids(folder: Path, text: str) -> list[int]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


def test_a_word_that_begins_with_a_new_term_is_split_after_it(extended: Path) -> None:
    login, suffix = _ids(extended, "logins")
    assert (login, suffix) == (30522, Encoder.load("default").vocabulary.id("##s"))


def test_texts_without_new_words_keep_their_weights(extended: Path, encoder: Encoder) -> None:
    texts = ["heart attack", "Invoices are sent by e-mail.", "log in", "the valve of the wi fi"]
    old, new = (
        each.encode_documents(texts).to_dense() for each in (encoder, Encoder.load(extended))
    )
    assert np.abs(new[:, : old.shape[1]] - old).max() < 1e-6


def test_a_new_word_activates_its_term_and_its_pieces(extended: Path) -> None:
    encoder = Encoder.load(extended)
    weights = encoder.encode_queries(["reset my login", "wifi"]).to_dense()
    login, wifi, log, fi = (
        weights[:, term] for term in terms_of(encoder, "login", "wifi", "log", "##fi")
    )
    assert login[0] > 1 and log[0] > 1 and wifi[1] > 1 and fi[1] > 1


def test_an_index_can_be_made_and_searched(tmp_path: Path, extended: Path) -> None:
    pages = [
        Document("wifi", "The office wifi needs a certificate."),
        Document("login", "Ask for a new login at the desk."),
        Document("leave", "Ask your manager for leave."),
    ]
    with lexpand.create(tmp_path / "pages.index", pages, model=extended) as kb:
        for word in ("wifi", "login"):
            assert kb.search(word, 1, pipeline="splade")[0].doc_id == word


def test_rows_are_the_lengthened_mean_of_the_pieces(tmp_path: Path) -> None:
    before = small(tmp_path)
    done = add_terms(before, ["hearts", "openers"], tmp_path / "more")
    assert (done.terms, done.skipped, done.size) == (("hearts", "openers"), (), OLD + 2)
    old, new = tensors(before), tensors(tmp_path / "more")
    known = word_pieces().get_vocab()
    for row, names in ((OLD, ["heart", "##s"]), (OLD + 1, ["open", "##e", "##r", "##s"])):
        pieces = [known[name] for name in names]
        mean = old[WORDS][pieces].mean(axis=0)
        length = 1.4 * np.linalg.norm(old[WORDS][pieces], axis=1).mean()
        assert np.allclose(new[WORDS][row], mean / np.linalg.norm(mean) * length, atol=1e-6)
        assert np.isclose(new[BIAS][row], old[BIAS][pieces].mean())
    for name, array in old.items():
        assert (new[name][: len(array)] == array).all()
    config = json.loads((tmp_path / "more" / "config.json").read_text())
    assert (config["vocab_size"], config["tie_word_embeddings"]) == (OLD + 2, True)


def test_an_untied_decoder_gets_rows_of_its_own(tmp_path: Path) -> None:
    random = np.random.default_rng(5).normal(size=(OLD, 8)).astype(np.float32)
    untied = {"config": {"tie_word_embeddings": False}, DECODER: random}
    before = small(tmp_path, **untied)
    add_terms(before, ["hearts"], tmp_path / "more")
    new = tensors(tmp_path / "more")
    assert new[DECODER].shape == new[WORDS].shape == (OLD + 1, 8)
    assert not np.allclose(new[DECODER][OLD], new[WORDS][OLD])
    assert (new[f"{DECODER.removesuffix('.weight')}.bias"] == new[BIAS]).all()
    assert check_model(tmp_path / "more").pairs == 8


def test_a_query_table_gets_the_largest_weight_of_the_pieces(tmp_path: Path) -> None:
    table = tmp_path / "idf.json"
    table.write_text(json.dumps({"heart": 2.5, "##s": 0.5, "open": 1}))
    before = small(tmp_path, ImportOptions(query=table))
    add_terms(before, ["hearts"], tmp_path / "more")
    (found,) = Encoder.load(tmp_path / "more").encode_queries(["Hearts open"]).as_dicts()
    assert found == {OLD: 2.5, word_pieces().token_to_id("open"): 1.0}
    assert check_model(tmp_path / "more").pairs == 8


@pytest.mark.parametrize("mode", ["encoder", "lookup"])
def test_a_table_beside_the_encoder_keeps_the_mode(tmp_path: Path, mode: str) -> None:
    before = small(tmp_path)
    add_query_table(before, QueryTable(np.arange(OLD, dtype=np.float32)), mode)  # type: ignore[arg-type]
    done = add_terms(before, ["hearts"], tmp_path / "more")
    contract = Contract.load(tmp_path / "more")
    assert (contract.query_mode, contract.model) == (mode, done.imported.model)
    lookup = QueryEncoding(mode="lookup")  # type: ignore[arg-type]
    found = Encoder.load(tmp_path / "more", queries=lookup).encode_queries(["hearts"])
    pieces = [word_pieces().token_to_id(token) for token in ("heart", "##s")]
    assert list(found.as_dicts()) == [{OLD: float(max(pieces))}]


def test_a_separate_query_encoder_gets_the_same_terms(tmp_path: Path) -> None:
    other = write_bert(tmp_path / "queries", **{BIAS: np.full(OLD, 0.5, np.float32)})
    before = small(tmp_path, ImportOptions(query_encoder=str(other)))
    add_terms(before, ["hearts"], tmp_path / "more")
    assert tensors(tmp_path / "more" / "query_encoder")[BIAS][OLD] == 0.5
    assert Contract.load(tmp_path / "more").query_encoder is not None
    assert check_model(tmp_path / "more").pairs == 8


def test_added_tokens_keep_their_ids(tmp_path: Path) -> None:
    plain = write_bert(tmp_path / "plain", rows=OLD + 1)
    tokenizer = word_pieces()
    tokenizer.add_tokens(["zzz"])
    tokenizer.save(str(plain / "tokenizer.json"))
    before = import_model(plain, tmp_path / "small").path
    add_terms(before, ["hearts"], tmp_path / "more")
    assert _ids(tmp_path / "more", "zzz hearts") == [OLD, OLD + 1]


def test_terms_can_be_added_twice(tmp_path: Path) -> None:
    add_terms(small(tmp_path), ["hearts"], tmp_path / "more")
    done = add_terms(tmp_path / "more", ["hearts", "attacks"], tmp_path / "again", name="mine")
    assert (done.terms, done.skipped, done.size) == (("attacks",), ("hearts",), OLD + 2)
    assert done.imported.model.name == "mine"
    assert _ids(tmp_path / "again", "hearts attacks") == [OLD, OLD + 1]


def test_a_folder_without_a_graph_is_made_without_onnx(tmp_path: Path) -> None:
    done = add_terms(small(tmp_path), ["hearts"], tmp_path / "more", optimize=False)
    assert (done.imported.optimized, done.imported.reference) == (False, None)
    assert Contract.load(tmp_path / "more").vocabulary_size == OLD + 1


# Bad input


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "there must be a word that is no term of small yet, got 0 that are terms"),
        (["heart", "OPEN"], "got 2 that are terms and no other: give other words"),
        (["hearts", "Hearts"], "must be distinct, got 'Hearts' after 'hearts'"),
        (["log in"], r"must be one word for the tokenizer, got 'log in', which it splits into"),
        (["wi-fi"], r"got 'wi-fi', which it splits into \['wi', '-', 'fi'\]: leave out"),
        (["  "], "must be one word for the tokenizer"),
        (["ελλάδα"], r"letters that the tokenizer knows, got 'ελλάδα', which it reads as \[UNK\]"),
        (["a" * 101], "which it reads as"),
    ],
)
def test_bad_words_are_refused(tmp_path: Path, words: list[str], message: str) -> None:
    before = small(tmp_path)
    with pytest.raises(DataError, match=message):
        add_terms(before, words, tmp_path / "more")
    assert not (tmp_path / "more").exists()


def test_a_word_that_an_added_token_splits_is_refused(tmp_path: Path) -> None:
    plain = write_bert(tmp_path / "plain", rows=OLD + 1)
    tokenizer = word_pieces()
    tokenizer.add_tokens(["zzz"])
    tokenizer.save(str(plain / "tokenizer.json"))
    before = import_model(plain, tmp_path / "small").path
    with pytest.raises(
        ModelError, match=r"must read each new term as one token, got several for 'xzzzy'"
    ):
        add_terms(before, ["xzzzy"], tmp_path / "more")


def test_too_many_terms_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "VOCABULARY_LIMIT", OLD)
    with pytest.raises(ModelError, match=f"at most {OLD} terms, got {OLD + 1} with the 1 new"):
        add_terms(small(tmp_path), ["hearts"], tmp_path / "more")


def test_other_tokenizers_are_refused(tmp_path: Path) -> None:
    plain = write_bert(tmp_path / "plain", rows=byte_pieces().get_vocab_size())
    byte_pieces().save(str(plain / "tokenizer.json"))
    (plain / "tokenizer_config.json").write_text("{}")
    before = import_model(plain, tmp_path / "bytes").path
    with pytest.raises(ModelError, match=r"tokenizer of bytes must be WordPiece .* got BPE"):
        add_terms(before, ["hearts"], tmp_path / "more")


def test_pruning_in_the_contract_is_refused(tmp_path: Path) -> None:
    before = small(tmp_path)
    contract = json.loads((before / "contract.json").read_text())
    contract["pruning"] = {"document": {"top": 5}}
    (before / "contract.json").write_text(json.dumps(contract))
    with pytest.raises(ModelError, match=r"pruning in .* must be null to add terms"):
        add_terms(before, ["hearts"], tmp_path / "more")


def test_an_existing_folder_and_a_bad_model_are_refused(tmp_path: Path) -> None:
    before = small(tmp_path)
    with pytest.raises(ModelError, match="exists: give another folder"):
        add_terms(before, ["hearts"], before)
    with pytest.raises(ModelError, match=r"has no contract.json"):
        add_terms(tmp_path / "plain", ["hearts"], tmp_path / "more")
    (tmp_path / "file").write_text("")
    with pytest.raises(LexpandError, match="cannot write"):
        add_terms(before, ["hearts"], tmp_path / "file" / "more")


# Next to torch


def test_sentence_transformers_computes_the_same_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    transformers = pytest.importorskip("sentence_transformers")
    from checkpoint_makers import vectors

    monkeypatch.undo()
    done = add_terms("default", ["login", "wifi"], tmp_path / "more")
    assert (done.imported.reference, done.imported.optimized) == ("torch", True)
    model = transformers.SparseEncoder(str(tmp_path / "more"), device="cpu", local_files_only=True)
    texts = [*TEXTS, "Reset my login for the WiFi"]
    found = Encoder.load(tmp_path / "more").encode_documents(texts).to_dense()
    assert np.abs(found - vectors(model, texts, "document")).max() < 1e-4
