"""Hits: their passage, their terms and their further passages; and notes on queries."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lexpand import (
    Collection,
    Document,
    DocumentEncoding,
    Encoder,
    Index,
    Pipeline,
    QueryEncoding,
    SparseRetriever,
    WordRetriever,
    ingest,
)
from lexpand.data import LongDocuments
from lexpand.encode import WordAnalyzer
from lexpand.search import Feedback, Hit, Hits, HybridRetriever, Note, Reason, Reranker, Retriever
from lexpand.search.retriever import TERMS

QUERY = "the printer of the account prints invoices"
MANUAL = Document(
    "manual",
    "Invoices are sent on the first day. " * 4
    + "The printer prints nothing at all; turn the printer off. "
    + "Ask your manager for leave before it begins. " * 3
    + "The printer is in the hall.",
    "The manual",
    {"team": "office", "pages": [1, 2], "draft": None},
)


@pytest.fixture
def index(tmp_path: Path, encoder: Encoder, pages: list[Document]) -> Iterator[Index]:
    with Index.create(
        tmp_path / "pages.index", encoder.space, words=WordAnalyzer("english")
    ) as index:
        ingest(index, encoder, pages)
        yield index


@pytest.fixture
def kb(index: Index, encoder: Encoder) -> Collection:
    return Collection(index, encoder=encoder)


@pytest.fixture(scope="module")
def chunker() -> Encoder:
    return Encoder.load(documents=DocumentEncoding(max_tokens=16, long=LongDocuments("chunk")))


@pytest.fixture
def chunked(tmp_path: Path, chunker: Encoder, pages: list[Document]) -> Iterator[Index]:
    with Index.create(
        tmp_path / "chunks.index", chunker.space, words=WordAnalyzer("english")
    ) as index:
        ingest(index, chunker, [*pages, MANUAL])
        yield index


def test_the_passage_of_a_short_document_is_its_text(kb: Collection, pages: list[Document]) -> None:
    by_id = {page.doc_id: page for page in pages}
    hits = kb.search("the first day of the month, the printer, an account")
    assert len(hits) > 2
    for hit in hits:
        page = by_id[hit.doc_id]
        assert hit.text == page.text
        assert page.full_text[slice(*hit.span)] == hit.text
        assert hit.snippet in hit.text
        assert (hit.title, hit.metadata, hit.passages) == (page.title, page.metadata, ())


def test_the_passage_of_a_document_in_chunks_is_the_best_chunk(
    chunked: Index, chunker: Encoder
) -> None:
    sparse, words = SparseRetriever(chunked, chunker), WordRetriever(chunked)
    full = chunked.document("manual").full_text
    for retriever in (sparse, words, sparse + words):
        (hit,) = [hit for hit in retriever.search("turn the printer off") if hit.doc_id == "manual"]
        (match,) = [
            match
            for match in retriever.rank(["turn the printer off"], 9)[0]
            if match.doc_id == "manual"
        ]
        assert hit.span == match.span
        assert hit.text == full[slice(*hit.span)]
        assert "turn" in hit.text and len(hit.text) < len(full) / 3
        assert hit.snippet.strip("… ") in hit.text


def stored(index: Index, doc_id: str) -> dict[int, float]:
    vector = index.vector(doc_id)
    return dict(zip(vector.terms.tolist(), vector.weights.tolist(), strict=True))


def test_terms_sum_to_the_score(index: Index) -> None:
    # A hit has all terms only if the query has few.
    few = Encoder.load(queries=QueryEncoding(pruning="top=8"))
    for retriever in (SparseRetriever(index, few), WordRetriever(index)):
        hits = retriever.search(QUERY)
        assert len(hits) > 1
        for hit in hits:
            assert 0 < len(hit.terms) <= TERMS
            assert sum(share for _, share in hit.terms) == pytest.approx(hit.score, rel=1e-6)
    (query,) = few.encode_queries([QUERY]).as_dicts()
    for hit in SparseRetriever(index, few).search(QUERY):
        weights = stored(index, hit.doc_id)
        shares = {
            few.vocabulary.text(term): query[term] * weights[term]
            for term in query.keys() & weights.keys()
        }
        assert dict(hit.terms) == pytest.approx(shares)


def test_a_hit_has_the_strongest_of_many_terms(index: Index, encoder: Encoder) -> None:
    text = index.document("recovery").full_text
    (query,) = encoder.encode_queries([text]).as_dicts()
    most = 0
    for hit in SparseRetriever(index, encoder).search(text):
        weights = stored(index, hit.doc_id)
        shares = sorted(
            (query[term] * weights[term] for term in query.keys() & weights.keys()), reverse=True
        )
        assert [share for _, share in hit.terms] == pytest.approx(shares[:TERMS])
        most = max(most, len(shares))
    assert most > TERMS


def test_terms_include_those_of_feedback(index: Index, encoder: Encoder) -> None:
    pruned = Encoder.load(queries=QueryEncoding(pruning="top=1"))
    retriever = SparseRetriever(index, pruned, feedback=Feedback(1, 4, 0.5))
    (hit, *_) = retriever.search("printer")
    assert len(hit.terms) > 1
    assert sum(share for _, share in hit.terms) == pytest.approx(hit.score, rel=1e-6)


def test_terms_of_a_hybrid_are_weighted_shares_of_its_parts(index: Index, encoder: Encoder) -> None:
    few = Encoder.load(queries=QueryEncoding(pruning="top=3"))
    parts = [0.4 * SparseRetriever(index, few), 0.6 * WordRetriever(index)]
    (hit, *_) = HybridRetriever(parts, fusion="bound").search("printer account")
    # With fusion by bound, the shares of the parts sum to the score.
    assert sum(share for _, share in hit.terms) == pytest.approx(hit.score, rel=1e-6)
    (hit, *_) = HybridRetriever(parts, fusion="max").search("printer account")
    assert sum(share for _, share in hit.terms) == pytest.approx(1.0)


def test_passages_are_in_the_order_of_their_scores(chunked: Index, chunker: Encoder) -> None:
    query, full = "turn the printer off", chunked.document("manual").full_text
    (encoded,) = chunker.encode_queries([query]).as_dicts()
    scored = []
    for vector in chunked.vectors("manual"):
        pairs = zip(vector.terms.tolist(), vector.weights.tolist(), strict=True)
        scored.append((sum(encoded.get(term, 0.0) * weight for term, weight in pairs), vector.span))
    by_vectors = [span for _, span in sorted(scored, key=lambda pair: -pair[0])]
    assert len(by_vectors) > 4
    by_words = chunked.word_spans(query, "manual")
    assert by_words != by_vectors
    sparse, words = SparseRetriever(chunked, chunker), WordRetriever(chunked)
    for retriever, spans in ((sparse, by_vectors), (words, by_words), (sparse + words, by_vectors)):
        for count in (2, 3, 100):
            (hit,) = [
                each for each in retriever.search(query, passages=count) if each.doc_id == "manual"
            ]
            assert [passage.span for passage in hit.passages] == spans[:count]
            assert [passage.text for passage in hit.passages] == [
                full[first:end] for first, end in spans[:count]
            ]
            assert hit.passages[0].text == hit.text
        assert all(hit.passages == () for hit in retriever.search(query))
        others = [hit for hit in retriever.search(query, passages=3) if hit.doc_id == "holiday"]
        assert all(len(hit.passages) != 1 for hit in others)


class ByLength(Reranker):
    """A reranker that prefers short texts."""

    def score(self, query: str, texts: Sequence[str]) -> np.ndarray:
        return np.array([-len(text) for text in texts], np.float32)


def test_a_reranked_hit_has_the_terms_and_passages_of_the_first_ranking(
    chunked: Index, chunker: Encoder
) -> None:
    for first in (
        SparseRetriever(chunked, chunker),
        SparseRetriever(chunked, chunker) + WordRetriever(chunked),
    ):
        plain = {hit.doc_id: hit for hit in first.search(QUERY, passages=3)}
        reranking = first >> ByLength()
        hits = reranking.search(QUERY, passages=3)
        assert [hit.doc_id for hit in hits] != list(plain)
        assert {hit.doc_id for hit in hits} == plain.keys()
        for rank, hit in enumerate(hits, 1):
            score = -float(len(chunk_of(chunked, hit)))
            assert hit == replace(plain[hit.doc_id], rank=rank, score=score)
            assert hit.terms
        assert len(next(hit for hit in hits if hit.doc_id == "manual").passages) == 3
        assert reranking.search(QUERY, passages=3, min_score=hits[1].score) == hits[:2]
        assert [(hit.doc_id, hit.score) for hit in hits] == [
            (match.doc_id, match.score) for match in reranking.rank([QUERY], 10)[0]
        ]


def chunk_of(index: Index, hit: Hit) -> str:
    """Return what the reranker reads of a document.

    It is the passage, with the title if the span of the passage has it.
    """
    spans = [vector.span for vector in index.vectors(hit.doc_id)]
    full = index.document(hit.doc_id).full_text
    return full[slice(*hit.span)] if len(spans) > 1 else full[slice(*spans[0])]


def test_hits_below_the_least_score_are_left_out(
    kb: Collection, index: Index, encoder: Encoder
) -> None:
    for retriever in (SparseRetriever(index, encoder), kb.retriever()):
        every = retriever.search(QUERY)
        assert len(every) > 2
        assert retriever.search(QUERY, min_score=every[1].score) == every[:2]
        assert retriever.search(QUERY, min_score=every[0].score + 1) == []
    assert kb.search(QUERY, min_score=kb.search(QUERY)[1].score) == kb.search(QUERY)[:2]


def test_hits_convert_to_json(chunked: Index, chunker: Encoder) -> None:
    kb = Collection(chunked, encoder=chunker)
    hits = kb.search("the printer 🖨️", passages=2)
    assert isinstance(hits, Hits)
    read = json.loads(json.dumps(hits.to_dict()))
    assert read.keys() == {"query", "hits", "notes"}
    assert read["query"] == hits.query == "the printer 🖨️"
    assert len(read["hits"]) == len(hits) > 1
    for plain, hit in zip(read["hits"], hits, strict=True):
        assert json.loads(json.dumps(hit.to_dict())) == plain
        names = {
            "rank",
            "score",
            "doc_id",
            "title",
            "text",
            "span",
            "snippet",
            "metadata",
            "terms",
            "passages",
        }
        assert plain.keys() == names
        assert (plain["score"], tuple(plain["span"]), plain["text"]) == (
            hit.score,
            hit.span,
            hit.text,
        )
        assert [tuple(pair) for pair in plain["terms"]] == list(hit.terms)
        assert [passage["text"] for passage in plain["passages"]] == [
            passage.text for passage in hit.passages
        ]
    (manual,) = [plain for plain in read["hits"] if plain["doc_id"] == "manual"]
    assert (manual["metadata"], len(manual["passages"])) == (dict(MANUAL.metadata), 2)
    assert [note["text"] for note in read["notes"]] == [str(note) for note in hits.notes]
    assert json.loads(json.dumps(Hits().to_dict())) == {"query": "", "hits": [], "notes": []}


def test_hits_convert_to_text(kb: Collection) -> None:
    hits = kb.search("printer 🖨️", 1)
    first, note = str(hits).splitlines()
    assert first == f"1. {hits[0].title} ({hits[0].score:.3f}): {hits[0].snippet}"
    assert note == str(hits.notes[0])
    assert str(Hits()) == "nothing found"


def query_notes(hits: Hits) -> list[str]:
    assert all(note.reason is Reason.QUERY for note in hits.notes)
    return [note.detail for note in hits.notes]


@pytest.mark.parametrize("pipeline", [None, "best", "splade", "bm25"])
@pytest.mark.parametrize("query", ["printer", QUERY])
def test_an_ordinary_query_has_no_notes(kb: Collection, pipeline: str | None, query: str) -> None:
    assert kb.search(query, pipeline=pipeline).notes == ()


def test_a_note_tells_that_a_query_was_cut(kb: Collection) -> None:
    query = "the printer " * 2000
    cut = ["the query has 4,002 tokens, of which the model reads 512"]
    assert query_notes(kb.search(query)) == query_notes(kb.search(query, pipeline="splade")) == cut
    assert query_notes(kb.search(query, pipeline="bm25")) == []


def test_a_note_tells_that_the_model_cannot_read_a_query(kb: Collection) -> None:
    unread = (
        "the model knows no word of the query: "
        "its vocabulary is for other texts or another language"
    )
    for query in ("🖨️", "📄📄 🖨️", "𓀀𓀁"):
        assert unread in query_notes(kb.search(query)), query
        assert unread in query_notes(kb.search(query, pipeline="splade")), query
        assert unread not in query_notes(kb.search(query, pipeline="bm25")), query
    assert query_notes(kb.search("printer 🖨️")) == [
        "the model does not know 1 of the 2 words of the query"
    ]


@pytest.mark.parametrize(
    "query", ["quantum chromodynamics", "प्रिंटर काम नहीं कर रहा", "не печатает принтер"]
)
def test_a_note_tells_that_no_document_has_a_word(kb: Collection, query: str) -> None:
    nowhere = "no document has a word of the query"
    assert query_notes(kb.search(query, pipeline="bm25")) == [nowhere]
    hits = kb.search(query)
    related = ": the hits have only related terms" if hits else ""
    assert query_notes(hits)[0] == nowhere + related
    assert query_notes(kb.search(f"{query} printer")) == []


def test_a_note_mentions_hits_only_if_there_are_some(kb: Collection) -> None:
    assert query_notes(kb.search("quantum chromodynamics", min_score=1e9))[0] == (
        "no document has a word of the query"
    )
    assert query_notes(kb.search("quantum chromodynamics", 0))[0] == (
        "no document has a word of the query"
    )


def test_a_note_tells_that_a_query_has_only_stop_words(kb: Collection) -> None:
    hits = kb.search("the of and", pipeline="bm25")
    assert (list(hits), query_notes(hits)) == (
        [],
        ["the query has only stop words, which BM25 leaves out"],
    )
    assert query_notes(kb.search("the of and")) == [
        "the query has only stop words, which BM25 leaves out"
    ]


@pytest.mark.parametrize("query", ["", " \t"])
def test_a_note_tells_that_a_query_has_no_words(kb: Collection, query: str) -> None:
    assert (list(kb.search(query)), query_notes(kb.search(query))) == (
        [],
        ["the query has no words"],
    )


def test_each_query_has_its_own_notes(kb: Collection) -> None:
    one, other = kb.search_many(["printer", "quantum"], pipeline="bm25")
    assert (query_notes(one), query_notes(other)) == ([], ["no document has a word of the query"])
    assert (one.query, other.query) == ("printer", "quantum")


def test_a_note_tells_that_an_index_without_words_is_searched_by_the_model_alone(
    small_index: Index, encoder: Encoder
) -> None:
    kb = Collection(small_index, encoder=encoder)
    hits = kb.search("printer")
    detail = (
        "the index has no BM25 field, so the pipeline splade searched instead of hybrid: "
        "create a new index with a BM25 field to use hybrid"
    )
    assert hits.notes == (Note(Reason.FALLBACK, detail=detail),)
    assert str(hits.notes[0]) == detail
    assert hits == kb.search("printer", pipeline="splade")
    assert kb.search("printer", pipeline="splade").notes == ()
    assert (
        Collection(small_index, encoder=encoder, pipeline=Pipeline()).search("printer").notes == ()
    )


@pytest.mark.parametrize("pipeline", ["hybrid", "best", "splade", "bm25"])
def test_a_search_encodes_the_query_once(
    kb: Collection, pipeline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    encode = Encoder.encode_queries

    def counted(encoder: Encoder, queries, *arguments, **options):  # type: ignore[no-untyped-def]
        calls.append(list(queries))
        return encode(encoder, queries, *arguments, **options)

    monkeypatch.setattr(Encoder, "encode_queries", counted)
    retriever: Retriever = kb.retriever(pipeline)
    searches = (
        lambda: kb.search(QUERY, pipeline=pipeline, passages=2),
        lambda: retriever.search(QUERY, passages=2),
        lambda: retriever.rank([QUERY], 5),
        lambda: retriever.rank([QUERY], 5, group_by="team", filter="team = finance"),
    )
    for search in searches:
        calls.clear()
        search()
        assert calls == ([] if pipeline == "bm25" else [[QUERY]])
    calls.clear()
    (retriever >> ByLength()).search(QUERY, passages=2)
    assert calls == ([] if pipeline == "bm25" else [[QUERY]])
    calls.clear()
    kb.search_many([QUERY, "printer"], pipeline=pipeline)
    assert calls == ([] if pipeline == "bm25" else [[QUERY, "printer"]])
