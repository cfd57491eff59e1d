"""CIFF, the Common Index File Format (Lin et al. 2020): a Header, PostingsLists, DocRecords, each behind its length.

What Lexpand writes: tf = weight * scale, rounded, and postings whose tf is 0 left out; terms in
order of their UTF-8, those without postings left out; docids in order of adding; doclength the sum
of a document's tf; the scale in the header's description.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from lexpand import _native
from lexpand.data import SparseVectors, Vocabulary
from lexpand.data.streams import atomic_write
from lexpand.data.vector_checks import VOCABULARY_LIMIT
from lexpand.errors import DataError, SourceError
from lexpand.index.exchange import ciff_messages as messages
from lexpand.index.exchange.npz import named_rows
from lexpand.index.exchange.protobuf import WireError, read_varint, varint
from lexpand.index.exchange.rows import RowBatch
from lexpand.index.exchange.source import ROWS, Chunk, OnBadRow, Source, check_scale

IMPACTS = 255
"""What the largest weight becomes where no scale is given."""

_SCALED = re.compile(r"lexpand \S+: tf is the weight times (\S+), rounded")

_Postings = tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.int64]]


def write(
    path: Path,
    batches: Iterable[RowBatch],
    vocabulary: Vocabulary,
    scale: float | None,
) -> int:
    """Write the file, atomically; all postings are in memory meanwhile, about 60 bytes each.

    Args:
        path: where to.
        batches: the rows.
        vocabulary: the terms.
        scale: what weights are multiplied by; None for the one that makes the largest 255.

    Returns:
        How many weights were left out, for they round to 0.

    Raises:
        DataError: a tf or a document's sum would be beyond int32.
        StorageError: the disk refuses.
    """
    ids, lengths, terms, weights = _collected(batches)
    scale = (
        IMPACTS / float(weights.max())
        if scale is None and len(weights) and weights.max() > 0
        else scale or 1.0
    )
    tfs = np.rint(weights.astype(np.float64) * scale)
    docids = np.repeat(np.arange(len(ids)), lengths)
    doclengths = np.bincount(docids, tfs, len(ids))
    if tfs.max(initial=0) > messages.LARGEST or doclengths.max(initial=0) > messages.LARGEST:
        raise DataError(
            f"scale {scale} makes a tf or the sum of a document's beyond 2^31 - 1: give a smaller one"
        )
    kept = np.flatnonzero(tfs)
    order = kept[np.argsort(terms[kept], kind="stable")]
    postings = docids[order], terms[order], tfs[order].astype(np.int64)
    with atomic_write(path) as file:
        _write_all(file, ids, postings, doclengths.astype(np.int64).tolist(), vocabulary, scale)
    return len(tfs) - len(kept)


def open_source(path: Path, scale: float | None) -> Source:
    """Read a file, of Lexpand or of others; weights are tf / scale.

    CIFF is by term: all postings are in memory, about 60 bytes each while they are turned over.

    Args:
        path: the file.
        scale: what tf are divided by; None for the one in the description of Lexpand's own files,
            else 1.

    Raises:
        SourceError: the file is missing, cut short or damaged; the message has the offset of the
            byte.
        DataError: the scale is none.
    """
    if scale is not None:
        check_scale(scale)
    try:
        with path.open("rb") as file:
            header, tokens, postings, ids = _read_all(_Messages(file, path.stat().st_size))
    except WireError as error:
        raise SourceError(
            f"{path} is no CIFF file, cut short or damaged, at byte {error.offset}: {error.why}"
        ) from None
    except OSError as error:
        raise SourceError(
            f"cannot open {path}: {error.strerror or error}; check the path"
        ) from error
    try:
        vocabulary = Vocabulary(tokens)
        divisor = _divisor(header.description) if scale is None else scale
        vectors = _turned(postings, len(ids), len(tokens), divisor)
    except DataError as error:
        raise SourceError(f"{path}: {error}") from error
    return Source(
        vocabulary, None, None, lambda on_bad_row: _chunks(path, ids, vectors, on_bad_row)
    )


def _collected(
    batches: Iterable[RowBatch],
) -> tuple[list[str], NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]]:
    ids: list[str] = []
    lengths, terms, weights = (
        [np.zeros(0, np.int64)],
        [np.zeros(0, np.uint32)],
        [np.zeros(0, np.float32)],
    )
    for rows, vectors in batches:
        ids += [row.row_id for row in rows]
        lengths.append(np.diff(vectors.indptr))
        terms.append(vectors.terms)
        weights.append(vectors.weights)
    return ids, np.concatenate(lengths), np.concatenate(terms), np.concatenate(weights)


def _write_all(
    file: IO[bytes],
    ids: list[str],
    postings: _Postings,
    lengths: list[int],
    vocabulary: Vocabulary,
    scale: float,
) -> None:
    docids, terms, tfs = postings
    present, starts = np.unique(terms, return_index=True)
    ends = [*starts.tolist()[1:], len(terms)] if len(starts) else []
    lists = sorted(
        zip(map(vocabulary.term, present.tolist()), starts.tolist(), ends, strict=True),
        key=_by_utf8,
    )
    total = int(tfs.sum())
    description = f"lexpand {_native.__version__}: tf is the weight times {scale!r}, rounded"
    header = messages.Header(
        len(lists), len(ids), total, total / len(ids) if ids else 0.0, description
    )
    _put(file, header.to_bytes())
    for term, start, end in lists:
        _put(file, messages.postings_list(term, docids[start:end], tfs[start:end]))
    for docid, (name, length) in enumerate(zip(ids, lengths, strict=True)):
        _put(file, messages.doc_record(docid, name, length))


def _by_utf8(found: tuple[str, int, int]) -> bytes:
    return found[0].encode()


def _put(file: IO[bytes], message: bytes) -> None:
    file.write(varint(len(message)) + message)


class _Messages:
    """The messages of a file in turn."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size
        self._place = 0

    def next(self, what: str) -> tuple[bytes, int]:
        """A message and its offset; WireError where there is none."""
        start = self._place
        if start == self._size:
            raise WireError(start, f"the file ends where {what} should be")
        ahead = self._file.read(10)
        length, used = read_varint(ahead, 0, start)
        base = start + used
        if length > self._size - base:
            raise WireError(
                start, f"{what} should have {length} bytes, and {self._size - base} are left"
            )
        self._place = base + length
        if used + length <= len(ahead):
            self._file.seek(self._place)
            return ahead[used : used + length], base
        return ahead[used:] + self._file.read(length + used - len(ahead)), base

    def check_end(self) -> None:
        """WireError where something is left."""
        if self._place != self._size:
            raise WireError(
                self._place, f"{self._size - self._place} bytes follow the last document"
            )


def _read_all(reader: _Messages) -> tuple[messages.Header, list[str], _Postings, list[str]]:
    header = messages.read_header(*reader.next("the header"))
    if not 1 <= header.num_postings_lists <= VOCABULARY_LIMIT:
        raise WireError(
            0,
            f"the header counts {header.num_postings_lists} postings lists: from 1 to {VOCABULARY_LIMIT} can be held",
        )
    tokens, docids, tfs = [], [], []
    for i in range(header.num_postings_lists):
        data, base = reader.next(f"postings list {i + 1} of {header.num_postings_lists}")
        token, found, counts = messages.read_postings_list(data, base, header.num_doc_records)
        tokens.append(token)
        docids.append(found)
        tfs.append(counts)
    ids = _read_ids(reader, header.num_doc_records)
    reader.check_end()
    terms = np.repeat(np.arange(len(tokens), dtype=np.uint32), [len(part) for part in docids])
    return header, tokens, (np.concatenate(docids), terms, np.concatenate(tfs)), ids


def _read_ids(reader: _Messages, count: int) -> list[str]:
    ids: dict[int, str] = {}
    for i in range(count):
        data, base = reader.next(f"document {i + 1} of {count}")
        docid, name = messages.read_doc_record(data, base)
        if docid in ids or not docid < count:
            why = (
                "is there twice" if docid in ids else f"is not below the header's {count} documents"
            )
            raise WireError(base, f"the docid {docid} of document {i + 1} ({name!r}) {why}")
        ids[docid] = name
    return [ids[docid] for docid in range(count)]


def _divisor(description: str) -> float:
    """The scale that Lexpand says in its own files, else 1."""
    said = _SCALED.fullmatch(description)
    try:
        return check_scale(float(said[1])) if said else 1.0
    except ValueError:
        return 1.0


def _turned(postings: _Postings, documents: int, terms: int, scale: float) -> SparseVectors:
    """By document: lists are in order of their terms, so that a stable sort leaves each document's ascending."""
    docids, numbers, tfs = postings
    order = np.argsort(docids, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(docids, minlength=documents))])
    return SparseVectors(indptr, numbers[order], tfs[order] / scale, terms)


def _chunks(
    path: Path, ids: list[str], vectors: SparseVectors, on_bad_row: OnBadRow
) -> Iterator[Chunk]:
    for start in range(0, len(ids), ROWS):
        named = [
            (f"{path}:document {start + i}", doc_id)
            for i, doc_id in enumerate(ids[start : start + ROWS])
        ]
        yield named_rows(named, vectors[start : start + ROWS], on_bad_row)
