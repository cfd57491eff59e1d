"""A score taken apart: which terms, how much each, and which words they came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from lexpand.search.snippet import Passage, shown_passage

Span = tuple[int, int]
"""Characters of a text: the first, and the one behind the last."""


class Origin(StrEnum):
    """Where a term of a text came from."""

    TEXT = "text"
    """It stands in the text."""

    EXPANSION = "expansion"
    """The model added it."""

    FEEDBACK = "feedback"
    """The query's best documents added it."""

    RULE = "rule"
    """A rule gave it its weight (docs/rules.md)."""

    UNKNOWN = "unknown"
    """The text, read again, does not give the weight that is stored."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one text, query or document, put into a term.

    Attributes:
        weight: the term's weight: the query's as it was searched with, the document's as it is stored.
        origin: where the term came from.
        word: the word of the text that gave the weight; None where no single word did (the model read it off the
            text as a whole, at a special token; feedback; a rule; an unknown origin).
        spans: where that word stands in `Explanation.query` or `Explanation.text`; by BM25, every place.
    """

    weight: float
    origin: Origin
    word: str | None = None
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class WordStatistics:
    """What BM25 knows of a word; see `lexpand.index.WordShare`.

    Attributes:
        frequency: how often the document has it.
        documents: units of the index that have it.
        idf: its inverse document frequency; times the query's count it is the query's weight.
    """

    frequency: int
    documents: int
    idf: float


@dataclass(frozen=True, slots=True)
class Contribution:
    """One shared term's part of a score: query weight times document weight.

    Attributes:
        term: as the vocabulary spells it; by BM25, the analysed word.
        label: as a person reads it: a piece of a word comes with the word that it stands in.
        contribution: its part of the score.
        query, document: the two sides of the product.
        statistics: by BM25, what the weights are made of.
    """

    term: str
    label: str
    contribution: float
    query: Side
    document: Side
    statistics: WordStatistics | None = None


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A term of the query that the document lacks; see `Contribution`."""

    term: str
    label: str
    weight: float


@dataclass(frozen=True, slots=True)
class Part:
    """What one retriever of a hybrid says of a document.

    Attributes:
        kind: ``splade``, ``bm25`` or ``hybrid``.
        weight: the part's weight in the sum.
        rank: the document's place among those that the part ranked; None where it is not among them.
        share: what fusion makes of it.
        contribution: weight times share; these of all parts add up to the score.
        explanation: of the part's own score.
    """

    kind: str
    weight: float
    rank: int | None
    share: float
    contribution: float
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a document has its score for a query.

    Attributes:
        query: the question.
        doc_id, title: the document.
        text: what of it is read: title, one space and text.
        span: the characters of ``text`` that the score is of: all, or those of the document's best chunk.
        score: the same to the bit as in search; 0 for a document that is no hit.
        contributions: every shared term, largest first; their sum is the score up to the rounding of float64. Empty
            for a hybrid, whose score is the sum of its parts.
        unmatched: terms of the query that the document lacks, largest weight first.
        parts: of a hybrid, what each of its retrievers says.
        notes: what a reader should know besides: texts that were cut, words that no model knows.
    """

    query: str
    doc_id: str
    title: str
    text: str = field(repr=False)
    span: Span
    score: float
    contributions: tuple[Contribution, ...]
    unmatched: tuple[Unmatched, ...]
    parts: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()

    def snippet(self) -> Passage:
        """The passage of the document that a hit shows (`Hit.snippet`), with the words behind the score marked.

        At most about 200 characters around most of the query's words; where the document has none, those that have most
        of the score. The title is left out, unless the document is nothing else; the beginning is taken where no word
        is known.
        """
        first, end = self.span
        body = len(self.title) + 1 if self.title else 0
        if first < body < end:
            first = body
        spans = [
            (span[0] - first, span[1] - first, weight)
            for span, weight in weights_by_span(self, "document").items()
            if first <= span[0] and span[1] <= end
        ]
        return shown_passage(self.text[first:end], self.query, spans)

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold: everything but the document's text; the snippet in its place."""
        fields = asdict(self)
        del fields["text"]
        fields["parts"] = [
            {**plain, "explanation": part.explanation.to_dict()}
            for plain, part in zip(fields["parts"], self.parts, strict=True)
        ]
        return {**fields, "snippet": self.snippet()._asdict()}

    def __str__(self) -> str:
        from lexpand.explanation.plain import explanation_text

        return explanation_text(self)

    def to_html(self) -> str:
        """A page of HTML that needs nothing else: texts with the words marked, and the contributions."""
        from lexpand.explanation.page import explanation_page

        return explanation_page(self)

    def _repr_html_(self) -> str:
        from lexpand.explanation.page import explanation_fragment

        return explanation_fragment(self)


def weights_by_span(explanation: Explanation, side: str) -> dict[Span, float]:
    """What each word of the ``query`` or the ``document`` brought: the contributions of the terms that it gave.

    A term of several places is divided among them; the parts of a hybrid count as far as their own scores say.
    """
    weights: dict[Span, float] = {}
    for scale, contribution in _all_contributions(explanation):
        spans = getattr(contribution, side).spans
        for span in spans:
            weights[span] = weights.get(span, 0.0) + scale * contribution.contribution / len(spans)
    return weights


def _all_contributions(explanation: Explanation) -> list[tuple[float, Contribution]]:
    """Each contribution with what it is multiplied by, so that all parts of a hybrid count by their weights."""
    found = [(1.0, part) for part in explanation.contributions]
    for part in explanation.parts:
        scale = part.weight / (part.explanation.score or 1.0)
        found += [(scale * inner, contribution) for inner, contribution in _all_contributions(part.explanation)]
    return found
