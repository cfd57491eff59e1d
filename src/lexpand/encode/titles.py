"""A document's title, weighed once more: the vector of the title alone is added to that of the whole text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from pathlib import Path

import numpy as np

from lexpand.data import Document, SparseVectors
from lexpand.data.runs import runs_of
from lexpand.encode.encoding import Encoding
from lexpand.encode.long_documents import Long, LongDocuments
from lexpand.errors import DataError, IndexStateError

SETTING = "title_weight"
"""What an index records the weight as (`VectorSpace.document_settings`)."""


# Products with weights of a model stay far from the ends of a float32, where documents would be refused one by one.
_SMALLEST, _LARGEST = 0.001, 1000


def check_title_weight(weight: object, long: LongDocuments) -> float:
    """The weight, if it is a legal one.

    Raises:
        DataError: it is neither 0 nor a number from 0.001 to 1,000; or there is one and documents are encoded in
            chunks, which have the title before each already.
    """
    number = isinstance(weight, Real) and not isinstance(weight, bool)
    if not number or (weight != 0 and not _SMALLEST <= weight <= _LARGEST):  # type: ignore[operator]
        raise DataError(f"the title's weight is {weight!r}: it must be 0, or a number from {_SMALLEST} to {_LARGEST:,}")
    if weight and long.policy is Long.CHUNK:
        raise DataError("a weight for titles, and long documents in chunks: give one of them")
    return float(weight)  # type: ignore[arg-type]


def recorded_title_weight(settings: Mapping[str, object]) -> float:
    """What an index's ``document_settings`` say; 0 where they say nothing."""
    found = settings.get(SETTING, 0.0)
    return float(found) if isinstance(found, int | float) else 0.0


def check_same_title_weight(index: str | Path, recorded: Mapping[str, object], offered: Mapping[str, object]) -> None:
    """Nothing, where titles weigh as much as those of the documents that the index has.

    Args:
        index: what the message calls it.
        recorded: its ``document_settings``.
        offered: the encoder's.

    Raises:
        IndexStateError: they do not.
    """
    has, new = recorded_title_weight(recorded), recorded_title_weight(offered)
    if has != new:
        raise IndexStateError(
            f"{index} was made with the weight {has:g} for titles, not {new:g}: use that, or make a new index"
        )


def title_of(text: str | Document) -> str:
    """What is read once more; empty for a string, and for a document of nothing but a title."""
    return text.title if isinstance(text, Document) and text.text.strip() else ""


def with_titles(whole: Encoding, titles: Encoding, weight: float) -> Encoding:
    """Vectors of whole texts and, weighed, those of their titles, added up in float64.

    A term that both have keeps the token of the whole text. One of the title alone has the title's, which is the same
    token of the whole text, for the title stands first; but the special token that ends a title ends no title there, so
    its terms are put to the first token, which is special too.

    Args:
        whole: of the texts.
        titles: of their titles, a row a text.
        weight: what a title's weights are multiplied by.
    """
    parts = (whole, titles)
    owners = np.concatenate([part.vectors.owners for part in parts])
    terms = np.concatenate([part.vectors.terms for part in parts])
    factors = np.repeat([1.0, weight], [part.vectors.nnz for part in parts])
    weights = np.concatenate([part.vectors.weights for part in parts]).astype(np.float64) * factors
    last = np.repeat(titles.tokens, np.diff(titles.vectors.indptr)).astype(np.int64) - 1
    positions = np.concatenate([whole.positions, np.where(titles.positions < last, titles.positions, 0)])
    # Of two weights of one term the whole text's is first, and its position is kept.
    runs = runs_of(owners, terms, len(whole.vectors))
    sums = np.add.reduceat(weights[runs.order], runs.starts) if len(runs.starts) else weights
    size, model = whole.vectors.vocabulary_size, whole.vectors.model
    vectors = SparseVectors(runs.indptr, terms[runs.first], sums, size, model)
    return replace(whole, vectors=vectors, positions=positions[runs.first].astype(np.uint32))
