"""Inference-free queries: lookup, the choice of the mode, and invalid tables."""

import hashlib
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save

from lexpand import Encoder, QueryEncoding, Role
from lexpand.encode import Contract, QueryMode, QueryTable, add_query_table
from lexpand.encode.folder import find_folder
from lexpand.errors import DataError, ModelError, VectorError

SIZE = 30_522


def make_table() -> QueryTable:
    weights = np.random.default_rng(3).random(SIZE, np.float32)
    weights[::7] = 0
    return QueryTable(weights)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged model with its encoder and a table."""
    path = Path(shutil.copytree(find_folder("default"), tmp_path_factory.mktemp("table") / "model"))
    add_query_table(path, make_table())
    return path


@pytest.fixture(scope="module")
def lookup(folder: Path) -> Encoder:
    return Encoder.load(folder, queries=QueryEncoding(mode="lookup"))


def expected(encoder: Encoder, text: str, max_tokens: int = 512) -> dict[int, float]:
    """Return the reference vector: each token once, without special tokens and weights of 0."""
    weights = make_table().weights
    ids = [token.term for token in encoder._tokens.places(text, max_tokens)]
    return {
        i: float(weights[i])
        for i in sorted(set(ids))
        if weights[i] > 0 and i not in encoder.vocabulary.special
    }


TEXTS = [
    "heart disease",
    "heart heart heart",
    "",
    " \n",
    "[CLS] [SEP] [MASK]",
    "zzzz qqqq unbelievably",
    "word " * 900,
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_query_has_the_weight_of_each_of_its_tokens(lookup: Encoder, text: str) -> None:
    assert lookup.encode_queries([text]).as_dict(0) == expected(lookup, text)


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=60), max_size=6))
def test_a_batch_changes_no_query_vector(lookup: Encoder, texts: list[str]) -> None:
    together = lookup.encode_queries(texts)
    assert list(together.as_dicts()) == [expected(lookup, text) for text in texts]
    assert lookup.encode(texts, Role.QUERY).vectors == together


def test_the_position_of_a_term_is_its_first_token(lookup: Encoder) -> None:
    text = "heart and liver and heart"
    trace = lookup.trace(text, Role.QUERY)
    ids = [token.term for token in trace.tokens]
    assert trace.weights == expected(lookup, text)
    assert trace.positions == {term: ids.index(term) for term in trace.weights}
    assert {trace.word(term) for term in trace.weights} <= {"heart", "and", "liver"}


def test_long_queries_are_truncated(folder: Path, lookup: Encoder) -> None:
    query = "word " * 600 + "heart"
    encoding = lookup.encode([query], Role.QUERY)
    assert (encoding.tokens.tolist(), encoding.tokens_lost.tolist()) == ([603], [91])
    assert lookup.vocabulary.id("heart") not in encoding.vectors.as_dict(0)
    assert lookup.vocabulary.id("heart") not in lookup.encode_queries([query]).as_dict(0)


def test_lookup_changes_no_document_vector(lookup: Encoder, encoder: Encoder) -> None:
    a, b = (model.encode(["heart disease"], Role.DOCUMENT).vectors for model in (lookup, encoder))
    assert a.as_dict(0) == b.as_dict(0)


def test_the_model_sets_the_mode_and_a_call_overrides_it(
    folder: Path, lookup: Encoder, encoder: Encoder
) -> None:
    both = Encoder.load(folder)
    assert both.query_mode is QueryMode.ENCODER
    encoded = both.encode_queries(["heart"])
    looked_up = both.encode_queries(["heart"], mode="lookup")
    assert encoded.as_dict(0) == encoder.encode_queries(["heart"]).as_dict(0)
    assert looked_up == lookup.encode_queries(["heart"])
    assert lookup.encode_queries(["heart"], mode="encoder") == encoded
    with pytest.raises(ModelError, match="splade-tiny has no table"):
        encoder.encode_queries(["heart"], mode="lookup")
    with pytest.raises(
        ModelError, match="the query mode must be one of encoder, lookup, got 'table'"
    ):
        both.encode_queries(["heart"], mode="table")


def test_an_invalid_query_is_refused(lookup: Encoder) -> None:
    with pytest.raises(DataError, match="text 1 must be a string or a Document, got the int 3"):
        lookup.encode_queries(["fine", 3])  # type: ignore[list-item]
    with pytest.raises(DataError, match="lone surrogate at character 2"):
        lookup.encode_queries(["ab\ud800"])


def test_the_hash_covers_the_table_and_the_mode(
    folder: Path, encoder: Encoder, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    hashes = {
        encoder.contract.hash,
        Contract.load(folder).hash,
        add_query_table(copy, make_table(), QueryMode.LOOKUP).hash,
    }
    assert len(hashes) == 3
    other = QueryTable(make_table().weights * 2)
    assert add_query_table(copy, other, QueryMode.LOOKUP).hash not in hashes
    assert Encoder.load(copy).query_mode is QueryMode.LOOKUP
    assert len(list(copy.glob("query_weights*"))) == 1
    assert {pair.role for pair in Contract.load(copy).golden} == {Role.DOCUMENT}


def test_a_packaged_model_cannot_be_changed() -> None:
    with pytest.raises(ModelError, match="packaged with Lexpand and cannot be changed"):
        add_query_table("default", make_table())


def test_a_saved_table_has_the_same_weights(tmp_path: Path) -> None:
    make_table().save(tmp_path / "table.safetensors")
    assert np.array_equal(load_file(tmp_path / "table.safetensors")["weight"], make_table().weights)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.5, 1e300])
def test_an_invalid_weight_is_refused(bad: float) -> None:
    weights = np.zeros(9)
    weights[4] = bad
    with pytest.raises(VectorError, match="query weight of term 4 must be finite and >= 0, got"):
        QueryTable(weights)


def save_table(folder: Path, content: bytes) -> None:
    """Write a table and record it in the contract without any check."""
    (folder / "bad.safetensors").write_bytes(content)
    raw = json.loads((folder / "contract.json").read_text())
    raw["query"]["table"] = {
        "file": "bad.safetensors",
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    (folder / "contract.json").write_text(json.dumps(raw))


NAN = np.zeros(SIZE, np.float32)
NAN[77] = math.nan


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"nonsense", "bad.safetensors: "),
        (save({"weight": NAN}), "weight of term 77 must be finite and >= 0, got nan"),
        (
            save({"weight": np.ones(9, np.float32)}),
            "must have 30522 weights, one for each term, got 9",
        ),
        (save({"weight": np.ones((2, 9), np.float32)}), "must be numbers, one for each term"),
        (
            save({"other": np.ones(SIZE, np.float32)}),
            r"must have the single tensor 'weight', got \['other'\]",
        ),
    ],
)
def test_a_file_that_is_not_a_table_is_refused(
    folder: Path, tmp_path: Path, content: bytes, reason: str
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    save_table(copy, content)
    with pytest.raises(ModelError, match=reason):
        Encoder.load(copy)


def test_a_changed_table_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (path,) = copy.glob("query_weights*")
    path.write_bytes(save({"weight": np.ones(SIZE, np.float32)}))
    with pytest.raises(ModelError, match=r"differs from the file that contract\.json records"):
        Encoder.load(copy)


def test_idf_is_that_of_lucene(encoder: Encoder) -> None:
    frequencies, documents = encoder.document_frequencies(
        ["heart heart", "heart disease", "", "liver"]
    )
    term = encoder.vocabulary.id
    assert documents == 4
    words = ("heart", "disease", "liver", "kidney")
    assert [frequencies[term(word)] for word in words] == [2, 1, 1, 0]
    weights = QueryTable.idf(frequencies, documents).weights
    for word, df in (("heart", 2), ("liver", 1), ("kidney", 0)):
        assert weights[term(word)] == pytest.approx(
            math.log(1 + (4 - df + 0.5) / (df + 0.5)), rel=1e-6
        )


@pytest.mark.parametrize("frequencies", [[-1, 0], [5, 0]])
def test_an_impossible_frequency_is_refused(frequencies: list[Any]) -> None:
    expected = f"frequency of term 0 must be from 0 to 4, .* got {frequencies[0]}"
    with pytest.raises(VectorError, match=expected):
        QueryTable.idf(frequencies, 4)


def test_the_mode_of_a_table_may_be_a_string(tmp_path: Path) -> None:
    copy = shutil.copytree(find_folder("default"), tmp_path / "copy")
    contract = add_query_table(copy, make_table(), "lookup")  # type: ignore[arg-type]
    assert contract.query_mode is QueryMode.LOOKUP
    assert all(pair.role != "query" for pair in contract.golden)
    with pytest.raises(ModelError, match="mode must be one of encoder, lookup, got 'table'"):
        add_query_table(copy, make_table(), "table")  # type: ignore[arg-type]


def test_queries_that_are_looked_up_load_no_transformer(folder: Path, tmp_path: Path) -> None:
    """A missing graph is an error when a document is encoded; by then it is not there."""
    copied = Path(shutil.copytree(folder, tmp_path / "model"))
    (copied / "onnx" / "body.onnx").unlink()
    encoder = Encoder.load(copied, queries=QueryEncoding(mode="lookup"))
    assert encoder.encode_queries(["heart disease"]).nnz == 2
    for _ in range(2):
        with pytest.raises(ModelError, match=r"body\.onnx"):
            encoder.encode_documents(["heart disease"])
    with pytest.raises(ModelError, match=r"body\.onnx"):
        Encoder.load(copied, queries=QueryEncoding(mode="encoder"))
