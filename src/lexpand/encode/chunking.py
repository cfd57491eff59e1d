"""A long document in chunks, each of which the model reads to its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lexpand._native import sentence_starts
from lexpand.data import Document
from lexpand.encode.tokens import Tokens

# A chunk may end at the end of a sentence that lies in its last quarter; else it ends between two
# words.
_REACH = 4


class Chunk(NamedTuple):
    """What is encoded, and the characters of `Document.full_text` that it stands for."""

    text: str
    start: int
    end: int


class Chunker:
    """Cuts documents into chunks of at most ``max_tokens`` tokens, special ones and the title included.

    A chunk ends where a sentence does (UAX #29, which ends one at every line end) if one ends in
    the chunk's last quarter, else between two words, and inside a word only where the word is
    longer than the chunk. The next one begins at most ``overlap`` tokens before that, at a sentence
    if it can. The title is encoded again with each chunk, unless it would take more than half of
    it.

    Args:
        tokens: the model's tokenizer.
        max_tokens: what the model reads.
        overlap: at most a quarter of ``max_tokens``.
    """

    def __init__(self, tokens: Tokens, max_tokens: int, overlap: int) -> None:
        self._tokens = tokens
        self._max_tokens = max_tokens
        self._overlap = overlap

    def chunks(self, document: Document) -> Iterator[Chunk]:
        """The chunks, in order; together they have every token of the document. One without tokens is one chunk."""
        text, title = document.full_text, f"{document.title} "
        room = self._max_tokens - self._tokens.special
        title_tokens = len(self._tokens.own_ids([title], self._max_tokens)[0])
        if not document.title or not document.text or title_tokens > room // 2:
            title, title_tokens = "", 0
        body = _Body(text[len(title) :], self._tokens)
        if body.count == 0:
            yield Chunk(text, 0, len(text))
            return
        start = 0
        while start < body.count:
            end = body.end(start, min(start + room - title_tokens, body.count))
            # A piece may have other tokens alone than within the text (byte-level BPE sees the
            # space before a word).
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
    """The tokens of a text, and where words and sentences begin among them."""

    def __init__(self, text: str, tokens: Tokens) -> None:
        self._text = text
        self._starts, self._ends, self._words = tokens.offsets(text)
        self.count = len(self._starts)
        first = np.searchsorted(self._starts, sentence_starts(text).astype(np.int64))
        self._sentences = np.intersect1d(first, self._words)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The characters of tokens ``start`` to ``end``, which is excluded."""
        return int(self._starts[start]), int(self._ends[end - 1])

    def text(self, start: int, end: int) -> str:
        """The same as text."""
        first, last = self.span(start, end)
        return self._text[first:last]

    def end(self, start: int, limit: int) -> int:
        """Where a chunk from ``start`` ends that may have the tokens before ``limit``."""
        if limit >= self.count:
            return self.count
        sentence = _last(self._sentences, limit)
        if sentence >= limit - (limit - start) // _REACH:
            return sentence
        word = _last(self._words, limit)
        return word if word > start else limit

    def overlapping(self, end: int, overlap: int) -> int:
        """Where the chunk begins that follows one that ends before ``end``."""
        for borders in (self._sentences, self._words):
            place = np.searchsorted(borders, end - overlap)
            if place < len(borders) and borders[place] <= end:
                return int(borders[place])
        return end


def _last(borders: NDArray[np.int64], limit: int) -> int:
    """The last border up to a limit; -1 where there is none."""
    place = int(np.searchsorted(borders, limit, side="right"))
    return int(borders[place - 1]) if place else -1
