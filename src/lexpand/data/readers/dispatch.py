"""Read documents and queries with the reader for the kind of source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TypeAlias

from lexpand.data.documents import Document, Query
from lexpand.data.readers import (
    beir,
    delimited,
    folder,
    json_file,
    jsonl,
    parquet,
    query_table,
    text_file,
    trec_topics,
)
from lexpand.data.readers.fields import Fields, to_document, to_query
from lexpand.data.readers.ids import without_ids
from lexpand.data.readers.reading import Reading
from lexpand.data.readers.rows import OnBadRow, OnNote, Reader, Row, convert_rows, refuse_empty
from lexpand.data.streams import STDIN, first_byte, name_of, split_compression
from lexpand.errors import DataError, RowError, SourceError

_DEFAULT_FIELDS = Fields()

_DocumentReader: TypeAlias = Callable[[Path, Reading], Iterator[Row | RowError]]


def _without_options(read: Reader) -> _DocumentReader:
    return lambda path, reading: read(path)


_JSON: dict[str, Reader] = {
    ".jsonl": jsonl.read_rows,
    ".ndjson": jsonl.read_rows,
    ".json": json_file.read_rows,
}

# Formats that may be compressed and read from standard input.
_STREAMS: dict[str, _DocumentReader] = {
    **{suffix: _without_options(read) for suffix, read in _JSON.items()},
    ".csv": delimited.read_csv,
    ".tsv": delimited.read_tsv,
}
_FILES: dict[str, _DocumentReader] = {
    ".parquet": parquet.read_rows,
    **dict.fromkeys(text_file.SUFFIXES, text_file.read_rows),
}
_QUERIES: dict[str, Reader] = {
    **_JSON,
    ".tsv": query_table.read_rows,
    ".csv": query_table.read_csv,
    ".topics": trec_topics.read_rows,
    ".trec": trec_topics.read_rows,
}
# Suffixes of topics and of other files. The first byte decides.
_PERHAPS_TOPICS = (".xml", ".txt")


def read_documents(
    source: str | Path,
    *,
    fields: Fields = _DEFAULT_FIELDS,
    on_bad_row: OnBadRow | None = None,
    columns: Mapping[str, str] | None = None,
    format: str | None = None,
    on_note: OnNote | None = None,
) -> Iterator[Document]:
    """Read the documents of a source as a stream.

    ===========================================  ===================================================
    ``.jsonl`` ``.ndjson``                       one object per line
    ``.json``                                    an array of objects, or one object per line
    ``.csv``                                     a table with quotes as in RFC 4180; its first line
                                                 names the columns and decides the delimiter, one of
                                                 ``,`` ``;`` tab ``|``
    ``.tsv``                                     the same with tabs; quotes have no meaning
    any of these with ``.gz`` or ``.zst`` added  the same, compressed
    ``.parquet``                                 a table (needs the extra ``parquet``)
    ``.md`` ``.markdown`` ``.txt`` ``.rst``      one document
    ``.html`` ``.htm``
    a folder with ``corpus.jsonl[.gz|.zst]``     a collection in BEIR's layout
    any other folder                             its text files, as above
    ``-``                                        standard input: JSON as in ``.json``, or ``format``
    ===========================================  ===================================================

    If no row of a source has an id, the id of each document is the hash of its content.

    Args:
        source: the path of a file or folder, or ``"-"``.
        fields: the fields that make a document; the others become metadata.
        on_bad_row: a function that takes the error of each invalid row; None raises the first
            error.
        columns: type by column name (``integer``, ``number``, ``boolean``, ``keyword``). CSV and
            TSV cells of these columns are parsed; empty ones are left out.
        format: the format of a file, if it differs from the suffix: ``jsonl``, ``json``, ``csv``,
            ``tsv``, ``parquet``, ``md``, ``txt``, ``rst``, ``html``.
        on_note: a function that takes one line about each assumption of the reader and about
            skipped files.

    Returns:
        A lazy iterator over the documents. It does not check that ids are unique.

    Raises:
        DataError: a column type or the format is unknown (raised at once).
        SourceError: the source is missing or has an unknown format (raised at once). While reading:
            the source is empty, damaged (after the valid rows before the damage), or has an
            invalid header.
        RowError: a row is invalid and ``on_bad_row`` is None (raised while reading).
        MissingExtra: pyarrow is needed and not installed (raised while reading).
    """
    reading = (
        Reading(fields, columns or {})
        if on_note is None
        else Reading(fields, columns or {}, on_note)
    )
    path = _existing(source)
    rows = refuse_empty(name_of(path), _document_reader(path, format)(path, reading))
    return _documents(name_of(path), rows, reading, on_bad_row)


def read_queries(source: str | Path, *, on_bad_row: OnBadRow | None = None) -> Iterator[Query]:
    r"""Read queries as a stream.

    ============================  ==================================================================
    ``.jsonl`` ``.ndjson``        one object per line
    ``.json``                     an array of objects, or one object per line
    ``.tsv``                      lines of ``query_id\ttext``
    ``.csv``                      a table; its first line names the columns
    ``.topics`` ``.trec``         TREC topics, also in a file with another suffix that starts with
                                  ``<``
    a folder                      ``queries.jsonl`` in it, as in BEIR's layout
    ``-``                         JSON from standard input
    ============================  ==================================================================

    Files may be compressed, with ``.gz`` or ``.zst`` added.

    Args:
        source: the path of a file or folder, or ``"-"``.
        on_bad_row: a function that takes the error of each invalid row; None raises the first
            error.

    Returns:
        A lazy iterator over the queries.

    Raises:
        SourceError: see `read_documents`.
        RowError: see `read_documents`; or an earlier query has the same query_id.
    """
    path = _existing(source)
    if path.is_dir():
        queries = beir.find_queries(path)
        if queries is None:
            raise SourceError(
                f"{path} has no queries.jsonl (also .gz or .zst): pass the path of the query file"
            )
        path = queries
    rows = refuse_empty(name_of(path), _query_reader(path)(path))
    return convert_rows(rows, partial(_new_query, places={}), on_bad_row)


def _query_reader(path: Path) -> Reader:
    if path == STDIN:
        return json_file.read_rows
    kind, compression = split_compression(path)
    if kind in _QUERIES:
        return _QUERIES[kind]
    may_be_topics = kind in _PERHAPS_TOPICS or not compression
    if may_be_topics and first_byte(path) == b"<":
        return trec_topics.read_rows
    raise _unknown(path, f"{' '.join(_QUERIES)} (also with .gz or .zst)")


def _documents(
    name: str, rows: Iterator[Row | RowError], reading: Reading, on_bad_row: OnBadRow | None
) -> Iterator[Document]:
    hash_ids, rows = without_ids(name, rows, reading)
    convert = partial(to_document, fields=reading.fields, hash_ids=hash_ids)
    yield from convert_rows(rows, convert, on_bad_row)


def _new_query(row: Row, places: dict[str, str]) -> Query:
    query = to_query(row)
    first = places.setdefault(query.query_id, row.place)
    if first != row.place:
        reason = f"a query_id must be unique, but {first} has the same; rename one"
        raise RowError(row.place, reason, query.query_id)
    return query


def _existing(source: str | Path) -> Path:
    path = Path(source)
    if path != STDIN and not path.exists():
        raise SourceError(f"{name_of(path)} does not exist: check the path")
    return path


def _document_reader(path: Path, named: str | None) -> _DocumentReader:
    if path != STDIN and path.is_dir():
        if named is not None:
            raise DataError(
                f"format must be left out for a folder, got {named!r} for {name_of(path)}"
            )
        return _read_folder
    kind, compression = split_compression(path)
    if named is not None:
        kind = f".{named.lower().removeprefix('.')}"
        if kind not in {**_STREAMS, **_FILES}:
            raise DataError(f"format must be one of {_kinds(_STREAMS, _FILES)}, got {named!r}")
    elif path == STDIN:
        kind = ".json"
    reader = _STREAMS.get(kind) or (None if compression or path == STDIN else _FILES.get(kind))
    if reader is None and path == STDIN:
        raise DataError(
            f"the format of standard input must be one of {_kinds(_STREAMS)}, got {named!r}; "
            "name a file"
        )
    if reader is None:
        raise _unknown(path, f"{' '.join(_STREAMS)} (also with .gz or .zst) {' '.join(_FILES)}")
    return reader


def _read_folder(path: Path, reading: Reading) -> Iterator[Row | RowError]:
    corpus = beir.find_corpus(path)
    return jsonl.read_rows(corpus) if corpus else folder.read_rows(path, reading)


def _unknown(path: Path, known: str) -> SourceError:
    return SourceError(
        f"{name_of(path)} must have a known suffix, got {path.suffix or 'no suffix'}: "
        f"use one of {known}"
    )


def _kinds(*readers: Iterable[str]) -> str:
    return ", ".join(kind.removeprefix(".") for kinds in readers for kind in kinds)
