"""What a file has a row for: a document, or a passage of one that is in chunks."""

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
        row_id: the document's id; of one of several passages ``doc_id#n``, n from 0.
        contents: the text that the vector is of; of a whole document its title and text.
        metadata: the document's.
        doc_id: the document's id, in a file of passages; None in a file of whole documents.
        span: the characters of `Document.full_text` that ``contents`` are, in a file of passages.
    """

    row_id: str
    contents: str
    metadata: Mapping[str, JsonValue]
    doc_id: str | None = None
    span: tuple[int, int] | None = None

    @property
    def metadata_json(self) -> str | None:
        """The metadata as JSON; None where there are none."""
        return json.dumps(self.metadata, ensure_ascii=False) if self.metadata else None


RowBatch: TypeAlias = tuple[list[FileRow], SparseVectors]
"""Rows of a file with their vectors."""


def document_rows(batches: Iterable[tuple[list[Document], SparseVectors]]) -> Iterator[RowBatch]:
    """A row a document."""
    for documents, vectors in batches:
        yield (
            [
                FileRow(document.doc_id, document.full_text, document.metadata)
                for document in documents
            ],
            vectors,
        )


def index_rows(index: Index) -> Iterator[RowBatch]:
    """A row a document of an index, or where any is in chunks, a row a passage; in order of adding."""
    in_passages = index.has_chunks
    for batch in index.stored_passages():
        yield _passages(index, batch) if in_passages else _wholes(batch), batch.vectors


def _wholes(batch: StoredBatch) -> list[FileRow]:
    return [
        FileRow(document.doc_id, document.full_text, document.metadata)
        for document, _ in batch.passages
    ]


def _passages(index: Index, batch: StoredBatch) -> list[FileRow]:
    names = [
        document.doc_id if number is None else f"{document.doc_id}#{number}"
        for (document, _), number in zip(batch.passages, batch.chunks, strict=True)
    ]
    made = [name for name, number in zip(names, batch.chunks, strict=True) if number is not None]
    taken = index.documents_by_id(made)
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
