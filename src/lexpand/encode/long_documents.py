"""Documents longer than the model reads: cut, in chunks, or refused, and never without saying so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lexpand.data import Chunks, Document, Long, LongDocuments, SparseVectors
from lexpand.data.weight_groups import group_weights
from lexpand.encode.chunking import Chunk, Chunker
from lexpand.encode.contract import Role
from lexpand.encode.encoding import Encoding
from lexpand.encode.progress import OnDone
from lexpand.encode.tokens import Tokens
from lexpand.errors import RowError


@dataclass(frozen=True, slots=True)
class EncodedDocuments:
    """Documents with their vectors, as `Index.add` takes them.

    Attributes:
        documents: those that have vectors: all but the refused.
        vectors: one row a document; with ``spans``, one row a chunk.
        spans: of each document, the characters of its chunks in `Document.full_text`; None where
            rows are documents.
        tokens: uint32, of each document, special ones included.
        tokens_lost: uint32, how many of them were not read.
        refused: those that are too long, named by their place.
    """

    documents: list[Document]
    vectors: SparseVectors
    spans: list[list[tuple[int, int]]] | None
    tokens: NDArray[np.uint32]
    tokens_lost: NDArray[np.uint32]
    refused: list[RowError]

    @property
    def empty(self) -> int:
        """Rows without any term: no query can find them."""
        return int(np.count_nonzero(np.diff(self.vectors.indptr) == 0))


class Encode(Protocol):
    """`Encoder.encode`."""

    def __call__(  # noqa: D102 - see above
        self, texts: Sequence[str | Document], role: Role, *, on_done: OnDone | None = None
    ) -> Encoding: ...


def encode_long(
    documents: Sequence[Document],
    long: LongDocuments,
    tokens: Tokens,
    max_tokens: int,
    encode: Encode,
    on_done: OnDone | None,
) -> EncodedDocuments:
    """See `Encoder.encode_long`; ``max_tokens`` is what the model reads of a document."""
    report = on_done or (lambda _: None)
    if long.policy is Long.CHUNK:
        return _encode_chunks(documents, long, tokens, max_tokens, encode, report)
    kept, refused = list(documents), list[RowError]()
    if long.policy is Long.REFUSE:
        kept, refused = _without_long(documents, tokens, max_tokens)
        report(len(refused))
    found = encode(kept, Role.DOCUMENT, on_done=report)
    return EncodedDocuments(kept, found.vectors, None, found.tokens, found.tokens_lost, refused)


def _encode_chunks(
    documents: Sequence[Document],
    long: LongDocuments,
    tokens: Tokens,
    max_tokens: int,
    encode: Encode,
    report: OnDone,
) -> EncodedDocuments:
    chunker = Chunker(tokens, max_tokens, long.overlap_in(max_tokens))
    counts = tokens.tokenize([document.full_text for document in documents], max_tokens)
    chunks = [
        list(chunker.chunks(document)) if count.lost else [_whole(document)]
        for document, count in zip(documents, counts, strict=True)
    ]
    progress = _ByDocument(len(documents), sum(map(len, chunks)), report)
    texts = [chunk.text for parts in chunks for chunk in parts]
    vectors = encode(texts, Role.DOCUMENT, on_done=progress.passages).vectors
    progress.finished()
    spans = None
    if long.chunks is Chunks.MAX:
        vectors = maximum(vectors, [len(parts) for parts in chunks])
    else:
        spans = [[(chunk.start, chunk.end) for chunk in parts] for parts in chunks]
    seen = np.array([count.seen for count in counts], np.uint32)
    return EncodedDocuments(list(documents), vectors, spans, seen, np.zeros_like(seen), [])


class _ByDocument:
    """Passages that were encoded, told as documents: as many as the passages make up on average.

    Batches have passages of like length, so that which documents are whole is known only at the
    end.
    """

    def __init__(self, documents: int, passages: int, report: OnDone) -> None:
        self._documents, self._passages, self._report = documents, passages, report
        self._done, self._told = 0, 0

    def passages(self, count: int) -> None:
        """Some passages were encoded."""
        self._done += count
        self._tell(self._documents * self._done // max(1, self._passages))

    def finished(self) -> None:
        """All documents were."""
        self._tell(self._documents)

    def _tell(self, documents: int) -> None:
        if documents > self._told:
            self._report(documents - self._told)
            self._told = documents


def _without_long(
    documents: Sequence[Document], tokens: Tokens, max_tokens: int
) -> tuple[list[Document], list[RowError]]:
    """The documents that the model reads to their end, and refusals of the others."""
    counts = tokens.tokenize([document.full_text for document in documents], max_tokens)
    refused = [
        RowError(
            document.source or "documents",
            f"{count.seen:,} tokens, of which the model reads {max_tokens:,}: shorten it, or let long documents be cut "
            "or encoded in chunks",
            document.doc_id,
        )
        for document, count in zip(documents, counts, strict=True)
        if count.lost
    ]
    return [
        document for document, count in zip(documents, counts, strict=True) if not count.lost
    ], refused


def maximum(vectors: SparseVectors, counts: Sequence[int]) -> SparseVectors:
    """One vector for each group of neighboring rows: of each term the largest weight.

    Args:
        vectors: the rows.
        counts: how many rows each group has, at least 1.
    """
    groups = np.repeat(np.arange(len(counts)), counts)
    runs = group_weights(groups[vectors.owners], vectors.terms, len(counts))
    weights = (
        np.maximum.reduceat(vectors.weights[runs.order], runs.starts)
        if len(runs.starts)
        else vectors.weights
    )
    return SparseVectors(
        runs.indptr, vectors.terms[runs.first], weights, vectors.vocabulary_size, vectors.model
    )


def _whole(document: Document) -> Chunk:
    return Chunk(document.full_text, 0, len(document.full_text))
