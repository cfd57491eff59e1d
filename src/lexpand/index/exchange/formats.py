"""The formats of exchange, and which one a file's name says."""

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
    """The format that is given, else the one that the suffix says.

    Raises:
        DataError: neither says one, it cannot be compressed, or it has no scale.
    """
    kind, compression = split_compression(path)
    known = " ".join(Format)
    try:
        chosen = Format(given) if given is not None else _SUFFIXES.get(kind)
    except ValueError:
        raise DataError(f"no format {given!r}: it is one of {known}") from None
    if chosen is None:
        raise DataError(
            f"{path} does not say its format ({path.suffix or 'no suffix'}): give one of {known}"
        )
    if compression and chosen is not Format.JSONL:
        raise DataError(
            f"{path}: only jsonl is read and written compressed, not {chosen}: use a name without {compression}"
        )
    if scale is not None and chosen not in (Format.JSONL, Format.CIFF):
        raise DataError(f"{chosen} holds weights as they are: leave the scale out")
    return chosen
