"""Split a long document into chunks that the model reads to the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lexpand._native import sentence_starts
from lexpand.data import Document
from lexpand.encode.tokens import Tokens

# A chunk may end with a sentence only in its last quarter: one part in 4.
_LAST_PART = 4


class Chunk(NamedTuple):
    """A text to encode, and its span of characters in `Document.full_text`."""

    text: str
    start: int
    end: int


class Chunker:
    """Splits documents into chunks of at most ``max_tokens`` tokens.

    The limit includes special tokens and the title.

    * A chunk ends with a sentence if a sentence ends in the last quarter of the chunk. Sentences
      are those of UAX #29, by which every line end also ends a sentence.
    * Otherwise it ends between two words, and inside a word only if the word is longer than the
      chunk.
    * The next chunk begins at most ``overlap`` tokens before that end, with a sentence if possible.
    * Each chunk is encoded with the title, unless the title takes more than half of the chunk.

    Args:
        tokens: the tokenizer of the model.
        max_tokens: the length that the model reads, in tokens.
        overlap: tokens shared by neighboring chunks, at most a quarter of ``max_tokens``.
    """

    def __init__(self, tokens: Tokens, max_tokens: int, overlap: int) -> None:
        self._tokens = tokens
        self._max_tokens = max_tokens
        self._overlap = overlap

    def chunks(self, document: Document) -> Iterator[Chunk]:
        """Yield the chunks in order.

        Together they cover every token of the document. A document without tokens is one chunk.
        """
        text, title = document.full_text, f"{document.title} "
        budget = self._max_tokens - self._tokens.special
        title_tokens = len(self._tokens.own_ids([title], self._max_tokens)[0])
        if not document.title or not document.text or title_tokens > budget // 2:
            title, title_tokens = "", 0
        body = _Body(text[len(title) :], self._tokens)
        if body.count == 0:
            yield Chunk(text, 0, len(text))
            return
        start = 0
        while start < body.count:
            end = body.end(start, min(start + budget - title_tokens, body.count))
            # A piece can have other tokens alone than within the text: byte-level BPE depends on
            # the space before a word.
            while end > start + 1 and (lost := self._lost(title + body.text(start, end))):
                end = body.end(start, max(start + 1, end - lost))
            first, last = body.span(start, end)
            yield Chunk(
                title + body.text(start, end), first + len(title) if start else 0, last + len(title)
            )
            if end == body.count:
                return
            start = max(start + 1, body.overlapping(end, self._overlap))

    def _lost(self, text: str) -> int:
        return self._tokens.tokenize([text], self._max_tokens)[0].lost


class _Body:
    """The tokens of a text, and those that begin a word or a sentence."""

    def __init__(self, text: str, tokens: Tokens) -> None:
        self._text = text
        self._starts, self._ends, self._words = tokens.offsets(text)
        self.count = len(self._starts)
        first = np.searchsorted(self._starts, sentence_starts(text).astype(np.int64))
        self._sentences = np.intersect1d(first, self._words)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the characters of the tokens from ``start`` to ``end`` (excluded)."""
        return int(self._starts[start]), int(self._ends[end - 1])

    def text(self, start: int, end: int) -> str:
        """Return the text of the tokens from ``start`` to ``end`` (excluded)."""
        first, last = self.span(start, end)
        return self._text[first:last]

    def end(self, start: int, limit: int) -> int:
        """Return the end of a chunk that begins at ``start`` and ends at ``limit`` or before."""
        if limit >= self.count:
            return self.count
        sentence = _last(self._sentences, limit)
        if sentence >= limit - (limit - start) // _LAST_PART:
            return sentence
        word = _last(self._words, limit)
        return word if word > start else limit

    def overlapping(self, end: int, overlap: int) -> int:
        """Return the start of the chunk that follows a chunk that ends at ``end``."""
        for starts in (self._sentences, self._words):
            i = np.searchsorted(starts, end - overlap)
            if i < len(starts) and starts[i] <= end:
                return int(starts[i])
        return end


def _last(starts: NDArray[np.int64], limit: int) -> int:
    """Return the largest start up to ``limit``, or -1 if there is none."""
    i = int(np.searchsorted(starts, limit, side="right"))
    return int(starts[i - 1]) if i else -1
