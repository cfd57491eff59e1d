"""Relevance judgments: which documents answer which query, and how well."""

from __future__ import annotations

import itertools
import operator
import reprlib
from collections.abc import ItemsView, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lexpand.data.columns import (
    check_row_id,
    check_trec,
    parse_integer,
    read_columns,
    split_columns,
)
from lexpand.data.documents import check_id
from lexpand.data.streams import write_lines
from lexpand.errors import DataError, RowError, SourceError

T = TypeVar("T")

_TREC_COLUMNS = ("query_id", "0", "doc_id", "grade")
_BEIR_COLUMNS = ("query-id", "corpus-id", "score")
_BEIR_HEADER = "\t".join(_BEIR_COLUMNS)


@dataclass(frozen=True, slots=True)
class Qrels:
    """For each query the grades of the documents that were judged for it.

    Attributes:
        judgments: for each query_id its grade for each doc_id; a whole number, 0 or less for not
            relevant.

    Raises:
        DataError: an id is no legal id, or a grade no integer.
    """

    judgments: Mapping[str, Mapping[str, int]]

    def __post_init__(self) -> None:
        checked = {
            check_id(query, "query_id"): {
                check_id(document, "doc_id"): _check_grade(query, document, grade)
                for document, grade in _items(grades, f"the grades of query {query!r}")
            }
            for query, grades in _items(self.judgments, "judgments")
        }
        object.__setattr__(self, "judgments", checked)

    @classmethod
    def read(cls, path: str | Path) -> Qrels:
        r"""Reads TREC's ``query_id 0 doc_id grade`` lines, or a BEIR table.

        A BEIR table is recognized by its first line, ``query-id\tcorpus-id\tscore``. ``.gz`` and
        ``.zst`` are decompressed. Blank lines and lines that begin with ``#`` are skipped, unless
        the latter read as a judgment. A grade may be written ``1.0``. A judgment may be repeated.

        Raises:
            RowError: a line that cannot be used, or that contradicts an earlier one.
            SourceError: the file is missing, damaged or holds no judgment.
        """
        found: dict[str, dict[str, int]] = {}
        for place, query, document, cell in _read_judgments(Path(path)):
            grades = found.setdefault(check_row_id(place, query, "query_id"), {})
            check_row_id(place, document, "doc_id")
            grade = parse_integer(place, cell, "grade")
            if grades.setdefault(document, grade) != grade:
                reason = f"judged {grades[document]} and {grade} for query {query!r}: keep one of the lines"
                raise RowError(place, reason, document)
        if not found:
            raise SourceError(f"{path} holds no judgments: check that it is the right file")
        return cls(found)

    def write_trec(self, path: str | Path) -> None:
        """Writes TREC's four columns, atomically; ``.gz`` and ``.zst`` are compressed.

        Raises:
            DataError: an id holds white space.
            StorageError: the disk refused.
        """
        lines = (
            f"{check_trec(query, 'query_id')} 0 {check_trec(document, 'doc_id')} {grade}"
            for query, document, grade in self._flat()
        )
        write_lines(Path(path), lines)

    def write_beir(self, path: str | Path) -> None:
        """Writes BEIR's table with its header, atomically; ``.gz`` and ``.zst`` are compressed.

        Raises:
            DataError: an id holds a tab or a line end.
            StorageError: the disk refused.
        """
        lines = (
            f"{_check_cell(query, 'query_id')}\t{_check_cell(document, 'doc_id')}\t{grade}"
            for query, document, grade in self._flat()
        )
        write_lines(Path(path), itertools.chain([_BEIR_HEADER], lines))

    def _flat(self) -> Iterator[tuple[str, str, int]]:
        for query, grades in self.judgments.items():
            for document, grade in grades.items():
                yield query, document, grade


def _read_judgments(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yields place, query_id, doc_id and grade, the last three as they stand in the file."""
    beir, begun = False, False
    for place, line in read_columns(path):
        if not begun and line == _BEIR_HEADER.encode():
            beir = begun = True
            continue
        try:
            judgment = _split(place, line, beir)
        except RowError:
            if line.startswith(b"#"):
                continue
            raise
        begun = True
        yield place, *judgment


def _split(place: str, line: bytes, beir: bool) -> tuple[str, str, str]:
    """The query_id, doc_id and grade of a line; the grade of a line that may be a comment is checked."""
    if beir:
        query, document, grade = split_columns(place, line, _BEIR_COLUMNS, b"\t")
    else:
        query, _, document, grade = split_columns(place, line, _TREC_COLUMNS)
    if query.startswith("#"):
        parse_integer(place, grade, "grade")
    return query, document, grade


def _check_grade(query: str, document: str, grade: int) -> int:
    try:
        return operator.index(grade)
    except TypeError:
        raise DataError(
            f"query {query!r}, document {document!r}: the grade is {grade!r}, no integer"
        ) from None


def _items(value: Mapping[str, T], name: str) -> ItemsView[str, T]:
    if not isinstance(value, Mapping):
        wanted = "from query_id to grades, each from doc_id to grade"
        raise DataError(f"{name} must be a mapping ({wanted}), got {reprlib.repr(value)}")
    return value.items()


def _check_cell(value: str, name: str) -> str:
    if any(character in value for character in "\t\r\n"):
        raise DataError(
            f"{name} {value!r} holds a tab or a line end, which BEIR's table cannot: change it"
        )
    return value
