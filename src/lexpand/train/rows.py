"""Rows of training data that are read, extended and written again with all their fields."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lexpand.data import Qrels, read_documents, read_queries
from lexpand.data.documents import check_text, shown
from lexpand.data.readers.beir import find_corpus, find_judgments, find_queries
from lexpand.data.readers.rows import OnBadRow
from lexpand.data.streams import bad_utf8, name_of, read_lines, write_lines
from lexpand.errors import DataError, RowError, SourceError

UNNAMED = ""
"""The name of the teacher of a list of scores."""

FIRST = "first"
"""The name that a list of scores gets when the scores of another teacher join it."""

Scores = tuple[float, ...]
"""A score for the positive and for each negative; NaN marks a document without a score."""


@dataclass(frozen=True, slots=True)
class Row:
    """A query with its documents, the scores of teachers, and all other fields of the row.

    Attributes:
        query: the query.
        documents: the positive first, then the negatives.
        scores: the scores by the name of the teacher. `UNNAMED` stands for a plain list.
        fields: the other fields, unchanged.
        place: the file and the line, for messages.
    """

    query: str
    documents: tuple[str, ...]
    scores: Mapping[str, Scores] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    place: str = field(default="", compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as `read_rows` reads it."""
        positive, *negatives = self.documents
        row: dict[str, Any] = {"query": self.query, "positive": positive, "negatives": negatives}
        lists = {
            name: [_plain(each) for each in scores]
            for name, scores in self.scores.items()
            if not all(map(math.isnan, scores))
        }
        if set(lists) == {UNNAMED}:
            row["scores"] = lists[UNNAMED]
        elif lists:
            row["scores"] = {name or FIRST: scores for name, scores in lists.items()}
        return {**row, **self.fields}


def pairs_of(rows: Iterable[Row]) -> dict[tuple[str, str], None]:
    """Return the distinct pairs of query and document, in order."""
    return dict.fromkeys((row.query, text) for row in rows for text in row.documents)


def key_of(query: str) -> str:
    """Return the key of a query: queries that differ in case or outer white space are equal."""
    return query.strip().casefold()


def read_rows(paths: Iterable[str | Path], on_bad_row: OnBadRow) -> Iterator[Row]:
    """Read rows of training data; ``.gz`` and ``.zst`` files are decompressed.

    A row has ``query``, ``positive`` (or ``text``, with an optional ``title``), and optionally
    ``negatives`` (a list of texts) and ``scores`` (one number for the positive and for each
    negative; null for one without a score). With several teachers, ``scores`` is an object of such
    lists by the name of the teacher. A positive that consists of ``title`` and ``text`` replaces
    these fields.

    A folder stands for the JSON lines files in it. A folder in BEIR's layout gives a row for each
    relevant document of ``qrels/train.tsv``; documents with grade 0 are its negatives.

    Args:
        paths: JSON lines files, folders of them, and BEIR folders.
        on_bad_row: called for each row that cannot be used.

    Raises:
        SourceError: a file cannot be read, or a folder has no JSON lines file or no training
            judgments.
    """
    for path in map(Path, paths):
        if path.is_dir() and find_corpus(path) and find_queries(path):
            yield from _read_beir(path, on_bad_row)
            continue
        for file in _files(path):
            for number, line in read_lines(file):
                if line.strip():
                    place = f"{name_of(file)}:{number}"
                    try:
                        yield replace(_row(line), place=place)
                    except DataError as error:
                        on_bad_row(RowError(place, str(error)))


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as JSON lines, atomically; ``.gz`` and ``.zst`` files are compressed.

    Raises:
        StorageError: the file cannot be written.
    """
    write_lines(path, (json.dumps(row.to_dict(), ensure_ascii=False) for row in rows))


def _files(path: Path) -> Sequence[Path]:
    if not path.is_dir():
        return [path]
    files = [
        file for file in sorted(path.rglob("*")) if ".jsonl" in file.suffixes and file.is_file()
    ]
    if not files:
        raise SourceError(f"{path} has no JSON lines file (.jsonl, .jsonl.gz, .jsonl.zst)")
    return files


def _read_beir(folder: Path, on_bad_row: OnBadRow) -> Iterator[Row]:
    """Read the judgments for training of a folder in BEIR's layout."""
    found = sorted(path.name for path in (folder / "qrels").glob("*"))
    path = find_judgments(folder, "train")
    if path is None:
        raise SourceError(
            f"{folder} must have qrels/train.tsv to train on, got {', '.join(found) or 'no qrels'}:"
            " test judgments are for measuring. Copy the file to train.tsv to train on it"
        )
    judgments = Qrels.read(path).judgments
    texts = {
        document.doc_id: document.full_text
        for document in read_documents(folder, on_bad_row=on_bad_row)
    }
    queries = {query.query_id: query.text for query in read_queries(folder, on_bad_row=on_bad_row)}
    for query_id, grades in judgments.items():
        place = f"{path}: query {query_id}"
        missing = [doc_id for doc_id in grades if doc_id not in texts]
        if query_id not in queries or missing:
            what = f"document {missing[0]!r}" if missing else f"query {query_id!r}"
            on_bad_row(RowError(place, f"judged ids must be in the folder, {what} is not"))
            continue
        negatives = [texts[doc_id] for doc_id, grade in grades.items() if grade <= 0]
        for doc_id, grade in grades.items():
            if grade > 0:
                positive = texts[doc_id]
                documents = (positive, *(text for text in negatives if text != positive))
                yield Row(queries[query_id], documents, place=place)


_NEEDED = {"query": "`query`", "positive": "`positive`, or `text`"}


def _row(line: bytes) -> Row:
    try:
        row = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise DataError(bad_utf8(error)) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"a row must be a JSON object: {error}") from None
    if not isinstance(row, dict):
        raise DataError(f"a row must be a JSON object, got {shown(row)}")
    fields = ", ".join(row) or "of an empty row"
    query, positive = row.pop("query", None), _pop_positive(row)
    negatives = row.pop("negatives", None) or []
    if not isinstance(negatives, list):
        raise DataError(f"negatives must be a list of texts, got {shown(negatives)}")
    named = [("query", query), ("positive", positive)]
    named += [(f"negative {i}", text) for i, text in enumerate(negatives, 1)]
    for name, text in named:
        if text is None and name in _NEEDED:
            raise DataError(f"a row must have {_NEEDED[name]}, got the fields {fields}")
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{name} must be a text that is not empty, got {shown(text)}")
        check_text(text, name)
    if positive in negatives:
        raise DataError("a negative must differ from the positive: remove it from negatives")
    scores = _all_scores(row.pop("scores", None), 1 + len(negatives))
    _check_fields(row)
    return Row(query, (positive, *negatives), scores, row)


def _pop_positive(row: dict[str, Any]) -> Any:  # noqa: ANN401 - of any row
    """Remove the positive and return it; a title and text that are the positive go with it."""
    if "positive" in row:
        return row.pop("positive")
    title, text = row.pop("title", None), row.pop("text", None)
    if not title:
        return text
    return f"{title} {text}" if text else title


def _check_fields(fields: Mapping[str, Any]) -> None:
    """Refuse other fields that no file can hold, such as a lone surrogate."""
    for name, value in fields.items():
        check_text(json.dumps({name: value}, ensure_ascii=False), f"the field {name!r}")


def _all_scores(given: object, count: int) -> dict[str, Scores]:
    if given is None:
        return {}
    teachers = given if isinstance(given, dict) else {UNNAMED: given}
    return {name: _scores(scores, count) for name, scores in teachers.items()}


def _scores(given: object, count: int) -> Scores:
    if not isinstance(given, list) or len(given) != count:
        raise DataError(
            f"scores must be a list of {count} numbers, one for the positive and each negative,"
            f" got {shown(given)}"
        )
    return tuple(map(_score, given))


def _score(given: object) -> float:
    if given is None:
        return math.nan
    if isinstance(given, bool) or not isinstance(given, int | float) or math.isinf(given):
        raise DataError(f"a score must be a finite number or null, got {shown(given)}")
    return float(given)


def _plain(score: float) -> float | None:
    return None if math.isnan(score) else round(score, 5)
