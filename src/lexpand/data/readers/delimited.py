"""Tables in text: CSV with quotes (RFC 4180), and TSV without them."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from lexpand.data.readers.rows import Row, refuse_repeated
from lexpand.data.streams import LONGEST_LINE, bad_utf8, read_lines
from lexpand.errors import RowError, SourceError

Record: TypeAlias = tuple[str, list[str]]
"""The place where it starts, and its cells."""

# The csv module has one limit for the whole process, 128 KiB unless raised. It is raised for the length of
# one call and put back, so that other users of the module keep theirs; the lock keeps our threads from
# putting back each other's.
_FIELD_LIMIT = LONGEST_LINE
_field_limit_lock = threading.Lock()


def read_csv(path: Path) -> Iterator[Row | RowError]:
    """Yields a row a record; the first names the columns. Quoted cells may hold line ends.

    Raises:
        SourceError: the file cannot be opened, is damaged from some line on, or its header cannot be used.
    """
    return _rows(path, _csv_records(path))


def read_tsv(path: Path) -> Iterator[Row | RowError]:
    """Yields a row a line; the first names the columns. Quotes are characters like any other, as in MS MARCO.

    Raises:
        SourceError: the file cannot be opened, is damaged from some line on, or its header cannot be used.
    """
    return _rows(path, tsv_records(path))


def tsv_records(path: Path) -> Iterator[Record | RowError]:
    """Yields the cells of each line that is not blank.

    Raises:
        SourceError: the file cannot be opened, or is damaged from some line on.
    """
    for number, line in read_lines(path):
        if line.isspace():
            continue
        place = f"{path}:{number}"
        try:
            yield place, line.decode().rstrip("\r\n").split("\t")
        except UnicodeDecodeError as error:
            yield RowError(place, bad_utf8(error))


def _rows(path: Path, records: Iterable[Record | RowError]) -> Iterator[Row | RowError]:
    header: list[str] | None = None
    for record in records:
        if header is None:
            header = _header(path, record)
        elif isinstance(record, RowError):
            yield record
        else:
            place, cells = record
            if len(cells) == len(header):
                yield Row(place, dict(zip(header, cells, strict=True)))
            else:
                yield RowError(place, f"{len(cells)} columns where the header has {len(header)}")


def _header(path: Path, record: Record | RowError) -> list[str]:
    if isinstance(record, RowError):
        raise SourceError(f"{record}; this is the header, so no row can be read") from record
    refuse_repeated(path, record[1])
    return record[1]


class _TextLines:
    """The lines of a file as text; `defect` tells of the first that is not UTF-8 since it was last cleared.

    Such a line is handed on with its bad bytes escaped: its quotes and separators still count, so that the
    records behind it are cut where they should be.
    """

    def __init__(self, path: Path) -> None:
        self._lines = read_lines(path)
        self.defect = ""

    def __iter__(self) -> _TextLines:
        return self

    def __next__(self) -> str:
        number, line = next(self._lines)
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            self.defect = self.defect or f"line {number}: {bad_utf8(error)}"
            return line.decode(errors="surrogateescape")


def _next_record(records: Iterator[list[str]]) -> list[str] | None:
    with _field_limit_lock:
        previous = csv.field_size_limit(_FIELD_LIMIT)
        try:
            return next(records, None)
        finally:
            csv.field_size_limit(previous)


def _csv_records(path: Path) -> Iterator[Record | RowError]:
    lines = _TextLines(path)
    records = csv.reader(lines, strict=True)
    while True:
        place = f"{path}:{records.line_num + 1}"
        lines.defect = ""
        try:
            cells = _next_record(records)
        except csv.Error as error:
            yield RowError(place, f"invalid CSV: {error}; look for a quote that is not closed or not doubled")
            continue
        if cells is None:
            return
        if lines.defect:
            yield RowError(place, lines.defect)
        elif cells:
            yield place, cells
