"""Read one table of judged questions: a question, a document and perhaps a grade in each row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lexpand.data.documents import check_id, check_text, shown
from lexpand.data.readers import jsonl, spreadsheet
from lexpand.data.readers.column_names import (
    DOCUMENT,
    GRADE,
    QUERY_ID,
    QUESTION,
    TAGS,
    find_column,
    folded,
    need_column,
)
from lexpand.data.readers.delimited import csv_records, delimiter_note, tsv_records
from lexpand.data.readers.json_file import read_rows as read_json
from lexpand.data.readers.judgments import is_word, parse_grade, without_grades
from lexpand.data.readers.rows import OnNote, Row, attempt, header_rows
from lexpand.data.streams import name_of, split_compression
from lexpand.errors import DataError, RowError, SourceError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".xlsx")
"""The suffixes of tables; all but ``.xlsx`` may be compressed."""

_KNOWN = (*QUESTION, *QUERY_ID, *DOCUMENT, *GRADE, *TAGS)

# Names that often mean something else.
_DOUBTFUL = ("search", "text", "url", "id", "score", "label")


class JudgedRow(NamedTuple):
    """One row of a table of judged questions.

    Attributes:
        place: the file and the line.
        query_id: the id of the query; None if the table has no such column.
        text: the question, without outer white space.
        doc_id: the id of the document; None if the row has a question alone.
        grade: the grade; None if the row has none.
        tags: the labels of the question.
    """

    place: str
    query_id: str | None
    text: str
    doc_id: str | None
    grade: int | None
    tags: tuple[str, ...]


def read_rows(path: Path, on_note: OnNote) -> Iterator[JudgedRow | RowError]:
    """Yield the rows of a table, with the errors of invalid ones.

    Column names match in any case; `lexpand.data.readers.column_names` lists them. A row with a
    question but neither document nor grade is a question without judgment, as Quepid writes it. A
    row with a document but an empty grade is not judged.

    Args:
        path: a file with one of `SUFFIXES`.
        on_note: a function that takes one line about each assumption.

    Raises:
        SourceError: the file is missing, damaged, empty or of an unknown kind, or lacks the
            question or the document.
        MissingExtra: the file is a spreadsheet, and openpyxl is not installed.
    """
    name = name_of(path)
    rows = list(_rows(path, on_note))
    # The rows of JSON may have different fields, so that all of them are needed.
    columns = list(dict.fromkeys(key for row in rows if isinstance(row, Row) for key in row.values))
    if not columns:
        bad = next((row for row in rows if isinstance(row, RowError)), None)
        raise SourceError(
            f"{name} is empty: it needs a header and at least one row"
            if bad is None
            else f"{name} must have at least one valid row; the first error is {bad}"
        )
    table = _Columns.find(name, columns)
    if note := table.note(name, columns):
        on_note(note)
    if table.grade is None:
        on_note(without_grades(name))
    yield from _judged(rows, table)
    for note in table.notes(name):
        on_note(note)


def _rows(path: Path, on_note: OnNote) -> Iterable[Row | RowError]:
    kind, compression = split_compression(path)
    match kind:
        case ".csv":
            delimiter, records = csv_records(path, _KNOWN)
            if delimiter != ",":
                on_note(delimiter_note(path, delimiter))
            return header_rows(name_of(path), records)
        case ".tsv":
            return header_rows(name_of(path), tsv_records(path))
        case ".jsonl" | ".ndjson":
            return jsonl.read_rows(path)
        case ".json":
            return read_json(path)
        case ".xlsx" if not compression:
            return spreadsheet.read_rows(path, on_note)
    raise SourceError(
        f"{name_of(path)} must be a table of questions and documents to be read without a file of "
        f"judgments, got {path.suffix or 'no suffix'}: pass the judgments too, or use one of "
        f"{' '.join(SUFFIXES)}"
    )


def _judged(rows: Iterable[Row | RowError], table: _Columns) -> Iterator[JudgedRow | RowError]:
    for row in rows:
        yield row if isinstance(row, RowError) else attempt(table.row, row)


@dataclass(slots=True)
class _Columns:
    """The columns of a table, and what its rows made necessary to note.

    Attributes:
        question: the column of the question.
        document: the column of the document.
        grade: the column of the grade; None if there is none. The same for the others.
        query_id: the column of the id.
        tags: the column of the labels.
        words: the grades that are words, with the number that each is read as.
        ungraded: the number of rows with a document and without a grade.
    """

    question: str
    document: str
    grade: str | None
    query_id: str | None
    tags: str | None
    words: dict[str, int] = field(default_factory=dict)
    ungraded: int = 0

    @classmethod
    def find(cls, name: str, columns: list[str]) -> _Columns:
        grade = find_column(name, columns, GRADE)
        # Files of queries and of documents have an id and a text too.
        documents = DOCUMENT if grade is not None else DOCUMENT[:-1]
        return cls(
            need_column(name, columns, QUESTION, "the question"),
            need_column(name, columns, documents, "the document"),
            grade,
            find_column(name, columns, QUERY_ID),
            find_column(name, columns, TAGS),
        )

    def note(self, name: str, columns: list[str]) -> str:
        """Return which columns are read; empty if their names leave no doubt."""
        used = []
        for role, column, names in (
            ("question", self.question, QUESTION),
            ("document", self.document, DOCUMENT),
            ("grade", self.grade, GRADE),
        ):
            others = [each for each in columns if folded(each) in names and each != column]
            if column is not None and (others or folded(column) in _DOUBTFUL):
                rest = f" and not in {', '.join(map(repr, others))}" if others else ""
                used.append(f"the {role} is in {column!r}{rest}")
        return f"{name}: {', '.join(used)}" if used else ""

    def notes(self, name: str) -> Iterator[str]:
        """Yield the notes about the grades that were read."""
        if self.words:
            words = ", ".join(f"{word} as {grade}" for word, grade in self.words.items())
            yield f"{name}: grades in words are read as numbers: {words}"
        if self.ungraded:
            yield f"{name}: rows without a grade, which are not judgments: {self.ungraded:,}"

    def row(self, row: Row) -> JudgedRow:
        """Return the judged row.

        Raises:
            DataError: the question or the document is missing, or a value is invalid.
        """
        text = _text(row.values, self.question, "the question")
        if not text:
            raise DataError(f"the question (column {self.question!r}) must not be empty")
        query_id = None
        if self.query_id is not None:
            query_id = check_id(_text(row.values, self.query_id, "query_id"), "query_id")
        document = _text(row.values, self.document, "doc_id")
        given = None if self.grade is None else row.values.get(self.grade)
        blank = given is None or (isinstance(given, str) and not given.strip())
        tags = _tags(row.values.get(self.tags)) if self.tags is not None else ()
        if not document and (self.grade is None or not blank):
            raise DataError(
                f"the document (column {self.document!r}) must not be empty, question {text!r}"
            )
        grade = self._grade(given, blank) if document else None
        doc_id = check_id(document, "doc_id") if document else None
        return JudgedRow(row.place, query_id, text, doc_id, grade, tags)

    def _grade(self, given: object, blank: bool) -> int | None:
        if self.grade is None:
            return 1
        if blank:
            self.ungraded += 1
            return None
        grade = parse_grade(given)
        if is_word(given):
            self.words[str(given).strip().lower()] = grade
        return grade


def _text(values: Mapping[str, object], column: str, name: str) -> str:
    """Return a cell as text without outer white space; whole numbers as their digits."""
    value = values.get(column)
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise DataError(f"{name} (column {column!r}) must be a text, got {shown(value)}")
    return check_text(value, name).strip()


def _tags(value: object) -> tuple[str, ...]:
    """Return the labels in a cell with commas, or in a list of JSON."""
    each = value if isinstance(value, list) else str("" if value is None else value).split(",")
    return tuple(dict.fromkeys(tag for tag in (str(item).strip() for item in each) if tag))
