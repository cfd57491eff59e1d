"""The encoder: order, batches, lengths, provenance, and texts that are no texts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand import Document, DocumentEncoding, Encoder, QueryEncoding, Role, SparseVectors
from lexpand.data import ModelId
from lexpand.encode import encoder as encoder_module
from lexpand.encode import running as running_module
from lexpand.encode.body import rounded
from lexpand.encode.encoding import from_rows
from lexpand.encode.tokens import TokenizedText
from lexpand.errors import DataError, ModelError, VectorError


def close(a: SparseVectors, b: SparseVectors) -> bool:
    return bool(np.abs(a.to_dense() - b.to_dense()).max(initial=0) < 1e-4)


TEXTS = [
    "one",
    "a much longer text about heart disease and smoking in older people",
    "",
    "reset my login",
    "word " * 700,
]


def test_order_is_kept_and_a_batch_changes_nothing(encoder: Encoder) -> None:
    together = encoder.encode_documents(TEXTS)
    assert len(together) == len(TEXTS)
    for i, text in enumerate(TEXTS):
        assert close(together[i : i + 1], encoder.encode_documents([text])), text


def test_windows_are_joined(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encoder.encode(TEXTS, Role.DOCUMENT)
    monkeypatch.setattr(encoder_module, "_WINDOW", 2)
    parts = encoder.encode(TEXTS, Role.DOCUMENT)
    assert close(whole.vectors, parts.vectors)
    assert parts.tokens.tolist() == whole.tokens.tolist()


def test_the_head_is_the_definition_over_the_body(encoder: Encoder) -> None:
    """The slow twin: every logit, float64, then log(1 + relu) and the maximum."""
    text = "does smoking cause heart disease"
    ids = [token.term for token in encoder._tokens.places(text, 512)]
    hidden, _ = encoder._body_for(Role.DOCUMENT).run([ids])
    weights = encoder_module.ModelFolder(encoder_module.find_folder("default"))._weights
    decoder = weights[encoder.contract.head_weight].astype(np.float64)
    logits = hidden[0].astype(np.float64) @ decoder.T + weights[encoder.contract.head_bias]
    expected = np.log1p(np.maximum(logits, 0)).max(axis=0)
    found = encoder.encode_queries([text])
    assert np.abs(found.to_dense()[0] - expected).max() < 1e-4
    positions = encoder.trace(text, Role.QUERY).positions
    for term, position in positions.items():
        assert logits[position, term] > logits[:, term].max() - 1e-4


@pytest.mark.parametrize("text", ["", " ", "\n\t  ", "\x00", "\u200b\x07"])
def test_a_text_without_tokens_has_an_empty_vector(encoder: Encoder, text: str) -> None:
    encoding = encoder.encode([text, "heart"], Role.DOCUMENT)
    assert (encoding.empty, encoding.tokens[0], encoding.truncated) == (1, 0, 0)
    assert encoding.vectors.as_dict(0) == {}
    assert encoding.vectors.as_dict(1) != {}
    assert encoder.trace(text, Role.DOCUMENT).weights == {}


def test_nothing_to_encode(encoder: Encoder) -> None:
    encoding = encoder.encode([], Role.DOCUMENT)
    assert encoding.vectors == SparseVectors(
        [0], [], [], len(encoder.vocabulary), encoder.contract.model
    )
    assert (len(encoding.tokens), encoding.truncated, encoding.empty) == (0, 0, 0)


def test_title_and_text_are_read_with_a_space_between(encoder: Encoder) -> None:
    document = Document("1", "disease in older people", "heart")
    assert close(
        encoder.encode_documents([document]),
        encoder.encode_documents(["heart disease in older people"]),
    )


def test_long_texts_are_cut_and_counted(encoder: Encoder) -> None:
    encoding = encoder.encode(["word " * 510, "word " * 511, "word " * 1000], Role.DOCUMENT)
    assert encoding.tokens.tolist() == [512, 513, 1002]
    assert encoding.tokens_lost.tolist() == [0, 1, 490]
    assert encoding.truncated == 2
    assert close(encoding.vectors[:1], encoding.vectors[2:])


def test_a_shorter_length_can_be_chosen() -> None:
    short = Encoder.load(documents=DocumentEncoding(max_tokens=8))
    encoding = short.encode(["word " * 20], Role.DOCUMENT)
    assert encoding.tokens_lost.tolist() == [14]
    assert short.encode(["word " * 20], Role.QUERY).tokens_lost.tolist() == [0]
    assert short.space.encoding == short.documents == DocumentEncoding(max_tokens=8)
    assert Encoder.load().space.encoding == DocumentEncoding(max_tokens=512)


@pytest.mark.parametrize("length", [2, 513, 0, -1])
def test_a_length_the_model_cannot_read(length: int) -> None:
    with pytest.raises(
        ModelError, match=rf"max_tokens must be from 3 to 512 for splade-tiny, got {length}$"
    ):
        Encoder.load(documents=DocumentEncoding(max_tokens=length))


def test_a_text_in_pieces_has_the_tokens_of_the_whole(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lexpand.encode import tokens

    text = "Überraschend lange Wörter, kurze Sätze; 3.14 und (Klammern)! " * 20
    whole = encoder._tokens.tokenize([text], 50)
    monkeypatch.setattr(tokens, "_PIECE", 37)
    assert encoder._tokens.tokenize([text], 50) == whole


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300), st.integers(3, 40))
def test_any_text_in_pieces_has_the_tokens_of_the_whole(text: str, limit: int) -> None:
    from lexpand.encode import tokens
    from lexpand.encode.folder import ModelFolder, find_folder

    tokenizer = _TOKENS.setdefault("it", ModelFolder(find_folder("default")).tokens)
    whole = tokenizer.tokenize([text], limit)
    before, tokens._PIECE = tokens._PIECE, 16
    try:
        assert tokenizer.tokenize([text], limit) == whole
    finally:
        tokens._PIECE = before


_TOKENS: dict = {}


@pytest.mark.parametrize("odd", ["\x1f", "\u2028", "\x0b", "\u3000", "\u00a0", "\u200b"])
def test_odd_spaces_at_the_border_of_a_piece(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    from lexpand.encode import tokens

    text = f"0000000000000000{odd}0 and more"
    whole = encoder._tokens.tokenize([text], 3)
    monkeypatch.setattr(tokens, "_PIECE", 16)
    assert encoder._tokens.tokenize([text], 3) == whole


def test_ten_megabytes(encoder: Encoder) -> None:
    text = (
        "x" * 120 + " "
    ) * 90_000  # words too long for the vocabulary, so that tokenizing is quick
    encoding = encoder.encode([text], Role.DOCUMENT)
    assert len(text) > 10_000_000
    assert encoding.tokens.tolist() == [90_002]
    assert encoding.tokens_lost.tolist() == [90_002 - 512]


def test_provenance_names_the_word(encoder: Encoder) -> None:
    trace = encoder.trace("Account recovery for forgetful users", Role.DOCUMENT)
    term = encoder.vocabulary.id
    assert trace.word(term("forgot")) == "forgetful"
    assert term("forgot") not in trace.input_terms
    assert trace.word(term("##ful")) == "forgetful"
    assert {term("account"), term("recovery"), term("forget"), term("##ful")} <= trace.input_terms
    assert term("[CLS]") not in trace.input_terms
    assert set(trace.positions) == set(trace.weights)


def test_the_word_is_as_the_text_has_it(encoder: Encoder) -> None:
    trace = encoder.trace("The CAFÉ's PASSWORD", Role.DOCUMENT)
    words = {trace.word(term) for term in trace.input_terms if term in trace.weights}
    assert words <= {"The", "CAFÉ", "'", "s", "PASSWORD"}
    assert {"CAFÉ", "PASSWORD"} <= words


def test_what_is_no_text(encoder: Encoder) -> None:
    with pytest.raises(DataError, match="text 1 is a int"):
        encoder.encode_documents(["fine", 3])  # type: ignore[list-item]
    with pytest.raises(DataError, match="text 0 has a lone surrogate at character 2"):
        encoder.encode_queries(["ab\ud800"])


def test_progress_counts_every_text(encoder: Encoder) -> None:
    seen: list[int] = []
    encoder.encode(TEXTS, Role.DOCUMENT, on_done=seen.append)
    assert sum(seen) == len(TEXTS)


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three batches on two threads, a batch each, and then fewer batches than threads."""
    many = [f"{text} {i}" for i in range(9) for text in TEXTS]
    monkeypatch.setattr(running_module, "CPU_TOKENS", 600)
    one, two = (Encoder.load(threads=threads) for threads in (1, 2))
    for texts in (many, TEXTS[:1]):
        a, b = (encoder.encode(texts, Role.DOCUMENT) for encoder in (one, two))
        assert np.array_equal(a.vectors.indptr, b.vectors.indptr)
        assert np.array_equal(a.vectors.terms, b.vectors.terms)
        assert np.array_equal(a.vectors.weights, b.vectors.weights)
        assert np.array_equal(a.positions, b.positions)


def test_an_error_in_a_thread_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder.load(threads=2)
    monkeypatch.setattr(running_module, "CPU_TOKENS", 8)
    monkeypatch.setattr(
        encoder._body_for(Role.DOCUMENT), "run_beside_others", lambda ids: 1 / len(ids[0][9:])
    )
    with pytest.raises(ZeroDivisionError):
        encoder.encode_documents(["one", "two", "three"])


def test_the_int8_body_is_near_the_float32_one(encoder: Encoder) -> None:
    texts = [text for text in TEXTS if text] + [
        "Choose the sign-in page; we send a code to your phone."
    ]
    exact = encoder.encode_documents(texts).to_dense()
    near = (
        Encoder.load(
            documents=DocumentEncoding(dtype="int8"), queries=QueryEncoding(dtype="int8"), threads=1
        )
        .encode_documents(texts)
        .to_dense()
    )
    cosines = (
        (exact * near).sum(axis=1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(near, axis=1)
    )
    assert 0.98 < cosines.min() < 0.999999, "near, and not the same body"


def test_weights_are_rounded_row_by_row() -> None:
    weight = np.array([[1.0, -0.5, 0.26], [0.0, 0.0, 0.0], [-3e-4, 1e-4, 2e-4]], np.float32)
    values, scale = rounded(weight)
    assert values.tolist() == [[64, 0, -64], [-32, 0, 21], [17, 0, 43]]
    assert np.allclose(
        values.T * scale[:, None], weight, atol=np.abs(weight).max(axis=1, keepdims=True) / 128
    )


def test_a_dtype_that_a_backend_has_not() -> None:
    with pytest.raises(ModelError, match="'onnx' has float32 and int8"):
        Encoder.load(
            documents=DocumentEncoding(dtype="bfloat16"),
            queries=QueryEncoding(dtype="bfloat16"),
            device="onnx",
        )


def test_the_vectors_know_their_model(encoder: Encoder) -> None:
    vectors = encoder.encode_queries(["heart"])
    assert vectors.model == encoder.contract.model == encoder.space.model
    assert encoder.space.location == "splade-tiny"


def test_many_short_texts_are_screened_as_a_long_one_is() -> None:
    encoder = Encoder.load(threads=1)
    unscreened = encoder._head._head
    first = encoder.encode_queries(["reset my login"])
    for _ in range(80):
        encoder.encode_queries(
            ["account recovery for a phone that was lost, with a new number and no second address"]
        )
    assert encoder._head._head is not unscreened
    assert encoder.encode_queries(["reset my login"]) == first


def test_a_weight_that_is_infinite_is_refused() -> None:
    row = np.array([3], np.uint32), np.array([np.inf], np.float32), np.array([0], np.uint32)
    with pytest.raises(VectorError, match="inf"):
        from_rows([row], [TokenizedText([101, 7, 102], 3, 0)], 10, ModelId("model", "0" * 64))


def test_a_row_of_more_terms_than_a_vector_may_have() -> None:
    terms = np.arange(2**16 + 1, dtype=np.uint32)
    row = terms, np.ones(len(terms), np.float32), terms
    with pytest.raises(VectorError, match="row 0 must have at most 65536 terms, got 65537"):
        from_rows([row], [TokenizedText([1], 1, 0)], 2**17, ModelId("toy", "0" * 64))
