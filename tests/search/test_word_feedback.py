"""Feedback for BM25 queries: as its definition says, alone and in a hybrid."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from fusion_reference import fuse_matches

from lexpand import (
    Document,
    Encoder,
    HybridRetriever,
    Index,
    SparseRetriever,
    WordRetriever,
    ingest,
)
from lexpand.data import collection_path, read_documents, read_queries
from lexpand.encode import WordAnalyzer
from lexpand.errors import DataError
from lexpand.index import RankedPassages
from lexpand.search import Feedback, Fusion, Pipeline
from lexpand.search.hybrid import best_by_reciprocal_rank
from lexpand.search.pipeline import Splade, Words

QUERY = "how do I get into my account?"
FEEDBACK = Feedback(documents=2, terms=7, weight=0.25, words=True)


@pytest.fixture
def index(tmp_path: Path, encoder: Encoder, pages: list[Document]) -> Iterator[Index]:
    with Index.create(
        tmp_path / "pages.index", encoder.space, words=WordAnalyzer("english")
    ) as index:
        ingest(index, encoder, pages)
        yield index


@pytest.fixture
def words(index: Index) -> WordRetriever:
    return WordRetriever(index)


def reference(
    texts: Mapping[str, str], query: str, relevant: Mapping[str, float], feedback: Feedback
) -> dict[str, float]:
    """Return the score of every document, by matrices [documents, words] in float64."""
    analyzer = WordAnalyzer("english")
    counts = {doc_id: Counter(analyzer.analyze(text)) for doc_id, text in texts.items()}
    vocabulary = sorted(set().union(*counts.values()))
    tf = np.array([[count[word] for word in vocabulary] for count in counts.values()], np.float64)
    df, lengths = (tf > 0).sum(axis=0), tf.sum(axis=1)
    idf = np.log1p((len(tf) - df + 0.5) / (df + 0.5))
    prior = np.array([relevant.get(doc_id, 0.0) for doc_id in counts])
    added = prior / prior.sum() @ (tf / lengths[:, None]) * idf
    order = np.lexsort((np.arange(len(vocabulary)), -added))
    added[order[feedback.terms :]] = 0
    weights = analyzer.query_weights(query)
    original = np.array([weights.get(word, 0.0) for word in vocabulary]) * idf
    share = feedback.weight
    new = (1 - share) * original / (original.sum() or 1) + share * added / added.sum()
    saturated = tf / (tf + 1.2 * (0.25 + 0.75 * lengths / lengths.mean())[:, None])
    return dict(zip(counts, (saturated @ new).tolist(), strict=True))


def scores(matches: object) -> dict[str, float]:
    return {match.doc_id: match.score for match in matches}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "query", [QUERY, "printer", "invoice invoice month", "the printer and nowhere"]
)
def test_words_of_the_best_documents_join_the_query(
    index: Index, words: WordRetriever, query: str
) -> None:
    (first,) = words.rank([query], FEEDBACK.documents)
    texts = {doc_id: index.document(doc_id).full_text for doc_id in index.doc_ids()}
    expected = reference(texts, query, scores(first), FEEDBACK)
    (found,) = words.with_feedback(FEEDBACK).rank([query], 9)
    assert scores(found) == pytest.approx(
        {doc_id: score for doc_id, score in expected.items() if score}, rel=1e-9
    )
    assert words.feedback is None


def test_feedback_on_abstracts_equals_the_reference(tmp_path: Path, encoder: Encoder) -> None:
    folder = collection_path("scifact")
    documents = [document for document, _ in zip(read_documents(folder), range(150), strict=False)]
    texts = {document.doc_id: document.full_text for document in documents}
    feedback = Feedback(5, 20, 0.4, words=True)
    with Index.create(tmp_path / "i", encoder.space, words=WordAnalyzer("english")) as index:
        index.add(documents, encoder.encode_documents([""] * len(documents)))
        index.commit()
        words = WordRetriever(index)
        for query, _ in zip(read_queries(folder), range(20), strict=False):
            (first,) = words.rank([query.text], 5)
            expected = reference(texts, query.text, scores(first), feedback)
            (found,) = words.with_feedback(feedback).rank([query.text], 50)
            assert scores(found) == pytest.approx(
                {match.doc_id: expected[match.doc_id] for match in found}, rel=1e-9
            )
            assert min(scores(found).values()) >= sorted(expected.values())[-len(found)] - 1e-9


def test_a_query_without_words_learns_from_relevant_passages(
    index: Index, words: WordRetriever
) -> None:
    searcher = index.searcher()
    relevant = words.ask(searcher, ["printer"]).passages(1)
    (found,) = words.ask(searcher, ["the of"]).learned(relevant, FEEDBACK).matches(9)
    assert found[0].doc_id == "printer"
    # Without `words` in the feedback, the query does not change.
    assert words.ask(searcher, ["the of"]).learned(relevant, Feedback(2, 7, 0.25)).matches(9) == [
        []
    ]
    assert words.with_feedback(FEEDBACK).rank(["", "the", "nowhere"], 9) == [[], [], []]
    assert words.with_feedback(FEEDBACK).rank(["printer"], 0) == [[]]


def test_both_parts_of_a_hybrid_learn(index: Index, words: WordRetriever, encoder: Encoder) -> None:
    sparse = SparseRetriever(index, encoder, idf=0.5)
    plain = HybridRetriever([0.4 * sparse, 0.6 * words], fusion="max")
    hybrid = HybridRetriever(plain.parts, fusion="max", feedback=FEEDBACK)
    searcher = index.searcher()
    relevant = [
        best_by_reciprocal_rank(passages, FEEDBACK.documents)
        for passages in plain.ask(searcher, [QUERY]).passages(1000)
    ]
    assert [passages.scores.tolist() for passages in relevant] == [[1.0, 0.5]]
    again = [
        part.ask(searcher, [QUERY]).learned(relevant, FEEDBACK).matches(1000)[0]
        for part in (sparse, words)
    ]
    assert hybrid.rank([QUERY], 1000) == [fuse_matches(again, [0.4, 0.6], Fusion.MAXIMUM)]
    assert hybrid.ask(searcher, [QUERY]).resolved().matches(1000) == hybrid.rank([QUERY], 1000)
    model_only = HybridRetriever(plain.parts, fusion="max", feedback=Feedback(2, 7, 0.25))
    assert scores(model_only.rank([QUERY], 9)[0]) != scores(hybrid.rank([QUERY], 9)[0])


def test_feedback_uses_the_chunk_that_was_found(tmp_path: Path, encoder: Encoder) -> None:
    document = Document("long", "printer toner paper. invoices finance money.")
    spans = [(0, 20), (21, 44)]
    with Index.create(tmp_path / "i", encoder.space, words=WordAnalyzer("english")) as index:
        index.add(
            [document, Document("other", "toner")],
            encoder.encode_documents(["a", "b", "c"]),
            chunks=[spans, [(0, 5)]],
        )
        index.commit()
        learning = WordRetriever(index, feedback=Feedback(1, 10, 0.5))
        (query,) = learning.ask(index.searcher(), ["printer"]).resolved().words
        assert set(query) == {"printer", "toner", "paper"}
        (query,) = learning.ask(index.searcher(), ["money"]).resolved().words
        assert set(query) == {"invoic", "financ", "money"}
        # The vector is also that of the chunk that was found, here the second one, by words.
        sparse = SparseRetriever(index, encoder)
        found = WordRetriever(index).ask(index.searcher(), ["money"]).passages(1)
        learned = sparse.ask(index.searcher(), [""]).learned(found, Feedback(1, 1000, 1.0))
        assert set(learned.vectors.as_dict(0)) == set(index.vectors("long")[1].terms.tolist())
        assert set(learned.vectors.as_dict(0)) != set(index.vectors("long")[0].terms.tolist())


def test_word_feedback_is_saved_in_a_file(
    index: Index, words: WordRetriever, tmp_path: Path
) -> None:
    pipeline = Pipeline((Splade(), Words()), Fusion.MAXIMUM, feedback=FEEDBACK)
    pipeline.save(tmp_path / "p.toml")
    assert "words = true" in (tmp_path / "p.toml").read_text(encoding="utf-8")
    assert Pipeline.load(tmp_path / "p.toml") == pipeline
    alone = Pipeline((Words(),), feedback=FEEDBACK).retriever(index, None)
    assert alone.rank([QUERY], 5) == words.with_feedback(FEEDBACK).rank([QUERY], 5)


def test_invalid_values_are_refused(index: Index, words: WordRetriever) -> None:
    with pytest.raises(DataError, match="words must be true or false, got 1"):
        Feedback(words=1)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="use another fusion than bound"):
        words.with_feedback(FEEDBACK).ask(index.searcher(), [QUERY]).bounds()
    with pytest.raises(DataError, match="or use feedback with words"):
        Pipeline((Words(),), feedback=Feedback()).retriever(index, None)


def test_a_weight_counts_as_repetitions_of_the_word(index: Index) -> None:
    (twice,) = index.search_words(["printer printer invoice"])
    (weighted,) = index.search_words([{"printer": 2, "invoic": 1.0}])
    assert scores(twice) == scores(weighted)
    assert index.word_bounds(["printer printer"]) == index.word_bounds([{"printer": 2}])
    assert (
        index.word_score({"printer": 0.5}, "printer").score
        == index.search_words([{"printer": 0.5}])[0][0].score
    )
    assert index.search_words([{}, {"nowhere": 3.0}, {"printer": 0}]) == [[], [], []]
    (numpy,) = index.search_words([{"printer": np.int64(2), "invoic": np.float32(1)}])
    assert scores(numpy) == scores(twice)
    known = index.inverse_word_frequencies(["printer", "nowhere", "printer"])
    assert known.tolist() == [*index.word_bounds(["printer"]), 0.0, *index.word_bounds(["printer"])]
    assert index.inverse_word_frequencies([]).shape == (0,)


def test_relevant_documents_need_positive_scores(
    index: Index, words: WordRetriever, encoder: Encoder
) -> None:
    searcher = index.searcher()
    (found,) = words.ask(searcher, ["printer invoice"]).passages(2)
    for score in (0.0, -1.0, float("nan")):
        relevant = [
            RankedPassages(np.array([score, 0.0]), found.rows, found.segments, found.ordinals)
        ]
        for retriever in (words, SparseRetriever(index, encoder)):
            message = r"scores of the relevant documents must be finite, >= 0 .*, got \["
            with pytest.raises(DataError, match=message):
                retriever.ask(searcher, ["printer"]).learned(relevant, FEEDBACK)


@pytest.mark.parametrize(
    "weight", [-1, float("nan"), float("inf"), 1e300, 10**400, True, "1", None]
)
def test_an_invalid_weight_of_a_word_is_refused(index: Index, weight: float) -> None:
    for call in (index.search_words, index.word_bounds):
        with pytest.raises(DataError, match="to numbers from 0 to 1e30"):
            call([{"printer": weight}])  # type: ignore[operator]


def test_invalid_queries_of_words_are_refused(index: Index) -> None:
    with pytest.raises(DataError, match="must map strings to numbers"):
        index.search_words([{3: 1.0}])  # type: ignore[dict-item]
    with pytest.raises(DataError, match=r"has a lone surrogate, U\+D800"):
        index.search_words([{"printer\ud800": 1.0}])
    # A single mapping would be read as a list of texts, without its weights.
    for call in (index.search_words, index.word_bounds):
        with pytest.raises(DataError, match="must be a list of queries, got one mapping"):
            call({"printer": 2.0})  # type: ignore[operator]
