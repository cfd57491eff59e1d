"""Explanations of every retriever: scores equal those of search, and parts sum to them."""

from collections.abc import Iterator

import numpy as np
import pytest
from explain_cases import Collection

from lexpand import (
    Document,
    DocumentEncoding,
    Encoder,
    HybridRetriever,
    Index,
    Retriever,
    SparseRetriever,
    WordRetriever,
    ingest,
)
from lexpand.data import Chunks, Long, LongDocuments
from lexpand.encode import WordAnalyzer
from lexpand.errors import DataError
from lexpand.explanation import Contribution, Explanation, Origin, explain, why_not
from lexpand.index import BM25, Matches
from lexpand.search import Feedback, Fusion, LocalRetriever

HITS = 10


def check(retriever: Retriever, query: str, explanation: Explanation, score: float) -> None:
    assert explanation.score == score
    assert explanation.query == query
    parts = [part.contribution for part in explanation.parts or explanation.contributions]
    assert sum(parts) == pytest.approx(score, abs=1e-9)
    for part in explanation.contributions:
        assert part.contribution == pytest.approx(
            part.query.weight * part.document.weight, rel=1e-12
        )
        for side, text in ((part.query, query), (part.document, explanation.text)):
            assert side.word is None or side.word == text[slice(*side.spans[0])]
    for part in explanation.parts:
        assert part.contribution == part.weight * part.share
        inner = sum(contribution.contribution for contribution in part.explanation.contributions)
        if not part.explanation.parts:
            assert inner == pytest.approx(part.explanation.score, abs=1e-9)


def makers() -> Iterator[tuple[str, object]]:
    yield "plain", lambda c: c.sparse
    yield "idf", lambda c: SparseRetriever(c.index, c.encoder, idf=0.5)
    yield "effort", lambda c: SparseRetriever(c.index, c.encoder, effort=0.1)
    yield (
        "feedback",
        lambda c: SparseRetriever(c.index, c.encoder, idf=0.3, feedback=Feedback(3, 40, 0.4)),
    )
    yield (
        "feedback, effort",
        lambda c: SparseRetriever(c.index, c.encoder, effort=0.01, feedback=Feedback(6, 40, 0.4)),
    )
    yield "bm25", lambda c: WordRetriever(c.index, BM25(0.9, 0.4))
    yield "rounded", lambda c: WordRetriever(c.index, BM25(rounded_lengths=True))
    for fusion in Fusion:
        yield (
            fusion,
            lambda c, fusion=fusion: HybridRetriever(
                [0.3 * c.sparse, 0.7 * c.words], fusion=fusion
            ),
        )
    yield (
        "hybrid feedback",
        lambda c: HybridRetriever([c.sparse, c.words], feedback=Feedback(4, 30, 0.5), depth=50),
    )
    both = Feedback(4, 30, 0.3, words=True)
    yield (
        "words feedback",
        lambda c: WordRetriever(c.index, BM25(0.9, 0.4), feedback=Feedback(3, 20, 0.4)),
    )
    yield (
        "hybrid feedback, words",
        lambda c: HybridRetriever([c.sparse, c.words], fusion="max", feedback=both),
    )
    yield (
        "nested",
        lambda c: HybridRetriever(
            [HybridRetriever([c.sparse, c.words], fusion="max"), c.words], depth=20
        ),
    )


@pytest.mark.parametrize(
    ("name", "make"), list(makers()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_scores_equal_those_of_search(collection: Collection, name: str, make: object) -> None:
    retriever, count = make(collection), 0  # type: ignore[operator]
    for query in collection.queries[:8]:
        for hit in retriever.search(query.text, HITS):
            check(retriever, query.text, explain(retriever, query.text, hit.doc_id), hit.score)
            count += 1
    assert count > 50


def test_word_weights_sum_to_the_contributions_with_words(collection: Collection) -> None:
    """Words sum to the terms that have a word; a word with several occurrences counts once."""
    for retriever in (collection.sparse, collection.words):
        query = collection.queries[2].text
        for hit in retriever.search(query, 5):
            explanation = explain(retriever, query, hit.doc_id)
            for name in ("query", "document"):
                known = [part for part in explanation.contributions if getattr(part, name).spans]
                total = sum(explanation.word_weights(name).values())
                assert total == pytest.approx(sum(part.contribution for part in known))


def test_feedback_and_fusion_depend_on_the_filter(small_index: Index, encoder: Encoder) -> None:
    only = {"team": "finance"}
    retriever = SparseRetriever(small_index, encoder, feedback=Feedback(2, 10, 0.5))
    (hit,) = retriever.search("printer invoices", filter=only)
    check(
        retriever,
        "printer invoices",
        explain(retriever, "printer invoices", "invoice", filter=only),
        hit.score,
    )
    assert explain(retriever, "printer invoices", "invoice").score != hit.score


def test_terms_of_feedback_have_that_origin(small_index: Index, encoder: Encoder) -> None:
    retriever = SparseRetriever(small_index, encoder, feedback=Feedback(1, 50, 0.5))
    explanation = explain(retriever, "crash", "crash")
    encoded = encoder.encode_queries(["crash"]).as_dict(0)
    original = {encoder.vocabulary.term(term) for term in encoded}
    added = [part for part in explanation.contributions if part.query.origin is Origin.FEEDBACK]
    terms = {part.term for part in added}
    assert terms == {part.term for part in explanation.contributions} - original
    assert "log" in terms
    assert all(part.query.word is None for part in added)


def test_words_of_feedback_have_that_origin(collection: Collection) -> None:
    retriever = WordRetriever(collection.index, feedback=Feedback(2, 30, 0.5))
    query = collection.queries[0].text
    original = set(WordAnalyzer().analyze(query))
    added = 0
    for hit in retriever.search(query, 3):
        for part in explain(retriever, query, hit.doc_id).contributions:
            new = part.term not in original
            assert (part.query.origin is Origin.FEEDBACK) == new
            assert bool(part.query.spans) != new
            added += new
    assert added > 10


def test_bm25_contributions_follow_the_formula(collection: Collection) -> None:
    """Real hits, computed from the texts alone in float64."""
    analyzer, bm25 = WordAnalyzer(), BM25()
    texts = {
        document.doc_id: analyzer.analyze(document.full_text) for document in collection.documents
    }
    average = np.mean([len(words) for words in texts.values()])
    for query in collection.queries:
        counts = analyzer.query_weights(query.text)
        for hit in collection.words.search(query.text, 3):
            words = texts[hit.doc_id]
            explanation = explain(collection.words, query.text, hit.doc_id)
            norm = bm25.k1 * (1 - bm25.b + bm25.b * len(words) / average)
            for part in explanation.contributions:
                df = sum(part.term in others for others in texts.values())
                idf = np.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
                frequency = words.count(part.term)
                assert (part.statistics.frequency, part.statistics.documents) == (frequency, df)
                assert part.statistics.idf == pytest.approx(idf)
                assert part.query.weight == pytest.approx(counts[part.term] * idf)
                assert part.document.weight == pytest.approx(frequency / (frequency + norm))
                assert len(set(part.document.spans)) == frequency
                for span in part.document.spans:
                    text = explanation.text[slice(*span)]
                    # A compound has several words with one span.
                    assert (part.term, 0, len(text)) in analyzer.places(text)
            absent = {lacking.term: lacking.weight for lacking in explanation.unmatched}
            assert set(absent) == set(counts) - set(words)
            for word, weight in absent.items():
                df = sum(word in others for others in texts.values())
                idf = np.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
                assert weight == pytest.approx(counts[word] * idf)
            note = f"the document has {len(words)} words; the average is {average:.1f}"
            assert note in explanation.notes


def test_a_part_that_lacks_the_document_is_explained(collection: Collection) -> None:
    """Its share is the one that fusion gives a missing document."""
    hybrid = HybridRetriever([collection.sparse, collection.words], fusion="min-max", depth=5)
    query = collection.queries[0].text
    hits = {hit.doc_id: hit.score for hit in hybrid.search(query, 5)}
    lacking = 0
    for doc_id, score in hits.items():
        explanation = explain(hybrid, query, doc_id)
        check(hybrid, query, explanation, score)
        lacking += sum(part.rank is None and part.share == 0 for part in explanation.parts)
    assert lacking
    nowhere = next(
        document.doc_id for document in collection.documents if document.doc_id not in hits
    )
    explanation = explain(hybrid, query, nowhere)
    assert explanation.score == 0.0
    assert explanation.notes == ("neither retriever found the document among its best 5",)


class Foreign(Retriever):
    def rank(self, queries, k, **_):  # type: ignore[no-untyped-def]
        return [Matches([], np.zeros(0), np.zeros(0, np.uint32)) for _ in queries]

    def documents(self, doc_ids):  # type: ignore[no-untyped-def]
        return {}


class ForeignLocal(LocalRetriever):
    def ask(self, searcher, queries):  # type: ignore[no-untyped-def]
        return SparseRetriever(self.index, Encoder.load()).ask(searcher, queries)


def test_a_retriever_of_another_kind_is_refused(small_index: Index, encoder: Encoder) -> None:
    sparse = SparseRetriever(small_index, encoder)
    others = {
        Foreign(): "Foreign",
        ForeignLocal(small_index): "ForeignLocal",
        sparse + Foreign(): "MixedRetriever",
    }
    for retriever, name in others.items():
        with pytest.raises(DataError, match=f"a {name} cannot be explained"):
            explain(retriever, "printer", "printer")
        with pytest.raises(DataError, match=f"a {name} cannot be explained"):
            why_not(retriever, "printer", "printer")


LONG = Document(
    "long",
    "\n".join(f"Page {i} is about nothing at all, like the others." for i in range(30)),
    "Manual",
)
TALE = Document("tale", f"{LONG.text} The printer is broken. {LONG.text}", "A tale of machines")


@pytest.mark.parametrize("chunks", list(Chunks))
@pytest.mark.parametrize("overlap", [0, 16])
def test_spans_of_chunks_are_those_of_the_whole_text(
    tmp_path, chunks: Chunks, overlap: int
) -> None:  # type: ignore[no-untyped-def]
    """Spans in chunks are those of the whole text, and a title before a chunk is the title."""
    encoder = Encoder.load(
        documents=DocumentEncoding(max_tokens=64, long=LongDocuments(Long.CHUNK, chunks, overlap))
    )
    # A title of more than half a chunk is left out of later chunks.
    titled = Document("titled", TALE.text, "so long a title of words " * 8)
    with Index.create(tmp_path / "i", encoder.space, words=WordAnalyzer()) as index:
        ingest(index, encoder, [LONG, TALE, titled])
        # The policy for long documents is that of the index.
        sparse = SparseRetriever(index, Encoder.load(documents=DocumentEncoding(max_tokens=64)))
        for retriever in (sparse, WordRetriever(index), sparse + WordRetriever(index)):
            for hit in retriever.search("broken printer in a tale of machines", 3):
                explanation = explain(retriever, "broken printer in a tale of machines", hit.doc_id)
                check(retriever, explanation.query, explanation, hit.score)
                (match,) = [
                    m for m in retriever.rank([explanation.query], 3)[0] if m.doc_id == hit.doc_id
                ]
                assert match.span in (None, explanation.span)
                terms = [*explanation.contributions]
                for part in explanation.parts:
                    terms += part.explanation.contributions
                assert {part.document.origin for part in terms} <= {Origin.TEXT, Origin.EXPANSION}
                for part in terms:
                    stem = part.document.word and part.document.word.lower()[:3]
                    for first, end in part.document.spans:
                        assert explanation.text[first:end].lower().startswith(stem)
        printer = contribution(explain(sparse, "printer", "tale"), "printer")
        first = TALE.full_text.index("printer")
        assert printer.document.spans == ((first, first + 7),)
        tale = contribution(explain(sparse, "printer tale", "tale"), "tale")
        assert tale.document.word == "tale"
        assert tale.document.spans == ((2, 6),)


def contribution(explanation: Explanation, term: str) -> Contribution:
    (found,) = [part for part in explanation.contributions if part.term == term]
    return found
