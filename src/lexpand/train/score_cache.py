"""Cache scores of teachers in a SQLite file, by the hash of the teacher, the query and the text."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from lexpand.errors import StorageError

Pair = tuple[str, str]
"""A query and a text."""

_FORMAT = b"1"


class ScoreCache:
    """A cache of scores in a file. Several teachers may share it, and so may processes.

    Args:
        path: the file. It is created if it does not exist.

    Raises:
        StorageError: the file cannot be opened, or is not a cache.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self._access():
            self._db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            # A crash of the machine may lose the last scores. They are then computed again.
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS scores (key BLOB PRIMARY KEY, score REAL) WITHOUT ROWID"
            )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __len__(self) -> int:
        """The number of scores, of all teachers."""
        with self._access():
            return int(self._db.execute("SELECT count(*) FROM scores").fetchone()[0])

    def get(self, teacher: bytes, pairs: Iterable[Pair]) -> dict[Pair, float]:
        """Return the scores of those pairs that have one.

        Args:
            teacher: the hash of the teacher.
            pairs: the pairs.
        """
        found = {}
        with self._access():
            for pair in pairs:
                row = self._db.execute(
                    "SELECT score FROM scores WHERE key = ?", (_key(teacher, pair),)
                ).fetchone()
                if row is not None:
                    found[pair] = float(row[0])
        return found

    def put(self, teacher: bytes, scores: Mapping[Pair, float]) -> None:
        """Store scores in one transaction: all of them, or none if the process ends."""
        rows: Sequence[tuple[bytes, float]] = [
            (_key(teacher, pair), score) for pair, score in scores.items()
        ]
        with self._access():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?)", rows)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _access(self) -> Iterator[None]:
        """Raise SQLite's errors as StorageError."""
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(
                f"the cache {self.path} cannot be used ({error}): "
                "free space on its disk, or delete it"
            ) from error


def _key(teacher: bytes, pair: Pair) -> bytes:
    digest = hashlib.blake2b(_FORMAT + teacher, digest_size=32)
    query, text = (each.encode() for each in pair)
    digest.update(len(query).to_bytes(8, "little") + query)
    digest.update(text)
    return digest.digest()
