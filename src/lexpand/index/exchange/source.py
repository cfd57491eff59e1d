"""The common form that every format is read as: a vocabulary, and chunks of documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np

from lexpand.data import Document, DocumentEncoding, ModelId, SparseVectors, Vocabulary
from lexpand.data.vector_checks import TERMS_LIMIT
from lexpand.errors import DataError, LexpandError, RowError, SourceError, VectorError

OnBadRow: TypeAlias = Callable[[RowError], None]

ROWS = 1024
"""The number of documents in a chunk."""

_Row: TypeAlias = tuple[Document, dict[int, float]]

_LARGEST = float(np.finfo(np.float32).max)


class Chunk(NamedTuple):
    """Documents with their vectors, one row each; ``source`` of a document is its place."""

    documents: list[Document]
    vectors: SparseVectors


def encoding_of(value: object, path: Path) -> DocumentEncoding | None:
    """Read the result of `DocumentEncoding.to_dict` from a file.

    The value is None in files from other programs; the result is then None.

    Raises:
        SourceError: the value is not such a result.
    """
    if value is None:
        return None
    try:
        return DocumentEncoding.from_dict(cast("dict[str, Any]", value))
    except (LexpandError, TypeError, ValueError) as error:
        raise SourceError(
            f"{path}: the record of how its documents were encoded is invalid ({error}):"
            " write the file again"
        ) from None


@dataclass(frozen=True, slots=True)
class Source:
    """An open vector file.

    Attributes:
        vocabulary: the terms of the vectors.
        model: the model of the vectors; None if the file does not record it.
        encoding: how the documents were encoded; None if the file does not record it.
        read: reads the file from its beginning, and passes bad rows to a function.
    """

    vocabulary: Vocabulary
    model: ModelId | None
    encoding: DocumentEncoding | None
    read: Callable[[OnBadRow], Iterator[Chunk]]

    def chunks(self, on_bad_row: OnBadRow) -> Iterator[Chunk]:
        """Yield the non-empty chunks, without rows that repeat an id."""
        seen: set[str] = set()
        for documents, vectors in self.read(on_bad_row):
            kept = [
                i for i, document in enumerate(documents) if _is_first(document, seen, on_bad_row)
            ]
            if len(kept) == len(documents) > 0:
                yield Chunk(documents, vectors)
            elif kept:
                yield Chunk([documents[i] for i in kept], vectors[kept])


def _without_bad(rows: Iterable[_Row | RowError], on_bad_row: OnBadRow) -> Iterator[_Row]:
    for row in rows:
        if isinstance(row, RowError):
            on_bad_row(row)
        else:
            yield row


def _is_first(document: Document, seen: set[str], on_bad_row: OnBadRow) -> bool:
    if document.doc_id in seen:
        reason = (
            "the id must be unique in this file, and an earlier row with it was kept:"
            " give each document its own id"
        )
        on_bad_row(RowError(document.source, reason, document.doc_id))
        return False
    seen.add(document.doc_id)
    return True


def chunked(
    rows: Iterable[_Row | RowError], vocabulary: Vocabulary, on_bad_row: OnBadRow
) -> Iterator[Chunk]:
    """Yield chunks of `ROWS` documents; pass bad rows to ``on_bad_row``."""
    good = _without_bad(rows, on_bad_row)
    while found := list(islice(good, ROWS)):
        documents, weights = zip(*found, strict=True)
        yield Chunk(list(documents), SparseVectors.from_rows(weights, len(vocabulary)))


def checked_weights(row: Mapping[str, object], scale: float) -> dict[str, float]:
    """Return the weights of one row, divided by the scale.

    Raises:
        VectorError: a weight is not a number, is negative, or is outside float32, or the row has
            more than 2^16 weights.
    """
    if len(row) > TERMS_LIMIT:
        raise VectorError(
            f"the vector must have at most {TERMS_LIMIT} terms, got {len(row)}: prune it"
        )
    weights = {}
    for term, value in row.items():
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0 <= value <= _LARGEST
        ):
            raise VectorError(
                f"the weight of the term {term!r} must be a finite number >= 0, got {_shown(value)}"
            )
        weights[term] = value / scale
        if weights[term] > _LARGEST:
            raise VectorError(
                f"the weight of the term {term!r} is too large for a float32, got {value} / {scale}"
            )
        if weights[term] > 0 and not np.float32(weights[term]):
            raise VectorError(
                f"the weight of the term {term!r} is too small for a float32,"
                f" got {_shown(value)}: drop the term"
            )
    return weights


def check_scale(scale: float | None, default: float = 1.0) -> float:
    """Return the scale, or the default if it is None.

    Raises:
        DataError: the scale is not finite, or not above 0.
    """
    if scale is None:
        return default
    if not 0 < scale <= _LARGEST:
        raise DataError(f"scale must be finite and > 0, got {scale}")
    return scale


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
