"""Hybrids of several retrievers of one index, and pipelines in a file."""

from collections.abc import Iterator, Sequence
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
    Retriever,
    SparseRetriever,
    SparseVectors,
    WordRetriever,
    ingest,
    open_retriever,
)
from lexpand.encode import WordAnalyzer
from lexpand.errors import DataError, FilterError, IndexStateError, LexpandError, SourceError
from lexpand.index import Searcher
from lexpand.search import (
    Feedback,
    Fusion,
    LocalRetriever,
    MixedRetriever,
    Pipeline,
    Reranker,
    RerankingRetriever,
    Weighted,
)
from lexpand.search.hybrid import best_by_reciprocal_rank
from lexpand.search.pipeline import NAMED, Splade, Words

QUERIES = ["how do I get into my account?", "printer", "vacation invoices", ""]


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


def scales_of(retriever: LocalRetriever, fusion: Fusion) -> Sequence[float]:
    return retriever.ask(retriever.searcher, QUERIES).scales(fusion)


def test_a_word_retriever_ranks_by_bm25(index: Index, words: WordRetriever) -> None:
    assert words.rank(QUERIES, 3) == index.search_words(QUERIES, 3)
    assert [hit.doc_id for hit in words.search("printers")] == ["printer"]


def test_a_hybrid_is_the_fusion_of_its_parts(sparse: SparseRetriever, words: WordRetriever) -> None:
    for fusion in Fusion:
        hybrid = HybridRetriever([0.3 * sparse, 0.7 * words], fusion=fusion)
        parts = zip(sparse.rank(QUERIES, 1000), words.rank(QUERIES, 1000), strict=True)
        both = zip(
            parts,
            zip(scales_of(sparse, fusion), scales_of(words, fusion), strict=True),
            strict=True,
        )
        expected = [
            fuse_matches(rankings, [0.3, 0.7], fusion, largest) for rankings, largest in both
        ]
        assert hybrid.rank(QUERIES, 1000) == expected
        assert hybrid.rank(QUERIES, 2) == [matches[:2] for matches in expected]
        assert expected[3] == []
        assert any(len(matches) > 1 for matches in expected)


def test_the_operators_add_and_weight_retrievers(
    sparse: SparseRetriever, words: WordRetriever
) -> None:
    both = sparse + 2 * words
    assert isinstance(both, HybridRetriever)
    assert both.parts == [Weighted(sparse, 1.0), Weighted(words, 2.0)]
    assert both.local == [sparse, words]
    assert both.fusion is Fusion.Z_SCORE
    for three in (both + sparse, sparse + (2 * words + sparse), both + 1 * sparse):
        assert isinstance(three, HybridRetriever)
        assert three.parts == [Weighted(sparse), Weighted(words, 2.0), Weighted(sparse)]
    for nested in (HybridRetriever(both.parts, fusion="rrf") + words, 0.5 * both + words):
        assert isinstance(nested, HybridRetriever)
        assert [type(part.retriever) for part in nested.parts] == [HybridRetriever, WordRetriever]
        assert len(nested.rank(["printer"], 5)[0]) > 0
    with pytest.raises(TypeError):
        sparse + 3  # type: ignore[operator]
    with pytest.raises(TypeError):
        0.5 * sparse + 3  # type: ignore[operator]


def test_a_hybrid_filters_groups_and_makes_runs(
    sparse: SparseRetriever, words: WordRetriever
) -> None:
    hybrid = sparse + words
    query = "the first day of the month, the printer"
    every = [hit.doc_id for hit in hybrid.search(query)]
    assert len(every) > 1
    filtered = hybrid.search(query, filter="team = finance")
    assert [hit.doc_id for hit in filtered] == ["invoice"]
    groups = [hit.doc_id for hit in hybrid.search(query, group_by="team")]
    teams = {
        page.doc_id: page.metadata.get("team", page.doc_id)
        for page in hybrid.index.documents([0, 1, 2, 3, 4]).values()
    }
    assert groups == [
        doc
        for i, doc in enumerate(every)
        if teams[doc] not in [teams[other] for other in every[:i]]
    ]
    run = hybrid.run([Query("q1", query), Query("q2", "")], 10)
    assert [found.doc_id for found in run.rankings["q1"]] == every
    assert run.rankings["q2"] == ()
    with pytest.raises(FilterError):
        hybrid.search(query, filter="team >")


def test_query_weights_are_multiplied_by_inverse_document_frequencies(
    index: Index, encoder: Encoder, sparse: SparseRetriever
) -> None:
    found = index.inverse_document_frequencies()
    counts = np.zeros(len(encoder.vocabulary))
    for doc_id in index.doc_ids():
        counts[index.vector(doc_id).terms] += 1
    np.testing.assert_allclose(found, np.log1p((5 - counts + 0.5) / (counts + 0.5)), rtol=1e-12)
    plain = sparse.encode(QUERIES)
    weighted = SparseRetriever(index, encoder, idf=0.5).encode(QUERIES)
    assert weighted.terms.tolist() == plain.terms.tolist()
    # In a small index, the power is multiplied by N / (N + 1,000).
    power = 0.5 * 5 / 1005
    np.testing.assert_allclose(
        weighted.weights, plain.weights * found[plain.terms] ** power, rtol=1e-6
    )
    assert weighted.weights.tolist() != plain.weights.tolist()
    index.delete(["printer"])
    index.commit()
    fewer = index.inverse_document_frequencies()
    assert fewer.max() == pytest.approx(np.log1p(4.5 / 0.5))
    weighted = SparseRetriever(index, encoder, idf=0.5).encode(QUERIES)
    np.testing.assert_allclose(
        weighted.weights, plain.weights * fewer[plain.terms] ** (0.5 * 4 / 1004), rtol=1e-6
    )


def test_frequencies_of_a_large_index_count_in_full(
    index: Index, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = index.inverse_document_frequencies()
    plain = SparseRetriever(index, encoder).encode(QUERIES)
    for passages, share in ((1_000, 0.5), (10**9, 1.0)):
        monkeypatch.setattr(Searcher, "live_passages", passages)
        weighted = SparseRetriever(index, encoder, idf=2.0).encode(QUERIES)
        np.testing.assert_allclose(
            weighted.weights, plain.weights * found[plain.terms] ** (2 * share), rtol=1e-5
        )


def test_feedback_adds_terms_of_the_best_documents(
    index: Index, encoder: Encoder, sparse: SparseRetriever
) -> None:
    feedback = Feedback(documents=2, terms=7, weight=0.25)
    query = "how do I get into my account?"
    (first,) = sparse.rank([query], 2)
    encoded = sparse.encode([query]).as_dict(0)
    pooled: dict[int, float] = {}
    for match in first:
        stored = index.vector(match.doc_id)
        share = match.score / sum(each.score for each in first) / stored.weights.sum()
        for term, weight in zip(stored.terms.tolist(), stored.weights.tolist(), strict=True):
            pooled[term] = pooled.get(term, 0.0) + share * weight
    strongest = sorted(pooled, key=lambda term: (-pooled[term], term))[:7]
    total = sum(pooled[term] for term in strongest)
    weights = {term: 0.75 * weight / sum(encoded.values()) for term, weight in encoded.items()}
    for term in strongest:
        weights[term] = weights.get(term, 0.0) + 0.25 * pooled[term] / total
    (found,) = sparse.with_feedback(feedback).rank([query], 5)
    vectors = SparseVectors.from_rows([weights], len(encoder.vocabulary))
    (expected,) = index.search(vectors, 5)
    assert [match.doc_id for match in found] == [match.doc_id for match in expected]
    assert [match.score for match in found] == pytest.approx(
        [match.score for match in expected], rel=1e-5
    )
    assert sparse.feedback is None


def test_feedback_of_a_hybrid_uses_the_best_documents_of_the_sum(
    sparse: SparseRetriever, words: WordRetriever
) -> None:
    feedback = Feedback(documents=1, terms=10, weight=1.0)
    hybrid = HybridRetriever([0.001 * sparse, words], feedback=feedback)
    (found,) = hybrid.rank(["printer invoices"], 5)
    searcher = sparse.searcher
    (passage,) = (0.001 * sparse + words).ask(searcher, ["printer invoices"]).passages(1)
    (again,) = (
        sparse.ask(searcher, ["printer invoices"])
        .learned([best_by_reciprocal_rank(passage, 1)], feedback)
        .matches(1000)
    )
    (by_words,) = words.rank(["printer invoices"], 1000)
    assert found == fuse_matches([again, by_words], [0.001, 1.0], Fusion.Z_SCORE)[:5]


def test_a_query_that_finds_nothing_has_no_feedback(
    sparse: SparseRetriever, words: WordRetriever
) -> None:
    for retriever in (
        sparse.with_feedback(Feedback()),
        HybridRetriever([sparse, words], feedback=Feedback()),
    ):
        assert retriever.rank(["", " "], 5) == [[], []]


@pytest.mark.parametrize("name", NAMED)
def test_a_named_pipeline_searches(index: Index, name: str) -> None:
    index.close()
    with open_retriever(index.path, name) as retriever:
        assert retriever.search("printer")[0].doc_id == "printer"


def test_the_pipeline_bm25_loads_no_model(index: Index) -> None:
    index.close()
    with open_retriever(index.path, "bm25", model="nowhere") as retriever:
        assert isinstance(retriever, WordRetriever)
    with pytest.raises(LexpandError, match="nowhere"):
        open_retriever(index.path, "hybrid", model="nowhere")


TOML = """
fusion = "rrf"
depth = 20
[[parts]]
field = "splade"
weight = 0.4
idf = 0.5
effort = 0.9
[[parts]]
field = "bm25"
weight = 0.6
k1 = 0.9
b = 0.4
[feedback]
documents = 3
terms = 9
weight = 0.2
"""


def test_a_pipeline_is_read_from_a_file(
    index: Index, tmp_path: Path, sparse: SparseRetriever
) -> None:
    path = tmp_path / "kb.toml"
    path.write_text(TOML, encoding="utf-8")
    pipeline = Pipeline.load(path)
    parts = (Splade(0.4, 0.9, 0.5), Words(0.6, 0.9, 0.4))
    assert pipeline == Pipeline(parts, Fusion.RECIPROCAL_RANK, 20, Feedback(3, 9, 0.2))
    hybrid = pipeline.retriever(index, sparse.encoder)
    assert isinstance(hybrid, HybridRetriever)
    assert (hybrid.fusion, hybrid.depth) == (Fusion.RECIPROCAL_RANK, 20)
    assert hybrid.feedback == Feedback(3, 9, 0.2)
    first, second = hybrid.local
    assert isinstance(first, SparseRetriever)
    assert isinstance(second, WordRetriever)
    assert [part.weight for part in hybrid.parts] == [0.4, 0.6]
    assert (first.idf, first.effort) == (0.5, 0.9)
    assert (second.bm25.k1, second.bm25.b) == (0.9, 0.4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"parts of a pipeline must be \[\[parts\]\], each with a field, got \[\]"),
        ("parts = []", r"parts of a pipeline must be \[\[parts\]\], each with a field, got \[\]"),
        ("parts = [3]", "field of a part must be one of splade, bm25, got the part 3"),
        ("[[parts]]\nfield = 'dense'", "field of a part must be one of splade, bm25, got"),
        ("[[parts]]\nfield = 'bm25'\nidf = 1", "has the unknown key 'idf': known keys are b, "),
        ("steps = 3\n[[parts]]\nfield = 'bm25'", "has the unknown key 'steps'"),
        ("fusion = 'best'\n[[parts]]\nfield = 'bm25'", "fusion must be one of .*, got 'best'"),
        ("[[parts]]\nfield = 'bm25'\n[feedback]\nrounds = 1", "has the unknown key 'rounds'"),
        ("[[parts]]\nfield = 'bm25'\n[feedback]\nwords = 1", "words must be true or false, got 1"),
        ("[[parts]]\nfield = 'bm25'\n[feedback]\nweight = 2", "from 0 to 1, got .* weight 2"),
        ("feedback = 3\n[[parts]]\nfield = 'bm25'", "feedback must be a table .*, got 3"),
    ],
)
def test_an_invalid_file_is_refused_with_its_path(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        Pipeline.load(path)
    assert str(path) in str(caught.value)


def test_an_invalid_retriever_is_refused(
    index: Index, sparse: SparseRetriever, words: WordRetriever
) -> None:
    with pytest.raises(DataError, match="add a part of field splade"):
        Pipeline((Words(),), feedback=Feedback()).retriever(index, None)
    with pytest.raises(DataError, match="give the model"):
        Pipeline().retriever(index, None)
    with pytest.raises(DataError, match="must be finite and >= 0, got -1"):
        Pipeline((Splade(idf=-1),)).retriever(index, sparse.encoder)
    with pytest.raises(DataError, match="must be finite and > 0, got 0"):
        Pipeline((Words(weight=0), Splade())).retriever(index, sparse.encoder)
    with pytest.raises(DataError, match="depth must be an integer >= 1, got 0"):
        HybridRetriever([sparse, words], depth=0)
    with pytest.raises(
        DataError,
        match="fusion must be one of rrf, none, max, min-max, z-score, bound, expected, got 'best'",
    ):
        HybridRetriever([sparse, words], fusion="best")
    with pytest.raises(DataError, match="feedback changes the query"):
        HybridRetriever([sparse, words], fusion="bound", feedback=Feedback())
    with pytest.raises(DataError, match="a query with feedback has no bound before its search"):
        HybridRetriever([sparse.with_feedback(Feedback()), words], fusion="bound").rank(["x"], 5)
    with pytest.raises(DataError, match="a hybrid by z-score has no largest score"):
        HybridRetriever([0.5 * (sparse + words), words], fusion="bound").rank(["x"], 5)
    with pytest.raises(DataError, match="got 0 parts of 0 indexes"):
        HybridRetriever([])
    with pytest.raises(DataError, match="k must be >= 0, got -1"):
        (sparse + words).rank(["x"], -1)
    with pytest.raises(DataError, match="threads must be >= 1, got 0"):
        (sparse + words).rank(["x"], 1, threads=0)
    with pytest.raises(DataError, match="idf must be a number, got 'a'"):
        SparseRetriever(sparse.index, sparse.encoder, idf="a")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="effort must be a number, got 'a'"):
        SparseRetriever(sparse.index, sparse.encoder, effort="a")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="exact must be a number, got 'a'"):
        WordRetriever(sparse.index, exact="a")  # type: ignore[arg-type]


@pytest.mark.parametrize("k", [-1, "3", 2.5])
def test_every_kind_of_retriever_refuses_an_invalid_k(
    sparse: SparseRetriever, words: WordRetriever, k: int
) -> None:
    kinds = [
        sparse,
        words,
        sparse + words,
        MixedRetriever([sparse, words]),
        RerankingRetriever(sparse, CountingReranker()),
    ]
    for retriever in kinds:
        for search in (retriever.rank, retriever.search_many):
            with pytest.raises(DataError, match="k must be "):
                search(["printer"], k)
        with pytest.raises(DataError, match="passages must be >= 1, got -1"):
            retriever.search("printer", passages=-1)


class CountingReranker(Reranker):
    def score(self, query: str, texts: Sequence[str]) -> np.ndarray:
        return np.arange(len(texts), dtype=np.float32)


def test_a_missing_file_and_invalid_toml_are_refused(tmp_path: Path) -> None:
    message = "must be one of hybrid, best, splade, bm25, or the path of a TOML file, got '"
    with pytest.raises(SourceError, match=message):
        Pipeline.load(tmp_path / "nowhere.toml")
    (tmp_path / "bad.toml").write_text("parts = [", encoding="utf-8")
    with pytest.raises(SourceError, match="cannot be read as a pipeline"):
        Pipeline.load(tmp_path / "bad.toml")


def test_retrievers_of_several_indexes_make_no_hybrid(
    sparse: SparseRetriever, small_index: Index, encoder: Encoder
) -> None:
    other = SparseRetriever(small_index, encoder)
    with pytest.raises(DataError, match="of one open index, got 2 parts of 2 indexes"):
        HybridRetriever([sparse, other])
    assert isinstance(sparse + other, MixedRetriever)
    with pytest.raises(IndexStateError, match="has no BM25 field"):
        WordRetriever(small_index)


def test_a_weight_must_be_a_positive_number(sparse: Retriever) -> None:
    for weight in (0, -1, float("nan"), float("inf"), True):
        with pytest.raises(DataError, match="finite and > 0"):
            weight * sparse


def test_no_score_is_above_its_bound(
    sparse: SparseRetriever, words: WordRetriever, encoder: Encoder
) -> None:
    for part in (sparse, SparseRetriever(sparse.index, encoder, idf=0.5), words):
        for query, bound, found in zip(
            QUERIES, scales_of(part, Fusion.BOUND), part.rank(QUERIES, 9), strict=True
        ):
            assert all(match.score <= bound for match in found), query
            assert bound < 20 * max([match.score for match in found], default=0) or not found
    assert scales_of(sparse, Fusion.BOUND)[3] == scales_of(words, Fusion.BOUND)[3] == 0.0


def test_a_hybrid_by_bound_has_a_bound(sparse: SparseRetriever, words: WordRetriever) -> None:
    inner = HybridRetriever([0.5 * sparse, words], fusion="bound")
    assert list(scales_of(inner, Fusion.BOUND)) == [1.5] * 4
    assert all(match.score <= 1.5 for found in inner.rank(QUERIES, 9) for match in found)
    nested = HybridRetriever([2 * inner, words], fusion="bound")
    both = zip(
        inner.rank(QUERIES, 9), words.rank(QUERIES, 9), scales_of(words, Fusion.BOUND), strict=True
    )
    expected = [
        fuse_matches(found, [2.0, 1.0], Fusion.BOUND, [1.5, bound]) for *found, bound in both
    ]
    assert nested.rank(QUERIES, 9) == expected
