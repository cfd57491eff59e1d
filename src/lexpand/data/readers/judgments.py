"""Read relevance judgments row by row, and collect them without losing what contradicts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lexpand.data.columns import check_row_id, parse_integer, read_columns, split_columns
from lexpand.data.readers.column_names import DOCUMENT, GRADE, QUERY_ID, QUESTION, find_column
from lexpand.data.readers.delimited import DELIMITERS, TAB, split_cells
from lexpand.data.readers.rows import OnNote
from lexpand.data.streams import bad_utf8
from lexpand.errors import DataError, RowError

_WORDS = {
    **dict.fromkeys(("yes", "true", "relevant"), 1),
    **dict.fromkeys(("no", "false", "irrelevant", "not relevant"), 0),
}
_QUERY = (*QUERY_ID, *QUESTION, "topic")


class Judgment(NamedTuple):
    """One row of judgments.

    Attributes:
        place: the file and the line.
        query_id: the id of the query.
        doc_id: the id of the document.
        grade: the grade; <= 0 means not relevant.
    """

    place: str
    query_id: str
    doc_id: str
    grade: int


class Repeated(NamedTuple):
    """A judgment of a pair of query and document that an earlier row judged.

    Attributes:
        judgment: the judgment, which is not used.
        first: the earlier judgment, which is used.
    """

    judgment: Judgment
    first: Judgment

    @property
    def contradicts(self) -> bool:
        """Whether the two grades differ."""
        return self.judgment.grade != self.first.grade


class Judgments:
    """Judgments by query and document. The first row of a pair counts.

    Attributes:
        grades: the grade by doc_id, by query_id.
        repeated: the rows whose pair an earlier row judged, in order.
    """

    def __init__(self) -> None:
        self.grades: dict[str, dict[str, int]] = {}
        self.repeated: list[Repeated] = []
        self._places: dict[tuple[str, str], str] = {}

    def add(self, judgment: Judgment) -> RowError | None:
        """Add a judgment; return the error if it contradicts an earlier one."""
        place, query, document, grade = judgment
        grades = self.grades.setdefault(query, {})
        if document not in grades:
            grades[document] = grade
            self._places[query, document] = place
            return None
        first = judgment._replace(place=self._places[query, document], grade=grades[document])
        self.repeated.append(Repeated(judgment, first))
        if grade == first.grade:
            return None
        return RowError(
            place,
            f"judged {first.grade} and {grade} for query {query!r}: keep one of the lines "
            f"(the first is {first.place})",
            document,
        )


class _Layout(NamedTuple):
    """The columns of a file.

    Attributes:
        delimiter: the delimiter; None for white space.
        names: the names of the columns.
        query: the place of the query_id.
        document: the place of the doc_id.
        grade: the place of the grade; None if every row has grade 1.
    """

    delimiter: str | None
    names: tuple[str, ...]
    query: int
    document: int
    grade: int | None


_TREC = _Layout(None, ("query_id", "0", "doc_id", "grade"), 0, 2, 3)


def read_judgments(path: Path, on_note: OnNote | None = None) -> Iterator[Judgment | RowError]:
    """Yield each judgment of a file, or the error of an invalid row.

    The file has lines of ``query_id 0 doc_id grade`` in TREC's format, or a header that names the
    columns, as in a BEIR table (``query-id``, ``corpus-id``, ``score``) or a CSV file. Grades of a
    table with a header may be words (`parse_grade`). Blank lines are skipped. A line that starts
    with ``#`` is skipped unless it is a valid judgment.

    Args:
        path: the file; ``.gz`` and ``.zst`` files are decompressed.
        on_note: a function that takes a note if the file has no column of grades.

    Raises:
        SourceError: the file is missing or damaged.
    """
    layout, started = _TREC, False
    for place, line in read_columns(path):
        header = None if started else _header(str(path), line)
        if header is not None:
            layout, started = header, True
            if header.grade is None and on_note is not None:
                on_note(without_grades(str(path)))
            continue
        judgment = _parse(place, line, layout)
        if isinstance(judgment, Judgment):
            started = True
        elif line.startswith(b"#"):
            continue
        yield judgment


def without_grades(source: str) -> str:
    """Return the note about a table without grades."""
    return f"{source} has no column for the grade ({', '.join(GRADE)}): every row has grade 1"


def parse_grade(value: object) -> int:
    """Return the grade of a cell or JSON value.

    Args:
        value: a whole number, also as a float or a text (``2``, ``1.0``); a boolean; or one of the
            words yes, true, relevant (1), no, false, irrelevant, not relevant (0), in any case.

    Raises:
        DataError: the value is none of these.
    """
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        text = value.strip().casefold()
        if text in _WORDS:
            return _WORDS[text]
        try:
            return parse_integer("", text, "grade")
        except RowError:
            pass
    raise DataError(
        f"the grade must be a whole number, or one of {', '.join(_WORDS)}, got {value!r}: "
        "correct the row"
    )


def is_word(value: object) -> bool:
    """Return whether a valid grade is written as a word or a boolean."""
    return isinstance(value, bool) or (
        isinstance(value, str) and value.strip().casefold() in _WORDS
    )


def _header(source: str, line: bytes) -> _Layout | None:
    """Return the layout that a header describes; None if the line is no header."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return None
    for delimiter in DELIMITERS:
        names = tuple(_split(text, delimiter))
        found = [find_column(source, names, known) for known in (_QUERY, DOCUMENT, GRADE)]
        if None not in found[:2]:
            query, document, grade = (None if name is None else names.index(name) for name in found)
            assert query is not None and document is not None
            return _Layout(delimiter, names, query, document, grade)
    return None


def _split(text: str, delimiter: str) -> list[str]:
    """Return the cells of a line: unchanged between tabs, without outer spaces in CSV."""
    if delimiter == TAB:
        return text.split(TAB)
    return [cell.strip() for cell in split_cells(text, delimiter, strict=True)]


def _parse(place: str, line: bytes, layout: _Layout) -> Judgment | RowError:
    try:
        cells = _cells(place, line, layout)
        query = check_row_id(place, cells[layout.query], "query_id")
        document = check_row_id(place, cells[layout.document], "doc_id")
        return Judgment(place, query, document, _grade(place, cells, layout))
    except RowError as error:
        return error


def _cells(place: str, line: bytes, layout: _Layout) -> list[str]:
    if layout.delimiter is None or layout.delimiter == TAB:
        separator = None if layout.delimiter is None else TAB.encode()
        return split_columns(place, line, layout.names, separator)
    try:
        cells = _split(line.decode(), layout.delimiter)
    except UnicodeDecodeError as error:
        raise RowError(place, bad_utf8(error)) from None
    if len(cells) != len(layout.names):
        raise RowError(
            place,
            f"a line must have {len(layout.names)} columns ({' '.join(layout.names)}), "
            f"got {len(cells)}; look for a quote that is not closed or not doubled",
        )
    return cells


def _grade(place: str, cells: list[str], layout: _Layout) -> int:
    if layout.grade is None:
        return 1
    if layout.delimiter is None:
        return parse_integer(place, cells[layout.grade], "grade")
    try:
        return parse_grade(cells[layout.grade])
    except DataError as error:
        raise RowError(place, str(error)) from None
