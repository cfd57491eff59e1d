"""Find the files of a folder in BEIR's layout (``corpus.jsonl``, ``queries.jsonl``)."""

from __future__ import annotations

from pathlib import Path

_COMPRESSIONS = ("", ".gz", ".zst")


def find_corpus(folder: Path) -> Path | None:
    """Return the path of the documents, plain or compressed; None if the folder has none."""
    return _find(folder, "corpus.jsonl")


def find_queries(folder: Path) -> Path | None:
    """Return the path of the queries, plain or compressed; None if the folder has none."""
    return _find(folder, "queries.jsonl")


def _find(folder: Path, name: str) -> Path | None:
    paths = (folder / f"{name}{compression}" for compression in _COMPRESSIONS)
    return next((path for path in paths if path.is_file()), None)
