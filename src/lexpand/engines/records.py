"""Records: the passages of an index as an engine keeps them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexpand.data import Document, JsonValue
from lexpand.index.reader import IndexReader

_LONGEST_ID = 512
_LIKE_PASSAGE = re.compile(r"#\d+$")


@dataclass(frozen=True, slots=True)
class Record:
    """A passage with its vector.

    Attributes:
        record_id: the id in the engine: that of the document, or ``doc_id#n`` for one of several
            passages, n from 0; a hash if another document has that id.
        doc_id: the document.
        passage: the number of the passage in its document, from 0.
        title: of the document.
        text: of the document, or of the passage.
        metadata: of the document.
        terms: uint32 [n], ascending.
        weights: float32 [n], above 0.
    """

    record_id: str
    doc_id: str
    passage: int
    title: str
    text: str
    metadata: Mapping[str, JsonValue]
    terms: NDArray[np.uint32]
    weights: NDArray[np.float32]

    def vector(self) -> dict[str, float]:
        """Return the weights by term id as text, since a token may have a dot.

        Weights have 7 significant digits, as many as float32 has: their JSON is half as long.
        """
        weights = self.weights.astype(np.float64)
        scale = 10.0 ** (6 - np.floor(np.log10(weights)))
        short = (np.round(weights * scale) / scale).tolist()
        return dict(zip(map(str, self.terms.tolist()), short, strict=True))

    @property
    def step(self) -> float:
        """Two steps of the 16 bits in which an index stores weights."""
        return 2 * float(self.weights.max(initial=0.0)) / 65535

    def weight_by_term(self) -> dict[int, float]:
        """Return the weights by term id."""
        return dict(zip(self.terms.tolist(), self.weights.tolist(), strict=True))

    def digest(self) -> str:
        """Return a hash of all that the engine stores; equal records need no second upload."""
        content = [self.doc_id, self.passage, self.title, self.text, dict(self.metadata)]
        digest = hashlib.blake2b(digest_size=16)
        digest.update(json.dumps(content, sort_keys=True).encode())
        digest.update(self.terms.tobytes())
        digest.update(self.weights.tobytes())
        return digest.hexdigest()


def record_id_of(doc_id: str, passage: int | None, taken: Set[str] = frozenset()) -> str:
    """Return the id of a passage in an engine, which no other passage has.

    A hash stands for an id over 512 bytes, and for that of a passage that a document has.

    Args:
        doc_id: the document.
        passage: the number of the passage; None for a whole document.
        taken: ids of documents that passages of others must not have.
    """
    name = doc_id if passage is None else f"{doc_id}#{passage}"
    if len(name.encode()) <= _LONGEST_ID and (passage is None or name not in taken):
        return name
    return hashlib.blake2b(name.encode(), digest_size=32).hexdigest()


def passage_ids(doc_id: str, passage: int) -> tuple[str, str]:
    """Return the ids that a passage may have; the second if the first is that of a document."""
    first = record_id_of(doc_id, passage)
    return first, record_id_of(doc_id, passage, {f"{doc_id}#{passage}"})


def ids_like_passages(index: IndexReader) -> Set[str]:
    """Return the ids of documents that a passage could have."""
    return {doc_id for doc_id in index.doc_ids() if _LIKE_PASSAGE.search(doc_id)}


def records_of(index: IndexReader, batch: int = 1024) -> Iterator[Record]:
    """Yield the passages of an index, or of a commit of it, in order of insertion."""
    taken = ids_like_passages(index)
    for stored in index.stored_passages(batch):
        for place, ((document, (first, end)), chunk) in enumerate(
            zip(stored.passages, stored.chunks, strict=True)
        ):
            terms, weights = stored.vectors.row(place)
            kept = weights > 0
            title, text = _texts(document, None if chunk is None else (first, end))
            yield Record(
                record_id_of(document.doc_id, chunk, taken),
                document.doc_id,
                chunk or 0,
                title,
                text,
                document.metadata,
                terms[kept].astype(np.uint32),
                weights[kept].astype(np.float32),
            )


def _texts(document: Document, span: tuple[int, int] | None) -> tuple[str, str]:
    """Return the title and the text of a document, or of a passage of its full text."""
    if span is None:
        return document.title, document.text
    first, end = span
    if first == 0 and end <= len(document.title):
        return "", document.full_text[:end]  # the passage is a part of the title
    start = max(first, len(document.title) + 1) if document.title else first
    return document.title, document.full_text[start:end]


def plain_metadata(metadata: Mapping[str, JsonValue]) -> dict[str, Any]:
    """Return a copy of metadata as JSON values."""
    return dict(json.loads(json.dumps(metadata)))
