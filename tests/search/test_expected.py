"""Fusion by expected scores, and the weight of exact identifiers."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import lexpand
from lexpand import Collection, Encoder, HybridRetriever, SparseRetriever, WordRetriever
from lexpand.errors import DataError
from lexpand.search.pipeline import NAMED
from lexpand.search.sparse import PreparedVectors
from lexpand.search.words import is_identifier

ROWS = [
    {
        "id": f"cve{i}",
        "text": f"CVE-2023-{5000 + i} is an overflow in the kernel. "
        "CVE entries of 2023 are listed.",
    }
    for i in range(12)
] + [
    {
        "id": "list",
        "text": "CVE CVE CVE 2023 2023 2023 kernel entries: CVE, 2023, kernel overflow. " * 3,
    },
    {"id": "E0382", "text": "error E0382: use of a moved value"},
    {
        "id": "E0381",
        "text": "error E0381: a variable is used before it has a value, "
        "an error of values that are moved",
    },
    {"id": "plain", "text": "Ask your manager two weeks ahead."},
]


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    with lexpand.create(tmp_path_factory.mktemp("kb") / "i", ROWS) as made:
        yield made


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("e0382", True),
        ("cve2023_5678", True),
        ("2.36", True),
        ("2023", False),
        ("kernel", False),
        ("_", False),
    ],
)
def test_an_identifier_has_a_digit_and_a_letter_or_mark(word: str, expected: bool) -> None:
    assert is_identifier(word) is expected


@pytest.mark.parametrize("pipeline", ["hybrid", "best", "bm25"])
def test_the_exact_identifier_ranks_first(kb: Collection, pipeline: str) -> None:
    for i in range(12):
        assert kb.search(f"CVE-2023-{5000 + i}", 3, pipeline=pipeline)[0].doc_id == f"cve{i}"
    for code in ("E0382", "E0381"):
        assert kb.search(f"what is {code}", 3, pipeline=pipeline)[0].doc_id == code


def test_factors_change_the_ratio_of_weights_but_not_their_sum(kb: Collection) -> None:
    hybrid = kb.retriever("hybrid")
    assert isinstance(hybrid, HybridRetriever)
    prepared = hybrid.ask(hybrid.searcher, ["CVE-2023-5001", "manager", "why E0382"])
    assert prepared.weights_of(1) == [0.6, 0.4]
    for place in (0, 2):
        model, words = prepared.weights_of(place)
        assert words > 10 * model
        assert model + words == pytest.approx(1)
    assert [share > 0 for share in prepared.identifiers()] == [True, False, True]
    assert max(hit.score for hit in kb.search("CVE-2023-5001")) <= 1


def test_feedback_does_not_change_queries_for_identifiers(kb: Collection) -> None:
    best = kb.retriever("best")
    assert isinstance(best, HybridRetriever)
    queries = ["CVE-2023-5001", "kernel overflow"]
    before = best.ask(best.searcher, queries)
    after = before.resolved()
    part_before, part_after = before.parts[0], after.parts[0]
    assert isinstance(part_before, PreparedVectors)
    assert isinstance(part_after, PreparedVectors)
    unchanged, learned = (part_after.vectors.row(i)[0].tolist() for i in (0, 1))
    assert unchanged == part_before.vectors.row(0)[0].tolist()
    assert len(learned) > len(part_before.vectors.row(1)[0])


def test_an_expected_score_is_that_of_a_passage_with_all_terms(
    kb: Collection, encoder: Encoder
) -> None:
    searcher = kb.index.searcher()
    stored = [weights.weights for row in ROWS for weights in kb.index.vectors(str(row["id"]))]
    typical = np.mean([np.sort(weights)[-10:].mean() for weights in stored])
    assert searcher.typical_weight() == pytest.approx(typical)
    sparse, words = SparseRetriever(kb.index, encoder), WordRetriever(kb.index)
    queries = ["kernel overflow", "manager", ""]
    sums = encoder.encode_queries(queries).to_dense().sum(axis=1)
    assert sparse.ask(searcher, queries).expected() == pytest.approx(sums * typical)
    assert words.ask(searcher, queries).expected() == searcher.word_bounds(queries)
    nested = HybridRetriever(
        [HybridRetriever([sparse, words], fusion="expected"), words], fusion="expected"
    )
    assert nested.search("manager")[0].doc_id == "plain"
    with pytest.raises(DataError, match="has no expected score"):
        HybridRetriever([sparse + words, words], fusion="expected").search("manager")


def test_a_merge_keeps_the_typical_weight(tmp_path: Path) -> None:
    with lexpand.create(tmp_path / "i", ROWS[:7]) as kb:
        for row in ROWS[7:]:
            kb.add([row])
        kb.delete(["cve3"])
        found = kb.index.typical_weight()
        before = kb.search("kernel overflow")
        kb.compact()
        assert kb.index.typical_weight() == found
        assert kb.search("kernel overflow") == before


def test_an_empty_index_has_a_typical_weight(tmp_path: Path) -> None:
    with lexpand.create(tmp_path / "i") as kb:
        assert kb.index.typical_weight() == 1.0
        assert kb.search("anything") == []


def test_the_command_line_lists_the_named_pipelines() -> None:
    from lexpand.cli.options import PIPELINES

    assert tuple(NAMED) == PIPELINES


@pytest.mark.parametrize("exact", [-1, float("nan"), float("inf")])
def test_an_invalid_factor_is_refused(kb: Collection, exact: float) -> None:
    with pytest.raises(DataError, match="exact must be finite and >= 0"):
        WordRetriever(kb.index, exact=exact)
