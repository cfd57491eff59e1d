"""Read the first sheet of an Excel workbook with openpyxl, if it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lexpand.data.readers.rows import OnNote, Row, refuse_repeated
from lexpand.data.streams import name_of
from lexpand.errors import MissingExtra, SourceError


def read_rows(path: Path, on_note: OnNote) -> Iterator[Row]:
    """Yield a row for each row of the first sheet below the header; its place is ``file:row N``.

    N is the number that the spreadsheet shows. Rows without a value are skipped. Formulas have the
    value that was saved with them.

    Raises:
        MissingExtra: openpyxl is not installed.
        SourceError: the file is not a workbook, or two columns have the same name.
    """
    header: list[str] | None = None
    for number, values in enumerate(_values(path, on_note), 1):
        if all(value in (None, "") for value in values):
            continue
        if header is None:
            header = ["" if value is None else str(value).strip() for value in values]
            refuse_repeated(name_of(path), [name for name in header if name])
        else:
            named = dict(zip(header, values, strict=False))
            named.pop("", None)
            yield Row(f"{name_of(path)}:row {number}", named)


def _values(path: Path, on_note: OnNote) -> Iterator[tuple[Any, ...]]:
    try:
        import openpyxl
    except ImportError:
        raise MissingExtra("openpyxl", "", "reading spreadsheets (.xlsx)") from None
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # openpyxl has no error class of its own
        raise SourceError(
            f"{name_of(path)} is not an Excel workbook, or is damaged ({error}): "
            "save it again as .xlsx, or as CSV"
        ) from error
    try:
        if not book.worksheets:
            raise SourceError(f"{name_of(path)} must have a sheet with cells, and has none")
        first, *others = book.worksheets
        if others:
            skipped = ", ".join(repr(sheet.title) for sheet in others)
            on_note(f"{name_of(path)}: the sheet {first.title!r} was read, and not {skipped}")
        yield from first.iter_rows(values_only=True)
    finally:
        book.close()
