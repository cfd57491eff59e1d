"""What each format is read as: a vocabulary, and chunks of documents with vectors over it."""

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
"""Documents of a chunk."""

_Row: TypeAlias = tuple[Document, dict[int, float]]

_LARGEST = float(np.finfo(np.float32).max)


class Chunk(NamedTuple):
    """Documents, whose ``source`` is their place in the file, and their vectors, one row each."""

    documents: list[Document]
    vectors: SparseVectors


def encoding_of(value: object, path: Path) -> DocumentEncoding | None:
    """What `DocumentEncoding.to_dict` gave, read from a file; None of None, which a file of others has.

    Raises:
        SourceError: it is nothing of the kind.
    """
    if value is None:
        return None
    try:
        return DocumentEncoding.from_dict(cast("dict[str, Any]", value))
    except (LexpandError, TypeError, ValueError) as error:
        raise SourceError(
            f"{path}: how its documents were encoded cannot be read ({error}): write it again"
        ) from None


@dataclass(frozen=True, slots=True)
class Source:
    """A file of vectors, opened.

    Attributes:
        vocabulary: the terms that its vectors are over.
        model: the model that made them, where the file says so.
        encoding: how it encoded the documents, where the file says so.
        read: reads the file from its beginning; bad rows go to the function that it is given.
    """

    vocabulary: Vocabulary
    model: ModelId | None
    encoding: DocumentEncoding | None
    read: Callable[[OnBadRow], Iterator[Chunk]]

    def chunks(self, on_bad_row: OnBadRow) -> Iterator[Chunk]:
        """The chunks, without rows whose id came before; chunks of no rows are left out."""
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
        reason = "the id came before in this file: the first row is kept; give each document one id"
        on_bad_row(RowError(document.source, reason, document.doc_id))
        return False
    seen.add(document.doc_id)
    return True


def chunked(
    rows: Iterable[_Row | RowError], vocabulary: Vocabulary, on_bad_row: OnBadRow
) -> Iterator[Chunk]:
    """Chunks of `ROWS` documents with their weights by term; bad rows are handed on."""
    good = _without_bad(rows, on_bad_row)
    while found := list(islice(good, ROWS)):
        documents, weights = zip(*found, strict=True)
        yield Chunk(list(documents), SparseVectors.from_rows(weights, len(vocabulary)))


def checked_weights(row: Mapping[str, object], scale: float) -> dict[str, float]:
    """The weights of one row, divided by the scale.

    Raises:
        VectorError: one is no number, negative, not finite or beyond float32, or there are more
            than 2^16.
    """
    if len(row) > TERMS_LIMIT:
        raise VectorError(f"the vector has {len(row)} terms; the limit is {TERMS_LIMIT}: prune it")
    weights = {}
    for term, value in row.items():
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0 <= value <= _LARGEST
        ):
            raise VectorError(
                f"the term {term!r} has the weight {_shown(value)}: it must be a number, finite and at least 0"
            )
        weights[term] = value / scale
        if weights[term] > _LARGEST:
            raise VectorError(
                f"the term {term!r} has the weight {value} / {scale}, which is beyond float32"
            )
        if weights[term] > 0 and not np.float32(weights[term]):
            raise VectorError(
                f"the term {term!r} has the weight {_shown(value)}: too small for a float32; drop the term"
            )
    return weights


def check_scale(scale: float | None, default: float = 1.0) -> float:
    """The scale, or the default where there is none.

    Raises:
        DataError: it is not finite and above 0.
    """
    if scale is None:
        return default
    if not 0 < scale <= _LARGEST:
        raise DataError(f"scale is {scale}: it must be finite and above 0")
    return scale


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
