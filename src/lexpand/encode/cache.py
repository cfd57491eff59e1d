"""A text that was encoded once is not encoded again: vectors by the hash of what made them, in a SQLite file."""

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
_HEADER = 3  # u32: terms, tokens seen, tokens lost


class Entry(NamedTuple):
    """What is kept of one text."""

    row: Row
    tokens: TokenizedText


class VectorCache:
    """Vectors by key; entries are compared with a checksum when they are read, and a damaged one is none.

    May be shared by threads, and its file by processes.

    Args:
        path: the file; made if it is not there.

    Raises:
        StorageError: it cannot be opened, or is no such file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._alone = threading.Lock()
        with self._reporting():
            # Each statement is its own transaction but where `put` opens one.
            self._db = sqlite3.connect(
                self.path, timeout=60, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            # A crash of the machine may lose the last entries, and nothing else: they are encoded
            # again.
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, entry BLOB) WITHOUT ROWID"
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
        """Entries, sound or not."""
        with self._reporting():
            return int(self._db.execute("SELECT count(*) FROM vectors").fetchone()[0])

    def get(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """What is kept under each key; None where nothing is, or nothing sound."""
        with self._reporting():
            found = {key: self._entry(key) for key in dict.fromkeys(keys)}
        return [found[key] for key in keys]

    def put(self, entries: Iterable[tuple[bytes, Entry]]) -> None:
        """Keep entries, all of them or, where the process ends, none."""
        with self._reporting():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                rows = ((key, _packed(entry)) for key, entry in entries)
                self._db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _entry(self, key: bytes) -> Entry | None:
        row = self._db.execute("SELECT entry FROM vectors WHERE key = ?", (key,)).fetchone()
        return None if row is None else _unpacked(row[0])

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            with self._alone:
                yield
        except sqlite3.Error as error:
            raise StorageError(
                f"the cache {self.path} cannot be used ({error}): free its disk, or delete it"
            ) from error


def through_cache(
    cache: VectorCache,
    settings: Mapping[str, Any],
    texts: Sequence[str],
    encode: Callable[[list[str]], tuple[list[Row], Sequence[TokenizedText]]],
    on_done: OnDone,
) -> tuple[list[Row], list[TokenizedText]]:
    """Rows of texts: those that the cache has, and the others encoded, each text once, and kept.

    Args:
        cache: what is known.
        settings: everything but the text that decides a row; JSON.
        texts: the texts.
        encode: encodes those that the cache lacks; it reports them as done itself.
        on_done: called with the number of the others.
    """
    keys = [cache_key(settings, text) for text in texts]
    found = dict(zip(keys, cache.get(keys), strict=True))
    new = {key: text for key, text in zip(keys, texts, strict=True) if found[key] is None}
    on_done(len(texts) - len(new))
    if new:
        made = dict(zip(new, map(Entry, *encode(list(new.values()))), strict=True))
        cache.put(made.items())
        found |= made
    known = [entry for key in keys if (entry := found[key]) is not None]
    return [entry.row for entry in known], [entry.tokens for entry in known]


def cache_key(settings: Mapping[str, Any], text: str) -> bytes:
    """32 bytes over a text and everything else that decides its vector, which JSON can hold."""
    digest = hashlib.blake2b(digest_size=32)
    digest.update(json.dumps({"format": _FORMAT, **settings}, sort_keys=True).encode())
    digest.update(b"\0")
    digest.update(text.encode())
    return digest.digest()


def _packed(entry: Entry) -> bytes:
    terms, weights, positions = entry.row
    header = np.array([len(terms), entry.tokens.seen, entry.tokens.lost], "<u4")
    arrays = (header, terms.astype("<u4"), weights.astype("<f4"), positions.astype("<u4"))
    content = b"".join(array.tobytes() for array in arrays)
    return zlib.crc32(content).to_bytes(4, "little") + content


def _unpacked(packed: object) -> Entry | None:
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
