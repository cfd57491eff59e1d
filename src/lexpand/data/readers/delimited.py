"""Read tables: CSV with quotes (RFC 4180), and TSV without quotes."""

from __future__ import annotations

import csv
import threading
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from lexpand.data.readers.fields import known_names
from lexpand.data.readers.reading import Reading
from lexpand.data.readers.rows import Row
from lexpand.data.readers.table import Table
from lexpand.data.streams import LONGEST_LINE, bad_utf8, name_of, read_lines
from lexpand.errors import RowError, SourceError

Record: TypeAlias = tuple[str, list[str]]
"""The place where the record starts, and its cells."""

# The csv module has one field limit per process, by default 128 KiB. It is raised for one call and
# then restored, so other users of the module keep theirs. The lock keeps threads from restoring
# each other's limit.
_FIELD_LIMIT = LONGEST_LINE
_field_limit_lock = threading.Lock()

TAB = "\t"

DELIMITERS = (",", ";", TAB, "|")
"""The recognized delimiters of CSV, in order of precedence."""


def read_csv(path: Path, reading: Reading) -> Iterator[Row | RowError]:
    """Yield a row for each record of a CSV file; the first record has the column names.

    Quoted cells may contain line ends. The header decides the delimiter. A delimiter other than
    the comma is noted.

    Raises:
        SourceError: the file cannot be opened, is damaged, or has an invalid header.
    """
    known = [*known_names(reading.fields), *reading.columns]
    delimiter, records = csv_records(path, known)
    if delimiter != ",":
        reading.on_note(delimiter_note(path, delimiter))
    yield from _rows(path, records, reading)


def read_tsv(path: Path, reading: Reading) -> Iterator[Row | RowError]:
    """Yield a row for each line of a TSV file; the first line has the column names.

    Quotes are ordinary characters, as in MS MARCO.

    Raises:
        SourceError: the file cannot be opened, is damaged, or has an invalid header.
    """
    return _rows(path, tsv_records(path), reading)


def find_delimiter(header: str, known: Collection[str]) -> str:
    """Return the delimiter that gives the most known names in a header, then the most columns.

    Args:
        header: the first line, with its quotes.
        known: names of columns, in any case.
    """
    folded = {name.casefold() for name in known}

    def score(delimiter: str) -> tuple[int, int]:
        cells = split_cells(header, delimiter)
        return sum(cell.strip().casefold() in folded for cell in cells), len(cells)

    return max(DELIMITERS, key=score)


def split_cells(line: str, delimiter: str, *, strict: bool = False) -> list[str]:
    """Return the cells of one line of CSV; no cell if it cannot be split.

    Args:
        line: the line.
        delimiter: the delimiter.
        strict: whether a line with an unclosed quote cannot be split.
    """
    try:
        return _next_record(csv.reader([line], delimiter=delimiter, strict=strict)) or []
    except csv.Error:
        return []


def csv_records(path: Path, known: Collection[str]) -> tuple[str, Iterator[Record | RowError]]:
    """Return the delimiter of a CSV file, and its records with the header first.

    Args:
        path: the file.
        known: names of columns, which help to find the delimiter.

    Raises:
        SourceError: the file cannot be opened; or while reading, it is damaged.
    """
    lines = _TextLines(path)
    delimiter = find_delimiter(lines.peek(), known)
    return delimiter, _csv_records(path, lines, delimiter)


def delimiter_note(path: Path, delimiter: str) -> str:
    """Return the note about a delimiter that is not the comma."""
    shown = "a tab" if delimiter == TAB else repr(delimiter)
    return f"{name_of(path)}: the delimiter is {shown}"


def tsv_records(path: Path) -> Iterator[Record | RowError]:
    """Yield the cells of each nonblank line.

    Raises:
        SourceError: the file cannot be opened, or is damaged.
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
    """The lines of a file as text.

    `defect` describes the first line that is not UTF-8 since it was last cleared. The invalid bytes
    of such a line are escaped. Its quotes and separators still count, so later records are split
    correctly.
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
        """Return the first nonblank line without consuming it; empty if there is none."""
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
