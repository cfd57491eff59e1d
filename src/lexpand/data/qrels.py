"""Relevance judgments (qrels)."""

from __future__ import annotations

import itertools
import operator
import reprlib
from collections.abc import ItemsView, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lexpand.data.columns import check_trec
from lexpand.data.documents import check_id
from lexpand.data.readers.judgments import Judgments, read_judgments
from lexpand.data.readers.rows import keep_good
from lexpand.data.streams import write_lines
from lexpand.errors import DataError, SourceError

T = TypeVar("T")

BEIR_HEADER = "query-id\tcorpus-id\tscore"
"""The first line of a BEIR table of judgments."""


@dataclass(frozen=True, slots=True)
class Qrels:
    """The grades of judged documents for each query.

    Attributes:
        judgments: the grade by doc_id, by query_id. A grade is an integer; <= 0 means not
            relevant.

    Raises:
        DataError: an id is invalid, or a grade is not an integer.
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
        r"""Read lines of ``query_id 0 doc_id grade`` in TREC's format, or a table with a header.

        The header names the columns, as in a BEIR table (``query-id\tcorpus-id\tscore``) or a CSV
        file (``query_id,doc_id,grade``). ``.gz`` and ``.zst`` files are decompressed. Blank lines
        are skipped. A line that starts with ``#`` is skipped unless it is a valid judgment. A grade
        may be written ``1.0``. A judgment may be repeated.

        Raises:
            RowError: a line is invalid, or contradicts an earlier one.
            SourceError: the file is missing or damaged, or has no judgment.
        """
        judgments = Judgments()
        for judgment in keep_good(read_judgments(Path(path)), None):
            contradiction = judgments.add(judgment)
            if contradiction is not None:
                raise contradiction
        if not judgments.grades:
            raise SourceError(f"{path} has no judgments: check that it is the right file")
        return cls(judgments.grades)

    def write_trec(self, path: str | Path) -> None:
        """Write a file in TREC's format, atomically; ``.gz`` and ``.zst`` files are compressed.

        Raises:
            DataError: an id contains white space.
            StorageError: the file cannot be written.
        """
        lines = (
            f"{check_trec(query, 'query_id')} 0 {check_trec(document, 'doc_id')} {grade}"
            for query, document, grade in self._flat()
        )
        write_lines(Path(path), lines)

    def write_beir(self, path: str | Path) -> None:
        """Write a BEIR table, atomically; ``.gz`` and ``.zst`` files are compressed.

        Raises:
            DataError: an id contains a tab or a line end.
            StorageError: the file cannot be written.
        """
        lines = (
            f"{check_cell(query, 'query_id')}\t{check_cell(document, 'doc_id')}\t{grade}"
            for query, document, grade in self._flat()
        )
        write_lines(Path(path), itertools.chain([BEIR_HEADER], lines))

    def _flat(self) -> Iterator[tuple[str, str, int]]:
        for query, grades in self.judgments.items():
            for document, grade in grades.items():
                yield query, document, grade


def _check_grade(query: str, document: str, grade: int) -> int:
    try:
        return operator.index(grade)
    except TypeError:
        raise DataError(
            f"query {query!r}, document {document!r}: the grade must be an integer, got {grade!r}"
        ) from None


def _items(value: Mapping[str, T], name: str) -> ItemsView[str, T]:
    if not isinstance(value, Mapping):
        wanted = "from query_id to grades, each from doc_id to grade"
        raise DataError(f"{name} must be a mapping ({wanted}), got {reprlib.repr(value)}")
    return value.items()


def check_cell(value: str, name: str) -> str:
    """Return a text that is a cell of BEIR's table.

    Raises:
        DataError: it contains a tab or a line end.
    """
    if any(character in value for character in "\t\r\n"):
        raise DataError(
            f"{name} must not contain a tab or a line end in BEIR's table, got {value!r}: change it"
        )
    return value
