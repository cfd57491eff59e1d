"""The exchange formats, and their file suffixes."""

from __future__ import annotations

import re
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


# A path loses one slash of s3://bucket.
_STORE = re.compile(r"[a-z][a-z0-9]+:/(?![\\/]?$)")

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
        DataError: the path is of a store, the format is unknown, the file is compressed but the
            format cannot be, or the format has no scale.
    """
    if _STORE.match(str(path)):
        raise DataError(
            f"vectors are read from and written to local files, got {path}: copy the files of the"
            " store first, such as with `aws s3 cp --recursive`"
        )
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
