"""Judged queries: what a search is measured on, from the forms in which people have them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lexpand.data.documents import Query
from lexpand.data.qrels import Qrels
from lexpand.data.readers import beir, judged_table
from lexpand.data.readers.dispatch import read_queries
from lexpand.data.readers.irds import PREFIX, IrDataset
from lexpand.data.readers.judged_table import JudgedRow
from lexpand.data.readers.judgments import Judgment, Judgments, Repeated, read_judgments
from lexpand.data.readers.query_tags import read_tags
from lexpand.data.readers.rows import OnBadRow, keep_good
from lexpand.data.streams import name_of, read_lines, split_compression, write_lines
from lexpand.errors import DataError, RowError, SourceError

SPLITS = ("test", "dev", "train")
"""The splits of a folder in BEIR's layout, in order of preference."""

# The csv module quotes a cell with one of these characters.
_LINE_END = "\r\n"


@dataclass(frozen=True, slots=True)
class JudgedQueries:
    """Queries with judgments of their documents.

    Attributes:
        queries: all queries, in the order of the source, also those without judgments.
        qrels: the judgments.
        tags: the labels of queries by query_id; queries without a label are left out.
        name: the name of the collection.
        notes: the assumptions of the reader, one line each.
        repeated: the rows of the source that judge a pair again, which are not used.
    """

    queries: tuple[Query, ...]
    qrels: Qrels
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    name: str = ""
    notes: tuple[str, ...] = ()
    repeated: tuple[Repeated, ...] = field(default=(), compare=False, repr=False)

    @property
    def judged(self) -> tuple[Query, ...]:
        """The queries that have judgments, in order."""
        return tuple(query for query in self.queries if query.query_id in self.qrels.judgments)


def read_judged(
    queries: str | Path,
    qrels: str | Path | None = None,
    *,
    split: str | Sequence[str] | None = None,
    on_bad_row: OnBadRow | None = None,
) -> JudgedQueries:
    """Read judged queries from one of these forms.

    ==========================  ====================================================================
    a folder in BEIR's layout   ``queries.jsonl``, ``qrels/test.tsv`` (or ``dev.tsv``,
                                ``train.tsv``) and perhaps ``tags.tsv``
    two files                   queries as `read_queries` reads them, and judgments as `Qrels.read`
                                reads them
    one table                   CSV, TSV, JSON or ``.xlsx`` (needs openpyxl) with a question, a
                                document and perhaps a grade in each row, as exported by Quepid
    ``irds:`` and an id         a dataset of ir_datasets, such as ``irds:beir/scifact/test``
    ==========================  ====================================================================

    Equal questions of a table are one query. Without a column of ids, queries are called ``q1``,
    ``q2``, ... in order of first appearance. Without a column of grades, every row has grade 1.

    Args:
        queries: the folder, the file of queries, the table or the id.
        qrels: the file of judgments.
        split: the split of a folder, or several in order of preference; by default the first of
            test, dev and train that it has.
        on_bad_row: a function that takes the error of each invalid row, and of each judgment that
            contradicts an earlier one; None raises the first.

    Raises:
        SourceError: a source is missing, damaged or of an unknown kind, lacks a column, or has no
            judgment, or no query is judged.
        RowError: a row is invalid and ``on_bad_row`` is None.
        DataError: ``split`` is given for something else than a folder.
        MissingExtra: openpyxl or ir_datasets is needed and not installed.
    """
    parts = _Parts(on_bad_row)
    source = queries.as_posix() if isinstance(queries, Path) else queries
    if source.startswith(PREFIX):
        _refuse(split, source)
        return parts.of_dataset(source, qrels)
    path = Path(queries)
    if not path.exists():
        raise SourceError(f"{name_of(path)} does not exist: check the path")
    if not path.is_dir() or qrels is not None:
        _refuse(split, name_of(path))
    if qrels is not None:
        return parts.of_files(path, Path(qrels))
    return parts.of_folder(path, split) if path.is_dir() else parts.of_table(path)


def read_query_log(source: str | Path) -> list[Query]:
    """Read queries whose ids do not matter: a text file, a query file, or a table of questions.

    ====================  =======================================================================
    ``.txt``              each line is a query, called ``q1``, ``q2``, ... (also .gz and .zst)
    a query file          see `read_queries`
    a judged table        see `read_judged`; equal questions are one query
    ====================  =======================================================================

    Raises:
        SourceError, RowError: see `read_queries`.
    """
    path = Path(source)
    if split_compression(path)[0] == ".txt":
        lines = (line.decode(errors="replace").strip() for _, line in read_lines(path))
        found = [Query(f"q{place}", text) for place, text in enumerate(filter(None, lines), 1)]
        if found:
            return found
        raise SourceError(f"{name_of(path)} has no queries: write one in each line")
    try:
        return list(read_queries(path))
    except DataError:
        try:
            rows = keep_good(judged_table.read_rows(path, lambda _: None), None)
            texts = dict.fromkeys(row.text for row in rows)
        except DataError:
            texts = {}
        if not texts:
            raise
        return [Query(f"q{place}", text) for place, text in enumerate(texts, 1)]


def write_quepid(path: str | Path, judged: JudgedQueries) -> None:
    """Write the judgments as ``query,docid,rating``, which Quepid imports, atomically.

    Queries without judgments are left out. Quepid knows a query by its text alone.

    Raises:
        DataError: two queries have the same text and judge a document differently.
        StorageError: the file cannot be written.
    """
    merged = Judgments()
    for query in judged.judged:
        for doc_id, grade in judged.qrels.judgments[query.query_id].items():
            merged.add(Judgment(query.query_id, query.text, doc_id, grade))
    for later, first in merged.repeated:
        if later.grade != first.grade:
            raise DataError(
                f"queries {first.place!r} and {later.place!r} have the same text, so they must "
                f"have the same grade for document {later.doc_id!r} in Quepid's table, got "
                f"{first.grade} and {later.grade}: change one of the texts or grades"
            )
    rows = [
        (text, doc_id, grade)
        for text, grades in merged.grades.items()
        for doc_id, grade in grades.items()
    ]
    write_lines(Path(path), map(_csv_line, [("query", "docid", "rating"), *rows]))


def _csv_line(cells: Sequence[object]) -> str:
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator=_LINE_END).writerow(cells)
    return line.getvalue().removesuffix(_LINE_END)


def _refuse(split: object, source: str) -> None:
    if split is not None:
        raise DataError(
            f"split must be left out unless the judgments are in a folder in BEIR's layout, got "
            f"{split!r} for {source}"
        )


class _Parts:
    """Builds judged queries from the rows of a source."""

    def __init__(self, on_bad_row: OnBadRow | None) -> None:
        self._on_bad_row = on_bad_row
        self._judgments = Judgments()
        self._notes: list[str] = []

    def of_folder(self, folder: Path, split: str | Sequence[str] | None) -> JudgedQueries:
        splits = SPLITS if split is None else (split,) if isinstance(split, str) else tuple(split)
        if beir.find_queries(folder) is None:
            raise SourceError(
                f"{name_of(folder)} must have queries.jsonl (also .gz or .zst) and qrels/, as in "
                "BEIR's layout, and has no queries: pass the files of queries and judgments"
            )
        path = beir.find_judgments(folder, *splits)
        there = sorted(each.name for each in (folder / "qrels").glob("*") if each != path)
        if path is None:
            wanted = " or ".join(f"qrels/{each}.tsv" for each in splits)
            raise SourceError(
                f"{name_of(folder)} must have {wanted} (also .gz or .zst), got "
                f"{', '.join(there) or 'no qrels'}: name another split, or pass the judgments"
            )
        if split is None and there:
            self._notes.append(
                f"the judgments are those of qrels/{path.name}, and not {', '.join(there)}"
            )
        self._take(read_judgments(path, self._notes.append))
        queries = tuple(read_queries(folder, on_bad_row=self._on_bad_row))
        return self._made(folder.resolve().name, queries, path, self._tags(folder, queries))

    def of_files(self, queries: Path, qrels: Path) -> JudgedQueries:
        if not qrels.is_file():
            raise SourceError(
                f"{name_of(qrels)} must be a file of judgments, and is not: check the path"
            )
        self._take(read_judgments(qrels, self._notes.append))
        found = tuple(read_queries(queries, on_bad_row=self._on_bad_row))
        tags = self._tags(queries, found) if queries.is_dir() else {}
        return self._made(_stem(queries), found, qrels, tags)

    def of_table(self, path: Path) -> JudgedQueries:
        found = _TableQueries()
        rows = judged_table.read_rows(path, self._notes.append)
        for row in keep_good(rows, self._on_bad_row):
            self._report(found.add(row, self._judgments))
        return self._made(_stem(path), tuple(found.queries.values()), path, found.tags)

    def of_dataset(self, source: str, qrels: str | Path | None) -> JudgedQueries:
        dataset = IrDataset(source)
        if qrels is not None:
            raise DataError(f"qrels must be left out for {source}, which has its own, got {qrels}")
        self._take(dataset.judgments())
        queries = tuple(keep_good(dataset.queries(), self._on_bad_row))
        return self._made(source.removeprefix(PREFIX), queries, Path(source), {})

    def _take(self, judgments: Iterable[Judgment | RowError]) -> None:
        for judgment in keep_good(judgments, self._on_bad_row):
            self._report(self._judgments.add(judgment))

    def _report(self, error: RowError | None) -> None:
        if error is None:
            return
        if self._on_bad_row is None:
            raise error
        self._on_bad_row(error)

    def _tags(self, folder: Path, queries: Sequence[Query]) -> dict[str, tuple[str, ...]]:
        path = beir.find_tags(folder)
        if path is None:
            return {}
        known = {query.query_id for query in queries}
        tags: dict[str, tuple[str, ...]] = {}
        for place, query_id, labels in keep_good(read_tags(path), self._on_bad_row):
            if query_id not in known:
                reason = f"a labelled query must be in queries.jsonl, {query_id!r} is not"
                self._report(RowError(place, reason, query_id))
            elif labels:
                tags[query_id] = labels
        return tags

    def _made(
        self,
        name: str,
        queries: tuple[Query, ...],
        source: Path,
        tags: Mapping[str, tuple[str, ...]],
    ) -> JudgedQueries:
        grades = self._judgments.grades
        if not grades:
            raise SourceError(
                f"{name_of(source)} has no judgments: check that it is the right file"
            )
        made = JudgedQueries(
            queries, Qrels(grades), tags, name, tuple(self._notes), tuple(self._judgments.repeated)
        )
        if not made.judged:
            asked = repr(queries[0].query_id) if queries else "none"
            raise SourceError(
                f"{name_of(source)} must judge a query of {name}, and judges none: check the query "
                f"ids, such as {asked} of the queries and {next(iter(grades))!r} of the judgments"
            )
        return made


class _TableQueries:
    """The queries of a table, with an id for each question.

    Attributes:
        queries: the queries by id, in order of first appearance.
        tags: the labels by id.
    """

    def __init__(self) -> None:
        self.queries: dict[str, Query] = {}
        self.tags: dict[str, tuple[str, ...]] = {}
        self._ids: dict[str, str] = {}

    def add(self, row: JudgedRow, judgments: Judgments) -> RowError | None:
        """Add the question and the judgment of a row; return the error if one is refused."""
        query_id = row.query_id or self._ids.setdefault(row.text, f"q{len(self._ids) + 1}")
        query = self.queries.setdefault(query_id, Query(query_id, row.text))
        if query.text != row.text:
            reason = (
                f"a query_id must have one question, {query_id!r} has {query.text!r} and "
                f"{row.text!r}: change the id or the question"
            )
            return RowError(row.place, reason, row.doc_id)
        if row.tags:
            self.tags[query_id] = tuple(dict.fromkeys((*self.tags.get(query_id, ()), *row.tags)))
        if row.doc_id is None or row.grade is None:
            return None
        return judgments.add(Judgment(row.place, query_id, row.doc_id, row.grade))


def _stem(path: Path) -> str:
    """Return the name of a folder, or of a file without its suffixes."""
    return path.resolve().name if path.is_dir() else path.name.split(".")[0] or path.name
