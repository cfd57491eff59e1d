"""Read files line by line, decompressed if necessary, and write files atomically."""

from __future__ import annotations

import gzip
import io
import itertools
import os
import secrets
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import IO, cast

from lexpand.errors import SourceError, StorageError

LONGEST_LINE = 2**26
"""The longest line, in bytes. A file without line ends must not fill the memory."""

STDIN = Path("-")
"""The path of standard input, which can be read only once."""

_BOM = b"\xef\xbb\xbf"

_CHUNK = 2**20

_BLOCK = 2**17


def name_of(path: Path) -> str:
    """Return the name of a source for messages; path bytes that are not UTF-8 are escaped."""
    return (
        "standard input"
        if path == STDIN
        else str(path).encode("utf-8", "backslashreplace").decode()
    )


def split_compression(path: Path) -> tuple[str, str]:
    """Return the suffixes of the format and of the compression, in lower case.

    Returns:
        (".jsonl", ".gz") for ``docs.jsonl.gz``; (".jsonl", "") for ``docs.jsonl``.
    """
    last = path.suffix.lower()
    if last in (".gz", ".zst"):
        return path.with_suffix("").suffix.lower(), last
    return last, ""


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the number (from 1) and the bytes of each line, with its line end.

    A UTF-8 BOM is dropped. ``.gz`` and ``.zst`` files are decompressed. `STDIN` is standard input.

    Raises:
        SourceError: the file cannot be opened, a line is longer than 64 MiB, or the compressed
            stream is damaged or truncated (raised after the lines before the damage).
    """
    damage = _damage(path)
    with _open(path) as stream:
        for number in itertools.count(1):
            try:
                line = stream.readline(LONGEST_LINE)
            except damage as error:
                raise _cut_short(path, number - 1, error) from error
            if not line:
                return
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                raise _too_long(path, number)
            yield number, line.removeprefix(_BOM) if number == 1 else line


def read_blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    r"""Yield blocks of whole lines: the number of the first, and the bytes without the last ``\n``.

    A block has up to 128 KiB, or one line that is longer. See `read_lines`, which is slower.

    Raises:
        SourceError: see `read_lines`.
    """
    damage = _damage(path)
    number, rest = 1, b""
    with _open(path) as stream:
        while True:
            try:
                chunk = cast("io.BufferedReader", stream).read1(_BLOCK)
            except damage as error:
                raise _cut_short(path, number - 1, error) from error
            block, end, rest = (rest + chunk).rpartition(b"\n") if chunk else (rest, rest, b"")
            if end:
                yield number, block.removeprefix(_BOM) if number == 1 else block
                number += block.count(b"\n") + 1
            if not chunk:
                return
            if len(rest) >= LONGEST_LINE:
                raise _too_long(path, number)


def _cut_short(path: Path, lines: int, error: Exception) -> SourceError:
    return SourceError(
        f"{name_of(path)} is damaged or cut short after line {lines} ({error}): "
        "copy or make it again"
    )


def _too_long(path: Path, number: int) -> SourceError:
    return SourceError(
        f"{name_of(path)}:{number}: a line must have at most {LONGEST_LINE} bytes, "
        "got more: split it"
    )


def read_chunks(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file in chunks of at most 1 MiB, decompressed as by `read_lines`.

    Raises:
        SourceError: the file cannot be opened, or its compressed stream is damaged or truncated.
    """
    damage = _damage(path)
    with _open(path) as stream:
        while True:
            try:
                chunk = stream.read(_CHUNK)
            except damage as error:
                reason = f"is damaged or cut short ({error}): copy or make it again"
                raise SourceError(f"{name_of(path)} {reason}") from error
            if not chunk:
                return
            yield chunk


def first_byte(path: Path) -> bytes:
    """Return the first byte that is neither white space nor a byte order mark, or no byte.

    Standard input can still be read from its start, except for 8 KiB or more of white space.

    Raises:
        SourceError: see `read_chunks`.
    """
    chunks = _peeked(_stdin()) if path == STDIN else read_chunks(path)
    for chunk in chunks:
        if rest := chunk.removeprefix(_BOM).lstrip():
            return rest[:1]
    return b""


def _peeked(stream: io.BufferedReader) -> Iterator[bytes]:
    while chunk := stream.peek():
        yield chunk
        stream.read(len(chunk))


def _stdin() -> io.BufferedReader:
    stream = getattr(sys.stdin, "buffer", None)
    if not isinstance(stream, io.BufferedReader):
        raise SourceError("standard input is closed or has no bytes: name a file instead")
    return stream


def bad_utf8(error: UnicodeDecodeError) -> str:
    """Return the reason for refusing a line that is not UTF-8; offsets start at 0."""
    place = f"byte offset {error.start} of the line (0x{error.object[error.start]:02x})"
    return f"invalid UTF-8 at {place}: save the file as UTF-8"


def partial_of(path: Path) -> Path:
    """Return the path next to ``path`` that holds unfinished work: ``<path>.partial``."""
    return path.with_name(f"{path.name}.partial")


def write_lines(path: Path, lines: Iterable[str]) -> None:
    r"""Write lines as UTF-8, atomically; ``.gz`` and ``.zst`` files are compressed.

    Args:
        path: the path of the file.
        lines: the lines, without ``\n``.

    Raises:
        StorageError: the file cannot be written.
    """
    with atomic_write(path) as file, _compressing(path, file) as stream:
        for line in lines:
            stream.write(line.encode() + b"\n")


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that gets its name only when all of it is on disk.

    A temporary file in the same folder is written, synced and renamed, and the folder is synced.
    If the body raises, the temporary file is removed and an existing file stays unchanged.

    Raises:
        StorageError: the file cannot be written, or the folder does not exist.
    """
    target = path.resolve()
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # Windows cannot open a folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, decompressed; standard input is not closed at the end."""
    if path == STDIN:
        yield _stdin()
        return
    with _opened(path) as stream:
        yield stream


def _opened(path: Path) -> IO[bytes]:
    try:
        match path.suffix.lower():
            case ".gz":
                return cast("IO[bytes]", gzip.open(path, "rb"))
            case ".zst":
                return cast("IO[bytes]", _zstd().open(path, "rb"))
            case _:
                return path.open("rb")
    except OSError as error:
        raise SourceError(
            f"cannot open {name_of(path)}: {error.strerror or error}; check the path"
        ) from error


@contextmanager
def _compressing(path: Path, file: IO[bytes]) -> Iterator[IO[bytes]]:
    match path.suffix.lower():
        case ".gz":  # without name and time, so equal contents give equal bytes
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as stream:
                yield cast("IO[bytes]", stream)
        case ".zst":
            with _zstd().open(file, "wb") as stream:
                yield stream
        case _:
            yield file


def _damage(path: Path) -> tuple[type[Exception], ...]:
    """Return the errors that a damaged file of this compression raises."""
    errors = (OSError, EOFError, zlib.error)
    return (*errors, _zstd().ZstdError) if path.suffix.lower() == ".zst" else errors


def _zstd() -> ModuleType:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
