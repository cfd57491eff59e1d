"""Changes that wait for a commit."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import compress
from typing import NamedTuple, TypeAlias, cast

import numpy as np

from lexpand.data import Document, SparseVectors
from lexpand.index.segment_files import Batch, Spans

_Deletion: TypeAlias = "tuple[str, ...]"


class _Place(NamedTuple):
    """Where a document to add stands: an entry of the log, and its place in that batch."""

    entry: int
    document: int


class Pending:
    """What is to be added and deleted, as a log: of one doc_id, the last entry counts.

    A change is one append, so that Ctrl-C comes before all of it or after: no deletion is left
    whose document was to take the old one's place.
    """

    def __init__(self) -> None:
        self._log: list[Batch | _Deletion] = []
        self._places: dict[str, _Place | None] = {}
        self._read = 0

    def add(
        self, documents: Sequence[Document], spans: Sequence[Spans], vectors: SparseVectors
    ) -> None:
        """Append documents; ``vectors`` has one row for each of their chunks."""
        # Without their model, which the index has checked: its name may differ from call to call,
        # or be missing.
        plain = SparseVectors(
            vectors.indptr, vectors.terms, vectors.weights, vectors.vocabulary_size
        )
        self._log.append(Batch(documents, spans, plain))

    def delete(self, doc_ids: Sequence[str]) -> None:
        """Append a deletion, of documents that were to be added or are committed."""
        self._log.append(tuple(doc_ids))

    @property
    def doc_ids(self) -> Collection[str]:
        """Every id of the log: what is committed of these is deleted, or replaced."""
        return self._latest().keys()

    def content_hash(self, doc_id: str, stored: bytes | None) -> bytes | None:
        """Of a document as it will be after the commit, given the committed one's; None where there will be none."""
        latest = self._latest()
        if doc_id not in latest:
            return stored
        place = latest[doc_id]
        return (
            None
            if place is None
            else cast("Batch", self._log[place.entry]).documents[place.document].content_hash
        )

    def batch(self) -> Batch:
        """What is to be added. There must be something."""
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
        """Documents to add."""
        return sum(place is not None for place in self._latest().values())

    def __bool__(self) -> bool:
        return bool(self._log)

    def _latest(self) -> dict[str, _Place | None]:
        """The last place of each id, None for a deletion. Entries are read once; reading one again changes nothing."""
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
    """The documents of a batch that are kept."""
    if all(kept):
        return batch
    rows = np.repeat(kept, [len(spans) for spans in batch.spans])
    return Batch(
        list(compress(batch.documents, kept)),
        list(compress(batch.spans, kept)),
        batch.vectors[rows],
    )
