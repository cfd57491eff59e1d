"""Title weights: add the weighted vector of the title to the vector of the whole text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lexpand.data import Document, SparseVectors
from lexpand.data.weight_groups import group_weights
from lexpand.encode.encoding import Encoding


def title_of(text: str | Document) -> str:
    """Return the title to encode separately.

    It is empty for a string, and for a document that has only a title.
    """
    return text.title if isinstance(text, Document) and text.text.strip() else ""


def with_titles(whole: Encoding, titles: Encoding, weight: float) -> Encoding:
    """Add the weighted vectors of titles to those of whole texts, in float64.

    A term in both vectors keeps its position in the whole text. A term in the title's vector alone
    keeps its position in the title, which is the same in the whole text, because the title comes
    first. The exception is the special token that ends the title: it is not there in the whole
    text. Its terms get the position of the first token, which is a special token too.

    Args:
        whole: the encoding of the texts.
        titles: the encoding of their titles, one row for each text.
        weight: the factor for the weights of titles.
    """
    parts = (whole, titles)
    owners = np.concatenate([part.vectors.owners for part in parts])
    terms = np.concatenate([part.vectors.terms for part in parts])
    factors = np.repeat([1.0, weight], [part.vectors.nnz for part in parts])
    weights = np.concatenate([part.vectors.weights for part in parts]).astype(np.float64) * factors
    last = np.repeat(titles.tokens, np.diff(titles.vectors.indptr)).astype(np.int64) - 1
    positions = np.concatenate(
        [whole.positions, np.where(titles.positions < last, titles.positions, 0)]
    )
    # Of two weights of a term, that of the whole text comes first, and its position is kept.
    runs = group_weights(owners, terms, len(whole.vectors))
    sums = np.add.reduceat(weights[runs.order], runs.starts) if len(runs.starts) else weights
    size, model = whole.vectors.vocabulary_size, whole.vectors.model
    vectors = SparseVectors(runs.indptr, terms[runs.first], sums, size, model)
    return replace(whole, vectors=vectors, positions=positions[runs.first].astype(np.uint32))
