"""Folders in which a model is made before it appears under its name."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lexpand.errors import StorageError


@contextmanager
def staging(dest: Path) -> Iterator[Path]:
    """Yield a new folder next to ``dest``, from which what is complete is renamed.

    It is on the disk of ``dest``, so that renaming is one step, and it is removed in the end.

    Raises:
        StorageError: the disk refuses.
    """
    folder = dest.with_name(f".{dest.name}.{secrets.token_hex(4)}.tmp")
    try:
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        raise StorageError(f"cannot write {dest}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
