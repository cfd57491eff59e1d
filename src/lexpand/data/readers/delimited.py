"""Tables in text: CSV with quotes (RFC 4180), and TSV without them."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from lexpand.data.readers.fields import known_names
from lexpand.data.readers.reading import Reading
from lexpand.data.readers.rows import Row
from lexpand.data.readers.table import Table
from lexpand.data.streams import LONGEST_LINE, bad_utf8, name_of, read_lines
from lexpand.errors import RowError, SourceError

Record: TypeAlias = tuple[str, list[str]]
"""The place where it starts, and its cells."""

# The csv module has one limit for the whole process, 128 KiB unless raised. It is raised for the
# length of one call and put back, so that other users of the module keep theirs; the lock keeps our
# threads from putting back each other's.
_FIELD_LIMIT = LONGEST_LINE
_field_limit_lock = threading.Lock()


TAB = "\t"

DELIMITERS = (",", ";", TAB, "|")
"""The delimiters of CSV that are recognized, the first first."""


def read_csv(path: Path, reading: Reading) -> Iterator[Row | RowError]:
    """Yields a row a record; the first names the columns. Quoted cells may hold line ends.

    The header decides the delimiter; one other than the comma is noted.

    Raises:
        SourceError: the file cannot be opened, is damaged from some line on, or its header cannot
            be used.
    """
    lines = _TextLines(path)
    delimiter = find_delimiter(lines.peek(), reading)
    if delimiter != ",":
        shown = "a tab" if delimiter == TAB else repr(delimiter)
        reading.on_note(f"{name_of(path)}: the delimiter is {shown}")
    yield from _rows(path, _csv_records(path, lines, delimiter), reading)


def read_tsv(path: Path, reading: Reading) -> Iterator[Row | RowError]:
    """Yields a row a line; the first names the columns. Quotes are characters like any other, as in MS MARCO.

    Raises:
        SourceError: the file cannot be opened, is damaged from some line on, or its header cannot
            be used.
    """
    return _rows(path, tsv_records(path), reading)


def find_delimiter(header: str, reading: Reading) -> str:
    """The delimiter that finds most of the known names in a header, or else most columns.

    Args:
        header: the first line, with its quotes.
        reading: its fields and columns are known names.
    """
    known = {name.casefold() for name in [*known_names(reading.fields), *reading.columns]}

    def merit(delimiter: str) -> tuple[int, int]:
        cells = _cells(header, delimiter)
        return sum(cell.strip().casefold() in known for cell in cells), len(cells)

    return max(DELIMITERS, key=merit)


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return _next_record(csv.reader([line], delimiter=delimiter)) or []
    except csv.Error:
        return []


def tsv_records(path: Path) -> Iterator[Record | RowError]:
    """Yields the cells of each line that is not blank.

    Raises:
        SourceError: the file cannot be opened, or is damaged from some line on.
    """
    for number, line in read_lines(path):
        if line.isspace():
            continue
        place = f"{name_of(path)}:{number}"
        try:
            yield place, line.decode().rstrip("\r\n").split("\t")
        except UnicodeDecodeError as error:
            yield RowError(place, bad_utf8(error))


def _rows(
    path: Path, records: Iterable[Record | RowError], reading: Reading
) -> Iterator[Row | RowError]:
    table: Table | None = None
    for record in records:
        if table is None:
            table = _table(path, record, reading)
        elif isinstance(record, RowError):
            yield record
        else:
            yield table.row(*record)


def _table(path: Path, record: Record | RowError, reading: Reading) -> Table:
    if isinstance(record, RowError):
        raise SourceError(f"{record}; this is the header, so no row can be read") from record
    return Table(name_of(path), record[1], reading)


class _TextLines:
    """The lines of a file as text; `defect` tells of the first that is not UTF-8 since it was last cleared.

    Such a line is handed on with its bad bytes escaped: its quotes and separators still count, so
    that the records behind it are cut where they should be.
    """

    def __init__(self, path: Path) -> None:
        self._lines = read_lines(path)
        self._peeked: list[tuple[int, bytes]] = []
        self.defect = ""

    def __iter__(self) -> _TextLines:
        return self

    def __next__(self) -> str:
        number, line = self._peeked.pop(0) if self._peeked else next(self._lines)
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            self.defect = self.defect or f"line {number}: {bad_utf8(error)}"
            return line.decode(errors="surrogateescape")

    def peek(self) -> str:
        """The first line that is not blank, which stays to be read; empty if there is none."""
        for number, line in self._lines:
            self._peeked.append((number, line))
            if not line.isspace():
                return line.decode(errors="surrogateescape")
        return ""


def _next_record(records: Iterator[list[str]]) -> list[str] | None:
    with _field_limit_lock:
        previous = csv.field_size_limit(_FIELD_LIMIT)
        try:
            return next(records, None)
        finally:
            csv.field_size_limit(previous)


def _csv_records(path: Path, lines: _TextLines, delimiter: str) -> Iterator[Record | RowError]:
    records = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        place = f"{name_of(path)}:{records.line_num + 1}"
        lines.defect = ""
        try:
            cells = _next_record(records)
        except csv.Error as error:
            yield RowError(
                place, f"invalid CSV: {error}; look for a quote that is not closed or not doubled"
            )
            continue
        if cells is None:
            return
        if lines.defect:
            yield RowError(place, lines.defect)
        elif cells:
            yield place, cells
