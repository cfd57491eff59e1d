"""Read a folder of text files, one document per file."""

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

# Suffixes of skipped files that a note names.
_NAMED = 8


def read_rows(path: Path, reading: Reading) -> Iterator[Row | RowError]:
    """Yield a row for each file, in order of the relative path, which is the doc_id.

    The path has ``/`` on every system. Hidden files and folders are skipped, and links to folders
    are not followed. Files of other kinds are counted by suffix in a note.

    Raises:
        SourceError: the folder has no text file, or a named field is not one of text files.
    """
    check_fields(path, reading)
    skipped: Counter[str] = Counter()
    empty = True
    for row in _walk(path, path, reading, skipped):
        empty = False
        yield row
    note = f"skipped {_counted(skipped)}" if skipped else ""
    if empty:
        expected = f"{', '.join(f'*{suffix}' for suffix in SUFFIXES)} files, or corpus.jsonl"
        raise SourceError(f"{name_of(path)} is empty: it needs {expected}{note and f'; {note}'}")
    if note:
        reading.on_note(f"{name_of(path)}: {note}")


def _walk(
    root: Path, folder: Path, reading: Reading, skipped: Counter[str]
) -> Iterator[Row | RowError]:
    try:
        with os.scandir(folder) as scan:
            # The slash sorts a folder like the paths of its files.
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
    """Return counts such as ``12 files: 7 .png, 5 .pdf``."""
    kinds = sorted(skipped.items(), key=lambda kind: (-kind[1], kind[0]))
    named = [f"{number} {suffix or 'without a suffix'}" for suffix, number in kinds[:_NAMED]]
    if rest := sum(number for _, number in kinds[_NAMED:]):
        named.append(f"{rest} of other kinds")
    total = skipped.total()
    return f"{total} file{'s' if total != 1 else ''}: {', '.join(named)}".encode(
        "utf-8", "backslashreplace"
    ).decode()
