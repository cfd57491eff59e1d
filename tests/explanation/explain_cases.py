"""The collection that the tests of explanations share."""

from dataclasses import dataclass

from lexpand import Document, Encoder, Index, Query, SparseRetriever, WordRetriever

TOKENS = 64
"""The maximum length of documents. Their vectors have a realistic shape, and indexing is faster."""


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
