"""Texts to sparse vectors."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand import _native
from lexpand.data import Document, SparseVectors, VectorSpace, Vocabulary
from lexpand.encode.contract import Contract, QueryMode, Role
from lexpand.encode.encoding import Encoding, Trace, join
from lexpand.encode.folder import Backend, ModelFolder, find_folder
from lexpand.encode.progress import reporting
from lexpand.encode.tokens import TokenizedText
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


class Encoder:
    """A model that turns texts into sparse vectors, on ONNX Runtime and the native head.

    May be shared by threads.

    Attributes:
        contract: what the model promises.
        space: whose vectors it makes; what `Index.create` takes.
        vocabulary: its terms.
        threads: that one call may use.
        max_tokens: the longest text read, by role, in tokens, special ones included.
        query_mode: how queries are encoded where a call does not say otherwise.
    """

    def __init__(
        self,
        folder: ModelFolder,
        *,
        threads: int | None = None,
        max_tokens: int | None = None,
        query_mode: QueryMode | str | None = None,
        backend: Backend = "onnx",
        device: str | None = None,
        dtype: str = "float32",
    ) -> None:
        self.contract: Contract = folder.contract
        self.vocabulary: Vocabulary = folder.tokens.vocabulary
        self.threads = threads or _cores()
        self.max_tokens = _limits(self.contract, max_tokens)
        self.space = VectorSpace(self.contract.model, self.vocabulary, folder.location, self.max_tokens[Role.DOCUMENT])
        self._tokens = folder.tokens
        self._body = folder.load_body(self.threads, backend, device, dtype)
        self._head = folder.load_head()
        self._screening = folder.load_screening()
        self._preparing = threading.Lock()
        self._table = folder.load_query_table()
        self.query_mode = self._checked_mode(query_mode, self.contract.query_mode)

    @classmethod
    def load(
        cls,
        model: str | Path = "default",
        *,
        threads: int | None = None,
        max_tokens: int | None = None,
        query_mode: QueryMode | str | None = None,
        backend: Backend = "onnx",
        device: str | None = None,
        dtype: str = "float32",
    ) -> Encoder:
        """Load a model.

        Args:
            model: ``default`` (the packaged one) or the path of a model folder.
            threads: that one call may use; all cores of this process by default.
            max_tokens: cut documents at fewer tokens than the model reads.
            query_mode: ``encoder`` or ``lookup``; what the contract says by default.
            backend: what runs the transformer: ``onnx``, or ``torch`` (the extra) for folders without a graph and GPUs.
            device: of ``torch``: ``cpu``, ``cuda``, ``mps``; a GPU where there is one, by default.
            dtype: of ``torch``: ``float32``, or ``bfloat16``, with which weights differ in the third digit.

        Raises:
            ModelError: the folder is missing, incomplete or damaged, or has no table for ``lookup``.
            MissingExtra: the extra ``torch`` is not installed.
        """
        return cls(
            ModelFolder(find_folder(model)),
            threads=threads,
            max_tokens=max_tokens,
            query_mode=query_mode,
            backend=backend,
            device=device,
            dtype=dtype,
        )

    def encode_documents(self, documents: Sequence[str | Document], *, show_progress: bool = False) -> SparseVectors:
        """One vector a document, in order; of a `Document`, title and text are read.

        A document past the model's length is cut; `encode` tells which and by how much.

        Raises:
            DataError: an element is neither a string nor a Document.
        """
        with reporting(len(documents), "encoding documents", show_progress) as on_done:
            return self._encode(documents, Role.DOCUMENT, on_done).vectors

    def encode_queries(
        self, queries: Sequence[str], *, mode: QueryMode | str | None = None, show_progress: bool = False
    ) -> SparseVectors:
        """One vector a query, in order.

        Args:
            queries: the questions.
            mode: ``encoder`` or ``lookup``; `query_mode` by default.
            show_progress: a bar on standard error.

        Raises:
            DataError: an element is no string.
            ModelError: the model has no table for ``lookup``.
        """
        if self._checked_mode(mode, self.query_mode) is QueryMode.LOOKUP:
            return self._look_up([_text_of(query, i) for i, query in enumerate(queries)])
        with reporting(len(queries), "encoding queries", show_progress) as on_done:
            return self._encode(queries, Role.QUERY, on_done).vectors

    def document_frequencies(self, documents: Iterable[str | Document]) -> tuple[NDArray[np.int64], int]:
        """Of each term, how many documents have it among the tokens that the model reads; for `QueryTable.idf`.

        Returns:
            int64 [vocabulary_size], and the number of documents.

        Raises:
            DataError: an element is neither a string nor a Document.
        """
        counts, total, stream = np.zeros(len(self.vocabulary), np.int64), 0, iter(documents)
        while window := list(islice(stream, _WINDOW)):
            texts = [_text_of(text, total + i) for i, text in enumerate(window)]
            for text in self._tokens.tokenize(texts, self.max_tokens[Role.DOCUMENT]):
                counts[np.unique(np.array(text.ids, np.int64))] += 1
            total += len(window)
        return counts, total

    def encode(self, texts: Sequence[str | Document], role: Role, *, on_done: OnDone | None = None) -> Encoding:
        """Vectors with positions and token counts.

        Args:
            texts: strings or documents.
            role: what they are encoded as.
            on_done: called after each batch with the number of texts in it.

        Raises:
            DataError: an element is neither a string nor a Document.
        """
        report = on_done or (lambda _: None)
        if role is Role.QUERY and self.query_mode is QueryMode.LOOKUP:
            encoding = self._look_up_fully([_text_of(text, i) for i, text in enumerate(texts)])
            report(len(texts))
            return encoding
        return self._encode(texts, role, report)

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

    def _checked_mode(self, mode: QueryMode | str | None, default: QueryMode) -> QueryMode:
        if mode is None:
            return default
        if mode not in list(QueryMode):
            raise ModelError(f"the query mode {mode!r}: it must be one of {', '.join(QueryMode)}")
        if mode == QueryMode.LOOKUP and self._table is None:
            raise ModelError(f"{self.contract.name} has no table of query weights to look up: see add_query_table")
        return QueryMode(mode)

    def _look_up(self, queries: list[str]) -> SparseVectors:
        assert self._table is not None  # _checked_mode
        ids = self._tokens.own_ids(queries, self.max_tokens[Role.QUERY])
        # Checking them again would take longer than all the rest.
        return SparseVectors._trusted(*self._table.look_up(ids), len(self.vocabulary), self.contract.model)

    def _look_up_fully(self, queries: list[str]) -> Encoding:
        """With the first token that each term is."""
        assert self._table is not None  # _checked_mode
        tokenized = self._tokens.tokenize(queries, self.max_tokens[Role.QUERY])
        indptr, terms, weights = self._table.look_up([text.ids for text in tokenized])
        positions = [
            text.ids.index(term)
            for text, start, end in zip(tokenized, indptr, indptr[1:], strict=False)
            for term in terms[start:end].tolist()
        ]
        return Encoding(
            SparseVectors(indptr, terms, weights, len(self.vocabulary), self.contract.model),
            np.array(positions, np.uint32),
            np.array([text.seen for text in tokenized], np.uint32),
            np.array([text.lost for text in tokenized], np.uint32),
        )

    def _encode(self, texts: Sequence[str | Document], role: Role, on_done: OnDone) -> Encoding:
        parts: list[Encoding] = []
        for start in range(0, len(texts) or 1, _WINDOW):
            window = [_text_of(text, start + i) for i, text in enumerate(texts[start : start + _WINDOW])]
            parts.append(self._encode_window(window, role, on_done))
        return join(parts)

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
