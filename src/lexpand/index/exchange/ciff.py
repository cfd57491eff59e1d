"""CIFF, the Common Index File Format (Lin et al. 2020).

A file is a Header, then PostingsLists, then DocRecords, each preceded by its length. Lexpand writes

* tf = weight * scale, rounded, without postings whose tf is 0;
* terms in order of their UTF-8, without those that have no postings;
* docids in order of insertion;
* doclength as the sum of a document's tf;
* the scale in the description of the header.
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
"""The tf of the largest weight if no scale is given."""

_DESCRIPTION = re.compile(r"lexpand \S+: tf is the weight times (\S+), rounded")

_Postings = tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.int64]]


def write(
    path: Path,
    batches: Iterable[RowBatch],
    vocabulary: Vocabulary,
    scale: float | None,
) -> int:
    """Write the file atomically. All postings are in memory meanwhile, about 60 bytes each.

    Args:
        path: the target.
        batches: the rows.
        vocabulary: the terms.
        scale: the factor for weights; None for the one that makes the largest weight 255.

    Returns:
        The number of weights that round to 0 and were left out.

    Raises:
        DataError: a tf or the sum of a document's tf would exceed int32.
        StorageError: the disk is full, read-only or failing.
    """
    ids, lengths, terms, weights = _collect(batches)
    largest = float(weights.max(initial=0))
    if scale is None:
        scale = IMPACTS / largest if largest > 0 else 1.0
    tfs = np.rint(weights.astype(np.float64) * scale)
    docids = np.repeat(np.arange(len(ids)), lengths)
    doclengths = np.bincount(docids, tfs, len(ids))
    if tfs.max(initial=0) > messages.LARGEST or doclengths.max(initial=0) > messages.LARGEST:
        raise DataError(
            f"scale {scale} makes a tf, or the sum of a document's tf, larger than 2^31 - 1:"
            " give a smaller scale"
        )
    kept = np.flatnonzero(tfs)
    order = kept[np.argsort(terms[kept], kind="stable")]
    postings = docids[order], terms[order], tfs[order].astype(np.int64)
    with atomic_write(path) as file:
        _write_all(file, ids, postings, doclengths.astype(np.int64).tolist(), vocabulary, scale)
    return len(tfs) - len(kept)


def open_source(path: Path, scale: float | None) -> Source:
    """Read a file of any program; weights are tf / scale.

    CIFF is sorted by term. All postings are in memory, about 60 bytes each while they are sorted by
    document.

    Args:
        path: the file.
        scale: the divisor of the tf; None for the scale in the description of Lexpand's own files,
            or 1 for other files.

    Raises:
        SourceError: the file is missing, truncated or damaged. The message has the byte offset.
        DataError: the scale is invalid.
    """
    if scale is not None:
        check_scale(scale)
    try:
        with path.open("rb") as file:
            header, tokens, postings, ids = _read_all(_Messages(file, path.stat().st_size))
    except WireError as error:
        raise SourceError(
            f"{path} is not a CIFF file, or is truncated or damaged at byte {error.offset}"
            f" ({error.why}): copy or export the file again"
        ) from None
    except OSError as error:
        raise SourceError(
            f"cannot open {path} ({error.strerror or error}): check the path"
        ) from error
    try:
        vocabulary = Vocabulary(tokens)
        divisor = _divisor(header.description) if scale is None else scale
        vectors = _by_document(postings, len(ids), len(tokens), divisor)
    except DataError as error:
        raise SourceError(f"{path}: {error}") from error
    return Source(
        vocabulary, None, None, lambda on_bad_row: _chunks(path, ids, vectors, on_bad_row)
    )


def _collect(
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
    _write_message(file, header.to_bytes())
    for term, start, end in lists:
        _write_message(file, messages.postings_list(term, docids[start:end], tfs[start:end]))
    for docid, (name, length) in enumerate(zip(ids, lengths, strict=True)):
        _write_message(file, messages.doc_record(docid, name, length))


def _by_utf8(entry: tuple[str, int, int]) -> bytes:
    return entry[0].encode()


def _write_message(file: IO[bytes], message: bytes) -> None:
    file.write(varint(len(message)) + message)


class _Messages:
    """A reader of the messages of a file, in order."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size
        self._place = 0

    def next(self, what: str) -> tuple[bytes, int]:
        """Return the next message and its offset.

        Raises:
            WireError: the file ends before the message, or within it.
        """
        start = self._place
        if start == self._size:
            raise WireError(start, f"the file ends where {what} should be")
        head = self._file.read(10)
        length, used = read_varint(head, 0, start)
        base = start + used
        if length > self._size - base:
            raise WireError(
                start, f"{what} should have {length} bytes, but only {self._size - base} are left"
            )
        self._place = base + length
        if used + length <= len(head):
            self._file.seek(self._place)
            return head[used : used + length], base
        return head[used:] + self._file.read(length + used - len(head)), base

    def check_end(self) -> None:
        """Check that all bytes were read.

        Raises:
            WireError: bytes are left.
        """
        if self._place != self._size:
            raise WireError(
                self._place, f"{self._size - self._place} bytes follow the last document"
            )


def _read_all(reader: _Messages) -> tuple[messages.Header, list[str], _Postings, list[str]]:
    header = messages.read_header(*reader.next("the header"))
    if not 1 <= header.num_postings_lists <= VOCABULARY_LIMIT:
        raise WireError(
            0,
            f"the header must count 1 to {VOCABULARY_LIMIT} posting lists,"
            f" got {header.num_postings_lists}",
        )
    tokens, docids, tfs = [], [], []
    for i in range(header.num_postings_lists):
        data, base = reader.next(f"posting list {i + 1} of {header.num_postings_lists}")
        token, list_docids, list_tfs = messages.read_postings_list(
            data, base, header.num_doc_records
        )
        tokens.append(token)
        docids.append(list_docids)
        tfs.append(list_tfs)
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
            why = "occurs twice" if docid in ids else f"is not below the header's {count} documents"
            raise WireError(base, f"the docid {docid} of document {i + 1} ({name!r}) {why}")
        ids[docid] = name
    return [ids[docid] for docid in range(count)]


def _divisor(description: str) -> float:
    """Return the scale in the description of Lexpand's own files; 1 for other files."""
    match = _DESCRIPTION.fullmatch(description)
    try:
        return check_scale(float(match[1])) if match else 1.0
    except ValueError:
        return 1.0


def _by_document(postings: _Postings, documents: int, terms: int, scale: float) -> SparseVectors:
    """Sort postings by document.

    The lists are in order of their terms, so a stable sort keeps each document's terms ascending.
    """
    docids, numbers, tfs = postings
    order = np.argsort(docids, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(docids, minlength=documents))])
    return SparseVectors(indptr, numbers[order], tfs[order] / scale, terms)


def _chunks(
    path: Path, ids: list[str], vectors: SparseVectors, on_bad_row: OnBadRow
) -> Iterator[Chunk]:
    for start in range(0, len(ids), ROWS):
        rows = [
            (f"{path}:document {start + i}", doc_id)
            for i, doc_id in enumerate(ids[start : start + ROWS])
        ]
        yield named_rows(rows, vectors[start : start + ROWS], on_bad_row)
