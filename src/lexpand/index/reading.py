"""What can be asked of one commit: searches, documents, vectors, statistics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand.data import Document, ModelId, SparseVectors, VectorSpace
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

_MOST = 2**32 - 1
_IDS_AT_ONCE = 10_000
# Names of fields that an error lists.
_FIELDS_LISTED = 20


class Reading(ABC):
    """The reading side of an index. `Index` reads the commit that it sees; `Searcher` always reads the same one.

    Attributes:
        path: the folder.
        schema: what the index holds of each document.
    """

    path: Path
    schema: Schema
    _catalog: Catalog

    @property
    @abstractmethod
    def _snapshot(self) -> Snapshot:
        """The snapshot to read. Whoever holds it keeps its files and texts in place."""

    @property
    def space(self) -> VectorSpace:
        """Whose vectors it holds."""
        return self.schema.space

    @property
    def live_passages(self) -> int:
        """Passages whose documents are not deleted."""
        return self._snapshot.live_passages

    @property
    def has_chunks(self) -> bool:
        """Whether any document has several passages."""
        return self._snapshot.has_chunks

    @property
    def commit_info(self) -> Commit:
        """The commit that is read."""
        return self._snapshot.commit

    def __len__(self) -> int:
        """Documents in the commit that is read."""
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
        """The best ``k`` documents of each query, best first; exact over stored weights unless ``effort`` is below 1.

        Equal scores are ordered by row, which is the order of adding. Documents that share no term
        with the query are never found, so there may be fewer than ``k``. A document of several
        chunks is found by its best one.

        Args:
            queries: query vectors.
            k: how many, from 0.
            filter: only documents whose metadata match: an expression, a mapping or a text
                (docs/filters.md).
            effort: about the share of a query's postings that is read, the strongest first, above 0
                and at most 1. At 1 the result is exact; less is quicker, and may miss documents
                (docs/search.md).
            group_by: a field of metadata; only the best document of each value is found. A document
                without the field is a group of its own.
            threads: that may be used, a query on one thread each.
            exhaustive: score every document in NumPy instead, slowly: the same result to the bit.

        Raises:
            ContractMismatch: the queries are another model's.
            VectorError: their vocabulary has another size.
            DataError: k is negative, there are no threads, or effort is out of its range.
            FilterError: the filter is none, or compares a column with a value that it cannot hold.
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
        """The best ``k`` documents of each query by BM25 over their words, best first; exact.

        Args are those of `search`, but for queries, which are texts, or words as the index's
        analyzer gives them with a weight each, which stands for how often the query has it. The
        average length and the words' document frequencies are those of all live documents, filtered
        out or not.

        Raises:
            IndexStateError: the index was made without words.
            DataError, FilterError: as `search`.
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
        return best_passages(find, len(queries), min(k, _MOST), group_by, snapshot, self._catalog)

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
        return best_passages(find, len(words), min(k, _MOST), group_by, snapshot, self._catalog)

    def word_score(self, query: WordQuery, doc_id: str, *, bm25: BM25 = BM25()) -> WordScore:
        """A document's score in `search_words`, taken apart; of one with several chunks, its best one's.

        Raises:
            IndexStateError: the index was made without words.
            UnknownDocument: the index has none with that id.
        """
        words = self.analyzed([query])[0]
        snapshot = self._snapshot
        return score_words(snapshot, *self._place(snapshot, doc_id), words, bm25)[0]

    def word_spans(
        self, query: WordQuery, doc_id: str, *, bm25: BM25 = BM25()
    ) -> list[tuple[int, int]]:
        """The passages of a document by their BM25 scores, best first: characters, first and end.

        Raises:
            IndexStateError, UnknownDocument: see `word_score`.
        """
        words, snapshot = self.analyzed([query])[0], self._snapshot
        return [
            found.span
            for found in score_words(snapshot, *self._place(snapshot, doc_id), words, bm25)
        ]

    def analyzed(self, queries: Sequence[WordQuery]) -> list[Mapping[str, float]]:
        """Each query by its words with their weights, as the index's analyzer gives them.

        Raises:
            IndexStateError: the index was made without words.
            DataError: ``queries`` is one query, or a weight is no number.
        """
        if self.schema.words is None:
            raise IndexStateError(
                f"{self.path} was made without words: make a new index with words to search them"
            )
        return weighted_words(queries, self.schema.words)

    def _expression(self, given: Filter | None) -> Expression | None:
        if given is None:
            return None
        expression = parse_filter(given)
        check_filter(self.schema.columns, expression)
        return expression

    def check_fields(self, filter: Filter | None, group_by: str | None = None) -> None:
        """Raise if a filter or a group names a field that no document has, or a type that no value of it has.

        Such a filter matches nothing, or everything: it is a slip of the pen. A search does not ask
        for it, since a program may filter by fields that its documents do not have yet.

        Raises:
            FilterError: the message lists the fields that there are; or the filter cannot be read.
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
                f"{condition} compares {condition.name} with a {' or '.join(sorted(kinds))}, and no document of"
                f" {self.path} has one there; `lexpand fields` lists types and values. To compare text as numbers,"
                f" declare a column when indexing: --column {condition.name}=number"
            )
        known = [field.name for field in self.fields()]
        listed = ", ".join(known[:_FIELDS_LISTED]) + (
            ", ..." if len(known) > _FIELDS_LISTED else ""
        )
        raise FilterError(
            f"no document of {self.path} has the field {condition.name}; "
            + (f"fields are {listed}" if known else "its documents have no metadata")
        )

    def _check_group(self, group_by: str) -> None:
        if self.commit_info.documents and not self._catalog.has_field(parse_field(group_by)):
            known = ", ".join(field.name for field in self.fields()[:_FIELDS_LISTED])
            raise FilterError(
                f"no document of {self.path} has the field {group_by} to group by; fields are {known}"
            )

    def fields(self) -> list[FieldInfo]:
        """The metadata fields of the documents, most frequent first. Reads the metadata of all of them."""
        return fields_in(self._catalog.metadata(), self.schema.columns)

    def inverse_document_frequencies(self) -> NDArray[np.float64]:
        """log(1 + (N - df + 0.5) / (df + 0.5)) of each term over the live passages; float64 [vocabulary_size].

        N are the passages, df those whose vector has the term (BM25, as Lucene has it). Worked out
        once a snapshot.
        """
        snapshot = self._snapshot
        # Without any passage, the formula gives log 2 for every term.
        return (
            snapshot.inverse_document_frequencies
            if snapshot.segments
            else np.full(len(self.space.vocabulary), np.log(2))
        )

    def typical_weight(self) -> float:
        """A large stored weight of a typical passage: the mean of the ten largest of each of 256 passages.

        1 in an empty index. Worked out once a snapshot.
        """
        return self._snapshot.typical_weight

    def largest_weights(self, terms: NDArray[np.uint32]) -> NDArray[np.float64]:
        """Of each term its largest stored weight over the live passages, float64 [terms]; 0 where none has it.

        Each is found by a search for the term alone, once a snapshot.

        Raises:
            VectorError: a term is not in the vocabulary.
        """
        return largest_weights(self._snapshot, terms, len(self.space.vocabulary))

    def word_bounds(self, queries: Sequence[WordQuery]) -> list[float]:
        """Of each query the sum of its words' inverse document frequencies, which no BM25 score is above.

        A word that no live passage has counts nothing, one that a query has twice counts twice.

        Raises:
            IndexStateError: the index was made without words.
            DataError: ``queries`` is a string.
        """
        return word_bounds(self._snapshot, self.analyzed(queries))

    def inverse_word_frequencies(self, words: Sequence[str]) -> NDArray[np.float64]:
        """log(1 + (N - df + 0.5) / (df + 0.5)) of each word over the live passages, float64 [words]; 0 where none has it.

        Args:
            words: as the index's analyzer gives them.

        Raises:
            IndexStateError: the index was made without words.
            DataError: ``words`` is a string.
        """
        self.analyzed([])
        if isinstance(words, str):
            raise DataError(
                f"words must be a list of words, got the string {words!r}: put a single word in a list"
            )
        return inverse_word_frequencies(self._snapshot, words)

    def matching(self, filter: Filter) -> list[str]:
        """The ids of the documents whose metadata match, in order of adding.

        Raises:
            FilterError: the filter is none, or compares a column with a value that it cannot hold.
        """
        snapshot = self._snapshot
        allowed = snapshot.allowed(self._expression(filter), self._catalog)
        return doc_ids_of(snapshot.documents(allowed), snapshot)

    def document(self, doc_id: str) -> Document:
        """A document by its id.

        Raises:
            UnknownDocument: the index has none with that id.
        """
        snapshot = self._snapshot
        row = self._row(snapshot, doc_id)
        return self._documents(snapshot, [row])[row]

    def documents_by_id(self, doc_ids: Sequence[str]) -> dict[str, Document]:
        """Documents by their ids, in the order given; those that are not there are left out.

        Raises:
            DataError: ``doc_ids`` is a string.
        """
        if isinstance(doc_ids, str):
            raise DataError(
                f"doc_ids must be a list of ids, got the string {doc_ids!r}: put a single id in a list"
            )
        snapshot = self._snapshot
        found = [self._catalog.row_of(doc_id, snapshot.commit.commit_id) for doc_id in doc_ids]
        rows = [row for row in found if row is not None]
        return {document.doc_id: document for document in self._documents(snapshot, rows).values()}

    def doc_ids(self) -> Iterator[str]:
        """The ids of all documents, in order of adding."""
        snapshot = self._snapshot
        everything = snapshot.documents(snapshot.live)
        for first in range(0, len(everything), _IDS_AT_ONCE):
            yield from doc_ids_of(everything.at(slice(first, first + _IDS_AT_ONCE)), snapshot)

    def documents(self, rows: Sequence[int]) -> dict[int, Document]:
        """Documents by row, as `Match.row` has it.

        Raises:
            UnknownDocument: the commit that is read has no such row; a `Searcher` keeps those that
                it found.
        """
        return self._documents(self._snapshot, rows)

    def _documents(self, snapshot: Snapshot, rows: Sequence[int]) -> dict[int, Document]:
        found = self._catalog.documents(rows)
        for row in rows:
            if row not in found:
                if snapshot.find(row) is not None:
                    raise CorruptIndex(
                        f"{self.path} is damaged: the catalog lacks row {row}; restore it from a copy"
                    )
                raise UnknownDocument(
                    f"{self.path} has no document of row {row}: it was deleted since; read what a search found"
                    " with the `Index.searcher` that found it"
                )
        return {row: found[row] for row in rows}

    def vector(self, doc_id: str) -> StoredVector:
        """A document's stored vector; of one with several chunks, the first one's.

        Raises:
            UnknownDocument: the index has none with that id.
        """
        return self.vectors(doc_id)[0]

    def vectors(self, doc_id: str) -> list[StoredVector]:
        """The stored vectors of a document's chunks.

        Raises:
            UnknownDocument: the index has none with that id.
        """
        segment, ordinals = self._place(self._snapshot, doc_id)
        spans = segment.spans[ordinals].tolist()
        return [
            StoredVector(*segment.native.vector(SPARSE_FIELD, ordinal), (first, end))
            for ordinal, (first, end) in zip(ordinals, spans, strict=True)
        ]

    def stored(self, batch: int = 1024) -> Iterator[tuple[list[Document], SparseVectors]]:
        """All documents with their stored vectors, weights rounded to float32, in order of adding.

        Args:
            batch: documents at a time.

        Raises:
            IndexStateError: a document has several chunks.
        """
        return stored_batches(self.path, self._catalog, self._snapshot, self.space, batch)

    def stored_passages(self, batch: int = 1024) -> Iterator[StoredBatch]:
        """All passages with their stored vectors, in order of adding; of a document in chunks each chunk is one.

        Args:
            batch: passages at a time.
        """
        return stored_passages(self._catalog, self._snapshot, self.space, batch)

    def check_model(self, model: ModelId) -> None:
        """Nothing, where ``model`` is the one whose vectors the index holds.

        Raises:
            ContractMismatch: it is another one; the message names both.
        """
        mine = self.space.model
        if model.hash != mine.hash:
            raise ContractMismatch(
                f"{self.path} holds vectors of {mine.label}, not of {model.label}: "
                "use the index's model, or make a new index"
            )

    def info(self) -> IndexInfo:
        """What the index holds."""
        return describe(self.path, self.schema, self._snapshot)

    def _check_space(self, vectors: SparseVectors) -> None:
        if vectors.model is not None:
            self.check_model(vectors.model)
        if vectors.vocabulary_size != len(self.space.vocabulary):
            raise VectorError(
                f"vectors over {vectors.vocabulary_size} terms; {self.path} has {len(self.space.vocabulary)}"
            )

    def _place(self, snapshot: Snapshot, doc_id: str) -> tuple[OpenSegment, list[int]]:
        row = self._row(snapshot, doc_id)
        place = snapshot.find(row)
        if place is None:
            raise CorruptIndex(f"{self.path}: document {doc_id!r} (row {row}) is in no segment")
        return place

    def _row(self, snapshot: Snapshot, doc_id: str) -> int:
        row = self._catalog.row_of(doc_id, snapshot.commit.commit_id)
        if row is None:
            raise UnknownDocument(
                f"{self.path} has no document {doc_id!r}: ids are compared letter by letter"
            )
        return row


def _check_search(k: int, threads: int, effort: float = 1.0) -> None:
    if k < 0 or threads < 1:
        raise DataError(f"k is {k} with {threads} threads: at least 0, with at least 1")
    if not 0 < effort <= 1:
        raise DataError(f"effort is {effort}: above 0, at most 1, where the result is exact")
