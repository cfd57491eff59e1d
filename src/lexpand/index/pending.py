"""Uncommitted changes, in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import compress
from typing import NamedTuple, TypeAlias, cast

import numpy as np

from lexpand.data import Document, SparseVectors
from lexpand.index.segment_files import Batch, Spans

_Deletion: TypeAlias = "tuple[str, ...]"


class _Place(NamedTuple):
    """The place of a document to add: an entry of the log, and a position in that batch."""

    entry: int
    document: int


class Pending:
    """A log of additions and deletions; the last entry of each doc_id counts.

    A change is a single append, so that Ctrl-C cannot split it. A replacement never leaves its
    deletion without its addition.
    """

    def __init__(self) -> None:
        self._log: list[Batch | _Deletion] = []
        self._places: dict[str, _Place | None] = {}
        self._read = 0

    def add(
        self, documents: Sequence[Document], spans: Sequence[Spans], vectors: SparseVectors
    ) -> None:
        """Append documents; ``vectors`` has one row per chunk."""
        # The model is dropped. The index has checked it, and its name may differ between calls or
        # be missing.
        plain = SparseVectors(
            vectors.indptr, vectors.terms, vectors.weights, vectors.vocabulary_size
        )
        self._log.append(Batch(documents, spans, plain))

    def delete(self, doc_ids: Sequence[str]) -> None:
        """Append a deletion of documents that are committed or waiting."""
        self._log.append(tuple(doc_ids))

    @property
    def doc_ids(self) -> Collection[str]:
        """The ids in the log; committed documents with these ids are deleted or replaced."""
        return self._latest().keys()

    def content_hash(self, doc_id: str, stored: bytes | None) -> bytes | None:
        """Return the content hash that a document will have after the commit.

        Args:
            doc_id: the document.
            stored: the hash of the committed document; None if there is none.

        Returns:
            The hash; None if the document will not exist.
        """
        latest = self._latest()
        if doc_id not in latest:
            return stored
        place = latest[doc_id]
        if place is None:
            return None
        batch = cast("Batch", self._log[place.entry])
        return batch.documents[place.document].content_hash

    def batch(self) -> Batch:
        """Return the documents to add, of which there must be at least one."""
        latest = self._latest()
        parts = [
            _only(
                batch,
                [
                    latest[document.doc_id] == (entry, i)
                    for i, document in enumerate(batch.documents)
                ],
            )
            for entry, batch in enumerate(self._log)
            if isinstance(batch, Batch)
        ]
        return Batch(
            [document for part in parts for document in part.documents],
            [spans for part in parts for spans in part.spans],
            SparseVectors.concatenate([part.vectors for part in parts]),
        )

    def __len__(self) -> int:
        """Return the number of documents to add."""
        return sum(place is not None for place in self._latest().values())

    def __bool__(self) -> bool:
        return bool(self._log)

    def _latest(self) -> dict[str, _Place | None]:
        """Return the last place of each id; None for a deletion.

        Each entry of the log is read once. If Ctrl-C interrupts this, an entry is read again, which
        changes nothing.
        """
        while self._read < len(self._log):
            entry = self._log[self._read]
            if isinstance(entry, Batch):
                self._places.update(
                    (d.doc_id, _Place(self._read, i)) for i, d in enumerate(entry.documents)
                )
            else:
                self._places.update(dict.fromkeys(entry))
            self._read += 1
        return self._places


def _only(batch: Batch, kept: Sequence[bool]) -> Batch:
    """Return the documents of a batch for which ``kept`` is true."""
    if all(kept):
        return batch
    rows = np.repeat(kept, [len(spans) for spans in batch.spans])
    return Batch(
        list(compress(batch.documents, kept)),
        list(compress(batch.spans, kept)),
        batch.vectors[rows],
    )
