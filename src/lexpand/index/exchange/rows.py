"""The rows of an exported file: one per document, or one per passage."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from lexpand.data import Document, JsonValue, SparseVectors
from lexpand.index.index import Index
from lexpand.index.stored import StoredBatch


class FileRow(NamedTuple):
    """A row of a file, without its vector.

    Attributes:
        row_id: the id of the document, or ``doc_id#n`` for one of several passages, n from 0.
        contents: the text of the vector; for a whole document its title and text.
        metadata: the metadata of the document.
        doc_id: the id of the document in a passage file; None in a document file.
        span: the (first, end) characters of ``contents`` in `Document.full_text`, in a
            passage file; None in a document file.
    """

    row_id: str
    contents: str
    metadata: Mapping[str, JsonValue]
    doc_id: str | None = None
    span: tuple[int, int] | None = None

    @property
    def metadata_json(self) -> str | None:
        """The metadata as JSON; None if there are none."""
        return json.dumps(self.metadata, ensure_ascii=False) if self.metadata else None


RowBatch: TypeAlias = tuple[list[FileRow], SparseVectors]
"""Rows of a file with their vectors."""


def document_rows(batches: Iterable[tuple[list[Document], SparseVectors]]) -> Iterator[RowBatch]:
    """Yield a row per document."""
    for documents, vectors in batches:
        rows = [
            FileRow(document.doc_id, document.full_text, document.metadata)
            for document in documents
        ]
        yield rows, vectors


def index_rows(index: Index) -> Iterator[RowBatch]:
    """Yield the rows of an index in order of insertion.

    There is one row per document, or one per passage if any document is in chunks.
    """
    in_passages = index.has_chunks
    for batch in index.stored_passages():
        rows = _passage_rows(index, batch) if in_passages else _whole_rows(batch)
        yield rows, batch.vectors


def _whole_rows(batch: StoredBatch) -> list[FileRow]:
    return [
        FileRow(document.doc_id, document.full_text, document.metadata)
        for document, _ in batch.passages
    ]


def _passage_rows(index: Index, batch: StoredBatch) -> list[FileRow]:
    names = [
        document.doc_id if number is None else f"{document.doc_id}#{number}"
        for (document, _), number in zip(batch.passages, batch.chunks, strict=True)
    ]
    passage_ids = [
        name for name, number in zip(names, batch.chunks, strict=True) if number is not None
    ]
    taken = index.documents_by_id(passage_ids)
    return [
        FileRow(
            name if number is None or name not in taken else f"{document.doc_id}##{number}",
            document.full_text[slice(*span)],
            document.metadata,
            document.doc_id,
            span,
        )
        for name, (document, span), number in zip(names, batch.passages, batch.chunks, strict=True)
    ]
