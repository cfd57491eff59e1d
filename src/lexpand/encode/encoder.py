"""Texts to sparse vectors."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand import _native
from lexpand.data import Document, SparseVectors, VectorSpace, Vocabulary
from lexpand.encode.contract import Contract, Role
from lexpand.encode.folder import ModelFolder, find_folder
from lexpand.encode.progress import reporting
from lexpand.encode.tokens import Token, TokenizedText
from lexpand.errors import DataError, ModelError

# Tokens of a batch, padding included. Larger ones gain nothing on a CPU (eight texts of 256 tokens were best for every
# backend measured), and hidden states grow with them.
_BATCH_TOKENS = 2048

# Texts that are tokenized and sorted by length together: enough to fill batches without padding.
_WINDOW = 512

# Screening takes about 0.1 s to prepare, as long as the head takes for this many tokens without it.
_SCREEN_TOKENS = 1024

OnDone = Callable[[int], None]
"""Called with the number of texts that were finished since the last call."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """Sparse vectors and what is known of how they came about, one row a text.

    Attributes:
        vectors: the vectors.
        positions: uint32 [nnz], beside ``vectors.terms``: the token that gave each term its weight.
        tokens: uint32 [n], the tokens of each text, special ones included; 0 for a text without any.
        tokens_lost: uint32 [n], how many of them were past the model's length and not read.
    """

    vectors: SparseVectors
    positions: NDArray[np.uint32]
    tokens: NDArray[np.uint32]
    tokens_lost: NDArray[np.uint32]

    @property
    def truncated(self) -> int:
        """Texts that were cut."""
        return int(np.count_nonzero(self.tokens_lost))

    @property
    def empty(self) -> int:
        """Texts whose vector has no term: no query can find them."""
        return int(np.count_nonzero(np.diff(self.vectors.indptr) == 0))


@dataclass(frozen=True, slots=True)
class Trace:
    """One text's vector and the token behind each of its terms.

    Attributes:
        text: what was encoded.
        weights: weight by term.
        positions: by term, the token that gave the weight: an index into ``tokens``.
        tokens: what the model read.
    """

    text: str
    weights: dict[int, float]
    positions: dict[int, int]
    tokens: list[Token]

    @property
    def input_terms(self) -> frozenset[int]:
        """The terms that stand in the text; all others are expansion terms."""
        return frozenset(token.term for token in self.tokens if token.word is not None)

    def word(self, term: int) -> str | None:
        """The word of the text that gave a term its weight; None for a special token (the text as a whole)."""
        span = self.tokens[self.positions[term]].word
        return None if span is None else self.text[slice(*span)]


class Encoder:
    """A model that turns texts into sparse vectors, on ONNX Runtime and the native head.

    May be shared by threads.

    Attributes:
        contract: what the model promises.
        space: whose vectors it makes; what `Index.create` takes.
        vocabulary: its terms.
        threads: that one call may use.
        max_tokens: the longest text read, by role, in tokens, special ones included.
    """

    def __init__(self, folder: ModelFolder, *, threads: int | None = None, max_tokens: int | None = None) -> None:
        self.contract: Contract = folder.contract
        self.vocabulary: Vocabulary = folder.tokens.vocabulary
        self.threads = threads or _cores()
        self.max_tokens = _limits(self.contract, max_tokens)
        self.space = VectorSpace(self.contract.model, self.vocabulary, folder.location, self.max_tokens[Role.DOCUMENT])
        self._tokens = folder.tokens
        self._body = folder.load_body(self.threads)
        self._head = folder.load_head()
        self._screening = folder.load_screening()
        self._preparing = threading.Lock()

    @classmethod
    def load(
        cls, model: str | Path = "default", *, threads: int | None = None, max_tokens: int | None = None
    ) -> Encoder:
        """Load a model.

        Args:
            model: ``default`` (the packaged one) or the path of a model folder.
            threads: that one call may use; all cores of this process by default.
            max_tokens: cut documents at fewer tokens than the model reads.

        Raises:
            ModelError: the folder is missing, incomplete or damaged.
        """
        return cls(ModelFolder(find_folder(model)), threads=threads, max_tokens=max_tokens)

    def encode_documents(self, documents: Sequence[str | Document], *, show_progress: bool = False) -> SparseVectors:
        """One vector a document, in order; of a `Document`, title and text are read.

        A document past the model's length is cut; `encode` tells which and by how much.

        Raises:
            DataError: an element is neither a string nor a Document.
        """
        return self._encode_reporting(documents, Role.DOCUMENT, show_progress)

    def encode_queries(self, queries: Sequence[str], *, show_progress: bool = False) -> SparseVectors:
        """One vector a query, in order.

        Raises:
            DataError: an element is no string.
        """
        return self._encode_reporting(queries, Role.QUERY, show_progress)

    def encode(self, texts: Sequence[str | Document], role: Role, *, on_done: OnDone | None = None) -> Encoding:
        """Vectors with positions and token counts.

        Args:
            texts: strings or documents.
            role: what they are encoded as.
            on_done: called after each batch with the number of texts in it.

        Raises:
            DataError: an element is neither a string nor a Document.
        """
        parts: list[Encoding] = []
        for start in range(0, len(texts) or 1, _WINDOW):
            window = [_text_of(text, start + i) for i, text in enumerate(texts[start : start + _WINDOW])]
            parts.append(self._encode_window(window, role, on_done or (lambda _: None)))
        return _join(parts)

    def trace(self, text: str, role: Role) -> Trace:
        """Encode one text and keep the token behind each term.

        Raises:
            DataError: the text is no string, or has a lone surrogate.
        """
        encoding = self.encode([text], role)
        terms, weights = encoding.vectors.row(0)
        return Trace(
            text,
            dict(zip(terms.tolist(), weights.tolist(), strict=True)),
            dict(zip(terms.tolist(), encoding.positions.tolist(), strict=True)),
            self._tokens.places(text, self.max_tokens[role]),
        )

    def _encode_reporting(self, texts: Sequence[str | Document], role: Role, show_progress: bool) -> SparseVectors:
        with reporting(len(texts), f"encoding {role}s", show_progress) as on_done:
            return self.encode(texts, role, on_done=on_done).vectors

    def _head_for(self, tokens: int) -> _native.Head:
        """The head; from the first longer text on, one with screening: the same vectors, sooner."""
        with self._preparing:
            if self._screening is not None and tokens >= _SCREEN_TOKENS:
                self._head = self._head.screened(*self._screening, threads=self.threads)
                self._screening = None
            return self._head

    def _encode_window(self, texts: list[str], role: Role, on_done: OnDone) -> Encoding:
        tokenized = self._tokens.tokenize(texts, self.max_tokens[role])
        head = self._head_for(sum(len(text.ids) for text in tokenized))
        rows: list[tuple[NDArray[np.uint32], NDArray[np.float32], NDArray[np.uint32]]]
        nothing = np.zeros(0, np.uint32)
        rows = [(nothing, np.zeros(0, np.float32), nothing)] * len(texts)
        for batch in _batches(tokenized):
            hidden, lengths = self._body.run([tokenized[i].ids for i in batch])
            indptr, terms, weights, positions = head.encode(hidden, lengths, threads=self.threads)
            for row, i in enumerate(batch):
                span = slice(indptr[row], indptr[row + 1])
                rows[i] = terms[span], weights[span], positions[span]
            on_done(len(batch))
        on_done(sum(not text.ids for text in tokenized))
        starts = np.concatenate([[0], np.cumsum([len(terms) for terms, _, _ in rows], dtype=np.int64)])
        columns = zip((nothing, np.zeros(0, np.float32), nothing), *rows, strict=True)
        terms, weights, positions = (np.concatenate(column) for column in columns)
        return Encoding(
            SparseVectors(starts, terms, weights, len(self.vocabulary), self.contract.model),
            positions,
            np.array([text.seen for text in tokenized], np.uint32),
            np.array([text.lost for text in tokenized], np.uint32),
        )


def _batches(tokenized: list[TokenizedText]) -> Iterator[list[int]]:
    """Places of texts of like length, longest first, a batch within `_BATCH_TOKENS`; texts without tokens in none."""
    places = [i for i, text in enumerate(tokenized) if text.ids]
    places.sort(key=lambda i: len(tokenized[i].ids), reverse=True)
    while places:
        size = max(1, _BATCH_TOKENS // len(tokenized[places[0]].ids))
        yield places[:size]
        places = places[size:]


def _join(parts: list[Encoding]) -> Encoding:
    return Encoding(
        SparseVectors.concatenate([part.vectors for part in parts]),
        np.concatenate([part.positions for part in parts]),
        np.concatenate([part.tokens for part in parts]),
        np.concatenate([part.tokens_lost for part in parts]),
    )


def _text_of(text: object, place: int) -> str:
    if isinstance(text, Document):
        return text.full_text
    if not isinstance(text, str):
        raise DataError(f"text {place} is a {type(text).__name__}: give strings or Documents")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"text {place} has a lone surrogate at character {error.start}: remove it") from None
    return text


def _limits(contract: Contract, max_tokens: int | None) -> dict[Role, int]:
    limits = dict(contract.max_tokens)
    if max_tokens is not None:
        if not 3 <= max_tokens <= limits[Role.DOCUMENT]:
            raise ModelError(f"a length of {max_tokens} tokens: {contract.name} reads 3 to {limits[Role.DOCUMENT]}")
        limits[Role.DOCUMENT] = max_tokens
    return limits


def _cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
