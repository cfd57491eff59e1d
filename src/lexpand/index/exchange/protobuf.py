"""The tiny part of protobuf's wire format that CIFF needs: varints, and fields behind their tags.

A varint holds 7 bits a byte, lowest first; bit 7 says that another byte follows. A tag is field
number * 8 + wire type; type 0 is a varint, 1 are 8 bytes, 2 is a length and as many bytes, 5 are 4
bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5

_LONGEST = 10


class WireError(Exception):
    """The bytes are no such message.

    Attributes:
        offset: of the first byte that is wrong.
        why: what is wrong with it.
    """

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(offset, why)
        self.offset = offset
        self.why = why


def varint(value: int) -> bytes:
    """One number, 0 or above, as a varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, value: int | bytes) -> bytes:
    """One field: a varint, or bytes behind their length."""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    return varint(number << 3 | BYTES) + varint(len(value)) + value


def varint_lengths(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many bytes each number has as a varint, int64 [n]; numbers are from 0 to 2^62."""
    borders = np.int64(1) << np.arange(7, 63, 7, dtype=np.int64)
    return np.searchsorted(borders, values, side="right").astype(np.int64) + 1


def varints(values: NDArray[np.int64]) -> bytes:
    """Many numbers, from 0 to 2^62, one behind the other."""
    lengths = varint_lengths(values)
    groups = np.arange(lengths.max(initial=1))
    parts = values[:, None] >> (7 * groups) & 0x7F
    parts |= np.where(groups < lengths[:, None] - 1, 0x80, 0)
    out: bytes = parts[groups < lengths[:, None]].astype(np.uint8).tobytes()
    return out


def read_varint(data: bytes, place: int, base: int = 0) -> tuple[int, int]:
    """A varint and the place behind it; ``base`` is where the data begins in its file.

    Raises:
        WireError: it is cut short, or has more than 10 bytes or 64 bits.
    """
    value = 0
    for i in range(_LONGEST):
        if place + i >= len(data):
            raise WireError(base + len(data), "a number is cut short")
        byte = data[place + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            if value >> 64:
                break
            return value, place + i + 1
    raise WireError(base + place, "a number has more than 64 bits")


def read_varints(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """The numbers of bytes that are varints alone, and the length of each, int64 [n]; None where they are not."""
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < 0x80)
    if not len(raw) or not len(ends) or ends[-1] != len(raw) - 1:
        return None
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() >= _LONGEST:
        return None
    shifts = 7 * (np.arange(len(raw)) - np.repeat(starts, lengths))
    return np.add.reduceat((raw & 0x7F).astype(np.int64) << shifts, starts), lengths


def read_field(data: bytes, place: int, base: int = 0) -> tuple[int, int | bytes, int]:
    """The number of a field, its value (bytes for all types but varints) and the place behind it.

    Raises:
        WireError: it is cut short, or of a type that there is not.
    """
    tag, value_at = read_varint(data, place, base)
    number, kind = tag >> 3, tag & 7
    if not number:
        raise WireError(base + place, "a field has the number 0")
    if kind == VARINT:
        value, end = read_varint(data, value_at, base)
        return number, value, end
    if kind == BYTES:
        size, value_at = read_varint(data, value_at, base)
    elif kind in (EIGHT, FOUR):
        size = 8 if kind == EIGHT else 4
    else:
        raise WireError(
            base + place, f"a field has the wire type {kind}, which is none of 0, 1, 2, 5"
        )
    if value_at + size > len(data):
        raise WireError(
            base + value_at, f"a field of {size} bytes where {len(data) - value_at} are left"
        )
    return number, data[value_at : value_at + size], value_at + size


def read_fields(data: bytes, base: int = 0) -> Iterator[tuple[int, int | bytes, int]]:
    """Each field's number, value and the place where it begins.

    Raises:
        WireError: as `read_field`.
    """
    place = 0
    while place < len(data):
        number, value, end = read_field(data, place, base)
        yield number, value, place
        place = end
