"""The exchange formats, and their file suffixes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from lexpand.data.streams import split_compression
from lexpand.errors import DataError


class Format(StrEnum):
    """A file format for sparse vectors."""

    JSONL = "jsonl"
    NPZ = "npz"
    PARQUET = "parquet"
    CIFF = "ciff"


_SUFFIXES = {
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".json": Format.JSONL,
    ".npz": Format.NPZ,
    ".parquet": Format.PARQUET,
    ".ciff": Format.CIFF,
}


def format_of(path: Path, given: str | None, scale: float | None) -> Format:
    """Return the given format, or that of the suffix.

    Raises:
        DataError: the format is unknown, the file is compressed but the format cannot be, or the
            format has no scale.
    """
    kind, compression = split_compression(path)
    known = " ".join(Format)
    try:
        chosen = Format(given) if given is not None else _SUFFIXES.get(kind)
    except ValueError:
        raise DataError(f"format must be one of {known}, got {given!r}") from None
    if chosen is None:
        raise DataError(
            f"the format of {path} is unknown from its suffix ({path.suffix or 'none'}):"
            f" give one of {known}"
        )
    if compression and chosen is not Format.JSONL:
        raise DataError(
            f"{path}: only jsonl can be compressed, not {chosen}: use a name without {compression}"
        )
    if scale is not None and chosen not in (Format.JSONL, Format.CIFF):
        raise DataError(f"{chosen} stores weights unscaled: leave the scale out")
    return chosen
