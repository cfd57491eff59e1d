"""Small indexes for exports, and a CIFF decoder that shares no code with Lexpand's."""

import struct
from pathlib import Path

from index_toys import SPACE

from lexpand import Index


def stored(index: Index) -> dict[str, dict[str, float]]:
    """Return the stored weights of all documents, by id and token, in order of insertion."""
    weights = {}
    for doc_id in index.doc_ids():
        vector = index.vector(doc_id)
        tokens = [index.space.vocabulary.term(int(term)) for term in vector.terms]
        weights[doc_id] = dict(zip(tokens, vector.weights.tolist(), strict=True))
    return weights


def fill(path: Path, documents: list, vectors: object) -> Index:
    index = Index.create(path, SPACE)
    index.add(documents, vectors)  # type: ignore[arg-type]
    index.commit()
    return index


def decode_message(data: bytes) -> list[tuple[int, object]]:
    """Decode the fields of a protobuf message, one byte at a time."""
    stream, fields = iter(data), []

    def number() -> int:
        value = shift = 0
        for byte in stream:
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
        raise AssertionError("truncated")

    for first in stream:
        assert first < 128
        kind = first & 7
        if kind == 0:
            fields.append((first >> 3, number()))
        else:
            size = 8 if kind == 1 else number()
            fields.append((first >> 3, bytes(next(stream) for _ in range(size))))
    return fields


def decode_ciff(
    data: bytes,
) -> tuple[dict, list[tuple[str, int, int, list[tuple[int, int]]]], list[dict]]:
    """Decode a file into its header, posting lists (term, df, cf, [(docid, tf)]) and documents."""
    messages = []
    place = 0
    while place < len(data):
        size = shift = 0
        while True:
            byte = data[place]
            size |= (byte & 127) << shift
            place, shift = place + 1, shift + 7
            if byte < 128:
                break
        messages.append(decode_message(data[place : place + size]))
        place += size
    header = dict(messages[0])
    header[7] = struct.unpack("<d", header[7])[0]
    lists = []
    for fields in messages[1 : 1 + header[2]]:
        docid, postings = 0, []
        for number, value in fields:
            if number == 4:
                posting = dict(decode_message(value))
                docid += posting.get(1, 0)
                postings.append((docid, posting.get(2, 0)))
        found = dict(fields)
        lists.append((found[1].decode(), found[2], found[3], postings))
    return header, lists, [dict(fields) for fields in messages[1 + header[2] :]]
