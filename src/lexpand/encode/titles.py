"""A document's title, weighed once more: the vector of the title alone is added to that of the whole text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lexpand.data import Document, SparseVectors
from lexpand.data.weight_groups import group_weights
from lexpand.encode.encoding import Encoding


def title_of(text: str | Document) -> str:
    """What is read once more; empty for a string, and for a document of nothing but a title."""
    return text.title if isinstance(text, Document) and text.text.strip() else ""


def with_titles(whole: Encoding, titles: Encoding, weight: float) -> Encoding:
    """Vectors of whole texts and, weighed, those of their titles, added up in float64.

    A term that both have keeps the token of the whole text. One of the title alone has the title's,
    which is the same token of the whole text, for the title stands first; but the special token
    that ends a title ends no title there, so its terms are put to the first token, which is special
    too.

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
    positions = np.concatenate(
        [whole.positions, np.where(titles.positions < last, titles.positions, 0)]
    )
    # Of two weights of one term the whole text's is first, and its position is kept.
    runs = group_weights(owners, terms, len(whole.vectors))
    sums = np.add.reduceat(weights[runs.order], runs.starts) if len(runs.starts) else weights
    size, model = whole.vectors.vocabulary_size, whole.vectors.model
    vectors = SparseVectors(runs.indptr, terms[runs.first], sums, size, model)
    return replace(whole, vectors=vectors, positions=positions[runs.first].astype(np.uint32))
