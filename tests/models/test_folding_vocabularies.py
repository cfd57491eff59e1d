"""Folding a vocabulary: the forms of a word in a cased vocabulary become one term."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_makers import (
    BERT_SPECIAL,
    CASED,
    ROBERTA_SPECIAL,
    cased_pieces,
    write_bert,
    write_with,
)
from safetensors.numpy import load_file
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    processors,
    trainers,
)

from lexpand import Encoder, QueryEncoding
from lexpand.encode import Contract, QueryMode, QueryTable
from lexpand.encode.folder import add_query_table
from lexpand.errors import DataError, ModelError
from lexpand.models import ImportOptions, check_model, fold_vocabulary, import_model, importing

pytest.importorskip("onnx")

WORDS = "bert.embeddings.word_embeddings.weight"
BIAS = "cls.predictions.bias"
CORPUS = [
    "Reset the login, then Login again; LOGIN twice (login) or Logins",
    "the THE The printer Printer prints a PRINT: éclair Éclair ÉCLAIR 12 İstanbul",
    "  two  spaces\n\nand a new line, don't DON'T Don't",
] * 4


@pytest.fixture(autouse=True)
def _without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make golden pairs with Lexpand's encoder, which is faster."""
    monkeypatch.setattr(importing, "has_torch", lambda: False)


def cased_bytes(*, late_special: bool = False) -> Tokenizer:
    """Return a byte-level tokenizer that is trained on `CORPUS`, as RoBERTa's or ModernBERT's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[] if late_special else special,
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens(special)
    start, end = (tokenizer.token_to_id(token) for token in ("<s>", "</s>"))
    if late_special:
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", end), ("<s>", start))
    else:
        tokenizer.post_processor = processors.TemplateProcessing(
            "<s> $A </s>", None, [("<s>", start), ("</s>", end)]
        )
    return tokenizer


def tensors(folder: Path) -> dict[str, Any]:
    return load_file(folder / "model.safetensors")


def tokens(folder: Path, text: str) -> list[str]:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return [str(token) for token in tokenizer.encode(text).tokens]


def vector(folder: Path, text: str, role: str = "document") -> dict[str, float]:
    encoder = Encoder.load(folder)
    (found,) = encoder.encode([text], role).vectors.as_dicts()
    return {encoder.vocabulary.tokens[term]: weight for term, weight in found.items()}


def test_cased_pieces_become_one_term(tmp_path: Path) -> None:
    done = fold_vocabulary(write_with(tmp_path / "plain", cased_pieces()), tmp_path / "folded")
    assert (done.before, done.after) == (len(CASED), 15)
    encoder = Encoder.load(tmp_path / "folded")
    expected = [*CASED[:5], "the", "login", "##s", "éclair", "(", ")", "reset", "paris"]
    assert encoder.vocabulary.tokens == (*expected, "[unused1]", "zzz")
    assert tokens(tmp_path / "folded", "The LOGINS, login Éclair PARIS") == [
        *("[CLS]", "the", "login", "##s", "[UNK]", "login", "éclair", "paris", "[SEP]")
    ]
    contract = Contract.load(tmp_path / "folded")
    assert contract.origin == "imported from plain; vocabulary folded from 21 to 15 terms"
    assert check_model(tmp_path / "folded").pairs == 8


def test_a_term_has_the_rows_of_its_first_form(tmp_path: Path) -> None:
    plain = write_with(tmp_path / "plain", cased_pieces())
    fold_vocabulary(plain, tmp_path / "folded")
    old, new = tensors(plain), tensors(tmp_path / "folded")
    kept = [0, 1, 2, 3, 4, 5, 7, 10, 12, 14, 15, 16, 17, 18, 19]
    for name in (WORDS, BIAS):
        assert (new[name] == old[name][kept]).all()
    for name in old.keys() - {WORDS, BIAS}:
        assert (new[name] == old[name]).all()


def test_texts_of_first_forms_keep_the_weights_of_first_forms(tmp_path: Path) -> None:
    plain = write_with(tmp_path / "plain", cased_pieces())
    fold_vocabulary(plain, tmp_path / "folded")
    import_model(plain, tmp_path / "before")
    text = "reset the Login (Paris zzz)"
    before, after = vector(tmp_path / "before", text), vector(tmp_path / "folded", text)
    first = {"login": "Login", "éclair": "Éclair", "paris": "Paris"}
    terms = Encoder.load(tmp_path / "folded").vocabulary.tokens
    expected = {term: before.get(first.get(term, term), 0.0) for term in terms}
    expected = {term: weight for term, weight in expected.items() if weight}
    assert len(after) > 3
    assert after == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("late_special", [False, True])
def test_byte_pieces_lose_case_and_space(tmp_path: Path, late_special: bool) -> None:
    tokenizer = cased_bytes(late_special=late_special)
    plain = write_with(tmp_path / "plain", tokenizer)
    done = fold_vocabulary(plain, tmp_path / "folded")
    assert done.after < 0.9 * done.before
    folded = tmp_path / "folded"
    one = tokens(folded, "login")
    assert one == ["<s>", "login", "</s>"]
    for text in ("Login", " LOGIN", "\tlogin\n"):
        assert tokens(folded, text) == one
    # After punctuation there was no space, and the token is the same.
    assert tokens(folded, "(Login)")[2:-2] == one[1:-1]
    terms = Encoder.load(folded).vocabulary.tokens
    assert len(set(terms)) == len(terms)
    assert not [term for term in terms if term.startswith("Ġ") and len(term) > 1]
    assert check_model(folded).pairs == 8


def test_every_folded_byte_piece_is_read_as_itself(tmp_path: Path) -> None:
    """A word that was one token in some form is one token after folding.

    But for a letter that becomes two in lower case, as the first of Istanbul in Turkish.
    """
    tokenizer = cased_bytes()
    fold_vocabulary(write_with(tmp_path / "plain", tokenizer), tmp_path / "folded")
    words = {word for text in CORPUS for word in text.split() if word.isalpha()}
    single = [
        word
        for word in words - {"İstanbul"}
        if len(tokenizer.encode(f" {word}", add_special_tokens=False)) == 1
    ]
    assert len(single) > 10
    assert "ÉCLAIR" in single
    for word in single:
        assert len(tokens(tmp_path / "folded", word)) == 3, word


def test_merges_of_upper_case_do_not_split_a_word(tmp_path: Path) -> None:
    """The merge of "T" and "H" comes first, and takes the "h" of "the" and "then" away.

    And that of "o" and "r" takes letters of "WORD" away, which has no other form.
    """
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merged = ["TH", "he", "the", "then", "he\u0142", "\u0120THE"]
    merged += ["or", "WO", "RD", "WORD"]
    merges = [("T", "H"), ("h", "e"), ("t", "he"), ("the", "n"), ("he", "\u0142")]
    merges += [("o", "r"), ("W", "O"), ("R", "D"), ("WO", "RD")]
    tokenizer = Tokenizer(
        models.BPE({token: place for place, token in enumerate([*letters, *merged])}, merges)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fold_vocabulary(write_with(tmp_path / "plain", tokenizer), tmp_path / "folded", optimize=False)
    assert tokens(tmp_path / "folded", "THE then") == ["the", "then"]
    assert tokens(tmp_path / "folded", "Thenx") == ["then", "x"]
    assert tokens(tmp_path / "folded", "a Word") == ["a", "word"]


def test_offsets_point_into_the_text(tmp_path: Path) -> None:
    fold_vocabulary(write_with(tmp_path / "plain", cased_bytes()), tmp_path / "folded")
    tokenizer = Tokenizer.from_file(str(tmp_path / "folded" / "tokenizer.json"))
    text = "Reset  the LOGIN"
    spans = tokenizer.encode(text, add_special_tokens=False).offsets
    assert text[spans[-1][0] : spans[-1][1]] == "LOGIN"


def test_ids_of_special_tokens_follow(tmp_path: Path) -> None:
    tokenizer = cased_bytes(late_special=True)
    ids = {token: tokenizer.token_to_id(token) for token in ("<pad>", "<s>", "</s>")}
    config = {"pad_token_id": ids["<pad>"], "bos_token_id": ids["<s>"], "eos_token_id": ids["</s>"]}
    plain = write_with(tmp_path / "plain", tokenizer, config=config)
    fold_vocabulary(plain, tmp_path / "folded")
    terms = Encoder.load(tmp_path / "folded").vocabulary
    found = json.loads((tmp_path / "folded" / "config.json").read_text())
    for key, token in (("pad", "<pad>"), ("bos", "<s>"), ("eos", "</s>")):
        assert found[f"{key}_token_id"] == terms.id(token) != ids[token]
    encoded = Tokenizer.from_file(str(tmp_path / "folded" / "tokenizer.json")).encode("login")
    assert encoded.ids == [terms.id(token) for token in encoded.tokens]


def test_lists_of_ids_follow_and_unknown_ones_stay(tmp_path: Path) -> None:
    config = {"eos_token_id": [12, 9], "sep_token_id": 3, "bos_token_id": None, "x_token_id": 99}
    plain = write_with(tmp_path / "plain", cased_pieces(), config=config)
    fold_vocabulary(plain, tmp_path / "folded", optimize=False)
    found = json.loads((tmp_path / "folded" / "config.json").read_text())
    assert {key: found[key] for key in config} == config | {"eos_token_id": [8, 6]}


def test_license_origin_and_a_later_table_are_kept(tmp_path: Path) -> None:
    plain = write_with(tmp_path / "plain", cased_pieces())
    options = ImportOptions(license="MIT", origin="mine", name="owner/base")
    before = import_model(plain, tmp_path / "before", options).path
    weights = np.arange(len(CASED), dtype=np.float32)
    add_query_table(before, QueryTable(weights), QueryMode.ENCODER)
    fold_vocabulary(before, tmp_path / "folded")
    contract = Contract.load(tmp_path / "folded")
    assert (contract.license, contract.query_mode) == ("MIT", QueryMode.ENCODER)
    assert contract.origin.startswith("imported from owner-base; imported from plain; mine; vocab")
    lookup = Encoder.load(tmp_path / "folded", queries=QueryEncoding(mode=QueryMode.LOOKUP))
    (found,) = lookup.encode_queries(["Login"]).as_dicts()
    assert list(found.values()) == [9.0]


def test_notes_about_the_base_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the current folder can be the base."""
    tokenizer = cased_pieces()
    plain = write_bert(tmp_path / "plain", rows=len(CASED) + 3)
    tokenizer.save(str(plain / "tokenizer.json"))
    (plain / "tokenizer_config.json").write_text("{}")
    monkeypatch.chdir(plain)
    done = fold_vocabulary(".", tmp_path / "folded", optimize=False)
    assert "3 unused rows are removed" in done.imported.notes[0]
    assert Contract.load(tmp_path / "folded").origin.startswith("imported from plain; ")


def test_tokens_that_are_only_named_elsewhere_stay(tmp_path: Path) -> None:
    """A tokenizer may have no list of added tokens."""
    plain = write_with(tmp_path / "plain", cased_pieces())
    raw = json.loads((plain / "tokenizer.json").read_text(encoding="utf-8"))
    raw["added_tokens"] = []
    raw["padding"] = {
        **{"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None},
        **{"pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
    }
    (plain / "tokenizer.json").write_text(json.dumps(raw), encoding="utf-8")
    fold_vocabulary(plain, tmp_path / "folded", optimize=False)
    assert tokens(tmp_path / "folded", "Login x") == ["[CLS]", "login", "[UNK]", "[SEP]"]


def test_a_query_table_keeps_the_largest_weight(tmp_path: Path) -> None:
    table = tmp_path / "idf.json"
    table.write_text(json.dumps({"login": 2.5, "Login": 0.5, "the": 0.25, "The": 1}))
    plain = write_with(tmp_path / "plain", cased_pieces())
    before = import_model(plain, tmp_path / "before", ImportOptions(query=table)).path
    fold_vocabulary(before, tmp_path / "folded")
    assert vector(tmp_path / "folded", "The LOGIN", "query") == {"login": 2.5, "the": 1.0}


def test_a_separate_query_encoder_gets_the_same_terms(tmp_path: Path) -> None:
    size = len(CASED)
    other = write_with(tmp_path / "other", cased_pieces(), **{BIAS: np.full(size, 0.5, np.float32)})
    plain = write_with(tmp_path / "plain", cased_pieces())
    options = ImportOptions(query_encoder=str(other))
    before = import_model(plain, tmp_path / "before", options).path
    fold_vocabulary(before, tmp_path / "folded")
    assert tensors(tmp_path / "folded" / "query_encoder")[BIAS].tolist() == [0.5] * 15
    assert check_model(tmp_path / "folded").pairs == 8


def test_settings_of_a_class_are_removed(tmp_path: Path) -> None:
    """BertTokenizer would turn lower-casing off again, and its special tokens were implied."""
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": False, "strip_accents": None}
    plain = write_with(tmp_path / "plain", cased_pieces(), settings)
    fold_vocabulary(plain, tmp_path / "folded")
    found = json.loads((tmp_path / "folded" / "tokenizer_config.json").read_text())
    assert found["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert not found.keys() & settings.keys() - {"tokenizer_class"}
    assert BERT_SPECIAL.items() <= found.items()


# Bad input


def test_a_vocabulary_without_forms_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"of splade-tiny must have terms that differ only in case"):
        fold_vocabulary("splade-tiny", tmp_path / "folded")
    fold_vocabulary(write_with(tmp_path / "plain", cased_pieces()), tmp_path / "folded")
    with pytest.raises(DataError, match="none of its 15 do: train from it as it is"):
        fold_vocabulary(tmp_path / "folded", tmp_path / "again")


def test_other_tokenizers_are_refused(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0), ("A", -1.0)], unk_id=0))
    plain = write_with(tmp_path / "plain", tokenizer)
    with pytest.raises(
        ModelError, match=r"of plain must be WordPiece or byte-level BPE .* Unigram"
    ):
        fold_vocabulary(plain, tmp_path / "folded")


def test_pruning_in_the_contract_is_refused(tmp_path: Path) -> None:
    before = import_model(write_with(tmp_path / "plain", cased_pieces()), tmp_path / "before").path
    contract = json.loads((before / "contract.json").read_text())
    contract["pruning"] = {"document": {"top": 5}}
    (before / "contract.json").write_text(json.dumps(contract))
    with pytest.raises(ModelError, match=r"pruning in .* must be null to fold its vocabulary"):
        fold_vocabulary(before, tmp_path / "folded")


def test_an_existing_folder_is_refused(tmp_path: Path) -> None:
    plain = write_with(tmp_path / "plain", cased_pieces())
    fold_vocabulary(plain, tmp_path / "folded")
    with pytest.raises(ModelError, match="exists: give another folder"):
        fold_vocabulary(plain, tmp_path / "folded")
    fold_vocabulary(plain, tmp_path / "folded", force=True, name="mine")
    assert Contract.load(tmp_path / "folded").name == "mine"


# Next to torch


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_sentence_transformers_computes_the_same_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    pytest.importorskip("torch")
    transformers = pytest.importorskip("sentence_transformers")
    from checkpoint_makers import make_model, vectors

    monkeypatch.undo()
    pieces, special = (
        (cased_pieces(), BERT_SPECIAL) if kind == "bert" else (cased_bytes(), ROBERTA_SPECIAL)
    )
    model, _ = make_model(kind, vocab_size=pieces.get_vocab_size())
    plain = tmp_path / "plain"
    model.save_pretrained(plain)
    pieces.save(str(plain / "tokenizer.json"))
    name = {"bert": "BertTokenizer", "roberta": "RobertaTokenizer"}[kind]
    (plain / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name} | special))
    done = fold_vocabulary(plain, tmp_path / "folded")
    assert (done.imported.reference, done.imported.optimized) == ("torch", True)
    encoder = transformers.SparseEncoder(
        str(done.imported.path), device="cpu", local_files_only=True
    )
    texts = [*CORPUS[:3], "LOGIN login", "Éclair the Paris"]
    found = Encoder.load(done.imported.path).encode_documents(texts).to_dense()
    assert np.abs(vectors(encoder, texts) - found).max() < 2e-4
    assert (found > 0).sum() > 20
