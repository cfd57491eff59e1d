"""CIFF's messages (CommonIndexFileFormat.proto of osirrc/ciff): encoding and decoding.

============  ==============================================================================
Header        version 1, num_postings_lists 2, num_doc_records 3, total_postings_lists 4,
              total_docs 5, total_terms_in_collection 6, average_doclength 7 (double),
              description 8 (string)
PostingsList  term 1 (string), df 2, cf 3, postings 4 (repeated Posting)
Posting       docid 1 (minus the previous docid of the list), tf 2
DocRecord     docid 1, collection_docid 2 (string), doclength 3
============  ==============================================================================

As in protobuf, a field that is 0 or empty may be missing, and unknown fields are ignored.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lexpand.index.exchange.protobuf import (
    EIGHT,
    WireError,
    field,
    read_field,
    read_fields,
    read_varints,
    varint,
    varint_lengths,
    varints,
)

LARGEST = 2**31 - 1
"""The largest int32."""

_POSTING, _GAP, _TF = 4 << 3 | 2, 1 << 3, 2 << 3


@dataclass(frozen=True, slots=True)
class Header:
    """The first message of a file; the module describes its fields."""

    num_postings_lists: int
    num_doc_records: int
    total_terms_in_collection: int = 0
    average_doclength: float = 0.0
    description: str = ""

    def to_bytes(self) -> bytes:
        """Return the encoded message; the totals are the counts of the file."""
        numbers = (
            1,
            self.num_postings_lists,
            self.num_doc_records,
            self.num_postings_lists,
            self.num_doc_records,
        )
        parts = [
            field(i, number)
            for i, number in enumerate((*numbers, self.total_terms_in_collection), 1)
        ]
        average = varint(7 << 3 | EIGHT) + struct.pack("<d", self.average_doclength)
        return b"".join([*parts, average, field(8, self.description.encode())])


def postings_list(term: str, docids: NDArray[np.int64], tfs: NDArray[np.int64]) -> bytes:
    """Return an encoded PostingsList; docids must ascend."""
    gaps = np.diff(docids, prepend=0)
    lengths = varint_lengths(gaps) + varint_lengths(tfs) + 2
    tags = (np.full(len(gaps), tag) for tag in (_POSTING, _GAP, _TF))
    posting, gap, tf = tags
    postings = varints(np.stack([posting, lengths, gap, gaps, tf, tfs], axis=1).reshape(-1))
    return field(1, term.encode()) + field(2, len(docids)) + field(3, int(tfs.sum())) + postings


def doc_record(docid: int, name: str, length: int) -> bytes:
    """Return an encoded DocRecord."""
    return field(1, docid) + field(2, name.encode()) + field(3, length)


def read_header(data: bytes, base: int) -> Header:
    """Decode a Header.

    Raises:
        WireError: the message is malformed or of another version, or a count is out of range.
    """
    fields = {number: value for number, value, _ in read_fields(data, base)}
    if (version := _number(fields, 1, base)) != 1:
        raise WireError(base, f"the version in the header must be 1, got {version}")
    average = fields.get(7, bytes(8))
    if not isinstance(average, bytes) or len(average) != 8:
        raise WireError(base, "average_doclength in the header must be a double")
    lists, records = (_number(fields, i, base) for i in (2, 3))
    if lists > LARGEST or records > LARGEST:
        raise WireError(
            base,
            "the header must count 0 to 2^31 - 1 posting lists and documents,"
            f" got {_signed(lists)} and {_signed(records)}",
        )
    return Header(
        lists,
        records,
        _number(fields, 6, base),
        struct.unpack("<d", average)[0],
        _text(fields, 8, base),
    )


def read_postings_list(
    data: bytes, base: int, documents: int
) -> tuple[str, NDArray[np.int64], NDArray[np.int64]]:
    """Decode a PostingsList; return the term, its docids and their tf.

    Args:
        data: the message.
        base: the offset of the message in the file.
        documents: the number of documents; docids must be below it.

    Raises:
        WireError: the message is malformed, docids do not ascend or are too large, a tf is out of
            range, or df differs from the number of postings.
    """
    head: dict[int, int | bytes] = {}
    parts: list[NDArray[np.int64]] = []
    place = 0
    while place < len(data):
        number, value, end = read_field(data, place, base)
        if number == 4 and isinstance(value, bytes):
            parts.append(np.array([_posting(value, base + end - len(value))], np.int64))
            rest = _read_regular(data[end:]) if len(parts) == 1 else None
            if rest is not None:
                parts.append(rest)
                end = len(data)
        else:
            head[number] = value
        place = end
    pairs = np.concatenate([np.zeros((0, 2), np.int64), *parts])
    term = _text(head, 1, base)
    docids = _check_pairs(term, pairs, base, documents)
    if (df := _number(head, 2, base)) != len(docids):
        raise WireError(base, f"the term {term!r} has {len(docids)} postings, but its df is {df}")
    return term, docids, pairs[:, 1]


def read_doc_record(data: bytes, base: int) -> tuple[int, str]:
    """Decode a DocRecord; return the docid and the collection's id.

    Raises:
        WireError: the message is malformed.
    """
    fields = {number: value for number, value, _ in read_fields(data, base)}
    return _number(fields, 1, base), _text(fields, 2, base)


def _read_regular(data: bytes) -> NDArray[np.int64] | None:
    """Decode postings that all have docid and tf, in this order, as most writers encode them.

    Returns:
        The docid gap and tf of each posting, int64 [n, 2]; None for any other encoding.
    """
    read = read_varints(data)
    if read is None or len(read[0]) % 6:
        return None
    values, lengths = (part.reshape(-1, 6) for part in read)
    tags = values[:, [0, 2, 4]] == (_POSTING, _GAP, _TF)
    if not tags.all() or not (lengths[:, [0, 1, 2, 4]] == 1).all():
        return None
    return values[:, [3, 5]] if (values[:, 1] == lengths[:, 2:].sum(1)).all() else None


def _posting(data: bytes, base: int) -> tuple[int, int]:
    fields = {number: value for number, value, _ in read_fields(data, base)}
    return _signed(_number(fields, 1, base)), _signed(_number(fields, 2, base))


def _check_pairs(
    term: str, pairs: NDArray[np.int64], base: int, documents: int
) -> NDArray[np.int64]:
    gaps, tfs = pairs[:, 0], pairs[:, 1]
    if (bad := np.flatnonzero((tfs < 0) | (tfs > LARGEST))).size:
        first = bad[0]
        raise WireError(
            base,
            f"the tf in posting {first + 1} of the term {term!r} must be from 0 to 2^31 - 1,"
            f" got {tfs[first]}",
        )
    if (gaps > LARGEST).any() or (gaps < 0).any() or (gaps[1:] == 0).any():
        raise WireError(base, f"the docids of the term {term!r} must ascend")
    docids = np.cumsum(gaps)
    if len(docids) and docids[-1] >= documents:
        raise WireError(
            base,
            f"the docids of the term {term!r} must be below the header's {documents} documents,"
            f" got {docids[-1]}",
        )
    return docids


def _number(fields: dict[int, int | bytes], number: int, base: int) -> int:
    value = fields.get(number, 0)
    if isinstance(value, bytes):
        raise WireError(base, f"field {number} of a message must be a number")
    return value


def _text(fields: dict[int, int | bytes], number: int, base: int) -> str:
    value = fields.get(number, b"")
    if isinstance(value, int):
        raise WireError(base, f"field {number} of a message must be a string")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise WireError(base, f"field {number} of a message must be UTF-8 ({error})") from error


def _signed(value: int) -> int:
    return value - 2**64 if value >> 63 else value
