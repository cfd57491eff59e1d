"""Judged queries of a collection that measures models."""

from __future__ import annotations

from pathlib import Path

from lexpand.data import Qrels, Query, read_queries
from lexpand.data.readers.beir import find_judgments
from lexpand.errors import DataError


def read_judged(folder: Path) -> tuple[list[Query], Qrels]:
    """Read the queries that have judgments, and the judgments, of a folder in BEIR's layout.

    Args:
        folder: ``queries.jsonl`` and ``qrels/``, of which ``dev.tsv`` or else ``test.tsv`` is used.

    Raises:
        SourceError, DataError: a file is missing or invalid, or no query is judged.
    """
    path = find_judgments(folder, "dev", "test")
    if path is None:
        raise DataError(
            f"{folder} must have qrels/dev.tsv or qrels/test.tsv to measure on, and has neither"
        )
    qrels = Qrels.read(path)
    queries = [query for query in read_queries(folder) if query.query_id in qrels.judgments]
    if not queries:
        raise DataError(f"{folder} must have a judged query, got none: check the query ids")
    return queries, qrels
