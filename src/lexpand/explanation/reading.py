"""The words behind the weights: the text is encoded again and compared with the stored weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lexpand.data import Chunks, Document, Dtype, Long, Vocabulary
from lexpand.encode import Encoder, Role, Trace
from lexpand.explanation.results import Origin, Side, Span


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage that the model reads at once, and its position in the text.

    Attributes:
        trace: the result of the model.
        title: the number of characters of the title and the space after it, if they were put before
            a passage from elsewhere in the text.
        start: the position of the rest of the passage in the whole text.
    """

    trace: Trace
    title: int = 0
    start: int = 0

    def place(self, span: Span) -> Span:
        """Return a span of the passage as a span of the whole text, which begins with the title."""
        first, end = span
        shift = self.start - self.title if first >= self.title else 0
        return first + shift, end + shift


class Reading:
    """The weights that a model gives the terms of a text, with the words that produced them.

    A term has the largest weight of all passages.

    Args:
        text: the whole text.
        passages: the passages that were read.
        vocabulary: the vocabulary of the model.
        dtype: the dtype of the model.

    Attributes:
        exact: whether another batch gives the same weights, except for rounding.
        weights: the weights by term.
        end: the end of the last token that was read.
        tokens_lost: the number of tokens that were not read.
    """

    def __init__(
        self,
        text: str,
        passages: Sequence[Passage],
        vocabulary: Vocabulary,
        dtype: Dtype = Dtype.FLOAT32,
    ) -> None:
        self.text = text
        self.exact = dtype is Dtype.FLOAT32
        self._noise = dtype.tolerance
        self.passages = passages
        self.tokens_lost = sum(passage.trace.tokens_lost for passage in passages)
        ends = [
            passage.place((token.start, token.end))[1]
            for passage in passages
            for token in passage.trace.tokens
        ]
        self.end = max(ends, default=0)
        self.vocabulary = vocabulary
        self._inputs = frozenset[int]().union(*(passage.trace.input_terms for passage in passages))
        self.weights: dict[int, float] = {}
        self._best: dict[int, Passage] = {}
        for passage in passages:
            for term, weight in passage.trace.weights.items():
                if weight > self.weights.get(term, 0.0):
                    self.weights[term], self._best[term] = weight, passage

    def reproduces(self, term: int, weight: float, step: float) -> bool:
        """Whether re-encoding the text reproduces a weight stored in steps of size ``step``.

        See docs/format.md.
        """
        # Rounding changes a weight by half a step, or by less than one if the least weight was
        # rounded up.
        return abs(self.weights.get(term, 0.0) - weight) <= step + self._noise * max(1.0, weight)

    def agrees(self, weights: Mapping[int, float], step: float) -> bool:
        """Whether re-encoding the text reproduces every stored weight."""
        return all(self.reproduces(term, weight, step) for term, weight in weights.items())

    def side(self, term: int, weight: float) -> Side:
        """Return the side of a term of the re-encoded text; ``weight`` is the reported weight."""
        passage = self._best[term]
        if term in passage.trace.by_rule:
            return Side(weight, Origin.RULE)
        span = passage.trace.word_span(term)
        origin = Origin.TEXT if term in self._inputs else Origin.EXPANSION
        if span is None:
            return Side(weight, origin)
        first, end = passage.place(span)
        return Side(weight, origin, self.text[first:end], ((first, end),))

    def word_around(self, term: int) -> str | None:
        """Return the first word of which the term is a piece.

        None if the term is a whole word of the text, or not in the text.
        """
        found: str | None = None
        for passage in self.passages:
            for token in passage.trace.tokens:
                if token.term == term and token.word is not None:
                    if token.word == (token.start, token.end):
                        return None
                    found = found or passage.trace.text[slice(*token.word)]
        return found

    def unknown_words(self) -> int:
        """Return the number of words that the vocabulary lacks."""
        tokens = (token for passage in self.passages for token in passage.trace.tokens)
        return sum(
            token.word is not None and token.term in self.vocabulary.special for token in tokens
        )


@dataclass(frozen=True, slots=True)
class ExplainedDocument:
    """A document that is explained.

    Attributes:
        document: the document.
        span: the (first, end) characters of the passage that was read, in `Document.full_text`; for
            a document in chunks, those of the best one.
        weights: the stored weights of the passage, by term.
        step: weights are stored in steps of this size.
        score: the score of the passage.
        reading: the reading of its text, without pruning.
    """

    document: Document
    span: Span
    weights: Mapping[int, float]
    step: float
    score: float
    reading: Reading


@dataclass(frozen=True, slots=True)
class ExplainedQuery:
    """A query that is explained.

    Attributes:
        weights: the weights of the search, by term.
        reading: the reading of its text, without pruning, inverse document frequencies and
            feedback.
        readable: returns a term in readable form; a pinned term by its text.
    """

    weights: Mapping[int, float]
    reading: Reading
    readable: Callable[[int], str]

    def label(self, term: int, document: ExplainedDocument | None = None) -> str:
        """Return a term in readable form, a piece with the first word that contains it."""
        readings = [self.reading] if document is None else [document.reading, self.reading]
        words = [word for reading in readings if (word := reading.word_around(term)) is not None]
        text = self.readable(term)
        return f"{text} (in {words[0]!r})" if words else text


def read_query(encoder: Encoder, query: str) -> Reading:
    """Return the reading of a query, without pruning."""
    return Reading(
        query, [Passage(encoder.without_pruning().trace(query, Role.QUERY))], encoder.vocabulary
    )


def read_document(
    encoder: Encoder, document: Document, span: Span, weights: Mapping[int, float], step: float
) -> Reading:
    """Return the reading of a document, or of its stored chunk, without pruning.

    Args:
        encoder: encodes documents as the index records.
        document: the document.
        span: the (first, end) characters of the document or the chunk.
        weights: its stored weights, by term.
        step: weights are stored in steps of this size.
    """
    whole, (first, end) = encoder.without_pruning(), span
    dtype, long = encoder.dtypes[Role.DOCUMENT], encoder.long
    if encoder.title_weight:
        passage = Passage(whole.trace(document, Role.DOCUMENT))
        return Reading(document.full_text, [passage], encoder.vocabulary, dtype)

    def read(title: str) -> Reading:
        text = title + document.full_text[first:end]
        passage = Passage(whole.trace(text, Role.DOCUMENT), len(title), first)
        return Reading(document.full_text, [passage], encoder.vocabulary, dtype)

    if long.policy is Long.CHUNK and long.chunks is Chunks.MAX:
        return _read_all(whole, document, long.overlap)
    if not document.title or first <= len(document.title):
        return read("")
    # A later chunk begins with the title, unless the title is long (`Chunker`). The weights decide.
    with_title = read(f"{document.title} ")
    if not with_title.agrees(weights, step) and (without := read("")).agrees(weights, step):
        return without
    return with_title


def _read_all(encoder: Encoder, document: Document, overlap: int | None) -> Reading:
    """Return the maximum over all chunks; a text that fits is read as a whole."""
    alone = encoder.trace(document.full_text, Role.DOCUMENT)
    passages = [Passage(alone)]
    if alone.tokens_lost:
        passages = []
        for chunk in encoder.passages(document, overlap):
            titled = chunk.start and len(chunk.text) > chunk.end - chunk.start
            title = len(document.title) + 1 if titled else 0
            passages.append(Passage(encoder.trace(chunk.text, Role.DOCUMENT), title, chunk.start))
    return Reading(document.full_text, passages, encoder.vocabulary, encoder.dtypes[Role.DOCUMENT])
