"""Writing of segment files, from new documents and from merged segments."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lexpand import _native
from lexpand.data import Document, SparseVectors
from lexpand.encode.batches import cores
from lexpand.errors import CorruptIndex, StorageError
from lexpand.index.catalog import SegmentEntry
from lexpand.index.columns import column_values, encode_column, merge_columns
from lexpand.index.doc_ids import NO_FIELD, DocIds, concatenate
from lexpand.index.open_segment import OpenSegment
from lexpand.index.schema import SPARSE_FIELD, WORD_FIELD, Schema
from lexpand.index.sets import Set, as_mask, size

FOLDER = "segments"

Spans: TypeAlias = "Sequence[tuple[int, int]]"
_Extra: TypeAlias = "tuple[int, int, NDArray[np.uint8]]"


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents for one segment.

    Attributes:
        documents: the documents, in the order of their rows.
        spans: the chunks of each document, at least one, as (first, end) characters in
            `Document.full_text`.
        vectors: the vectors, one row per chunk.
    """

    documents: Sequence[Document]
    spans: Sequence[Spans]
    vectors: SparseVectors


class SegmentFiles:
    """Writer of the segment files of an index.

    Args:
        folder: the folder of the index.
        schema: the schema of the index.
        memory: the bytes for building posting lists.
    """

    def __init__(self, folder: Path, schema: Schema, memory: int) -> None:
        self._folder = folder / FOLDER
        self._schema = schema
        self._resources = {"memory": memory, "threads": cores()}

    def write(self, batch: Batch, first_row: int, commit_id: int) -> SegmentEntry:
        """Write a segment of new documents, whose rows begin at ``first_row``.

        Raises:
            StorageError: the disk is full, read-only or failing.
            VectorError: a vector breaks a limit.
        """
        path = self._new_path(commit_id)
        chunks = np.array([len(spans) for spans in batch.spans])
        owner = np.repeat(np.arange(len(batch.documents)), chunks)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(chunks) - chunks, chunks)
        spans = np.array([span for spans in batch.spans for span in spans], np.uint32).reshape(-1)
        vectors = batch.vectors
        written = _native.write_segment(
            path,
            (first_row + owner).astype(np.uint32),
            within.astype(np.uint32),
            spans,
            [
                (
                    SPARSE_FIELD,
                    vectors.vocabulary_size,
                    vectors.indptr,
                    vectors.terms,
                    vectors.weights,
                )
            ],
            [*self._words(batch), *self._columns(batch, owner), *_ids(batch, owner)],
            **self._resources,
        )
        return SegmentEntry(path.name, len(owner), *written)

    def merge(
        self, segments: Sequence[OpenSegment], keep: Sequence[Set], commit_id: int
    ) -> SegmentEntry:
        """Merge segments into a new one, with the passages in ``keep``.

        Raises:
            StorageError: the disk is full, read-only or failing.
            CorruptIndex: a segment is damaged.
        """
        path = self._new_path(commit_id)
        ordinals = [
            np.flatnonzero(as_mask(kept, segment.entry.passages))
            for segment, kept in zip(segments, keep, strict=True)
        ]
        extras = [
            *self._merged_words(segments, keep),
            *self._merged_columns(segments, ordinals),
            *_merged_ids(segments, ordinals),
        ]
        sources = [(segment.native, kept) for segment, kept in zip(segments, keep, strict=True)]
        written = _native.merge_segments(path, sources, extras, **self._resources)
        passages = sum(
            size(kept, segment.entry.passages) for segment, kept in zip(segments, keep, strict=True)
        )
        return SegmentEntry(path.name, passages, *written)

    def remove(self, file: str) -> None:
        """Remove a file that no commit names."""
        # Windows does not remove mapped files, and a disk may fail. The next writer tries again.
        with contextlib.suppress(OSError):
            (self._folder / file).unlink(missing_ok=True)

    def remove_all_but(self, named: set[str]) -> None:
        """Remove the segment files that are not in ``named``; the caller holds the writer lock."""
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if path.name not in named and path.suffix in (".seg", ".tmp"):
                self.remove(path.name)

    def _new_path(self, commit_id: int) -> Path:
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"cannot create {self._folder} ({error.strerror}): check the disk and permissions"
            ) from error
        return self._folder / f"{commit_id:08}-{secrets.token_hex(8)}.seg"

    def _words(self, batch: Batch) -> list[_Extra]:
        if self._schema.words is None:
            return []
        texts = [
            document.full_text[first:end]
            for document, spans in zip(batch.documents, batch.spans, strict=True)
            for first, end in spans
        ]
        counts = self._schema.words.counts(texts)
        return _extras(
            WORD_FIELD,
            _native.build_words(counts.words, counts.indptr, counts.terms, counts.counts),
        )

    def _columns(self, batch: Batch, owner: NDArray[np.int64]) -> list[_Extra]:
        extras = []
        for name, field in self._schema.column_fields().items():
            column_type = self._schema.columns[name]
            values = [column_values(name, column_type, document) for document in batch.documents]
            extras += _extras(field, encode_column(column_type, [values[i] for i in owner]))
        return extras

    def _merged_words(self, segments: Sequence[OpenSegment], keep: Sequence[Set]) -> list[_Extra]:
        if self._schema.words is None:
            return []
        return _extras(
            WORD_FIELD, _native.merge_words([segment.words for segment in segments], keep)
        )

    def _merged_columns(
        self, segments: Sequence[OpenSegment], ordinals: Sequence[NDArray[np.int64]]
    ) -> list[_Extra]:
        extras = []
        for name, field in self._schema.column_fields().items():
            columns = [segment.column(name) for segment in segments]
            present = [column for column in columns if column is not None]
            if len(present) < len(columns):
                raise CorruptIndex(
                    f"a segment of {self._folder} lacks the column {name}: restore it from a copy"
                )
            extras += _extras(field, merge_columns(present, list(enumerate(ordinals))))
        return extras


def _ids(batch: Batch, owner: NDArray[np.int64]) -> list[_Extra]:
    return _extras(
        NO_FIELD, DocIds.of([batch.documents[i].doc_id for i in owner.tolist()]).sections
    )


def _merged_ids(
    segments: Sequence[OpenSegment], ordinals: Sequence[NDArray[np.int64]]
) -> list[_Extra]:
    kept = [
        segment.doc_ids.take(chosen) for segment, chosen in zip(segments, ordinals, strict=True)
    ]
    return _extras(NO_FIELD, concatenate(kept).sections)


def _extras(field: int, sections: Sequence[tuple[int, bytes]]) -> list[_Extra]:
    return [(kind, field, np.frombuffer(data, np.uint8)) for kind, data in sections]
