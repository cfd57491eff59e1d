"""The encoder: order, batches, truncation, token positions, and invalid texts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand import Document, DocumentEncoding, Encoder, QueryEncoding, Role, SparseVectors
from lexpand.data import ModelId
from lexpand.encode import encoder as encoder_module
from lexpand.encode import running as running_module
from lexpand.encode.body import quantize
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


def test_a_batch_keeps_the_order_and_the_vectors_of_its_texts(encoder: Encoder) -> None:
    together = encoder.encode_documents(TEXTS)
    assert len(together) == len(TEXTS)
    for i, text in enumerate(TEXTS):
        assert close(together[i : i + 1], encoder.encode_documents([text])), text


def test_the_results_of_windows_are_concatenated(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encoder.encode(TEXTS, Role.DOCUMENT)
    monkeypatch.setattr(encoder_module, "_WINDOW", 2)
    parts = encoder.encode(TEXTS, Role.DOCUMENT)
    assert close(whole.vectors, parts.vectors)
    assert parts.tokens.tolist() == whole.tokens.tolist()


def test_the_head_agrees_with_the_reference_implementation(encoder: Encoder) -> None:
    """The reference computes every logit in float64, then log(1 + relu) and the maximum."""
    text = "does smoking cause heart disease"
    ids = [token.term for token in encoder._tokens.places(text, 512)]
    hidden, _ = encoder._body_for(Role.DOCUMENT).run([ids])
    weights = encoder_module.ModelFolder(encoder_module.find_folder("default")).tensors
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


def test_no_texts_yield_no_vectors(encoder: Encoder) -> None:
    encoding = encoder.encode([], Role.DOCUMENT)
    empty = SparseVectors([0], [], [], len(encoder.vocabulary), encoder.contract.model)
    assert encoding.vectors == empty
    assert (len(encoding.tokens), encoding.truncated, encoding.empty) == (0, 0, 0)


def test_title_and_text_are_joined_by_a_space(encoder: Encoder) -> None:
    document = Document("1", "disease in older people", "heart")
    assert close(
        encoder.encode_documents([document]),
        encoder.encode_documents(["heart disease in older people"]),
    )


def test_long_texts_are_truncated_and_counted(encoder: Encoder) -> None:
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
def test_a_length_that_the_model_cannot_read_is_refused(length: int) -> None:
    with pytest.raises(
        ModelError, match=rf"max_tokens must be from 3 to 512 for splade-tiny, got {length}$"
    ):
        Encoder.load(documents=DocumentEncoding(max_tokens=length))


def test_a_text_tokenized_in_pieces_has_the_tokens_of_the_whole(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lexpand.encode import tokens

    text = "Überraschend lange Wörter, kurze Sätze; 3.14 und (Klammern)! " * 20
    whole = encoder._tokens.tokenize([text], 50)
    monkeypatch.setattr(tokens, "_PIECE", 37)
    assert encoder._tokens.tokenize([text], 50) == whole


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300), st.integers(3, 40))
def test_any_text_tokenized_in_pieces_has_the_tokens_of_the_whole(text: str, limit: int) -> None:
    from lexpand.encode import tokens
    from lexpand.encode.folder import ModelFolder, find_folder

    tokenizer = _TOKENS.setdefault("default", ModelFolder(find_folder("default")).tokens)
    whole = tokenizer.tokenize([text], limit)
    before, tokens._PIECE = tokens._PIECE, 16
    try:
        assert tokenizer.tokenize([text], limit) == whole
    finally:
        tokens._PIECE = before


_TOKENS: dict = {}


@pytest.mark.parametrize("space", ["\x1f", "\u2028", "\x0b", "\u3000", "\u00a0", "\u200b"])
def test_unusual_spaces_at_the_end_of_a_piece_change_no_token(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, space: str
) -> None:
    from lexpand.encode import tokens

    text = f"0000000000000000{space}0 and more"
    whole = encoder._tokens.tokenize([text], 3)
    monkeypatch.setattr(tokens, "_PIECE", 16)
    assert encoder._tokens.tokenize([text], 3) == whole


def test_a_text_of_ten_megabytes_is_truncated(encoder: Encoder) -> None:
    word = "x" * 120 + " "  # too long for the vocabulary, so that tokenizing is fast
    text = word * 90_000
    encoding = encoder.encode([text], Role.DOCUMENT)
    assert len(text) > 10_000_000
    assert encoding.tokens.tolist() == [90_002]
    assert encoding.tokens_lost.tolist() == [90_002 - 512]


def test_a_trace_names_the_word_behind_a_term(encoder: Encoder) -> None:
    trace = encoder.trace("Account recovery for forgetful users", Role.DOCUMENT)
    term = encoder.vocabulary.id
    assert trace.word(term("forgot")) == "forgetful"
    assert term("forgot") not in trace.input_terms
    assert trace.word(term("##ful")) == "forgetful"
    assert {term("account"), term("recovery"), term("forget"), term("##ful")} <= trace.input_terms
    assert term("[CLS]") not in trace.input_terms
    assert set(trace.positions) == set(trace.weights)


def test_a_word_is_spelled_as_in_the_text(encoder: Encoder) -> None:
    trace = encoder.trace("The CAFÉ's PASSWORD", Role.DOCUMENT)
    words = {trace.word(term) for term in trace.input_terms if term in trace.weights}
    assert words <= {"The", "CAFÉ", "'", "s", "PASSWORD"}
    assert {"CAFÉ", "PASSWORD"} <= words


def test_an_invalid_text_is_refused(encoder: Encoder) -> None:
    with pytest.raises(DataError, match="text 1 must be a string or a Document, got the int 3"):
        encoder.encode_documents(["fine", 3])  # type: ignore[list-item]
    with pytest.raises(DataError, match="text 0 has a lone surrogate at character 2"):
        encoder.encode_queries(["ab\ud800"])


def test_progress_counts_every_text(encoder: Encoder) -> None:
    seen: list[int] = []
    encoder.encode(TEXTS, Role.DOCUMENT, on_done=seen.append)
    assert sum(seen) == len(TEXTS)


def test_the_number_of_threads_changes_no_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    """More batches than threads, and then fewer."""
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
    body = encoder._body_for(Role.DOCUMENT)
    monkeypatch.setattr(body, "run_on_one_thread", lambda ids: 1 / len(ids[0][9:]))
    with pytest.raises(ZeroDivisionError):
        encoder.encode_documents(["one", "two", "three"])


def test_int8_vectors_are_close_to_float32_vectors(encoder: Encoder) -> None:
    texts = [text for text in TEXTS if text]
    texts.append("Choose the sign-in page; we send a code to your phone.")
    quantized = Encoder.load(
        documents=DocumentEncoding(dtype="int8"), queries=QueryEncoding(dtype="int8"), threads=1
    )
    a, b = (each.encode_documents(texts).to_dense() for each in (encoder, quantized))
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert 0.98 < cosines.min() < 0.999999, "close, but not the same body"


def test_each_row_of_a_weight_is_quantized_with_its_own_scale() -> None:
    weight = np.array([[1.0, -0.5, 0.26], [0.0, 0.0, 0.0], [-3e-4, 1e-4, 2e-4]], np.float32)
    values, scale = quantize(weight)
    assert values.tolist() == [[64, 0, -64], [-32, 0, 21], [17, 0, 43]]
    assert np.allclose(
        values.T * scale[:, None], weight, atol=np.abs(weight).max(axis=1, keepdims=True) / 128
    )


def test_a_dtype_that_the_backend_does_not_support_is_refused() -> None:
    with pytest.raises(
        ModelError,
        match=r"the backend for bfloat16 must be 'torch', got 'onnx': .* float32 and int8",
    ):
        Encoder.load(
            documents=DocumentEncoding(dtype="bfloat16"),
            queries=QueryEncoding(dtype="bfloat16"),
            device="onnx",
        )


def test_vectors_record_their_model(encoder: Encoder) -> None:
    vectors = encoder.encode_queries(["heart"])
    assert vectors.model == encoder.contract.model == encoder.space.model
    assert encoder.space.location == "splade-tiny"


def test_safe_pruning_starts_after_many_short_texts_too() -> None:
    encoder = Encoder.load(threads=1)
    plain = encoder._head._head
    first = encoder.encode_queries(["reset my login"])
    for _ in range(80):
        encoder.encode_queries(
            ["account recovery for a phone that was lost, with a new number and no second address"]
        )
    assert encoder._head._head is not plain
    assert encoder.encode_queries(["reset my login"]) == first


def test_an_infinite_weight_is_refused() -> None:
    row = np.array([3], np.uint32), np.array([np.inf], np.float32), np.array([0], np.uint32)
    with pytest.raises(VectorError, match="inf"):
        from_rows([row], [TokenizedText([101, 7, 102], 3, 0)], 10, ModelId("model", "0" * 64))


def test_a_row_with_more_terms_than_a_vector_may_have_is_refused() -> None:
    terms = np.arange(2**16 + 1, dtype=np.uint32)
    row = terms, np.ones(len(terms), np.float32), terms
    with pytest.raises(VectorError, match="row 0 must have at most 65536 terms, got 65537"):
        from_rows([row], [TokenizedText([1], 1, 0)], 2**17, ModelId("toy", "0" * 64))
