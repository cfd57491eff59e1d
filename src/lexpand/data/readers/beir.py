"""A folder in BEIR's layout: ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/*.tsv``."""

from __future__ import annotations

from pathlib import Path

_COMPRESSIONS = ("", ".gz", ".zst")


def find_corpus(folder: Path) -> Path | None:
    """The file of documents, plain or compressed, or None where the folder has none."""
    return _find(folder, "corpus.jsonl")


def find_queries(folder: Path) -> Path | None:
    """The file of queries, plain or compressed, or None where the folder has none."""
    return _find(folder, "queries.jsonl")


def _find(folder: Path, name: str) -> Path | None:
    paths = (folder / f"{name}{compression}" for compression in _COMPRESSIONS)
    return next((path for path in paths if path.is_file()), None)
