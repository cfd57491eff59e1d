"""Why do the document's words find it? BM25 taken apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from lexpand._native import split_words
from lexpand.encode import WordAnalyzer
from lexpand.explanation.inquiry import Inquiry, place_of
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
from lexpand.search.words import WordRetriever, WordsAsked

Places = Mapping[str, "list[Span]"]
"""Of each analyzed word, where it stands in a text."""


class WordInquiry(Inquiry):
    """A question to a `WordRetriever`.

    A word's weight in the query is its count, or what feedback made of it, times its inverse
    document frequency, in the document the saturated frequency, frequency / (frequency + norm); the
    norm grows with the document's length.

    See `Inquiry` for the arguments.
    """

    kind = "bm25"

    def __init__(self, retriever: WordRetriever, asked: WordsAsked, filter: Filter | None) -> None:
        super().__init__(retriever, asked, filter)
        analyzer = self.searcher.schema.words
        assert analyzer is not None
        self._analyzer = analyzer
        self._bm25 = retriever.bm25
        self._words = asked.words[0]
        self._asked = places_of(self._analyzer, self.query)

    def rank_of(self, doc_id: str) -> int | None:
        """See `Inquiry.rank_of`."""
        return place_of(doc_id, self.best)

    def explanation(self, doc_id: str) -> Explanation:
        """See `Inquiry.explanation`; of a document in chunks, that of its best one."""
        found = self.searcher.word_score(self._words, doc_id, bm25=self._bm25)
        document = self.searcher.document(doc_id)
        first, end = found.span
        places = places_of(self._analyzer, document.full_text[first:end], first)
        parts = [self._contribution(share, places, document.full_text) for share in found.shares]
        return Explanation(
            self.query,
            doc_id,
            document.title,
            document.full_text,
            found.span,
            found.score,
            tuple(sorted(parts, key=lambda part: -part.contribution)),
            tuple(
                Unmatched(word, word, weight)
                for word, weight in sorted(found.absent, key=lambda pair: -pair[1])
            ),
            notes=self._notes(found),
        )

    def losses(self, doc_id: str, k: int) -> tuple[Loss, ...]:
        """None: every word of a text is in its index, and search is exact."""
        del doc_id, k
        return ()

    def _contribution(self, share: WordShare, places: Places, text: str) -> Contribution:
        asked = share.count * share.idf
        spans = tuple(places.get(share.word, ()))
        known = len(spans) == share.frequency
        return Contribution(
            share.word,
            share.word,
            share.share,
            _side(asked, tuple(self._asked[share.word]), self.query)
            if share.word in self._asked
            else Side(asked, Origin.FEEDBACK),
            _side(share.share / asked, spans, text)
            if known
            else Side(share.share / asked, Origin.UNKNOWN),
            WordStatistics(share.frequency, share.documents, share.idf),
        )

    def _notes(self, found: WordScore) -> tuple[str, ...]:
        if not self._asked:
            only = "only stop words" if split_words(self.query) else "no words"
            return (f"the query has {only}",)
        return (
            f"the document has {found.length:,} words; the average is {found.average_length:,.1f}",
        )


def places_of(analyzer: WordAnalyzer, text: str, offset: int = 0) -> Places:
    """Where the words of a text stand, a joined form with the span of its compound; ``offset`` is added."""
    places: defaultdict[str, list[Span]] = defaultdict(list)
    for word, first, end in analyzer.places(text):
        places[word].append((first + offset, end + offset))
    return dict(places)


def _side(weight: float, spans: tuple[Span, ...], text: str) -> Side:
    return Side(weight, Origin.TEXT, text[slice(*spans[0])] if spans else None, spans)
