"""A folder of text and Markdown files: one document a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from lexpand.data.readers.rows import Row
from lexpand.errors import RowError

SUFFIXES = (".txt", ".md", ".markdown")

_FENCE = re.compile(r" {0,3}(```|~~~)")


def read_rows(path: Path) -> Iterator[Row | RowError]:
    """Yields a row a file, ordered by relative path, which is the doc_id (with ``/`` on every system).

    Hidden files and folders are skipped, and links to folders not followed. The title of a Markdown file is
    its first heading of level 1, which stays in the text; of any other file it is the name without suffix.
    """
    return _walk(path, path)


def _walk(root: Path, folder: Path) -> Iterator[Row | RowError]:
    try:
        with os.scandir(folder) as scan:
            # With its slash a folder sorts among the files as its files' paths do.
            entries = sorted(scan, key=lambda entry: f"{entry.name}/" if _is_folder(entry) else entry.name)
    except OSError as error:
        yield RowError(_printable(folder), f"the folder cannot be read: {error.strerror or error}")
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if _is_folder(entry):
            yield from _walk(root, Path(entry))
        elif entry.name.lower().endswith(SUFFIXES) and not entry.is_dir():
            yield _read_file(Path(entry), Path(entry).relative_to(root).as_posix())


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _read_file(path: Path, doc_id: str) -> Row | RowError:
    place = _printable(path)
    if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
        return RowError(place, "no regular file: remove or rename it")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        return RowError(place, f"the file cannot be read: {error.strerror or error}")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        return RowError(place, f"invalid UTF-8 at byte offset {error.start} (0x{byte:02x}): save it as UTF-8")
    if "\0" in text:
        return RowError(place, "a binary file (it has NUL bytes): remove or rename it")
    heading = "" if path.suffix.lower() == ".txt" else _first_heading(text)
    return Row(place, {"doc_id": doc_id, "text": text, "title": heading or path.stem})


def _first_heading(markdown: str) -> str:
    """The first ``# heading`` outside fenced code, where ``#`` starts a comment; empty if none."""
    fence = ""
    for line in markdown.splitlines():
        if mark := _FENCE.match(line):
            fence = "" if fence == mark[1] else fence or mark[1]
        elif not fence and (heading := _heading(line)):
            return heading
    return ""


def _heading(line: str) -> str:
    """The words of a level 1 heading (CommonMark 4.2: with a closing ``#`` or not), else nothing."""
    if line.startswith(("    ", "\t")) or not line.lstrip(" ").startswith(("# ", "#\t")):
        return ""
    words = line.lstrip(" ")[1:].strip(" \t")
    opened = words.rstrip("#")
    return words if opened and opened[-1] not in " \t" else opened.rstrip(" \t")


def _printable(path: Path) -> str:
    """A path for a message: bytes of a name that are not UTF-8 are escaped."""
    return str(path).encode("utf-8", "backslashreplace").decode()
