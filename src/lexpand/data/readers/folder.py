"""A folder of text files: one document a file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lexpand.data.readers.reading import Reading
from lexpand.data.readers.rows import Row
from lexpand.data.readers.text_file import SUFFIXES, check_fields, read_file
from lexpand.data.streams import name_of
from lexpand.errors import RowError, SourceError

# Kinds of skipped files that are named.
_NAMED = 8


def read_rows(path: Path, reading: Reading) -> Iterator[Row | RowError]:
    """Yields a row a file, ordered by relative path, which is the doc_id (with ``/`` on every system).

    Hidden files and folders are left out, and links to folders not followed. Files of other kinds
    are counted by suffix, which is noted at the end.

    Raises:
        SourceError: there is no file that can be read, or a field is named, which such files do not
            have.
    """
    check_fields(path, reading)
    skipped: Counter[str] = Counter()
    empty = True
    for row in _walk(path, path, reading, skipped):
        empty = False
        yield row
    note = f"skipped {_counted(skipped)}" if skipped else ""
    if empty:
        wanted = f"{', '.join(f'*{suffix}' for suffix in SUFFIXES)} files, or corpus.jsonl"
        raise SourceError(f"{name_of(path)} is empty: it needs {wanted}{note and f'; {note}'}")
    if note:
        reading.on_note(f"{name_of(path)}: {note}")


def _walk(
    root: Path, folder: Path, reading: Reading, skipped: Counter[str]
) -> Iterator[Row | RowError]:
    try:
        with os.scandir(folder) as scan:
            # With its slash a folder sorts among the files as its files' paths do.
            entries = sorted(
                scan, key=lambda entry: f"{entry.name}/" if _is_folder(entry) else entry.name
            )
    except OSError as error:
        yield RowError(name_of(folder), f"the folder cannot be read: {error.strerror or error}")
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if _is_folder(entry):
            yield from _walk(root, Path(entry), reading, skipped)
        elif not entry.is_dir():
            if entry.name.lower().endswith(SUFFIXES):
                yield read_file(Path(entry), Path(entry).relative_to(root).as_posix(), reading)
            else:
                skipped[Path(entry.name).suffix.lower()] += 1


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _counted(skipped: Counter[str]) -> str:
    """``12 files: 7 .png, 5 .pdf``."""
    kinds = sorted(skipped.items(), key=lambda kind: (-kind[1], kind[0]))
    named = [f"{number} {suffix or 'without a suffix'}" for suffix, number in kinds[:_NAMED]]
    if rest := sum(number for _, number in kinds[_NAMED:]):
        named.append(f"{rest} of other kinds")
    total = skipped.total()
    return f"{total} file{'s' if total != 1 else ''}: {', '.join(named)}".encode(
        "utf-8", "backslashreplace"
    ).decode()
