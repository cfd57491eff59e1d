"""The part of protobuf's wire format that CIFF needs: varints and tagged fields.

A varint holds 7 bits per byte, lowest first. Bit 7 marks that another byte follows. A tag is the
field number * 8 + the wire type. Type 0 is a varint, 1 is 8 bytes, 2 is a length and that many
bytes, and 5 is 4 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5

_VARINT_BYTES = 10


class WireError(Exception):
    """The bytes are not a valid message.

    Attributes:
        offset: the offset of the fault in the file.
        why: the fault.
    """

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(offset, why)
        self.offset = offset
        self.why = why


def varint(value: int) -> bytes:
    """Encode a number >= 0 as a varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, value: int | bytes) -> bytes:
    """Encode a field: a varint, or a length and bytes."""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    return varint(number << 3 | BYTES) + varint(len(value)) + value


def varint_lengths(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the encoded length of each number in bytes, int64 [n]; numbers are from 0 to 2^62."""
    borders = np.int64(1) << np.arange(7, 63, 7, dtype=np.int64)
    return np.searchsorted(borders, values, side="right").astype(np.int64) + 1


def varints(values: NDArray[np.int64]) -> bytes:
    """Encode numbers from 0 to 2^62 as varints, in order."""
    lengths = varint_lengths(values)
    groups = np.arange(lengths.max(initial=1))
    parts = values[:, None] >> (7 * groups) & 0x7F
    parts |= np.where(groups < lengths[:, None] - 1, 0x80, 0)
    out: bytes = parts[groups < lengths[:, None]].astype(np.uint8).tobytes()
    return out


def read_varint(data: bytes, place: int, base: int = 0) -> tuple[int, int]:
    """Decode a varint; return it with the position after it.

    Args:
        data: the bytes.
        place: the position of the varint.
        base: the offset of the data in the file, for errors.

    Raises:
        WireError: the varint is truncated, or has more than 10 bytes or 64 bits.
    """
    value = 0
    for i in range(_VARINT_BYTES):
        if place + i >= len(data):
            raise WireError(base + len(data), "the file ends within a number")
        byte = data[place + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            if value >> 64:
                break
            return value, place + i + 1
    raise WireError(base + place, "a number has more than 64 bits")


def read_varints(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Decode bytes that consist of varints only.

    Returns:
        The numbers and their lengths in bytes, both int64 [n]; None if the bytes are not varints
        of at most 9 bytes.
    """
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < 0x80)
    if not len(raw) or not len(ends) or ends[-1] != len(raw) - 1:
        return None
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() >= _VARINT_BYTES:
        return None
    shifts = 7 * (np.arange(len(raw)) - np.repeat(starts, lengths))
    return np.add.reduceat((raw & 0x7F).astype(np.int64) << shifts, starts), lengths


def read_field(data: bytes, place: int, base: int = 0) -> tuple[int, int | bytes, int]:
    """Decode a field.

    Returns:
        The field number, the value (bytes except for a varint), and the position after the field.

    Raises:
        WireError: the field is truncated, or its number or wire type is invalid.
    """
    tag, value_at = read_varint(data, place, base)
    number, kind = tag >> 3, tag & 7
    if not number:
        raise WireError(base + place, "the number of a field must be >= 1, got 0")
    if kind == VARINT:
        value, end = read_varint(data, value_at, base)
        return number, value, end
    if kind == BYTES:
        size, value_at = read_varint(data, value_at, base)
    elif kind in (EIGHT, FOUR):
        size = 8 if kind == EIGHT else 4
    else:
        raise WireError(base + place, f"the wire type of a field must be 0, 1, 2 or 5, got {kind}")
    if value_at + size > len(data):
        raise WireError(
            base + value_at,
            f"a field should have {size} bytes, but only {len(data) - value_at} are left",
        )
    return number, data[value_at : value_at + size], value_at + size


def read_fields(data: bytes, base: int = 0) -> Iterator[tuple[int, int | bytes, int]]:
    """Yield the number, value and start position of each field.

    Raises:
        WireError: see `read_field`.
    """
    place = 0
    while place < len(data):
        number, value, end = read_field(data, place, base)
        yield number, value, place
        place = end
