"""Documents whose stored vectors are weighed otherwise: the title once more, or divided by a power of the length."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, diags_array

from lexpand import Document, Encoder, Index, SparseVectors
from lexpand.encode import WordAnalyzer


@dataclass(frozen=True, order=True)
class Weighing:
    """What is done with a vector before it is stored.

    Attributes:
        title: times this, the vector of the title alone is added; 0 for none.
        length: the vector is divided by this power of its Euclidean length, after that; 0 for none.
    """

    title: float = 0.0
    length: float = 0.0

    def __bool__(self) -> bool:
        return (self.title, self.length) != (0, 0)

    def apply(self, vectors: SparseVectors, documents: list[Document], encoder: Encoder) -> SparseVectors:
        """The vectors of documents, weighed."""
        matrix = csr_array(vectors.to_scipy(), dtype=np.float64)
        if self.title:
            titles = encoder.encode_documents([document.title for document in documents])
            matrix = csr_array(matrix + self.title * csr_array(titles.to_scipy(), dtype=np.float64))
        if self.length:
            lengths = np.sqrt(matrix.multiply(matrix).sum(axis=1))
            matrix = csr_array(diags_array(np.where(lengths > 0, lengths, 1) ** -self.length) @ matrix)
        matrix.sort_indices()
        return SparseVectors(matrix.indptr, matrix.indices, matrix.data, vectors.vocabulary_size, vectors.model)


PLAIN = Weighing()
"""Vectors as the model gives them."""


def weighed(plain: Path, weighing: Weighing, encoder: Encoder) -> Path:
    """The path of an index of the same documents with weighed vectors, made if it is not there yet."""
    if not weighing:
        return plain
    path = plain.with_name(f"{plain.stem}-title{weighing.title:g}-length{weighing.length:g}.index")
    if not Index.exists(path):
        unfinished = path.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        with (
            Index.open(plain) as source,
            Index.create(unfinished, source.space, words=WordAnalyzer("english")) as index,
        ):
            for documents, vectors in source.stored():
                index.add(documents, weighing.apply(vectors, documents, encoder))
            index.commit()
        unfinished.rename(path)
    return path
