"""Find the files of a folder in BEIR's layout (``corpus.jsonl``, ``queries.jsonl``, ``qrels/``)."""

from __future__ import annotations

from pathlib import Path

_COMPRESSIONS = ("", ".gz", ".zst")


def find_corpus(folder: Path) -> Path | None:
    """Return the path of the documents, plain or compressed; None if the folder has none."""
    return _find(folder, "corpus.jsonl")


def find_queries(folder: Path) -> Path | None:
    """Return the path of the queries, plain or compressed; None if the folder has none."""
    return _find(folder, "queries.jsonl")


def find_tags(folder: Path) -> Path | None:
    """Return the path of the labels of queries, plain or compressed; None if it has none."""
    return _find(folder, "tags.tsv")


def find_judgments(folder: Path, *splits: str) -> Path | None:
    """Return the path of the judgments of the first split that the folder has; None if it has none.

    Args:
        folder: the folder of the collection.
        splits: names such as ``dev`` and ``test``, for ``qrels/dev.tsv`` and ``qrels/test.tsv``,
            plain or compressed.
    """
    paths = (_find(folder / "qrels", f"{split}.tsv") for split in splits)
    return next((path for path in paths if path is not None), None)


def _find(folder: Path, name: str) -> Path | None:
    paths = (folder / f"{name}{compression}" for compression in _COMPRESSIONS)
    return next((path for path in paths if path.is_file()), None)
