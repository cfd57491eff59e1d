"""Iteration over a snapshot: batches of documents or passages with their stored vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand.data import Document, SparseVectors, VectorSpace
from lexpand.errors import IndexStateError
from lexpand.index.catalog import Catalog
from lexpand.index.open_segment import OpenSegment
from lexpand.index.schema import SPARSE_FIELD
from lexpand.index.sets import as_mask
from lexpand.index.snapshot import Snapshot


def stored_batches(
    folder: Path, catalog: Catalog, snapshot: Snapshot, space: VectorSpace, size: int
) -> Iterator[tuple[list[Document], SparseVectors]]:
    """See `Index.stored`."""
    if snapshot.has_chunks:
        raise IndexStateError(
            f"{folder} has documents in several chunks, which have no single vector:"
            " read them with `stored_passages`"
        )
    for batch in stored_passages(catalog, snapshot, space, size):
        yield [document for document, _ in batch.passages], batch.vectors


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """Passages with their stored vectors.

    Attributes:
        passages: the document of each passage, and its (first, end) characters in
            `Document.full_text`.
        rows: int64 [passages], the row of each document (`Match.row`).
        chunks: the number of each passage in its document, from 0; None if it is the only one.
        vectors: one row per passage, with weights rounded to float32.
    """

    passages: list[tuple[Document, tuple[int, int]]]
    rows: NDArray[np.int64]
    chunks: list[int | None]
    vectors: SparseVectors


def stored_passages(
    catalog: Catalog, snapshot: Snapshot, space: VectorSpace, size: int
) -> Iterator[StoredBatch]:
    """See `Index.stored_passages`."""
    places = (
        (segment, ordinal)
        for segment, live in zip(snapshot.segments, snapshot.live, strict=True)
        for ordinal in np.flatnonzero(as_mask(live, segment.entry.passages)).tolist()
    )
    while batch := list(islice(places, size)):
        rows = [int(segment.rows[ordinal]) for segment, ordinal in batch]
        found = catalog.documents(rows)
        spans = [segment.spans[ordinal].tolist() for segment, ordinal in batch]
        chunks = [segment.chunk_of(ordinal) for segment, ordinal in batch]
        passages = [
            (found[row], (first, end)) for row, (first, end) in zip(rows, spans, strict=True)
        ]
        yield StoredBatch(passages, np.array(rows, np.int64), chunks, _vectors(batch, space))


def _vectors(passages: list[tuple[OpenSegment, int]], space: VectorSpace) -> SparseVectors:
    indptr, terms, weights = [0], [np.zeros(0, np.uint32)], [np.zeros(0)]
    for segment, ordinal in passages:
        found, impacts, scale = segment.native.vector(SPARSE_FIELD, ordinal)
        indptr.append(indptr[-1] + len(found))
        terms.append(found)
        weights.append(impacts.astype(np.float64) * scale)
    return SparseVectors(
        indptr, np.concatenate(terms), np.concatenate(weights), len(space.vocabulary), space.model
    )
