"""The results of explanations: a score taken apart, what a document lost, and what separates two documents."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

from lexpand.explanation.page import (
    explanation_fragment,
    explanation_page,
    why_not_fragment,
    why_not_page,
)
from lexpand.explanation.plain import explanation_text, why_not_text
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


_DESCRIBED = {
    Origin.TEXT: "input",
    Origin.FEEDBACK: "feedback",
    Origin.RULE: "by a rule",
    Origin.UNKNOWN: "word unknown",
}


@dataclass(frozen=True, slots=True)
class Side:
    """What one text, query or document, put into a term.

    Attributes:
        weight: the term's weight: the query's as it was searched with, the document's as it is
            stored.
        origin: where the term came from.
        word: the word of the text that gave the weight; None where no single word did (the model
            read it off the text as a whole, at a special token; feedback; a rule; an unknown
            origin).
        spans: where that word stands in `Explanation.query` or `Explanation.text`; by BM25, every
            place.
    """

    weight: float
    origin: Origin
    word: str | None = None
    spans: tuple[Span, ...] = ()

    def described(self) -> str:
        """``0.53 input``, or ``0.21 from 'crash'`` for an expansion term."""
        if self.origin is Origin.EXPANSION:
            return f"{self.weight:.2f} from {'the whole text' if self.word is None else repr(self.word)}"
        return f"{self.weight:.2f} {_DESCRIBED[self.origin]}"


@dataclass(frozen=True, slots=True)
class WordStatistics:
    """What BM25 knows of a word; see `lexpand.index.WordShare`.

    Attributes:
        frequency: how often the document has it.
        documents: passages of the index that have it.
        idf: its inverse document frequency; times the query's count it is the query's weight.
    """

    frequency: int
    documents: int
    idf: float


@dataclass(frozen=True, slots=True)
class Contribution:
    """One shared term's part of a score: query weight times document weight.

    Attributes:
        term: as the vocabulary spells it; by BM25, the analyzed word.
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
        rank: the document's place among those that the part ranked; None where it is not among
            them.
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
        span: the characters of ``text`` that the score is of: all, or those of the document's best
            chunk.
        score: the same to the bit as in search; 0 for a document that is no hit.
        contributions: every shared term, largest first; their sum is the score up to the rounding
            of float64. Empty for a hybrid, whose score is the sum of its parts.
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

        At most about 200 characters around most of the query's words; where the document has none,
        those that have most of the score. The title is left out, unless the document is nothing
        else; the beginning is taken where no word is known.
        """
        first, end = self.span
        body = len(self.title) + 1 if self.title else 0
        if first < body < end:
            first = body
        spans = [
            (span[0] - first, span[1] - first, weight)
            for span, weight in self.word_weights("document").items()
            if first <= span[0] and span[1] <= end
        ]
        return shown_passage(self.text[first:end], self.query, spans)

    def word_weights(self, side: Literal["query", "document"]) -> dict[Span, float]:
        """The contribution of each word of the query or the document: the sum over the terms that it produced.

        A term with several occurrences is divided among them. The parts of a hybrid count in
        proportion to their contributions.
        """
        weights: dict[Span, float] = {}
        for scale, contribution in self._all_contributions():
            spans = getattr(contribution, side).spans
            for span in spans:
                weights[span] = weights.get(span, 0.0) + scale * contribution.contribution / len(
                    spans
                )
        return weights

    def _all_contributions(self) -> list[tuple[float, Contribution]]:
        """Every contribution with its factor: the factors scale the parts of a hybrid to their contributions."""
        found = [(1.0, part) for part in self.contributions]
        for part in self.parts:
            scale = part.weight / (part.explanation.score or 1.0)
            found += [
                (scale * inner, contribution)
                for inner, contribution in part.explanation._all_contributions()
            ]
        return found

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
        return explanation_text(self)

    def to_html(self) -> str:
        """A page of HTML that needs nothing else: texts with the words marked, and the contributions."""
        return explanation_page(self)

    def _repr_html_(self) -> str:
        return explanation_fragment(self)


class LossKind(StrEnum):
    """How a term, or a document, was lost."""

    PRUNING = "pruning"
    """Rules of pruning left the term out of the stored vector."""

    QUERY_PRUNING = "query pruning"
    """Rules of pruning left the term out of the query."""

    TRUNCATION = "truncation"
    """The words behind the term are past the length that was read."""

    QUANTIZATION = "quantization"
    """Stored weights have 16 bits of the largest; all terms together."""

    EFFORT = "effort"
    """An approximate search missed the document."""

    FILTER = "filter"
    """The filter excludes the document."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that the document would have had.

    Attributes:
        kind: how it was lost.
        term: the term as the vocabulary spells it; empty where it is not a matter of one term.
        label: the same as a person reads it.
        gain: what the score would gain by it; below 0 where quantization rounded up. 0 for effort
            and filter.
        detail: the loss in words.
    """

    kind: LossKind
    term: str
    label: str
    gain: float
    detail: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What one term does for two documents.

    Attributes:
        term: the term as a person reads it.
        missing, than: its contributions to the two scores; None where the document lacks it.
        difference: what it does for the one above: ``than`` less ``missing``.
        lost: how the missing document lost the term, or weight of it; None where it did not.
    """

    term: str
    missing: Contribution | None
    than: Contribution | None
    difference: float
    lost: LossKind | None = None

    @property
    def reason(self) -> str:
        """The difference in words; "this one" is the document that is asked about, whatever its rank."""
        if self.missing is None:
            text = "only the other has it"
        elif self.than is None:
            text = "only this one has it"
        else:
            more, less = self.than.document.weight, self.missing.document.weight
            text = f"weighs {more:.2f} in the other, {less:.2f} in this one"
        return f"{text}; lost to {self.lost}" if self.lost else text

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {**asdict(self), "reason": self.reason}


@dataclass(frozen=True, slots=True)
class PartDifference:
    """What one part of a hybrid does for two documents.

    Attributes:
        kind: of the part: ``splade``, ``bm25`` or ``hybrid``.
        missing, than: its contributions to the two scores, after fusion.
        difference: ``than`` less ``missing``.
        differences: its terms, by its own scores; empty for a hybrid within a hybrid.
    """

    kind: str
    missing: float
    than: float
    difference: float
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why a document does not stand where another one does.

    Attributes:
        k: how many documents were asked for.
        missing: the score of the document that is asked about.
        than: the score of the other one; None where nothing else was found.
        missing_rank, than_rank: their places, from 1, in an exact search of all that the filter
            lets through (of a hybrid, of all that its parts rank); None where the document is no
            hit.
        verdict: the answer in one sentence.
        differences: the terms by the size of their difference; empty for a hybrid.
        parts: of a hybrid, by the size of their difference.
        losses: what the missing document lost by pruning, truncation, quantization, effort or a
            filter, if the query asks for it; the largest first.
    """

    k: int
    missing: Explanation
    than: Explanation | None
    missing_rank: int | None
    than_rank: int | None
    verdict: str
    differences: tuple[Difference, ...]
    parts: tuple[PartDifference, ...]
    losses: tuple[Loss, ...]

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold; see `Explanation.to_dict`."""
        return {
            "k": self.k,
            "missing": self.missing.to_dict(),
            "than": self.than and self.than.to_dict(),
            "missing_rank": self.missing_rank,
            "than_rank": self.than_rank,
            "verdict": self.verdict,
            "differences": [difference.to_dict() for difference in self.differences],
            "parts": [
                {
                    **asdict(part),
                    "differences": [difference.to_dict() for difference in part.differences],
                }
                for part in self.parts
            ],
            "losses": [asdict(loss) for loss in self.losses],
        }

    def __str__(self) -> str:
        return why_not_text(self)

    def to_html(self) -> str:
        """A page of HTML that needs nothing else."""
        return why_not_page(self)

    def _repr_html_(self) -> str:
        return why_not_fragment(self)
