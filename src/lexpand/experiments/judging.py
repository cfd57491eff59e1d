"""Judging: pools of documents to judge, and a file of grades that grows with each of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lexpand.collection import Collection
from lexpand.data import Qrels, Query
from lexpand.data.qrels import BEIR_HEADER, check_cell
from lexpand.errors import DataError, StorageError
from lexpand.search import Pipeline

DEPTH = 10
"""The number of documents of each pipeline that are judged."""


@dataclass(frozen=True, slots=True)
class PooledDocument:
    """A document to judge for a query.

    Attributes:
        query: the query.
        doc_id: the document.
        ranks: its rank by pipeline, from 1. Judges should not see it.
    """

    query: Query
    doc_id: str
    ranks: Mapping[str, int]


def pool(
    kb: Collection,
    queries: Sequence[Query],
    pipelines: Sequence[str | Path | None],
    *,
    depth: int = DEPTH,
    threads: int = 1,
) -> list[PooledDocument]:
    """Return the best documents of several pipelines for each query, without duplicates.

    Documents of a query are ordered by a hash of their ids, so that their order tells a judge
    nothing about their ranks.

    Args:
        kb: the collection.
        queries: the queries; empty ones are left out.
        pipelines: names or files; None for the pipeline of the collection.
        depth: the number of documents of each pipeline.
        threads: the number of threads of the searches.

    Raises:
        DataError: ``depth`` is below 1, or a pipeline is unknown.
    """
    if depth < 1:
        raise DataError(f"depth must be >= 1, got {depth}")
    asked = [query for query in queries if query.text.strip()]
    found: list[dict[str, dict[str, int]]] = [{} for _ in asked]
    for pipeline in pipelines:
        name = "default" if pipeline is None else str(pipeline)
        chosen = None if pipeline is None else Pipeline.load(pipeline)
        texts = [query.text for query in asked]
        for ranks, matches in zip(
            found, kb.retriever(chosen).rank(texts, depth, threads=threads), strict=True
        ):
            for rank, doc_id in enumerate(matches.doc_ids, 1):
                ranks.setdefault(doc_id, {})[name] = rank
    return [
        PooledDocument(query, doc_id, ranks[doc_id])
        for query, ranks in zip(asked, found, strict=True)
        for doc_id in sorted(ranks, key=lambda doc_id: _shuffled(query.query_id, doc_id))
    ]


class JudgmentFile:
    """A BEIR table of grades, to which each judgment is appended and synced at once.

    Args:
        path: the file. An existing one is continued.

    Attributes:
        grades: the grade by doc_id, by query_id.

    Raises:
        RowError, SourceError: the file exists and is no file of judgments.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.grades: dict[str, dict[str, int]] = {}
        if path.exists() and path.stat().st_size > len(BEIR_HEADER) + 1:
            kept = Qrels.read(path)
            self.grades = {query: dict(grades) for query, grades in kept.judgments.items()}

    def is_judged(self, query_id: str, doc_id: str) -> bool:
        """Return whether the file has a grade of the pair."""
        return doc_id in self.grades.get(query_id, {})

    def add(self, query_id: str, doc_id: str, grade: int) -> None:
        """Append a grade.

        Raises:
            DataError: an id contains a tab or a line end, or the pair is judged already.
            StorageError: the file cannot be written.
        """
        if self.is_judged(query_id, doc_id):
            raise DataError(f"query {query_id!r}, document {doc_id!r} is judged already")
        row = f"{check_cell(query_id, 'query_id')}\t{check_cell(doc_id, 'doc_id')}\t{grade}\n"
        try:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                if file.tell() == 0:
                    file.write(f"{BEIR_HEADER}\n")
                file.write(row)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"cannot write {self.path}: {error.strerror or error}") from error
        self.grades.setdefault(query_id, {})[doc_id] = grade

    def remove(self, query_id: str, doc_id: str) -> None:
        """Remove a grade; the file is written again.

        Raises:
            StorageError: the file cannot be written.
        """
        del self.grades[query_id][doc_id]
        if not self.grades[query_id]:
            del self.grades[query_id]
        Qrels(self.grades).write_beir(self.path)

    def qrels(self) -> Qrels:
        """Return the judgments."""
        return Qrels(self.grades)


class Session:
    """A judge's way through a pool: grade, skip or go back.

    Args:
        pooled: the documents to judge. Those that the file judges are passed over.
        judgments: the file of grades.
    """

    def __init__(self, pooled: Sequence[PooledDocument], judgments: JudgmentFile) -> None:
        self._pooled = pooled
        self._judgments = judgments
        self._place = 0
        self._behind: list[int] = []
        self._pass_judged()

    @property
    def current(self) -> PooledDocument | None:
        """The document to judge; None at the end."""
        return self._pooled[self._place] if self._place < len(self._pooled) else None

    @property
    def judged(self) -> int:
        """The number of documents of the pool that the file judges."""
        return sum(map(self._is_judged, self._pooled))

    def grade(self, grade: int) -> None:
        """Grade the current document, and go to the next.

        Raises:
            StorageError: the file cannot be written.
        """
        current = self._pooled[self._place]
        self._judgments.add(current.query.query_id, current.doc_id, grade)
        self._advance()

    def skip(self) -> None:
        """Go to the next document; the current one stays without a grade."""
        self._advance()

    def skip_query(self) -> None:
        """Go to the next query."""
        query = self._pooled[self._place].query
        while self.current is not None and self.current.query == query:
            self._advance()

    def back(self) -> bool:
        """Go back to the last document, and take its grade back; False at the beginning.

        Raises:
            StorageError: the file cannot be written.
        """
        if not self._behind:
            return False
        self._place = self._behind.pop()
        if self._is_judged(self._pooled[self._place]):
            self._judgments.remove(
                self._pooled[self._place].query.query_id, self._pooled[self._place].doc_id
            )
        return True

    def _advance(self) -> None:
        self._behind.append(self._place)
        self._place += 1
        self._pass_judged()

    def _pass_judged(self) -> None:
        while self.current is not None and self._is_judged(self.current):
            self._place += 1

    def _is_judged(self, document: PooledDocument) -> bool:
        return self._judgments.is_judged(document.query.query_id, document.doc_id)


def _shuffled(query_id: str, doc_id: str) -> bytes:
    return hashlib.blake2b(f"{query_id}\0{doc_id}".encode(), digest_size=8).digest()
