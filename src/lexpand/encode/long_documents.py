"""Encode documents that are longer than the model reads: truncate, chunk or refuse them.

Every truncation and refusal is reported.
"""

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
    """Documents with their vectors, for `Index.add`.

    Attributes:
        documents: the encoded documents, without the refused ones.
        vectors: one row for each document, or for each chunk if ``spans`` is set.
        spans: the spans of each document's chunks in `Document.full_text`. None if each row is a
            document.
        tokens: uint32 [documents], the number of tokens, special tokens included.
        tokens_lost: uint32 [documents], the number of tokens that were not read.
        refused: an error for each document that is too long, with its place.
    """

    documents: list[Document]
    vectors: SparseVectors
    spans: list[list[tuple[int, int]]] | None
    tokens: NDArray[np.uint32]
    tokens_lost: NDArray[np.uint32]
    refused: list[RowError]

    @property
    def empty(self) -> int:
        """The number of rows without a term. No query finds them."""
        return int(np.count_nonzero(np.diff(self.vectors.indptr) == 0))


class Encode(Protocol):
    """The signature of `Encoder.encode`."""

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
    """Encode documents under a policy for long ones; see `Encoder.encode_long`.

    Args:
        documents: the documents.
        long: the policy.
        tokens: the tokenizer of the model.
        max_tokens: the length that the model reads, in tokens.
        encode: `Encoder.encode`.
        on_done: called with the number of documents that were finished since the last call.
    """
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
    progress = _DocumentProgress(len(documents), sum(map(len, chunks)), report)
    texts = [chunk.text for parts in chunks for chunk in parts]
    vectors = encode(texts, Role.DOCUMENT, on_done=progress.add).vectors
    progress.finish()
    spans = None
    if long.chunks is Chunks.MAX:
        vectors = maximum(vectors, [len(parts) for parts in chunks])
    else:
        spans = [[(chunk.start, chunk.end) for chunk in parts] for parts in chunks]
    seen = np.array([count.seen for count in counts], np.uint32)
    return EncodedDocuments(list(documents), vectors, spans, seen, np.zeros_like(seen), [])


class _DocumentProgress:
    """Converts the number of encoded passages to a number of documents, on average.

    Batches group passages by length, so it is known only at the end which documents are complete.
    """

    def __init__(self, documents: int, passages: int, report: OnDone) -> None:
        self._documents, self._passages, self._report = documents, passages, report
        self._done, self._reported = 0, 0

    def add(self, passages: int) -> None:
        """Count encoded passages."""
        self._done += passages
        self._report_up_to(self._documents * self._done // max(1, self._passages))

    def finish(self) -> None:
        """Report the remaining documents."""
        self._report_up_to(self._documents)

    def _report_up_to(self, documents: int) -> None:
        if documents > self._reported:
            self._report(documents - self._reported)
            self._reported = documents


def _without_long(
    documents: Sequence[Document], tokens: Tokens, max_tokens: int
) -> tuple[list[Document], list[RowError]]:
    """Return the documents that the model reads to the end, and errors for the others."""
    counts = tokens.tokenize([document.full_text for document in documents], max_tokens)
    kept, refused = list[Document](), list[RowError]()
    for document, count in zip(documents, counts, strict=True):
        if count.lost:
            reason = (
                f"a document must have at most {max_tokens:,} tokens, got {count.seen:,}: "
                "shorten it, or use the policy truncate or chunk"
            )
            refused.append(RowError(document.source or "documents", reason, document.doc_id))
        else:
            kept.append(document)
    return kept, refused


def maximum(vectors: SparseVectors, counts: Sequence[int]) -> SparseVectors:
    """Merge groups of consecutive rows, with the largest weight of each term.

    Args:
        vectors: the rows.
        counts: the number of rows of each group, at least 1.
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
