"""Which word gave a term its weight? The text is encoded again, and what it gives is compared with what is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lexpand.data import Chunks, Document, Dtype, Long, Vocabulary
from lexpand.encode import Encoder, Role, Trace
from lexpand.explanation.results import Origin, Side, Span
from lexpand.index import StoredVector


@dataclass(frozen=True, slots=True)
class Passage:
    """What the model read in one go, and where it stands.

    Attributes:
        trace: what it gave.
        title: characters of the title and the space behind it, where it was put before a passage
            from elsewhere.
        start: where the rest of the passage begins in the whole text.
    """

    trace: Trace
    title: int = 0
    start: int = 0

    def place(self, span: Span) -> Span:
        """The characters in the whole text, which begins with the title."""
        first, end = span
        shift = self.start - self.title if first >= self.title else 0
        return first + shift, end + shift


class Reading:
    """What a text gives when a model reads it: of each term, the largest weight of its passages and the word behind it.

    Args:
        text: the whole text.
        passages: what was read of it.
        vocabulary: the model's.
        dtype: what it was read in.

    Attributes:
        exact: whether another batch gives the same weights but for rounding.
        weights: by term.
        end: the character behind the last that was read.
        tokens_lost: how many tokens were not read.
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
        self._noise = dtype.noise
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

    def gives(self, term: int, weight: float, step: float) -> bool:
        """Whether the term has a weight that is stored in steps of this size (docs/format.md), as ``weight``."""
        # Half a step, or less than one where the smallest was rounded up.
        return abs(self.weights.get(term, 0.0) - weight) <= step + self._noise * max(1.0, weight)

    def agrees(self, stored: StoredVector) -> bool:
        """Whether it gives every stored weight."""
        pairs = zip(stored.terms.tolist(), stored.weights.tolist(), strict=True)
        return all(self.gives(term, weight, stored.scale) for term, weight in pairs)

    def side(self, term: int, weight: float) -> Side:
        """A term that the text gives, with its word; ``weight`` is the one that counts."""
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
        """The first word that the term is a piece of; None where it is a whole word of the text, or not in it."""
        found: str | None = None
        for passage in self.passages:
            for token in passage.trace.tokens:
                if token.term == term and token.word is not None:
                    if token.word == (token.start, token.end):
                        return None
                    found = found or passage.trace.text[slice(*token.word)]
        return found

    def unknown_words(self) -> int:
        """Words of which the vocabulary knows nothing."""
        tokens = (token for passage in self.passages for token in passage.trace.tokens)
        return sum(
            token.word is not None and token.term in self.vocabulary.special for token in tokens
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A document that is asked about.

    Attributes:
        document: the document.
        vector: as it is stored; of several chunks, the best one's.
        reading: what its text gives without pruning.
        weights: those of ``vector``, by term.
    """

    document: Document
    vector: StoredVector
    reading: Reading
    weights: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Asked:
    """A query.

    Attributes:
        weights: those that were searched with, by term.
        reading: what its text gives without pruning, inverse document frequencies and feedback.
        readable: a term as a person reads it, pinned ones by their texts.
    """

    weights: Mapping[int, float]
    reading: Reading
    readable: Callable[[int], str]

    def label(self, term: int, found: Found | None = None) -> str:
        """A term as a person reads it; a piece of a word with the first word that it stands in, if it does."""
        readings = [self.reading] if found is None else [found.reading, self.reading]
        words = [word for reading in readings if (word := reading.word_around(term)) is not None]
        text = self.readable(term)
        return f"{text} (in {words[0]!r})" if words else text


def read_query(encoder: Encoder, query: str) -> Reading:
    """What the model reads in a query, without pruning."""
    return Reading(
        query, [Passage(encoder.unpruned().trace(query, Role.QUERY))], encoder.vocabulary
    )


def read_document(encoder: Encoder, document: Document, stored: StoredVector) -> Reading:
    """What the model reads in a document, or in the chunk that was stored; without pruning.

    Args:
        encoder: encodes documents as their index records.
        document: the document.
        stored: its vector, or that of the chunk.
    """
    whole, (first, end) = encoder.unpruned(), stored.span
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
    # A later chunk has the title before it, unless that is long (`Chunker`): the weights tell.
    with_title = read(f"{document.title} ")
    if not with_title.agrees(stored) and (without := read("")).agrees(stored):
        return without
    return with_title


def _read_all(encoder: Encoder, document: Document, overlap: int | None) -> Reading:
    """The maximum over all chunks; a text that needs none is read as it is."""
    alone = encoder.trace(document.full_text, Role.DOCUMENT)
    passages = [Passage(alone)]
    if alone.tokens_lost:
        passages = []
        for chunk in encoder.passages(document, overlap):
            title = (
                len(document.title) + 1
                if chunk.start and len(chunk.text) > chunk.end - chunk.start
                else 0
            )
            passages.append(Passage(encoder.trace(chunk.text, Role.DOCUMENT), title, chunk.start))
    return Reading(document.full_text, passages, encoder.vocabulary, encoder.dtypes[Role.DOCUMENT])
