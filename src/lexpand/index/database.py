"""One SQLite file: connections that survive forks and threads, transactions, errors in words."""

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


# Connections for reading that are kept for the next reader.
_IDLE = 8


class Database:
    """One connection for changes, which threads use in turn, and as many for reading as threads read at a time.

    Each is made when it is first needed. A fork waits until none is in use, and both sides then
    connect anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._free = threading.Condition()
        self._idle: list[sqlite3.Connection] = []
        self._reading = 0
        self._forking = False
        self._closed = False
        self._opened: tuple[int, int] | None = None
        _databases.add(self)

    def close(self) -> None:
        """Close the connections for good; SQLite then folds its log into the file where it can."""
        with self._free, self._turn:
            self._closed = True
            self._disconnect()

    def _disconnect(self) -> None:
        """Close what is open; the caller holds `_free` and `_turn`, taken in this order."""
        while self._idle:
            self._idle.pop().close()
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    @contextmanager
    def use(self, *, writable: bool = False) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread. ``writable`` makes the file where there is none.

        Raises:
            StorageError, IndexLocked, CorruptIndex, IndexStateError: what SQLite says, in words.
        """
        with self._turn, _translating_errors(self.path):
            if self._closed:
                raise IndexStateError(f"{self.path.parent} is closed: open it again")
            if self._connection is None:
                self._connection = _connect(self.path, writable)
                self._opened = self._opened or self._file_there()
            yield self._connection

    def check_in_place(self) -> None:
        """Nothing, where the file at the path is the one that was opened.

        Raises:
            IndexStateError: it was removed, or another one is there: what is written here would be
                lost.
        """
        if not self._closed and self._opened != self._file_there():
            raise IndexStateError(
                f"{self.path.parent} was removed or replaced since it was opened: open it again"
            )

    def _file_there(self) -> tuple[int, int] | None:
        """What tells the file at the path from another one."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection of this thread's own, for reading what must be there and have its form: else CorruptIndex."""
        with self._reader() as db, _translating_errors(self.path):
            try:
                yield db
            except KeyError as error:
                what = (
                    f"it lacks row {error}"
                    if isinstance(error.args[0], int)
                    else f"it lacks {error}"
                )
                raise CorruptIndex(f"{self.path} is damaged ({what}); {RESTORE}") from error
            except (DataError, TypeError, ValueError) as error:
                raise CorruptIndex(f"{self.path} is damaged ({error}); {RESTORE}") from error

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        with self._free:
            while (
                self._forking
            ):  # else readers that follow one another would never let a fork have its turn
                self._free.wait()
            if self._closed:
                raise IndexStateError(f"{self.path.parent} is closed: open it again")
            db = self._idle.pop() if self._idle else None
            self._reading += 1
        try:
            if db is None:
                with self.use():  # the first connection notes which file it opened
                    self.check_in_place()
                with _translating_errors(self.path):
                    db = _connect(self.path, create=False)
            yield db
        finally:
            with self._free:
                self._reading -= 1
                if db is not None and not self._closed and len(self._idle) < _IDLE:
                    self._idle.append(db)
                elif db is not None:
                    db.close()
                self._free.notify_all()

    def integrity(self) -> list[str]:
        """What SQLite finds wrong with the file."""
        with self.use() as db:
            found = [str(line) for (line,) in db.execute("PRAGMA integrity_check(20)")]
        return [] if found == ["ok"] else found

    def shrink(self) -> None:
        """Give pages that are not used any more back to the disk."""
        with self.use(writable=True) as db:
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def fold_log(self) -> bool:
        """Move SQLite's log into the file; whether nothing is left of it, not even of a commit that failed.

        A commit whose sync failed may stand in the log whole: were the process to end now, the next
        one would find it.
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
    # Neither a connection nor SQLite's own record of its locks must cross a fork
    # (sqlite.org/howtocorrupt.html, 2.6), nor a turn that a thread holds which the child will not
    # have.
    for database in list(_databases):
        database._free.acquire()
        database._forking = True
        while database._reading:
            database._free.wait()
        database._turn.acquire()
        database._disconnect()
        _waiting.append(database)


def _after_fork() -> None:
    while _waiting:
        database = _waiting.pop()
        database._turn.release()
        database._forking = False
        database._free.notify_all()
        database._free.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )


def _connect(path: Path, create: bool) -> sqlite3.Connection:
    if os.access(path.parent, os.W_OK):
        mode = "mode=rwc" if create else "mode=rw"
    elif path.with_name(path.name + "-wal").exists():
        mode = "mode=ro"  # another process is at work, or one ended without closing
    else:
        mode = "immutable=1"  # SQLite's log needs a folder that can be written; without a log the file is whole
    uri = f"{path.absolute().as_uri()}?{mode}"
    db = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None, timeout=10)
    try:
        # A commit returns when it is on the disk: a power cut after it loses nothing.
        db.execute("PRAGMA synchronous = FULL")
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of it, or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # After some errors, a full disk among them, SQLite has rolled back itself.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


_REFUSED_BY_DISK = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space and run it again: what was committed is safe",
    sqlite3.SQLITE_READONLY: "it cannot be written; choose a folder that can",
    sqlite3.SQLITE_IOERR: "the disk fails; what was committed is as safe as the disk",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check the folder and its permissions",
}


def is_full(error: StorageError) -> bool:
    """Whether SQLite found no room for what it had to write, so that nothing of it stands."""
    return getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


@contextmanager
def _translating_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code; the rest says where
        if code in _REFUSED_BY_DISK:
            raise StorageError(f"{path}: {_REFUSED_BY_DISK[code]} ({error})") from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise IndexLocked(
                f"{path} is in use by another process; try again when it has ended"
            ) from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise CorruptIndex(f"{path} is damaged ({error}); {RESTORE}") from error
        raise IndexStateError(f"{path}: SQLite says: {error}") from error
