"""What the tests of this room share."""

from dataclasses import dataclass

from lexpand import Document, Encoder, Index, Query, SparseRetriever, WordRetriever

TOKENS = 64
"""Documents are read up to here: enough for vectors of real shape, and quicker."""


@dataclass
class Collection:
    index: Index
    encoder: Encoder
    documents: list[Document]
    queries: list[Query]

    @property
    def sparse(self) -> SparseRetriever:
        return SparseRetriever(self.index, self.encoder)

    @property
    def words(self) -> WordRetriever:
        return WordRetriever(self.index)
