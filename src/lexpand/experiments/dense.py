"""A dense bi-encoder that searches all documents of a collection: a baseline with its real cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand.collection import Collection
from lexpand.data import Document
from lexpand.data.streams import atomic_write
from lexpand.errors import DataError
from lexpand.experiments.baselines import DenseReranker
from lexpand.index import Matches
from lexpand.index.filters import Filter
from lexpand.search import Retriever
from lexpand.search.retriever import check_queries, check_ranking

_BATCH = 32


class DenseRetriever(Retriever):
    """Exhaustive search by the cosine of dense vectors.

    Each document has one vector, of its title and text as far as the model reads.

    Args:
        kb: the collection, whose texts are encoded.
        model: the bi-encoder.
        vectors: unit vectors of the documents, float32 [documents, width], in the order of
            ``kb.index.doc_ids()``; see `encode_documents`.

    Attributes:
        vectors: see the argument.
    """

    def __init__(self, kb: Collection, model: DenseReranker, vectors: NDArray[np.float32]) -> None:
        self._index = kb.index
        self._model = model
        self.vectors = vectors
        self._ids = list(kb.index.doc_ids())

    @property
    def vector_bytes(self) -> float:
        """The size of a document's vector in bytes."""
        return float(self.vectors.shape[1] * self.vectors.itemsize)

    def rank(
        self,
        queries: Sequence[str],
        k: int,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        threads: int = 1,
    ) -> Sequence[Matches]:
        """See `Retriever.rank`.

        Raises:
            DataError: see `Retriever.rank`; or a filter or a group is given.
        """
        check_ranking(k, threads)
        if filter is not None or group_by is not None:
            raise DataError("filter and group_by must be None for a dense baseline")
        queries = check_queries(queries)
        if not queries:
            return []
        scores = self._model.query_vectors(queries) @ self.vectors.T
        return [self._best(row, k) for row in scores]

    def documents(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        """See `Retriever.documents`."""
        return self._index.documents_by_id(doc_ids)

    def _best(self, scores: NDArray[np.float32], k: int) -> Matches:
        """Return the best documents; equal scores keep the order of the index."""
        places = np.argsort(-scores, kind="stable")[:k]
        ids = [self._ids[place] for place in places.tolist()]
        return Matches(ids, scores[places].astype(np.float64), places.astype(np.uint32))


def encode_documents(
    kb: Collection,
    model: DenseReranker,
    cache: Path | None = None,
    on_done: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Return the unit vectors of all documents, float32 [documents, width].

    Args:
        kb: the collection.
        model: the bi-encoder.
        cache: an ``.npy`` file that is read if it exists and has a row for each document, and
            written otherwise. Its name must tell the model and the documents.
        on_done: a function that takes the number of documents finished since its last call.

    Raises:
        StorageError: the cache cannot be written.
    """
    ids = list(kb.index.doc_ids())
    if cache is not None and cache.is_file():
        kept: NDArray[np.float32] = np.load(cache)
        if len(kept) == len(ids):
            return kept
    found = []
    for first in range(0, len(ids), _BATCH):
        documents = kb.index.documents_by_id(ids[first : first + _BATCH]).values()
        found.append(model.document_vectors([document.full_text for document in documents]))
        if on_done is not None:
            on_done(len(documents))
    vectors = np.concatenate(found) if found else np.zeros((0, 0), np.float32)
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(cache) as file:
            np.save(file, vectors)
    return vectors
