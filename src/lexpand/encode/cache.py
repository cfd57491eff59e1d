"""Cache vectors in a SQLite file, by the hash of the text and the settings that produced them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lexpand.encode.encoding import Row
from lexpand.encode.progress import OnDone
from lexpand.encode.tokens import TokenizedText
from lexpand.errors import StorageError

_FORMAT = 1
_HEADER = 3  # u32: number of terms, tokens seen, tokens lost


class Entry(NamedTuple):
    """The cached result of encoding one text."""

    row: Row
    tokens: TokenizedText


class VectorCache:
    """A cache of vectors in a file; threads may share it, and processes may share the file.

    Each entry has a checksum that is verified when the entry is read. A damaged entry counts as
    missing.

    Args:
        path: the file. It is created if it does not exist.

    Raises:
        StorageError: the file cannot be opened, or is not a cache.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        with self._access():
            # Each statement is a transaction of its own, except where `put` opens one.
            self._db = sqlite3.connect(
                self.path, timeout=60, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            # A crash of the machine may lose the last entries. They are then encoded again.
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS vectors "
                "(key BLOB PRIMARY KEY, entry BLOB) WITHOUT ROWID"
            )

    def __reduce__(self) -> tuple[object, ...]:
        return VectorCache, (self.path,)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> VectorCache:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __len__(self) -> int:
        """The number of entries, damaged ones included."""
        with self._access():
            return int(self._db.execute("SELECT count(*) FROM vectors").fetchone()[0])

    def get(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Return the entry of each key, or None if there is none or it is damaged."""
        with self._access():
            found = {key: self._entry(key) for key in dict.fromkeys(keys)}
        return [found[key] for key in keys]

    def put(self, entries: Iterable[tuple[bytes, Entry]]) -> None:
        """Store entries in one transaction: all of them, or none if the process ends."""
        with self._access():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                rows = ((key, _pack(entry)) for key, entry in entries)
                self._db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _entry(self, key: bytes) -> Entry | None:
        row = self._db.execute("SELECT entry FROM vectors WHERE key = ?", (key,)).fetchone()
        return None if row is None else _unpack(row[0])

    @contextmanager
    def _access(self) -> Iterator[None]:
        """Hold the lock, and raise SQLite's errors as StorageError."""
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            raise StorageError(
                f"the cache {self.path} cannot be used ({error}): "
                "free space on its disk, or delete it"
            ) from error


def through_cache(
    cache: VectorCache,
    settings: Mapping[str, Any],
    texts: Sequence[str],
    encode: Callable[[list[str]], tuple[list[Row], Sequence[TokenizedText]]],
    on_done: OnDone,
) -> tuple[list[Row], list[TokenizedText]]:
    """Return the rows of texts from the cache, and encode and cache those that it lacks.

    A text that occurs several times is encoded once.

    Args:
        cache: the cache.
        settings: everything else that determines a row, as JSON.
        texts: the texts.
        encode: encodes the missing texts. It reports its own progress.
        on_done: called with the number of texts that were not passed to `encode`.
    """
    keys = [cache_key(settings, text) for text in texts]
    found = dict(zip(keys, cache.get(keys), strict=True))
    missing = {key: text for key, text in zip(keys, texts, strict=True) if found[key] is None}
    on_done(len(texts) - len(missing))
    if missing:
        encoded = dict(zip(missing, map(Entry, *encode(list(missing.values()))), strict=True))
        cache.put(encoded.items())
        found |= encoded
    entries = [entry for key in keys if (entry := found[key]) is not None]
    return [entry.row for entry in entries], [entry.tokens for entry in entries]


def cache_key(settings: Mapping[str, Any], text: str) -> bytes:
    """Return a 32-byte hash of a text and the JSON settings that determine its vector."""
    digest = hashlib.blake2b(digest_size=32)
    digest.update(json.dumps({"format": _FORMAT, **settings}, sort_keys=True).encode())
    digest.update(b"\0")
    digest.update(text.encode())
    return digest.digest()


def _pack(entry: Entry) -> bytes:
    terms, weights, positions = entry.row
    header = np.array([len(terms), entry.tokens.seen, entry.tokens.lost], "<u4")
    arrays = (header, terms.astype("<u4"), weights.astype("<f4"), positions.astype("<u4"))
    content = b"".join(array.tobytes() for array in arrays)
    return zlib.crc32(content).to_bytes(4, "little") + content


def _unpack(packed: object) -> Entry | None:
    if not isinstance(packed, bytes) or len(packed) < 4 * (1 + _HEADER):
        return None
    checksum, content = packed[:4], packed[4:]
    if zlib.crc32(content).to_bytes(4, "little") != checksum:
        return None
    values = np.frombuffer(content, "<u4")
    count, seen, lost = values[:_HEADER].tolist()
    terms, weights, positions = values[_HEADER:].reshape(3, count)
    row = (
        terms.astype(np.uint32),
        weights.view("<f4").astype(np.float32),
        positions.astype(np.uint32),
    )
    return Entry(row, TokenizedText([], seen, lost))
