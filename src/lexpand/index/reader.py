"""The read side of an index: searches, documents, vectors and statistics of one commit."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand.data import Document, ModelId, SparseVectors, VectorSpace
from lexpand.data.arguments import check_integer, check_number
from lexpand.data.documents import shown
from lexpand.errors import (
    ContractMismatch,
    CorruptIndex,
    DataError,
    FilterError,
    IndexStateError,
    UnknownDocument,
    VectorError,
)
from lexpand.index.bounds import inverse_word_frequencies, largest_weights, word_bounds
from lexpand.index.catalog import Catalog, Commit
from lexpand.index.columns import check_filter
from lexpand.index.database import RESTORE
from lexpand.index.fields import FieldInfo, fields_in
from lexpand.index.filters import Expression, Filter, parse_field, parse_filter
from lexpand.index.filters.expression import Condition
from lexpand.index.grouping import best_passages, doc_ids_of, named
from lexpand.index.open_segment import OpenSegment
from lexpand.index.passages import RankedPassages
from lexpand.index.results import IndexInfo, Matches, StoredVector, WordScore, describe
from lexpand.index.schema import SPARSE_FIELD, Schema
from lexpand.index.searching import (
    BM25,
    find_vectors,
    find_vectors_exhaustively,
    find_words,
    score_words,
)
from lexpand.index.snapshot import Snapshot
from lexpand.index.stored import StoredBatch, stored_batches, stored_passages
from lexpand.index.word_queries import WordQuery, weighted_words

_K_LIMIT = 2**32 - 1
_ID_BATCH = 10_000
# The number of field names that an error lists.
_FIELDS_LISTED = 20


class IndexReader(ABC):
    """The methods that read one commit, shared by `Index` and `Searcher`.

    `Index` reads the commit that it currently sees. `Searcher` always reads the same one.

    Attributes:
        path: the folder.
        schema: the schema of the index.
    """

    path: Path
    schema: Schema
    _catalog: Catalog

    @property
    @abstractmethod
    def _snapshot(self) -> Snapshot:
        """The snapshot to read. A reference to it keeps its files and texts in place."""

    @property
    def space(self) -> VectorSpace:
        """The vector space of the vectors."""
        return self.schema.space

    @property
    def live_passages(self) -> int:
        """The number of passages whose documents are not deleted."""
        return self._snapshot.live_passages

    @property
    def has_chunks(self) -> bool:
        """Whether any document has several passages."""
        return self._snapshot.has_chunks

    @property
    def commit_info(self) -> Commit:
        """The current commit."""
        return self._snapshot.commit

    def __len__(self) -> int:
        """Return the number of documents in the current commit."""
        return self.commit_info.documents

    def search(
        self,
        queries: SparseVectors,
        k: int = 10,
        *,
        filter: Filter | None = None,
        effort: float = 1.0,
        group_by: str | None = None,
        threads: int = 1,
        exhaustive: bool = False,
    ) -> list[Matches]:
        """Return the best ``k`` documents of each query, best first.

        The result is exact over stored weights unless ``effort`` is below 1. Equal scores are
        ordered by row, which is the order of insertion. Documents that share no term with the query
        are not found, so there may be fewer than ``k``. A document in chunks is found by its best
        one.

        Args:
            queries: the query vectors.
            k: the number of documents, from 0.
            filter: a condition on metadata: an expression, a mapping or a text (docs/filters.md).
            effort: roughly the share of a query's postings that is read, the strongest first, above
                0 and at most 1. At 1 the result is exact. Lower values are faster and may miss
                documents (docs/search.md).
            group_by: a metadata field; only the best document of each value is found. A document
                without the field is a group of its own.
            threads: the number of threads; each query runs on one.
            exhaustive: whether to score every document in NumPy instead. This is slow, and gives
                the same result to the bit.

        Raises:
            ContractMismatch: the queries are of another model.
            VectorError: the vocabulary of the queries has another size.
            DataError: k, threads or effort is out of range.
            FilterError: the filter is invalid, or compares a column with a type it cannot hold.
        """
        snapshot = self._snapshot
        found = self._vector_passages(
            snapshot, queries, k, filter, effort, group_by, threads, exhaustive=exhaustive
        )
        return [named(passages, snapshot) for passages in found]

    def search_words(
        self,
        queries: Sequence[WordQuery],
        k: int = 10,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        bm25: BM25 = BM25(),
        threads: int = 1,
    ) -> list[Matches]:
        """Return the best ``k`` documents of each query by BM25, best first; exact.

        The average length and the document frequencies are those of all live passages, regardless
        of the filter.

        Args:
            queries: texts, or mappings of words to weights. The words are those of the index's
                analyzer. A weight stands for the frequency of the word in the query.
            k: see `search`.
            filter: see `search`.
            group_by: see `search`.
            bm25: the parameters of BM25.
            threads: see `search`.

        Raises:
            IndexStateError: the index has no BM25 field.
            DataError, FilterError: see `search`.
        """
        snapshot = self._snapshot
        found = self._word_passages(
            snapshot, self.analyzed(queries), k, filter, group_by, bm25, threads
        )
        return [named(passages, snapshot) for passages in found]

    def _vector_passages(
        self,
        snapshot: Snapshot,
        queries: SparseVectors,
        k: int,
        filter: Filter | None,
        effort: float,
        group_by: str | None,
        threads: int,
        *,
        exhaustive: bool = False,
    ) -> list[RankedPassages]:
        self._check_space(queries)
        _check_search(k, threads, effort)
        allowed = snapshot.allowed(self._expression(filter), self._catalog)
        find = (
            find_vectors_exhaustively(snapshot, allowed, queries)
            if exhaustive
            else find_vectors(snapshot, allowed, queries, effort, threads)
        )
        return best_passages(
            find, len(queries), min(k, _K_LIMIT), group_by, snapshot, self._catalog
        )

    def _word_passages(
        self,
        snapshot: Snapshot,
        words: Sequence[Mapping[str, float]],
        k: int,
        filter: Filter | None,
        group_by: str | None,
        bm25: BM25,
        threads: int,
    ) -> list[RankedPassages]:
        _check_search(k, threads)
        allowed = snapshot.allowed(self._expression(filter), self._catalog)
        find = find_words(snapshot, allowed, words, bm25, threads)
        return best_passages(find, len(words), min(k, _K_LIMIT), group_by, snapshot, self._catalog)

    def word_score(self, query: WordQuery, doc_id: str, *, bm25: BM25 = BM25()) -> WordScore:
        """Return the BM25 score of a document with the share of each word.

        The score of a document in chunks is that of its best chunk.

        Raises:
            IndexStateError: the index has no BM25 field.
            UnknownDocument: the index has no document with that id.
        """
        words = self.analyzed([query])[0]
        snapshot = self._snapshot
        return score_words(snapshot, *self._place(snapshot, doc_id), words, bm25)[0]

    def word_spans(
        self, query: WordQuery, doc_id: str, *, bm25: BM25 = BM25()
    ) -> list[tuple[int, int]]:
        """Return the passages of a document as (first, end) characters, best BM25 score first.

        Raises:
            IndexStateError, UnknownDocument: see `word_score`.
        """
        words, snapshot = self.analyzed([query])[0], self._snapshot
        return [
            found.span
            for found in score_words(snapshot, *self._place(snapshot, doc_id), words, bm25)
        ]

    def analyzed(self, queries: Sequence[WordQuery]) -> list[Mapping[str, float]]:
        """Return the weight of each word of each query, from the index's analyzer.

        Raises:
            IndexStateError: the index has no BM25 field.
            DataError: ``queries`` is a single query, or a word or weight is invalid.
        """
        if self.schema.words is None:
            raise IndexStateError(
                f"{self.path} has no BM25 field: create a new index with one to search words"
            )
        return weighted_words(queries, self.schema.words)

    def _expression(self, filter: Filter | None) -> Expression | None:
        if filter is None:
            return None
        expression = parse_filter(filter)
        check_filter(self.schema.columns, expression)
        return expression

    def check_fields(self, filter: Filter | None, group_by: str | None = None) -> None:
        """Check that documents have the fields and types that a filter and a group name.

        A filter on a missing field matches nothing or everything, which usually is a typing error.
        A search does not make this check, because a program may filter by fields that its documents
        do not have yet.

        Raises:
            FilterError: the filter is invalid, or no document has a field or a value of its type.
                The message lists the existing fields.
        """
        expression = self._expression(filter)
        for condition in () if expression is None else expression.conditions:
            self._check_condition(condition)
        if group_by is not None:
            self._check_group(group_by)

    def _check_condition(self, condition: Condition) -> None:
        kinds = condition.kinds
        if condition.name in self.schema.columns or not kinds or not self.commit_info.documents:
            return
        if self._catalog.has_field(condition.field, kinds):
            return
        if self._catalog.has_field(condition.field):
            raise FilterError(
                f"{condition} compares {condition.name} with a {' or '.join(sorted(kinds))},"
                f" but no document of {self.path} has one there:"
                " `Index.fields` (`lexpand fields`) lists types and values. To compare text as"
                f" numbers, declare a column when indexing with columns={{{condition.name!r}:"
                f" 'number'}} (--column {condition.name}=number on the command line)"
            )
        names = [field.name for field in self.fields()]
        listed = ", ".join(names[:_FIELDS_LISTED])
        if len(names) > _FIELDS_LISTED:
            listed += ", ..."
        raise FilterError(
            f"no document of {self.path} has the field {condition.name}: "
            + (f"the fields are {listed}" if names else "its documents have no metadata")
        )

    def _check_group(self, group_by: str) -> None:
        if self.commit_info.documents and not self._catalog.has_field(parse_field(group_by)):
            listed = ", ".join(field.name for field in self.fields()[:_FIELDS_LISTED])
            raise FilterError(
                f"no document of {self.path} has the field {group_by} to group by:"
                f" the fields are {listed}"
            )

    def fields(self) -> list[FieldInfo]:
        """Return the metadata fields, most frequent first; reads the metadata of all documents."""
        return fields_in(self._catalog.metadata(), self.schema.columns)

    def document_frequencies(self) -> NDArray[np.float64]:
        """Return the number of live passages whose vector has each term, [vocabulary_size]."""
        snapshot = self._snapshot
        return (
            snapshot.document_frequencies()
            if snapshot.segments
            else np.zeros(len(self.space.vocabulary))
        )

    def inverse_document_frequencies(self) -> NDArray[np.float64]:
        """Return the IDF of each term over the live passages, float64 [vocabulary_size].

        The IDF is log(1 + (N - df + 0.5) / (df + 0.5)), as in Lucene's BM25. N is the number of
        passages, and df the number of those whose vector has the term. The result is computed once
        per snapshot.
        """
        snapshot = self._snapshot
        # Without passages, the formula gives log 2 for every term.
        return (
            snapshot.inverse_document_frequencies
            if snapshot.segments
            else np.full(len(self.space.vocabulary), np.log(2))
        )

    def typical_weight(self) -> float:
        """Return a large stored weight of a typical passage.

        This is the mean of the ten largest weights of each of 256 passages, and 1 in an empty
        index. The result is computed once per snapshot.
        """
        return self._snapshot.typical_weight

    def largest_weights(self, terms: NDArray[np.uint32]) -> NDArray[np.float64]:
        """Return the largest stored weight of each term over the live passages, float64 [terms].

        The weight of a term that no passage has is 0. Each weight is found by a search for the term
        alone, once per snapshot.

        Raises:
            VectorError: a term is not in the vocabulary.
        """
        return largest_weights(self._snapshot, terms, len(self.space.vocabulary))

    def word_bounds(self, queries: Sequence[WordQuery]) -> list[float]:
        """Return an upper bound of the BM25 scores of each query: the weighted sum of its IDFs.

        A word that no live passage has adds 0. A word that a query has twice counts twice.

        Raises:
            IndexStateError: the index has no BM25 field.
            DataError: ``queries`` is a string.
        """
        return word_bounds(self._snapshot, self.analyzed(queries))

    def inverse_word_frequencies(self, words: Sequence[str]) -> NDArray[np.float64]:
        """Return the IDF of each word over the live passages, float64 [words].

        The IDF is log(1 + (N - df + 0.5) / (df + 0.5)), and 0 for a word that no passage has.

        Args:
            words: the words, from the index's analyzer.

        Raises:
            IndexStateError: the index has no BM25 field.
            DataError: ``words`` is a string.
        """
        self.analyzed([])
        if isinstance(words, str):
            raise DataError(
                f"words must be a list of words, got the string {words!r}:"
                " put a single word in a list"
            )
        return inverse_word_frequencies(self._snapshot, words)

    def matching(self, filter: Filter) -> list[str]:
        """Return the ids of the documents whose metadata match, in order of insertion.

        Raises:
            FilterError: the filter is invalid, or compares a column with a type it cannot hold.
        """
        snapshot = self._snapshot
        allowed = snapshot.allowed(self._expression(filter), self._catalog)
        return doc_ids_of(snapshot.documents(allowed), snapshot)

    def document(self, doc_id: str) -> Document:
        """Return a document by its id.

        Raises:
            UnknownDocument: the index has no document with that id.
        """
        snapshot = self._snapshot
        row = self._row(snapshot, doc_id)
        return self._documents(snapshot, [row])[row]

    def documents_by_id(self, doc_ids: Sequence[str]) -> dict[str, Document]:
        """Return documents by id, in the order of ``doc_ids``; ids without a document are left out.

        Raises:
            DataError: ``doc_ids`` is a string.
        """
        if isinstance(doc_ids, str):
            raise DataError(
                f"doc_ids must be a list of ids, got the string {doc_ids!r}:"
                " put a single id in a list"
            )
        snapshot = self._snapshot
        found = [self._catalog.row_of(doc_id, snapshot.commit.commit_id) for doc_id in doc_ids]
        rows = [row for row in found if row is not None]
        return {document.doc_id: document for document in self._documents(snapshot, rows).values()}

    def doc_ids(self) -> Iterator[str]:
        """Yield the ids of all documents, in order of insertion."""
        snapshot = self._snapshot
        everything = snapshot.documents(snapshot.live)
        for first in range(0, len(everything), _ID_BATCH):
            yield from doc_ids_of(everything.at(slice(first, first + _ID_BATCH)), snapshot)

    def fingerprint(self) -> str:
        """Return a hash of the documents: their ids, titles, texts and metadata.

        It is the sum modulo 2^128 of a BLAKE2b hash of each document, as 32 hexadecimal digits. So
        it does not depend on the order of insertion, on segments or on the model.
        """
        total = 0
        for doc_id, digest in self._catalog.fingerprints(self._snapshot.commit.commit_id):
            each = hashlib.blake2b(digest + doc_id.encode(), digest_size=16).digest()
            total += int.from_bytes(each, "little")
        return f"{total % 2**128:032x}"

    def documents(self, rows: Sequence[int]) -> dict[int, Document]:
        """Return documents by row (`Match.row`).

        Raises:
            UnknownDocument: the current commit has no such row. A `Searcher` keeps the rows that it
                found.
        """
        return self._documents(self._snapshot, rows)

    def _documents(self, snapshot: Snapshot, rows: Sequence[int]) -> dict[int, Document]:
        found = self._catalog.documents(rows)
        for row in rows:
            if row not in found:
                if snapshot.find(row) is not None:
                    raise CorruptIndex(
                        f"the catalog of {self.path} lacks row {row}: restore it from a copy"
                    )
                raise UnknownDocument(
                    f"{self.path} has no document in row {row}, because it was deleted since:"
                    " read the results of a search through the `Index.searcher` that made it"
                )
        return {row: found[row] for row in rows}

    def vector(self, doc_id: str) -> StoredVector:
        """Return the stored vector of a document; for one in chunks, that of the first chunk.

        Raises:
            UnknownDocument: the index has no document with that id.
        """
        return self.vectors(doc_id)[0]

    def vectors(self, doc_id: str) -> list[StoredVector]:
        """Return the stored vector of each chunk of a document.

        Raises:
            UnknownDocument: the index has no document with that id.
        """
        segment, ordinals = self._place(self._snapshot, doc_id)
        spans = segment.spans[ordinals].tolist()
        return [
            StoredVector(*segment.native.vector(SPARSE_FIELD, ordinal), (first, end))
            for ordinal, (first, end) in zip(ordinals, spans, strict=True)
        ]

    def stored(self, batch: int = 1024) -> Iterator[tuple[list[Document], SparseVectors]]:
        """Yield all documents with their stored vectors as float32, in order of insertion.

        Args:
            batch: the number of documents at a time.

        Raises:
            IndexStateError: a document has several chunks.
        """
        return stored_batches(self.path, self._catalog, self._snapshot, self.space, batch)

    def stored_passages(self, batch: int = 1024) -> Iterator[StoredBatch]:
        """Yield all passages with their stored vectors, in order of insertion.

        Each chunk of a document in chunks is a passage.

        Args:
            batch: the number of passages at a time.
        """
        return stored_passages(self._catalog, self._snapshot, self.space, batch)

    def check_model(self, model: ModelId) -> None:
        """Check that ``model`` is the one whose vectors the index holds.

        Raises:
            ContractMismatch: it is another model. The message names both.
        """
        own = self.space.model
        if model.hash != own.hash:
            raise ContractMismatch(
                f"{self.path} holds vectors of {own.label}, not of {model.label}:"
                " use the index's model, or encode the documents again with `lexpand reencode`"
            )

    def info(self) -> IndexInfo:
        """Return statistics of the index."""
        return describe(self.path, self.schema, self._snapshot)

    def _check_space(self, vectors: SparseVectors) -> None:
        if not isinstance(vectors, SparseVectors):
            raise DataError(
                f"vectors must be SparseVectors, got {shown(vectors)}: encode texts first"
                " (`Encoder.encode_queries` or `Encoder.encode_documents`)"
            )
        if vectors.model is not None:
            self.check_model(vectors.model)
        if vectors.vocabulary_size != len(self.space.vocabulary):
            raise VectorError(
                f"vectors must be over the {len(self.space.vocabulary)} terms of {self.path},"
                f" got {vectors.vocabulary_size} terms"
            )

    def _place(self, snapshot: Snapshot, doc_id: str) -> tuple[OpenSegment, list[int]]:
        row = self._row(snapshot, doc_id)
        place = snapshot.find(row)
        if place is None:
            raise CorruptIndex(
                f"{self.path} is damaged (document {doc_id!r} in row {row} is in no segment):"
                f" {RESTORE}"
            )
        return place

    def _row(self, snapshot: Snapshot, doc_id: str) -> int:
        row = self._catalog.row_of(doc_id, snapshot.commit.commit_id)
        if row is None:
            raise UnknownDocument(f"{self.path} has no document {doc_id!r}: ids must match exactly")
        return row


def _check_search(k: int, threads: int, effort: float = 1.0) -> None:
    check_integer(k, "k", 0)
    check_integer(threads, "threads", 1)
    check_number(effort, "effort")
    if not 0 < effort <= 1:
        raise DataError(f"effort must be > 0 and <= 1 (exact), got {effort}")
