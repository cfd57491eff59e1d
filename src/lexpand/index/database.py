"""One SQLite file: connections for threads and forks, transactions, and readable errors."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lexpand.errors import CorruptIndex, DataError, IndexLocked, IndexStateError, StorageError

RESTORE = "restore it from a copy, or index again"


# Idle read connections that are kept open for the next reader.
_IDLE = 8


class Database:
    """A shared write connection, and one read connection per thread that is reading.

    Connections are opened on first use. A fork waits until none is in use, and both processes then
    connect again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._available = threading.Condition()
        self._idle: list[sqlite3.Connection] = []
        self._reading = 0
        self._forking = False
        self._closed = False
        self._file_id: tuple[int, int] | None = None
        _databases.add(self)

    def close(self) -> None:
        """Close all connections for good; SQLite then checkpoints its log into the file."""
        with self._available, self._lock:
            self._closed = True
            self._disconnect()

    def _disconnect(self) -> None:
        """Close the open connections; the caller holds `_available` and `_lock`, in this order."""
        while self._idle:
            self._idle.pop().close()
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    @contextmanager
    def use(self, *, writable: bool = False) -> Iterator[sqlite3.Connection]:
        """Yield the shared connection to one thread at a time.

        Args:
            writable: whether to create the file if it does not exist.

        Raises:
            StorageError, IndexLocked, CorruptIndex, IndexStateError: SQLite reports an error.
        """
        with self._lock, _translating_errors(self.path):
            if self._closed:
                raise IndexStateError(f"{self.path.parent} is closed: open it again")
            if self._connection is None:
                self._connection = _connect(self.path, writable)
                self._file_id = self._file_id or self._current_file_id()
            yield self._connection

    def check_in_place(self) -> None:
        """Check that the file at the path is still the one that was opened.

        Raises:
            IndexStateError: the file was removed or replaced, so changes to it would be lost.
        """
        if not self._closed and self._file_id != self._current_file_id():
            raise IndexStateError(
                f"{self.path.parent} was removed or replaced since it was opened: open it again"
            )

    def _current_file_id(self) -> tuple[int, int] | None:
        """Return the device and inode of the file at the path; None if there is none."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return None
        return stat.st_dev, stat.st_ino

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Yield a read connection of this thread's own.

        Raises:
            CorruptIndex: the block raised KeyError, TypeError, ValueError or DataError, because a
                row or value is missing or malformed.
        """
        with self._reader() as db, _translating_errors(self.path):
            try:
                yield db
            except KeyError as error:
                kind = "row " if isinstance(error.args[0], int) else ""
                raise CorruptIndex(
                    f"{self.path} is damaged (it lacks {kind}{error}): {RESTORE}"
                ) from error
            except (DataError, TypeError, ValueError) as error:
                raise CorruptIndex(f"{self.path} is damaged ({error}): {RESTORE}") from error

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        with self._available:
            # Without this, a steady stream of readers would keep a fork waiting for ever.
            while self._forking:
                self._available.wait()
            if self._closed:
                raise IndexStateError(f"{self.path.parent} is closed: open it again")
            db = self._idle.pop() if self._idle else None
            self._reading += 1
        try:
            if db is None:
                with self.use():  # the first connection records which file it opened
                    self.check_in_place()
                with _translating_errors(self.path):
                    db = _connect(self.path, create=False)
            yield db
        finally:
            with self._available:
                self._reading -= 1
                if db is not None and not self._closed and len(self._idle) < _IDLE:
                    self._idle.append(db)
                elif db is not None:
                    db.close()
                self._available.notify_all()

    def integrity(self) -> list[str]:
        """Return the faults that SQLite's integrity check finds, at most 20."""
        with self.use() as db:
            found = [str(line) for (line,) in db.execute("PRAGMA integrity_check(20)")]
        return [] if found == ["ok"] else found

    def shrink(self) -> None:
        """Return unused pages to the file system."""
        with self.use(writable=True) as db:
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def fold_log(self) -> bool:
        """Checkpoint SQLite's log into the file; return whether the log is empty afterwards.

        A commit whose sync failed may be complete in the log. If the process ended now, the next
        one would find that commit.
        """
        try:
            with self.use() as db:
                busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except (StorageError, IndexLocked):
            return False
        return not busy


_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_waiting: list[Database] = []


def _before_fork() -> None:
    # A connection and SQLite's record of its locks must not cross a fork
    # (sqlite.org/howtocorrupt.html, 2.6). Nor must a lock held by a thread that the child lacks.
    for database in list(_databases):
        database._available.acquire()
        database._forking = True
        while database._reading:
            database._available.wait()
        database._lock.acquire()
        database._disconnect()
        _waiting.append(database)


def _after_fork() -> None:
    while _waiting:
        database = _waiting.pop()
        database._lock.release()
        database._forking = False
        database._available.notify_all()
        database._available.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )


def _connect(path: Path, create: bool) -> sqlite3.Connection:
    if os.access(path.parent, os.W_OK):
        mode = "mode=rwc" if create else "mode=rw"
    elif path.with_name(path.name + "-wal").exists():
        mode = "mode=ro"  # another process has the database open, or ended without closing it
    else:
        # SQLite's log needs a writable folder; without a log the file is complete.
        mode = "immutable=1"
    uri = f"{path.absolute().as_uri()}?{mode}"
    db = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None, timeout=10)
    try:
        # A commit returns once it is on the disk, so a later power failure loses nothing.
        db.execute("PRAGMA synchronous = FULL")
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Run the block in a transaction; roll it back if the block raises."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # After some errors, such as a full disk, SQLite has already rolled back.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


_DISK_ERRORS = {
    sqlite3.SQLITE_FULL: (
        "the disk is full: free some space and run it again; earlier commits are safe"
    ),
    sqlite3.SQLITE_READONLY: "the file is not writable: choose a writable folder",
    sqlite3.SQLITE_IOERR: "the disk reports an I/O error: earlier commits are as safe as the disk",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened: check the folder and its permissions",
}


def is_full(error: StorageError) -> bool:
    """Return whether SQLite ran out of disk space, in which case it wrote nothing of the commit."""
    return getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


@contextmanager
def _translating_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary result code
        if code in _DISK_ERRORS:
            raise StorageError(f"{path}: {_DISK_ERRORS[code]} ({error})") from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise IndexLocked(
                f"{path} is in use by another process: try again when that process has ended"
            ) from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise CorruptIndex(f"{path} is damaged ({error}): {RESTORE}") from error
        raise IndexStateError(
            f"{path}: SQLite reports an error ({error}): verify the index with `lexpand check`"
        ) from error
