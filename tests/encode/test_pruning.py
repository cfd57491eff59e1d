"""Pruning rules against a reference implementation, invalid rules, contracts and encoders."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand import (
    Document,
    DocumentEncoding,
    Encoder,
    Index,
    QueryEncoding,
    Role,
    SparseVectors,
    Vocabulary,
)
from lexpand.data import Pruning, banned_terms, parse_pruning
from lexpand.data.document_encoding import Chunks, Long, LongDocuments
from lexpand.data.pruning import take
from lexpand.encode import Contract
from lexpand.encode.folder import find_folder
from lexpand.errors import DataError, ModelError
from lexpand.search.sparse import SparseRetriever


def given_by(term: int) -> int:
    """The position that gives a term in these tests."""
    return term % 4


def reference(row: dict[int, float], rules: Pruning) -> dict[int, float]:
    """Prune one row by the definition."""
    left = {term: weight for term, weight in row.items() if term not in rules.banned}
    if rules.position is not None:
        left = {
            term: weight
            for term, weight in left.items()
            if sum(
                given_by(other) == given_by(term) and (-left[other], other) < (-weight, term)
                for other in left
            )
            < rules.position
        }
    ordered = sorted(left, key=lambda term: (-left[term], term))
    total = 0.0
    for term in ordered:
        total += left[term]
    largest = max(left.values(), default=0.0)
    kept, before = {}, 0.0
    for rank, term in enumerate(ordered):
        weight = left[term]
        fits = weight >= rules.threshold and weight >= rules.ratio * largest
        fits = fits and (rules.top is None or rank < rules.top)
        if fits and (rules.mass == 1 or before < rules.mass * total):
            kept[term] = weight
        before += weight
    return dict(sorted(kept.items()))


# Few different weights cause ties. Zeros and tiny weights are among them.
WEIGHTS = st.sampled_from([0.0, 1e-30, 0.1, 0.1, 0.25, 0.5, 1.0, 3.0]) | st.floats(0, 5, width=32)
ROWS = st.lists(st.dictionaries(st.integers(0, 30), WEIGHTS, max_size=12), max_size=6)
RULES = st.builds(
    Pruning,
    position=st.none() | st.integers(1, 4),
    top=st.none() | st.integers(1, 8),
    threshold=st.sampled_from([0.0, 0.1, 0.3]),
    ratio=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    mass=st.sampled_from([1.0, 0.9, 0.5, 0.01]),
    banned=st.frozensets(st.integers(0, 40), max_size=5),
)


@given(ROWS, RULES)
def test_any_rules_agree_with_the_reference_implementation(
    rows: list[dict[int, float]], rules: Pruning
) -> None:
    vectors = SparseVectors.from_rows(rows, 31)
    expected = [reference(row, rules) for row in vectors.as_dicts()]
    kept = rules.kept(vectors, given_by(vectors.terms))
    assert list(take(vectors, kept).as_dicts()) == expected
    if rules.position is None:
        assert list(rules.apply(vectors).as_dicts()) == expected


@given(RULES)
def test_rules_survive_json(rules: Pruning) -> None:
    assert Pruning.from_dict(json.loads(json.dumps(rules.to_dict()))) == rules
    assert bool(rules) == bool(rules.to_dict())


ROW = {1: 1.0, 2: 0.5, 3: 0.5, 4: 0.25, 5: 2.0}


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        (Pruning(), [1, 2, 3, 4, 5]),
        (Pruning(position=1), [2, 3, 4, 5]),  # their positions are 1, 2, 3, 0 and 1
        (Pruning(top=3), [1, 2, 5]),  # of two equal weights, the lower term wins
        (Pruning(threshold=0.5), [1, 2, 3, 5]),
        (Pruning(ratio=0.5), [1, 5]),
        (Pruning(mass=0.7), [1, 5]),  # 3 of 4.25
        (Pruning(mass=0.8), [1, 2, 5]),
        (Pruning(ratio=0.5, banned=frozenset({5})), [1, 2, 3]),
    ],
)
def test_each_rule_keeps_its_terms(rules: Pruning, kept: list[int]) -> None:
    vectors = SparseVectors.from_rows([ROW], 9)
    passed = rules.kept(vectors, given_by(vectors.terms))
    assert vectors.terms[passed].tolist() == kept


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"top": 0}, "top must be an integer >= 1, got 0"),
        ({"top": True}, "top must be an integer >= 1, got True"),
        ({"top": 2.5}, "top must be an integer >= 1, got 2.5"),
        ({"position": 0}, "position must be an integer >= 1, got 0"),
        ({"threshold": -1}, "threshold must be .*, got -1"),
        ({"threshold": math.nan}, "threshold must be .*, got nan"),
        ({"ratio": 1.5}, "ratio must be .*, got 1.5"),
        ({"ratio": "x"}, "ratio must be .*, got 'x'"),
        ({"mass": 0}, "mass must be .*, got 0"),
        ({"banned": [-1]}, "banned term must be .*, got -1"),
    ],
)
def test_a_value_outside_its_range_is_refused(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        Pruning.from_dict(values)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"keys of position, top, threshold, ratio, mass, banned, got .*top_k"
    ):
        Pruning.from_dict({"top_k": 3})


VOCABULARY = Vocabulary(
    ["[PAD]", "[unused0]", "heart", "[unused17]", "<unused3>", "unused"], frozenset({0})
)


def test_banned_terms_are_special_unused_and_named_tokens() -> None:
    assert banned_terms(VOCABULARY) == set()
    assert banned_terms(VOCABULARY, special=True) == {0}
    assert banned_terms(VOCABULARY, unused=True, tokens=["heart"]) == {1, 2, 3, 4}


def test_rules_are_parsed_from_text() -> None:
    found = parse_pruning("top=128, ratio=0.1,ban=special,ban=heart", VOCABULARY)
    assert found == Pruning(top=128, ratio=0.1, banned=frozenset({0, 2}))


@pytest.mark.parametrize(
    "text", ["", "top", "top=x", "top=1,top=2", "best=3", "ban=liver", "mass=7"]
)
def test_a_text_that_is_not_a_list_of_rules_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        parse_pruning(text, VOCABULARY)


TEXTS = ["heart disease and smoking in older people", "", "reset my login"]


def test_documents_and_queries_have_their_own_rules(encoder: Encoder) -> None:
    for_documents = Pruning(top=5)
    for_queries = Pruning(top=2, banned=banned_terms(encoder.vocabulary, tokens=["reset"]))
    pruned = Encoder.load(
        documents=DocumentEncoding(pruning=for_documents),
        queries=QueryEncoding(pruning=for_queries),
    )
    for role, rules in ((Role.DOCUMENT, for_documents), (Role.QUERY, for_queries)):
        plain, found = encoder.encode(TEXTS, role), pruned.encode(TEXTS, role)
        assert found.vectors == rules.apply(plain.vectors)
        assert found.positions.tolist() == plain.positions[rules.kept(plain.vectors)].tolist()
    assert pruned.encode_queries(TEXTS) == pruned.encode(TEXTS, Role.QUERY).vectors
    assert pruned.contract.hash == encoder.contract.hash


def test_a_position_gives_a_limited_number_of_terms(encoder: Encoder, tmp_path: Path) -> None:
    rules = Pruning(position=2)
    pruned = Encoder.load(
        documents=DocumentEncoding(pruning=rules), queries=QueryEncoding(pruning="position=2")
    )
    for role in Role:
        plain, found = encoder.encode(TEXTS, role), pruned.encode(TEXTS, role)
        assert 0 < found.vectors.nnz < plain.vectors.nnz
        places = list(zip(found.vectors.owners.tolist(), found.positions.tolist(), strict=True))
        assert max(map(places.count, places)) == 2
        assert found.vectors == take(plain.vectors, rules.kept(plain.vectors, plain.positions))
    long = LongDocuments(Long.CHUNK, chunks=Chunks.MAX)
    chunked = pruned.encoding(DocumentEncoding(pruning=rules, max_tokens=8, long=long))
    (vector,) = chunked.encode_long([Document("a", TEXTS[0])]).vectors.as_dicts()
    assert len(vector) > 2
    with pytest.raises(DataError, match="position needs the positions of an encoding"):
        rules.apply(plain.vectors)
    with (
        Index.create(tmp_path / "index", encoder.space) as index,
        pytest.raises(DataError, match="must not have position, because its queries"),
    ):
        SparseRetriever(index, encoder, prune="position=2")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(find_folder("default"), tmp_path / "model"))


def with_pruning(folder: Path, pruning: object) -> Path:
    raw = json.loads((folder / "contract.json").read_text())
    (folder / "contract.json").write_text(json.dumps(raw | {"pruning": pruning}))
    return folder


def test_the_rules_of_a_contract_are_applied(folder: Path, encoder: Encoder) -> None:
    loaded = Encoder.load(with_pruning(folder, {"document": {"top": 4}}))
    assert np.diff(loaded.encode_documents(TEXTS).indptr).tolist() == [4, 0, 4]
    assert loaded.encode_queries(TEXTS).as_dict(0) == encoder.encode_queries(TEXTS).as_dict(0)
    assert loaded.contract.hash != encoder.contract.hash
    both = Encoder.load(folder, documents=DocumentEncoding(pruning=Pruning(ratio=1.0)))
    assert np.diff(both.encode_documents(TEXTS).indptr).tolist() == [1, 0, 1]


@pytest.mark.parametrize("pruning", [{"top": 3}, {"document": {"top": 0}}, 7, {"query": 3}])
def test_a_contract_with_invalid_pruning_is_refused(folder: Path, pruning: object) -> None:
    with pytest.raises(ModelError, match="pruning"):
        Contract.load(with_pruning(folder, pruning))
