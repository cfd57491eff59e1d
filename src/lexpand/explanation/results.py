"""The results of explanations: the parts of a score, losses, and differences of two documents."""

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
"""Characters of a text: the first, and the end (exclusive)."""


class Origin(StrEnum):
    """The origin of a term of a text."""

    TEXT = "text"
    """The text contains it."""

    EXPANSION = "expansion"
    """The model added it."""

    FEEDBACK = "feedback"
    """Relevance feedback added it: the best documents of the query have it."""

    RULE = "rule"
    """A rule set its weight (docs/rules.md)."""

    UNKNOWN = "unknown"
    """Encoding the text again does not reproduce the stored weight."""


_DESCRIBED = {
    Origin.TEXT: "input",
    Origin.FEEDBACK: "feedback",
    Origin.RULE: "by a rule",
    Origin.UNKNOWN: "word unknown",
}


@dataclass(frozen=True, slots=True)
class Side:
    """The weight of a term in one text, the query or the document.

    Attributes:
        weight: in the query as it was searched, or in the document as it is stored.
        origin: where the term came from.
        word: the word of the text that produced the weight. None if no single word did: the model
            took it from a special token, or the origin is feedback, a rule or unknown.
        spans: where that word is in `Explanation.query` or `Explanation.text`. BM25 lists every
            occurrence.
    """

    weight: float
    origin: Origin
    word: str | None = None
    spans: tuple[Span, ...] = ()

    def described(self) -> str:
        """Return ``0.53 input``, or ``0.21 from 'crash'`` for an expansion term."""
        if self.origin is Origin.EXPANSION:
            source = "the whole text" if self.word is None else repr(self.word)
            return f"{self.weight:.2f} from {source}"
        return f"{self.weight:.2f} {_DESCRIBED[self.origin]}"


@dataclass(frozen=True, slots=True)
class WordStatistics:
    """The statistics of a word in BM25; see `lexpand.index.WordShare`.

    Attributes:
        frequency: occurrences in the document.
        documents: passages of the index that contain it.
        idf: inverse document frequency. The weight in the query is its count times this.
    """

    frequency: int
    documents: int
    idf: float


@dataclass(frozen=True, slots=True)
class Contribution:
    """The part of a score that one shared term contributes: query weight times document weight.

    Attributes:
        term: the term as the vocabulary spells it; for BM25 the analyzed word.
        label: the term for people. A piece of a word is shown with the whole word.
        contribution: the part of the score.
        query, document: the two sides of the product.
        statistics: for BM25, the numbers behind the weights.
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
    """The part of a hybrid score that one retriever contributes.

    Attributes:
        kind: ``splade``, ``bm25`` or ``hybrid``.
        weight: the weight of the retriever in the sum.
        rank: the rank of the document, from 1; None if the retriever did not rank it.
        share: the retriever's score after fusion has made it comparable.
        contribution: weight times share. The contributions of all parts sum to the score.
        explanation: the explanation of the retriever's own score.
    """

    kind: str
    weight: float
    rank: int | None
    share: float
    contribution: float
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of a document's score for a query.

    Attributes:
        query: the query.
        doc_id, title: the document.
        text: the text that is encoded: title, one space and text.
        span: the characters of ``text`` that the score belongs to: all of them, or those of the
            best passage.
        score: equal to the bit to the score of the search; 0 for a document that is not a hit.
        contributions: every shared term, largest first. Their sum is the score, up to rounding in
            float64. Empty for a hybrid, whose score is the sum of its parts.
        unmatched: terms of the query that the document lacks, largest weight first.
        parts: for a hybrid, one for each of its retrievers.
        notes: remarks, such as that a text was truncated or that the model lacks a word.
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
        """Return the snippet of the hit (`Hit.snippet`) with the words behind the score marked.

        It has at most about 200 characters, around the most words of the query. If the document
        has none of them, it has the words that contribute most. If no word is known, it is the
        beginning of the text. The title is included only if the document has no other text.
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
        """Return the contribution of each word: the sum over the terms that it produced.

        A term with several occurrences is divided among them. The parts of a hybrid count in
        proportion to their contributions.
        """
        weights: dict[Span, float] = {}
        for scale, contribution in self._all_contributions():
            spans = getattr(contribution, side).spans
            for span in spans:
                share = scale * contribution.contribution / len(spans)
                weights[span] = weights.get(span, 0.0) + share
        return weights

    def _all_contributions(self) -> list[tuple[float, Contribution]]:
        """Return every contribution with the factor that scales its part to the score."""
        found = [(1.0, part) for part in self.contributions]
        for part in self.parts:
            scale = part.weight / (part.explanation.score or 1.0)
            found += [
                (scale * inner, contribution)
                for inner, contribution in part.explanation._all_contributions()
            ]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as JSON values, with the snippet instead of the text."""
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
        """Return a self-contained HTML page with the contributions and the marked texts."""
        return explanation_page(self)

    def _repr_html_(self) -> str:
        return explanation_fragment(self)


class LossKind(StrEnum):
    """The way in which a term or a document was lost."""

    PRUNING = "pruning"
    """Static pruning removed the term from the stored vector."""

    QUERY_PRUNING = "query pruning"
    """Static pruning removed the term from the query."""

    TRUNCATION = "truncation"
    """The words behind the term are beyond the length that the model reads."""

    QUANTIZATION = "quantization"
    """Impacts have 16 bits. The loss of all terms is reported as one."""

    EFFORT = "effort"
    """An approximate search missed the document."""

    FILTER = "filter"
    """The filter excludes the document."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A weight, or a hit, that the document lost.

    Attributes:
        kind: how it was lost.
        term: the term as the vocabulary spells it; empty if the loss is not of one term.
        label: the term for people.
        gain: what the score would gain without the loss; below 0 if quantization rounded up, 0
            for effort and filter.
        detail: the loss in words.
    """

    kind: LossKind
    term: str
    label: str
    gain: float
    detail: str


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference that one term makes between two documents.

    Attributes:
        term: the term for people.
        missing, than: its contributions to the two scores; None if a document lacks it.
        difference: the contribution to ``than`` minus the contribution to ``missing``.
        lost: how the missing document lost the term or weight of it; None if it did not.
    """

    term: str
    missing: Contribution | None
    than: Contribution | None
    difference: float
    lost: LossKind | None = None

    @property
    def reason(self) -> str:
        """The difference in words. "This one" is the missing document, whatever its rank."""
        if self.missing is None:
            text = "only the other has it"
        elif self.than is None:
            text = "only this one has it"
        else:
            more, less = self.than.document.weight, self.missing.document.weight
            text = f"weighs {more:.2f} in the other, {less:.2f} in this one"
        return f"{text}; lost to {self.lost}" if self.lost else text

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as JSON values."""
        return {**asdict(self), "reason": self.reason}


@dataclass(frozen=True, slots=True)
class PartDifference:
    """The difference that one part of a hybrid makes between two documents.

    Attributes:
        kind: ``splade``, ``bm25`` or ``hybrid``.
        missing, than: the contributions of the part to the two scores, after fusion.
        difference: ``than`` minus ``missing``.
        differences: the terms of the part, in its own scores; empty for a hybrid in a hybrid.
    """

    kind: str
    missing: float
    than: float
    difference: float
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class WhyNot:
    """The reason why a document is not found, or ranks below another one.

    Attributes:
        k: the number of documents that the search returns.
        missing: the explanation of the missing document.
        than: the explanation of the other document; None if nothing else was found.
        missing_rank, than_rank: their ranks, from 1, in an exact search of all documents that the
            filter lets through (for a hybrid, of all that its parts rank); None if the document is
            not a hit.
        verdict: the answer in one sentence.
        differences: the terms, largest difference first; empty for a hybrid.
        parts: for a hybrid, its parts, largest difference first.
        losses: what the missing document lost to pruning, truncation, quantization, effort or a
            filter, as far as it matters for the query, largest first.
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
        """Return the answer as JSON values; see `Explanation.to_dict`."""
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
        """Return a self-contained HTML page."""
        return why_not_page(self)

    def _repr_html_(self) -> str:
        return why_not_fragment(self)
