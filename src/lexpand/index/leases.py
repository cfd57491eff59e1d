"""Which snapshots are being read? A lease is a locked file named after a commit; a process that ends loses its locks.

Only the writer removes files and rows, and nothing that a lease covers. A reader makes its lease
and then looks whether its commit is still the newest; the writer commits and then looks for leases:
one of them always sees the other.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import FileLock

FOLDER = "leases"


class Lease:
    """Keeps what a snapshot reads in place, until `release`, the last reference to it, or the end of the process.

    Attributes:
        pid: the process that took it.
    """

    def __init__(self, lock: FileLock | None) -> None:
        self.pid = os.getpid()
        self._finalizer = weakref.finalize(self, _give_back, lock, self.pid)

    @classmethod
    def take(cls, folder: Path, commit_id: int) -> Lease:
        """Lease a commit. Without the right to write in the folder, the lease is empty: a merge may take the files."""
        from filelock import FileLock, Timeout

        while True:
            path = folder / FOLDER / f"{commit_id:08}-{secrets.token_hex(8)}.lease"
            lock = FileLock(path, thread_local=False)
            try:
                path.parent.mkdir(exist_ok=True)
                lock.acquire(blocking=False)
            except (Timeout, FileNotFoundError):
                if not folder.is_dir():
                    return cls(None)
                continue  # a writer looked at the file before it was locked, or the folder went with its last lease
            except OSError:
                return cls(None)
            if path.exists():
                return cls(lock)
            lock.release()

    def release(self) -> None:
        """Give it back; a forked child leaves its parent's alone."""
        self._finalizer()


def _give_back(lock: FileLock | None, pid: int) -> None:
    if lock is None or os.getpid() != pid:
        return
    path = Path(lock.lock_file)
    # Removed while it is held: whoever finds the file either sees it locked or does not see it.
    _remove(path)
    lock.release()
    _remove_if_empty(path.parent)


def oldest_leased(folder: Path, newest: int) -> int:
    """The smallest commit that any snapshot reads, at most ``newest``; leases of ended processes are removed."""
    leases = folder / FOLDER
    if not leases.is_dir():
        return newest
    held = [
        int(path.name[:8])
        for path in leases.glob("*.lease")
        if path.name[:8].isdecimal() and not _is_left(path)
    ]
    return min([newest, *held])


def _is_left(path: Path) -> bool:
    """Whether nobody holds a lease; then its file is removed."""
    from filelock import FileLock, Timeout

    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except (Timeout, OSError):
        return False
    _remove(path)
    lock.release()
    return True


def _remove(path: Path) -> None:
    # A file that a failing disk keeps is one that nobody holds.
    with contextlib.suppress(OSError):
        path.unlink()


def _remove_if_empty(folder: Path) -> None:
    # Another lease may be there, or the folder gone.
    with contextlib.suppress(OSError):
        folder.rmdir()
