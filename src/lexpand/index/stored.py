"""All that a snapshot holds, a batch at a time: documents with their stored vectors."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from lexpand.data import Document, SparseVectors, VectorSpace
from lexpand.errors import IndexStateError
from lexpand.index.catalogue import Catalogue
from lexpand.index.open_segment import OpenSegment
from lexpand.index.schema import SPARSE_FIELD
from lexpand.index.sets import as_mask
from lexpand.index.snapshot import Snapshot


def stored_batches(
    folder: Path, catalogue: Catalogue, snapshot: Snapshot, space: VectorSpace, size: int
) -> Iterator[tuple[list[Document], SparseVectors]]:
    """See `Index.stored`."""
    if snapshot.has_chunks:
        raise IndexStateError(f"{folder} has documents of several chunks: their vectors are no single ones to hand out")
    units = (
        (segment, ordinal)
        for segment, live in zip(snapshot.segments, snapshot.live, strict=True)
        for ordinal in np.flatnonzero(as_mask(live, segment.entry.units)).tolist()
    )
    while batch := list(islice(units, size)):
        rows = [int(segment.rows[ordinal]) for segment, ordinal in batch]
        found = catalogue.documents(rows)
        yield [found[row] for row in rows], _vectors(batch, space)


def _vectors(units: list[tuple[OpenSegment, int]], space: VectorSpace) -> SparseVectors:
    indptr, terms, weights = [0], [np.zeros(0, np.uint32)], [np.zeros(0)]
    for segment, ordinal in units:
        found, impacts, scale = segment.native.vector(SPARSE_FIELD, ordinal)
        indptr.append(indptr[-1] + len(found))
        terms.append(found)
        weights.append(impacts.astype(np.float64) * scale)
    return SparseVectors(indptr, np.concatenate(terms), np.concatenate(weights), len(space.vocabulary), space.model)
