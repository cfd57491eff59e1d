"""Explanations of scores by BM25."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from lexpand._native import split_words
from lexpand.encode import WordAnalyzer
from lexpand.explanation.inquiry import Inquiry, exact_rank
from lexpand.explanation.results import (
    Contribution,
    Explanation,
    Loss,
    Origin,
    Side,
    Span,
    Unmatched,
    WordStatistics,
)
from lexpand.index import WordScore, WordShare
from lexpand.index.filters import Filter
from lexpand.search.words import PreparedWords, WordRetriever

Places = Mapping[str, "list[Span]"]
"""The spans of each analyzed word in a text."""


class WordInquiry(Inquiry):
    """The inquiry of a `WordRetriever`; see `Inquiry` for the arguments.

    The weight of a word in the query is its count, or the weight that feedback gave it, times its
    inverse document frequency. The weight in the document is the saturated frequency: frequency /
    (frequency + norm). The norm grows with the length of the document.
    """

    kind = "bm25"

    def __init__(
        self, retriever: WordRetriever, asked: PreparedWords, filter: Filter | None
    ) -> None:
        super().__init__(retriever, asked, filter)
        analyzer = self.searcher.schema.words
        assert analyzer is not None
        self._analyzer = analyzer
        self._bm25 = retriever.bm25
        self._words = asked.words[0]
        self._query_places = places_of(self._analyzer, self.query)

    def rank_of(self, doc_id: str) -> int | None:
        """See `Inquiry.rank_of`."""
        return exact_rank(doc_id, self.best)

    def explanation(self, doc_id: str) -> Explanation:
        """See `Inquiry.explanation`; for a document in chunks, that of its best one."""
        found = self.searcher.word_score(self._words, doc_id, bm25=self._bm25)
        document = self.searcher.document(doc_id)
        first, end = found.span
        places = places_of(self._analyzer, document.full_text[first:end], first)
        parts = [self._contribution(share, places, document.full_text) for share in found.shares]
        unmatched = [Unmatched(word, word, weight) for word, weight in found.absent]
        return Explanation(
            self.query,
            doc_id,
            document.title,
            document.full_text,
            found.span,
            found.score,
            tuple(sorted(parts, key=lambda part: -part.contribution)),
            tuple(sorted(unmatched, key=lambda word: -word.weight)),
            notes=self._notes(found),
        )

    def losses(self, doc_id: str, k: int) -> tuple[Loss, ...]:
        """Return nothing: the index has every word of a text, and the search is exact."""
        del doc_id, k
        return ()

    def _contribution(self, share: WordShare, places: Places, text: str) -> Contribution:
        in_query = share.count * share.idf
        in_document = share.share / in_query
        query_side = Side(in_query, Origin.FEEDBACK)
        if share.word in self._query_places:
            query_side = _side(in_query, tuple(self._query_places[share.word]), self.query)
        spans = tuple(places.get(share.word, ()))
        document_side = Side(in_document, Origin.UNKNOWN)
        if len(spans) == share.frequency:
            document_side = _side(in_document, spans, text)
        return Contribution(
            share.word,
            share.word,
            share.share,
            query_side,
            document_side,
            WordStatistics(share.frequency, share.documents, share.idf),
        )

    def _notes(self, found: WordScore) -> tuple[str, ...]:
        if not self._query_places:
            only = "only stop words" if split_words(self.query) else "no words"
            return (f"the query has {only}",)
        return (
            f"the document has {found.length:,} words; the average is {found.average_length:,.1f}",
        )


def places_of(analyzer: WordAnalyzer, text: str, offset: int = 0) -> Places:
    """Return the spans of the words of a text, each plus ``offset``.

    A joined form has the span of its compound.
    """
    places: defaultdict[str, list[Span]] = defaultdict(list)
    for word, first, end in analyzer.places(text):
        places[word].append((first + offset, end + offset))
    return dict(places)


def _side(weight: float, spans: tuple[Span, ...], text: str) -> Side:
    return Side(weight, Origin.TEXT, text[slice(*spans[0])] if spans else None, spans)
