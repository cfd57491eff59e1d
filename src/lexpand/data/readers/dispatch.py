"""Which reader reads which source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from lexpand.data.documents import Document, Query
from lexpand.data.readers import beir, delimited, folder, jsonl, parquet, query_table
from lexpand.data.readers.fields import Fields, to_document, to_query
from lexpand.data.readers.rows import OnBadRow, Reader, convert_rows
from lexpand.data.streams import split_compression
from lexpand.errors import SourceError

_DEFAULT_FIELDS = Fields()

_JSON_READERS: dict[str, Reader] = dict.fromkeys((".jsonl", ".ndjson", ".json"), jsonl.read_rows)
_DOCUMENT_READERS = {**_JSON_READERS, ".csv": delimited.read_csv, ".tsv": delimited.read_tsv}
_QUERY_READERS = {**_JSON_READERS, ".tsv": query_table.read_rows}


def read_documents(
    source: str | Path, *, fields: Fields = _DEFAULT_FIELDS, on_bad_row: OnBadRow | None = None
) -> Iterator[Document]:
    """Reads documents as a stream, from whatever the source is.

    ===========================================  ===================================================
    ``.jsonl`` ``.ndjson`` ``.json``             an object a line
    ``.csv`` ``.tsv``                            a table; its first line names the columns; quotes as
                                                 in RFC 4180 in the first, of no meaning in the second
    any of these with ``.gz`` or ``.zst`` added  the same, compressed
    ``.parquet``                                 a table (needs the extra ``parquet``)
    a folder with ``corpus.jsonl[.gz|.zst]``     a collection in BEIR's layout
    any other folder                             its ``*.txt``, ``*.md`` and ``*.markdown`` files
    ===========================================  ===================================================

    Args:
        source: a file or a folder.
        fields: which fields make a document; the others become metadata.
        on_bad_row: takes each row that cannot be used, and the reading goes on; None raises the first.

    Returns:
        The documents, read as they are asked for. That no two have one doc_id is not checked.

    Raises:
        SourceError: at once, the source is missing or of an unknown kind; while reading, it is empty or
            damaged (after the good rows before the damage).
        RowError: while reading, a row that cannot be used, where on_bad_row is None.
        MissingExtra: while reading, pyarrow is needed and not installed.
    """
    path = _existing(source)
    if path.is_dir():
        corpus = beir.find_corpus(path)
        rows = jsonl.read_rows(corpus) if corpus else folder.read_rows(path)
    else:
        rows = _reader_of(path, _DOCUMENT_READERS, plain={".parquet": parquet.read_rows})(path)
    return convert_rows(path, rows, partial(to_document, fields=fields), on_bad_row)


def read_queries(source: str | Path, *, on_bad_row: OnBadRow | None = None) -> Iterator[Query]:
    r"""Reads queries as a stream: JSON lines, lines of ``query_id\ttext``, or a folder in BEIR's layout.

    Args:
        source: a ``.jsonl``, ``.ndjson``, ``.json`` or ``.tsv`` file, or one of these with ``.gz`` or
            ``.zst`` added; or a folder with ``queries.jsonl[.gz|.zst]``.
        on_bad_row: takes each row that cannot be used, and the reading goes on; None raises the first.

    Returns:
        The queries, read as they are asked for.

    Raises:
        SourceError: as `read_documents`.
        RowError: as `read_documents`.
    """
    path = _existing(source)
    if path.is_dir():
        queries = beir.find_queries(path)
        if queries is None:
            raise SourceError(f"{path} holds no queries.jsonl (nor .gz, .zst): name the file of queries")
        path = queries
    return convert_rows(path, _reader_of(path, _QUERY_READERS, {})(path), to_query, on_bad_row)


def _existing(source: str | Path) -> Path:
    path = Path(source)
    if not path.exists():
        raise SourceError(f"{path} does not exist: check the path")
    return path


def _reader_of(path: Path, compressible: Mapping[str, Reader], plain: Mapping[str, Reader]) -> Reader:
    kind, compression = split_compression(path)
    reader = compressible.get(kind) or (None if compression else plain.get(kind))
    if reader is None:
        known = f"{' '.join(compressible)} (also with .gz or .zst) {' '.join(plain)}".rstrip()
        raise SourceError(f"{path} is of an unknown kind ({path.suffix or 'no suffix'}); known: {known}")
    return reader
