"""Replace the folder of an index by another one in one step."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from lexpand.errors import StorageError


def temporary(path: Path, suffix: str) -> Path:
    """Return an unused path next to ``path``, so that no folder of the user is touched."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.{suffix}")


def swap(new: Path, path: Path, keep: Path | None = None) -> None:
    """Move the new folder to ``path``, and delete the old one or move it to ``keep``.

    A crash between the two moves leaves no folder at ``path``; `repair_swap` undoes that.

    Raises:
        StorageError: a folder cannot be moved; the old one is where it was.
    """
    old = keep or temporary(path, "old")
    try:
        path.rename(old)
        try:
            new.rename(path)
        except BaseException:
            old.rename(path)
            raise
    except OSError as error:
        raise StorageError(
            f"{path} cannot be replaced ({error.strerror or error}): it is as it was; check the"
            " permissions of its folder"
        ) from error
    if keep is None:
        shutil.rmtree(old, ignore_errors=True)


def repair_swap(path: Path) -> None:
    """Undo a swap that a crash interrupted, and remove what one left behind.

    If the folder is missing and its old form is there, the crash came between the two moves: the
    old form is moved back. If the folder is there, old forms are what was not yet deleted.
    """
    left = sorted(path.parent.glob(f".{path.name}.*.old"), key=lambda old: old.stat().st_mtime)
    if not path.exists() and left:
        left.pop().rename(path)
    for old in left:
        shutil.rmtree(old, ignore_errors=True)
