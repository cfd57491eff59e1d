"""Inference-free queries: presence and a table, chosen by the model or by the call; tables that are none."""

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
    """The packaged model with a table beside its encoder."""
    path = Path(shutil.copytree(find_folder("default"), tmp_path_factory.mktemp("table") / "model"))
    add_query_table(path, make_table())
    return path


@pytest.fixture(scope="module")
def lookup(folder: Path) -> Encoder:
    return Encoder.load(folder, queries=QueryEncoding(mode="lookup"))


def expected(encoder: Encoder, text: str, max_tokens: int = 512) -> dict[int, float]:
    """The slow twin: each token once, special ones never, weights of 0 never."""
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
def test_a_query_is_the_presence_of_its_tokens(lookup: Encoder, text: str) -> None:
    assert lookup.encode_queries([text]).as_dict(0) == expected(lookup, text)


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=60), max_size=6))
def test_many_at_once_are_each_alone(lookup: Encoder, texts: list[str]) -> None:
    together = lookup.encode_queries(texts)
    assert list(together.as_dicts()) == [expected(lookup, text) for text in texts]
    assert lookup.encode(texts, Role.QUERY).vectors == together


def test_a_position_is_the_first_token_of_its_term(lookup: Encoder) -> None:
    text = "heart and liver and heart"
    trace = lookup.trace(text, Role.QUERY)
    read = [token.term for token in trace.tokens]
    assert trace.weights == expected(lookup, text)
    assert trace.positions == {term: read.index(term) for term in trace.weights}
    assert {trace.word(term) for term in trace.weights} <= {"heart", "and", "liver"}


def test_the_length_of_a_query_holds(folder: Path, lookup: Encoder) -> None:
    encoding = lookup.encode(["word " * 600 + "heart"], Role.QUERY)
    assert (encoding.tokens.tolist(), encoding.tokens_lost.tolist()) == ([603], [91])
    assert lookup.vocabulary.id("heart") not in encoding.vectors.as_dict(0)
    assert lookup.vocabulary.id("heart") not in lookup.encode_queries(
        ["word " * 600 + "heart"]
    ).as_dict(0)


def test_documents_are_encoded_as_ever(lookup: Encoder, encoder: Encoder) -> None:
    found, wanted = (
        model.encode(["heart disease"], Role.DOCUMENT).vectors for model in (lookup, encoder)
    )
    assert found.as_dict(0) == wanted.as_dict(0)


def test_the_mode_is_chosen_by_call_and_by_model(
    folder: Path, lookup: Encoder, encoder: Encoder
) -> None:
    both = Encoder.load(folder)
    assert both.query_mode is QueryMode.ENCODER
    by_model, by_table = (
        both.encode_queries(["heart"]),
        both.encode_queries(["heart"], mode="lookup"),
    )
    assert by_model.as_dict(0) == encoder.encode_queries(["heart"]).as_dict(0)
    assert by_table == lookup.encode_queries(["heart"])
    assert lookup.encode_queries(["heart"], mode="encoder") == by_model
    with pytest.raises(ModelError, match="splade-tiny has no table"):
        encoder.encode_queries(["heart"], mode="lookup")
    with pytest.raises(
        ModelError, match="the query mode must be one of encoder, lookup, got 'table'"
    ):
        both.encode_queries(["heart"], mode="table")


def test_what_is_no_query(lookup: Encoder) -> None:
    with pytest.raises(DataError, match="text 1 is a int"):
        lookup.encode_queries(["fine", 3])  # type: ignore[list-item]
    with pytest.raises(DataError, match="lone surrogate at character 2"):
        lookup.encode_queries(["ab\ud800"])


def test_the_table_and_the_mode_are_part_of_the_hash(
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


def test_a_packaged_model_stays_as_it_is() -> None:
    with pytest.raises(ModelError, match="packaged with Lexpand"):
        add_query_table("default", make_table())


def test_a_table_is_saved_as_it_is(tmp_path: Path) -> None:
    make_table().save(tmp_path / "table.safetensors")
    assert np.array_equal(load_file(tmp_path / "table.safetensors")["weight"], make_table().weights)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.5, 1e300])
def test_weights_that_are_none(bad: float) -> None:
    weights = np.zeros(9)
    weights[4] = bad
    with pytest.raises(VectorError, match="query weight of term 4"):
        QueryTable(weights)


def save_table(folder: Path, content: bytes) -> None:
    """Puts a file into the contract unchecked."""
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
        (save({"weight": NAN}), "weight of term 77 is nan"),
        (save({"weight": np.ones(9, np.float32)}), "has 9 weights for a vocabulary of 30522"),
        (save({"weight": np.ones((2, 9), np.float32)}), "one a term"),
        (save({"other": np.ones(SIZE, np.float32)}), r"has the tensors \['other'\]"),
    ],
)
def test_a_file_that_is_no_table(folder: Path, tmp_path: Path, content: bytes, reason: str) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    save_table(copy, content)
    with pytest.raises(ModelError, match=reason):
        Encoder.load(copy)


def test_a_file_that_changed(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (path,) = copy.glob("query_weights*")
    path.write_bytes(save({"weight": np.ones(SIZE, np.float32)}))
    with pytest.raises(ModelError, match=r"differs from the one in contract\.json"):
        Encoder.load(copy)


def test_idf_is_lucenes(encoder: Encoder) -> None:
    frequencies, documents = encoder.document_frequencies(
        ["heart heart", "heart disease", "", "liver"]
    )
    term = encoder.vocabulary.id
    assert documents == 4
    assert [frequencies[term(word)] for word in ("heart", "disease", "liver", "kidney")] == [
        2,
        1,
        1,
        0,
    ]
    weights = QueryTable.idf(frequencies, documents).weights
    for word, df in (("heart", 2), ("liver", 1), ("kidney", 0)):
        assert weights[term(word)] == pytest.approx(
            math.log(1 + (4 - df + 0.5) / (df + 0.5)), rel=1e-6
        )


@pytest.mark.parametrize("frequencies", [[-1, 0], [5, 0]])
def test_frequencies_that_cannot_be(frequencies: list[Any]) -> None:
    with pytest.raises(VectorError, match="outside 0 to 4"):
        QueryTable.idf(frequencies, 4)


def test_the_mode_may_be_a_string(tmp_path: Path) -> None:
    copy = shutil.copytree(find_folder("default"), tmp_path / "copy")
    contract = add_query_table(copy, make_table(), "lookup")  # type: ignore[arg-type]
    assert contract.query_mode is QueryMode.LOOKUP
    assert all(pair.role != "query" for pair in contract.golden)
    with pytest.raises(ModelError, match="mode must be one of encoder, lookup, got 'table'"):
        add_query_table(copy, make_table(), "table")  # type: ignore[arg-type]
