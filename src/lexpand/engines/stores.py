"""Files in folders of this machine and in stores such as S3, by fsspec.

A file appears under its final name only when all of it is written. Errors of a store are errors of
Lexpand.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lexpand.errors import LexpandError, MissingExtra, SourceError, StorageError

_PARTIAL = ".partial"
_SETTLE = 1.0  # seconds in which another process that started at the same time has written its file
_AT_ONCE = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "memory"}
"""Stores that show an object only when all of it is there."""


@dataclass(frozen=True, slots=True)
class StorePath:
    """A file or a folder in a store.

    Attributes:
        system: the store, an `fsspec.AbstractFileSystem`.
        root: the path in the store.
    """

    system: Any  # fsspec has no types
    root: str

    @property
    def is_local(self) -> bool:
        """Whether this is a path of this machine."""
        return "file" in self._protocols

    @property
    def is_object(self) -> bool:
        """Whether the store shows an object only when it is complete, and has no folders."""
        return bool(self._protocols & _AT_ONCE)

    @property
    def _protocols(self) -> set[str]:
        found = self.system.protocol
        return {found} if isinstance(found, str) else set(found)

    def draft(self) -> StorePath:
        """Return a file next to this one, which gets its name when it is complete."""
        return StorePath(self.system, f"{self.root}.{secrets.token_hex(4)}{_PARTIAL}")

    def names(self) -> set[str]:
        """Return the names in this folder; a store has no folder before its first object."""
        self.system.invalidate_cache()
        try:
            found = self.system.ls(self.root, detail=False)
        except FileNotFoundError:
            return set()
        return {name.rpartition("/")[2] for name in found}


def store_path(url: str) -> StorePath:
    """Return the path that a URL or a local path names.

    Raises:
        MissingExtra: fsspec or the package of the store is not installed.
        SourceError: no store has such URLs.
    """
    try:
        import fsspec
        from fsspec.registry import known_implementations
    except ImportError:
        raise MissingExtra("fsspec", "bulk", "encoding to a folder of Parquet files") from None
    try:
        system, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        known = known_implementations.get(url.partition("://")[0], {"class": ""})
        package = known["class"].partition(".")[0]
        if package in ("", "fsspec"):  # a class of fsspec, whose error names what it lacks
            raise SourceError(f"{url} cannot be opened: {error}") from None
        raise MissingExtra(package, "", f"opening {url}") from None
    except ValueError as error:
        raise SourceError(f"{url} cannot be opened: {error}") from None
    return StorePath(system, root.rstrip("/"))


def absolute(url: str) -> str:
    """Return a URL as it is, and a path as an absolute one, which means the same to all workers."""
    plain = url.rstrip("/") or url
    return plain if "://" in plain else str(Path(plain).expanduser().absolute())


@contextmanager
def store_errors(kind: type[LexpandError], what: str) -> Iterator[None]:
    """Raise any error of a store as ``kind``: many come from its own library, not from OSError."""
    try:
        yield
    except LexpandError:
        raise
    except Exception as error:
        raise kind(f"{what}: {error}") from error


def version_of(path: str) -> str:
    """Return what changes when a file is written again: its size, and its tag or its time.

    Raises:
        SourceError: the file cannot be read.
    """
    file = store_path(path)
    with store_errors(SourceError, f"{path} cannot be read"):
        info = file.system.info(file.root)
    times = (info.get(name) for name in ("ETag", "etag", "mtime", "LastModified", "last_modified"))
    return f"{info.get('size')} {next((each for each in times if each), '')}"


def put(content: bytes, url: str) -> None:
    """Write a file under its final name at once: one object of a store, or a rename.

    Raises:
        StorageError: the file cannot be written.
    """
    file = store_path(url)
    with store_errors(StorageError, f"{url} cannot be written"):
        if file.is_object:
            file.system.pipe_file(file.root, content)
            return
        draft = file.draft()
        file.system.pipe_file(draft.root, content)
        file.system.mv(draft.root, file.root)


def claim(content: bytes, url: str) -> None:
    """Write a file unless there is one, so that processes that do so together agree on one.

    Where the store has no exclusive write, a process may overwrite the file of another. So wait:
    then all of them read the last one.

    Raises:
        StorageError: the file cannot be written.
    """
    file = store_path(url)
    with store_errors(StorageError, f"{url} cannot be written"):
        if _create(content, file) and file.is_local:
            return
        file.system.invalidate_cache()
        if not file.system.exists(file.root):
            put(content, url)
        time.sleep(_SETTLE)


def is_draft(name: str, final: str) -> bool:
    """Return whether a name is of a file that becomes ``final``, or would if its writer lived."""
    return name.startswith(f"{final}.") and name.endswith(_PARTIAL)


def _create(content: bytes, file: StorePath) -> bool:
    """Write a file unless there is one; return whether it was written.

    A hard link, and a conditional write such as ``If-None-Match`` of S3, fails if there is one.
    """
    try:
        if file.is_local:
            draft = file.draft()
            draft.system.pipe_file(draft.root, content)
            try:
                os.link(draft.root, file.root)
            finally:
                draft.system.rm_file(draft.root)
        elif file.is_object:
            file.system.pipe_file(file.root, content, mode="create")
        else:
            return False
    except Exception:  # noqa: BLE001 - there is a file, or no such write; each store has its errors
        return False
    return True
