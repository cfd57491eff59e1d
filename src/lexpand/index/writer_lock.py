"""One writer at a time: a lock of the operating system, which a killed process cannot leave behind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lexpand.errors import IndexLocked, StorageError

if TYPE_CHECKING:
    from filelock import FileLock


class WriterLock:
    """The lock of one index folder, held from the first addition until `release`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: FileLock | None = None

    @property
    def held(self) -> bool:
        """Whether this object has it."""
        return self._lock is not None

    def acquire(self) -> None:
        """Take it at once or not at all.

        Raises:
            IndexLocked: another writer has it.
            StorageError: the folder cannot be written.
        """
        from filelock import FileLock, Timeout

        # Not of one thread: the one that closes an index need not be the one that wrote.
        lock = FileLock(self._folder / "writer.lock", thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise IndexLocked(
                f"{self._folder} is being written by another process or object: wait until it is done"
            ) from None
        except OSError as error:
            raise StorageError(
                f"{self._folder} cannot be written ({error.strerror}): choose a folder that can"
            ) from error
        self._lock = lock

    def release(self) -> None:
        """Give it back; without it, nothing happens."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
