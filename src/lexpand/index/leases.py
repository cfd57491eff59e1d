"""Leases: locked files that mark the commits in use.

A lease is named after its commit. Its lock ends with the process. Only the writer removes files and
rows, and none that a lease covers.

A reader takes its lease and then checks that its commit is still the newest. The writer commits and
then reads the leases. So one side always sees the other.
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
    """Keeps the files and rows of a snapshot in place.

    A lease ends with `release`, with the last reference to it, or with the process.

    Attributes:
        pid: the process that took the lease.
    """

    def __init__(self, lock: FileLock | None) -> None:
        self.pid = os.getpid()
        self._finalizer = weakref.finalize(self, _release, lock, self.pid)

    @classmethod
    def take(cls, folder: Path, commit_id: int) -> Lease:
        """Lease a commit.

        In a folder that is not writable the lease has no effect, and a merge may remove the files.
        """
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
                # A writer locked the file first, or the folder was removed with its last lease.
                continue
            except OSError:
                return cls(None)
            if path.exists():
                return cls(lock)
            lock.release()

    def release(self) -> None:
        """Release the lease; in a forked child, do nothing to the lease of the parent."""
        self._finalizer()


def _release(lock: FileLock | None, pid: int) -> None:
    if lock is None or os.getpid() != pid:
        return
    path = Path(lock.lock_file)
    # The file is removed while it is locked, so other processes see it locked or not at all.
    _remove(path)
    lock.release()
    _remove_if_empty(path.parent)


def oldest_leased(folder: Path, newest: int) -> int:
    """Return the smallest commit in use, at most ``newest``; remove leases of ended processes."""
    leases = folder / FOLDER
    if not leases.is_dir():
        return newest
    held = [
        int(path.name[:8])
        for path in leases.glob("*.lease")
        if path.name[:8].isdecimal() and not _remove_if_stale(path)
    ]
    return min([newest, *held])


def _remove_if_stale(path: Path) -> bool:
    """Remove the file of a lease that no process holds; return whether it was removed."""
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
    # If the disk fails, the file stays. It is not locked, so the next writer removes it.
    with contextlib.suppress(OSError):
        path.unlink()


def _remove_if_empty(folder: Path) -> None:
    # The folder may hold another lease, or be gone.
    with contextlib.suppress(OSError):
        folder.rmdir()
