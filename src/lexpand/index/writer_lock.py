"""The writer lock of an index: a lock of the operating system, which ends with the process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lexpand.errors import IndexLocked, StorageError

if TYPE_CHECKING:
    from filelock import FileLock


class WriterLock:
    """The writer lock of one index folder, held from `acquire` to `release`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: FileLock | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._lock is not None

    def acquire(self) -> None:
        """Take the lock without waiting.

        Raises:
            IndexLocked: another writer holds the lock.
            StorageError: the folder is not writable.
        """
        from filelock import FileLock, Timeout

        # Not bound to a thread: one thread may write and another one close the index.
        lock = FileLock(self._folder / "writer.lock", thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise IndexLocked(
                f"{self._folder} is being written by another process or Index object:"
                " wait until it is done"
            ) from None
        except OSError as error:
            raise StorageError(
                f"{self._folder} is not writable ({error.strerror}): choose a writable folder"
            ) from error
        self._lock = lock

    def release(self) -> None:
        """Release the lock if it is held."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
