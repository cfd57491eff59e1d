"""Retrievers over other sources: alone, in sums with an index, and reranked."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from fusion_reference import fuse_matches

from lexpand import (
    Document,
    Encoder,
    HybridRetriever,
    Index,
    Query,
    SparseRetriever,
    WordRetriever,
    ingest,
)
from lexpand.encode import WordAnalyzer
from lexpand.errors import DataError
from lexpand.index import Match, Matches
from lexpand.search import (
    Fusion,
    MixedRetriever,
    Note,
    Reason,
    Reranker,
    RerankingRetriever,
    Retriever,
    Weighted,
)
from lexpand.search.hybrid import DEPTH

QUERIES = ["how do I get into my account?", "printer", "vacation invoices", ""]
ELSEWHERE = [
    Document("e1", "The printer in the hall is out of paper.", "Hall printer"),
    Document("e2", "Invoices of the account are printed.", metadata={"team": "print"}),
    Document("printer", "Another text of the same id.", "Elsewhere"),
]


class Elsewhere(Retriever):
    """Another engine, which scores by the number of words that query and document share."""

    def __init__(self, documents: Sequence[Document], notes: tuple[Note, ...] = ()) -> None:
        self.kept = {document.doc_id: document for document in documents}
        self.notes = notes
        self.closed = False
        self.depths: list[int] = []

    def rank(self, queries, k, *, filter=None, group_by=None, threads=1):  # type: ignore[no-untyped-def]
        self.depths.append(k)
        return [self._ranked(query, k) for query in queries]

    def _ranked(self, query: str, k: int) -> Matches:
        words = set(query.lower().split())
        shared = {
            doc_id: len(words & set(each.full_text.lower().split()))
            for doc_id, each in self.kept.items()
        }
        best = sorted(
            (doc_id for doc_id, count in shared.items() if count),
            key=lambda doc_id: -shared[doc_id],
        )[:k]
        scores = np.array([float(shared[doc_id]) for doc_id in best])
        return Matches(best, scores, np.zeros(len(best), np.uint32), None, self.notes)

    def documents(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        return {doc_id: self.kept[doc_id] for doc_id in doc_ids if doc_id in self.kept}

    def close(self) -> None:
        self.closed = True


class Wrapped(Retriever):
    """A local retriever with the two methods of a foreign one."""

    def __init__(self, inner: Retriever) -> None:
        self.inner = inner

    def rank(self, queries, k, **options):  # type: ignore[no-untyped-def]
        found = self.inner.rank(queries, k, **options)
        # A foreign retriever has no rows.
        return [
            Matches(each.doc_ids, each.scores, np.zeros(len(each), np.uint32), each.spans)
            for each in found
        ]

    def documents(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        return self.inner.documents(doc_ids)


class ByLength(Reranker):
    """A reranker that prefers short texts."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def score(self, query: str, texts: Sequence[str]) -> np.ndarray:
        self.read += texts
        return np.array([-len(text) for text in texts], np.float32)


@pytest.fixture
def index(tmp_path: Path, encoder: Encoder, pages: list[Document]) -> Iterator[Index]:
    with Index.create(
        tmp_path / "pages.index", encoder.space, words=WordAnalyzer("english")
    ) as index:
        ingest(index, encoder, pages)
        yield index


@pytest.fixture
def sparse(index: Index, encoder: Encoder) -> SparseRetriever:
    return SparseRetriever(index, encoder)


@pytest.fixture
def words(index: Index) -> WordRetriever:
    return WordRetriever(index)


def pairs(found: Sequence[Match]) -> list[tuple[str, float]]:
    return [(match.doc_id, match.score) for match in found]


def test_a_foreign_retriever_searches_alone() -> None:
    with Elsewhere(ELSEWHERE) as elsewhere:
        hits = elsewhere.search("the printer invoices", 2)
        assert [(hit.rank, hit.doc_id, hit.score) for hit in hits] == [
            (1, "e1", 2.0),
            (2, "e2", 2.0),
        ]
        assert [(hit.title, hit.text) for hit in hits] == [
            ("Hall printer", "The printer in the hall is out of paper."),
            ("", "Invoices of the account are printed."),
        ]
        for hit in hits:
            assert elsewhere.kept[hit.doc_id].full_text[slice(*hit.span)] == hit.text
            assert hit.snippet in hit.text
            assert (hit.terms, hit.passages) == ((), ())
        assert hits[1].metadata == {"team": "print"}
        assert (hits.query, hits.notes) == ("the printer invoices", ())
        assert elsewhere.search("the printer invoices", 5, min_score=2.0) == hits
        assert len(elsewhere.search("the printer", 5)) == 3
        assert len(elsewhere.search("the printer", 5, min_score=2.0)) == 1
        assert elsewhere.search_many(["the printer invoices", "nowhere"], 2) == [hits, []]
        run = elsewhere.run([Query("q1", "the printer invoices"), Query("q2", "")], 2)
        assert {query: pairs(ranking) for query, ranking in run.rankings.items()} == {
            "q1": [("e1", 2.0), ("e2", 2.0)],
            "q2": [],
        }
    assert elsewhere.closed


@pytest.mark.parametrize("fusion", [fusion for fusion in Fusion if not fusion.by_query])
def test_a_sum_with_a_wrapped_retriever_equals_the_local_hybrid(
    sparse: SparseRetriever, words: WordRetriever, fusion: Fusion
) -> None:
    local = HybridRetriever([0.4 * sparse, 0.6 * words], fusion=fusion)
    for parts in ([0.4 * sparse, 0.6 * Wrapped(words)], [0.4 * Wrapped(sparse), 0.6 * words]):
        mixed = MixedRetriever(parts, fusion=fusion)
        for found, expected in zip(mixed.rank(QUERIES, 100), local.rank(QUERIES, 100), strict=True):
            assert dict(pairs(found)) == dict(pairs(expected))
            assert [match.score for match in found] == [match.score for match in expected]
        assert [pairs(found) for found in mixed.rank(QUERIES, 2)] == [
            pairs(found)[:2] for found in mixed.rank(QUERIES, 100)
        ]


def test_a_sum_with_an_index_equals_the_reference(sparse: SparseRetriever) -> None:
    elsewhere = Elsewhere(ELSEWHERE)
    mixed = 0.4 * sparse + 0.6 * elsewhere
    assert isinstance(mixed, MixedRetriever)
    assert mixed.parts == [Weighted(sparse, 0.4), Weighted(elsewhere, 0.6)]
    query = "the printer invoices"
    (found,) = mixed.rank([query], 9)
    (local,) = sparse.rank([query], 1000)
    (foreign,) = elsewhere.rank([query], 1000)
    # The keys of the reference number documents in the order of the rankings.
    doc_ids = dict.fromkeys([*local.doc_ids, *foreign.doc_ids])
    numbers = {doc_id: place for place, doc_id in enumerate(doc_ids)}
    rankings = [
        [Match(match.doc_id, match.score, numbers[match.doc_id]) for match in each]
        for each in (local, foreign)
    ]
    assert pairs(found) == pairs(fuse_matches(rankings, [0.4, 0.6], Fusion.Z_SCORE)[:9])
    assert elsewhere.depths[0] == DEPTH
    hits = mixed.search(query, 9)
    assert pairs(hits) == pairs(found)
    texts = {hit.doc_id: (hit.title, hit.text) for hit in hits}
    assert {"printer", "invoice", "e1", "e2"} <= set(texts)
    # A document that both parts have comes from the first.
    assert texts["printer"] == ("Printer does not print", sparse.index.document("printer").text)
    assert texts["e1"][0] == "Hall printer"
    swapped = {hit.doc_id: hit.title for hit in (elsewhere + sparse).search(query, 9)}
    assert swapped["printer"] == "Elsewhere"


def test_a_large_weight_decides_the_ranking(sparse: SparseRetriever) -> None:
    elsewhere, query = Elsewhere(ELSEWHERE[:2]), "the printer invoices"
    for weights, first in (((1000, 0.001), sparse), ((0.001, 1000), elsewhere)):
        mixed = MixedRetriever([weights[0] * sparse, weights[1] * elsewhere], fusion="rrf")
        expected = [hit.doc_id for hit in first.search(query)]
        assert [hit.doc_id for hit in mixed.search(query)][: len(expected)] == expected


def test_equal_sums_keep_the_order_of_the_first_ranking() -> None:
    first, second = Elsewhere(ELSEWHERE[:1]), Elsewhere(ELSEWHERE[1:2])
    (found,) = MixedRetriever([second, first], fusion="rrf").rank(["the printer account"], 5)
    assert pairs(found) == [("e2", 1 / 61), ("e1", 1 / 61)]


def test_a_sum_can_be_reranked(sparse: SparseRetriever) -> None:
    reranker = ByLength()
    mixed = sparse + Elsewhere(ELSEWHERE)
    reranking = mixed >> reranker
    assert isinstance(reranking, RerankingRetriever)
    hits = reranking.search("the printer invoices", 9)
    documents = mixed.documents([hit.doc_id for hit in hits])
    lengths = [len(documents[hit.doc_id].full_text) for hit in hits]
    assert [-hit.score for hit in hits] == lengths == sorted(lengths)
    assert len(lengths) == 5
    assert "The printer in the hall is out of paper." in " ".join(reranker.read)
    alone = Elsewhere(ELSEWHERE) >> ByLength()
    assert [hit.doc_id for hit in alone.search("printer invoices")] == ["e2", "e1"]
    # A reranked retriever can be a part.
    both = sparse + alone
    assert isinstance(both, MixedRetriever)
    assert {"e1", "e2", "printer"} <= {hit.doc_id for hit in both.search("the printer invoices")}


def test_a_sum_keeps_spans_and_notes(
    sparse: SparseRetriever, tmp_path: Path, encoder: Encoder
) -> None:
    note = Note(Reason.FAILURE, 0, 3, "out of order")
    (found,) = (sparse + Elsewhere(ELSEWHERE, (note,))).rank(["printer"], 5)
    assert found.notes == (note,)
    document = Document("long", "printer toner paper. invoices finance money.")
    with Index.create(tmp_path / "chunks", encoder.space, words=WordAnalyzer("english")) as index:
        index.add([document], encoder.encode_documents(["a", "b"]), chunks=[[(0, 20), (21, 44)]])
        index.commit()
        mixed = Elsewhere(ELSEWHERE) + WordRetriever(index)
        texts = {hit.doc_id: (hit.text, hit.span) for hit in mixed.search("the money")}
    assert texts["long"] == ("invoices finance money.", (21, 44))
    assert texts["e1"] == ("The printer in the hall is out of paper.", (13, 53))


def test_a_sum_of_several_indexes_searches_and_closes_all(
    sparse: SparseRetriever, tmp_path: Path, encoder: Encoder
) -> None:
    with Index.create(tmp_path / "other", encoder.space) as index:
        ingest(index, encoder, ELSEWHERE)
        mixed = sparse + SparseRetriever(index, encoder)
        assert isinstance(mixed, MixedRetriever)
        hits = mixed.search("printer in the hall")
        assert hits[0].doc_id in ("e1", "printer")
        assert {"e1", "printer"} <= {hit.doc_id for hit in hits}
        mixed.close()
        for closed in (sparse.index, index):
            with pytest.raises(Exception, match="closed"):
                closed.document("printer")


def test_every_part_applies_the_filter(sparse: SparseRetriever, words: WordRetriever) -> None:
    mixed = sparse + Wrapped(words)
    assert [hit.doc_id for hit in mixed.search("invoices printer", filter="team = finance")] == [
        "invoice"
    ]


def test_invalid_sums_are_refused(sparse: SparseRetriever) -> None:
    elsewhere = Elsewhere(ELSEWHERE)
    with pytest.raises(DataError, match=r"group_by must be None for .*, got 'team'"):
        (sparse + elsewhere).search("printer", group_by="team")
    for fusion in ("bound", "expected"):
        with pytest.raises(DataError, match=f"fusion by {fusion} needs parts of one index"):
            MixedRetriever([sparse, elsewhere], fusion=fusion)
    with pytest.raises(DataError, match="at least one part, got none"):
        MixedRetriever([])
    with pytest.raises(DataError, match="fusion must be one of"):
        MixedRetriever([sparse], fusion="best")
    with pytest.raises(DataError, match="depth must be an integer >= 1"):
        MixedRetriever([sparse], depth=0)
    with pytest.raises(DataError, match="of one open index, got 2 parts of 1 indexes"):
        HybridRetriever([sparse, elsewhere])
    for queries in ("printer", b"printer"):
        with pytest.raises(DataError, match="must be a list of strings"):
            sparse.rank(queries, 5)  # type: ignore[arg-type]
