"""An index: a folder of documents and their sparse vectors, searched by query vectors and by words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from lexpand import _native
from lexpand.data import Document, ModelId, SparseVectors, VectorSpace
from lexpand.encode import WordAnalyzer
from lexpand.errors import ContractMismatch, CorruptIndex, DataError, IndexStateError, UnknownDocument, VectorError
from lexpand.index.bounds import inverse_word_frequencies, largest_weights, word_bounds
from lexpand.index.catalogue import FILE, Catalogue, Commit
from lexpand.index.columns import check_columns, check_filter
from lexpand.index.filters import Expression, Filter, parse_filter
from lexpand.index.folder import is_unfinished, make_room
from lexpand.index.grouping import best_documents, doc_ids_of, first_of_groups
from lexpand.index.maintenance import back_up, check_index
from lexpand.index.open_segment import OpenSegment
from lexpand.index.results import IndexInfo, Match, Matches, Presence, StoredVector, WordScore
from lexpand.index.schema import SPARSE_FIELD, Schema
from lexpand.index.searching import BM25, Find, find_vectors, find_vectors_exhaustively, find_words, score_words
from lexpand.index.segment_files import Spans
from lexpand.index.sets import Set
from lexpand.index.snapshots import Snapshots
from lexpand.index.stored import StoredBatch, stored_batches, stored_units
from lexpand.index.two_step import TwoStep, find_in_two_steps
from lexpand.index.word_queries import WordQuery, weighted_words
from lexpand.index.writer import Writer

_MOST = 2**32 - 1

MEMORY_MIB = 1024
"""Memory for the postings that are laid out at a time while a segment is written."""


class Index:
    """Documents and their sparse vectors in a folder. `create` makes one, `open` opens one.

    Changes wait in memory until `commit`; what was committed survives whatever happens afterwards. Searches see one
    commit, the newest as of opening, of `refresh`, or of this object's own last commit, whatever others write
    meanwhile. One object at a time may write; any number read. An open index may be shared by threads for searching;
    in a forked child it opens its catalogue again, and a pickle of it is its path.

    Attributes:
        path: the folder.
        schema: what it holds of each document.
    """

    def __init__(self, path: Path, catalogue: Catalogue, *, verify: bool, memory_mib: int) -> None:
        self.path = path
        self._verify = verify
        self._memory_mib = memory_mib
        self._catalogue = catalogue
        try:
            self.schema = catalogue.schema()
            self._snapshots = Snapshots(path, catalogue, self.schema, verify=verify)
        except BaseException:
            catalogue.close()
            raise
        self._writer = Writer(path, catalogue, self._snapshots, memory_mib << 20)

    @classmethod
    def create(
        cls,
        path: str | Path,
        space: VectorSpace,
        *,
        words: WordAnalyzer | None = None,
        columns: Mapping[str, str] | None = None,
        memory_mib: int = MEMORY_MIB,
    ) -> Index:
        """Make an empty index in a folder that does not exist or is empty.

        Args:
            path: the folder.
            space: whose vectors it will hold, e.g. ``encoder.space``.
            words: index the documents' words too, for `search_words` (BM25).
            columns: metadata fields that become columns, with their types (``integer``, ``number``, ``keyword``,
                ``boolean``): filters over them are quick, and a document whose field has another type is refused.
            memory_mib: memory for the postings that are laid out at a time while a segment is written, in MiB.

        Raises:
            IndexStateError: the folder holds an index or other files.
            StorageError: the disk refuses, or the folder is on a network file system.
            DataError: a column's name or type is none.
        """
        schema = Schema(space, words, check_columns(columns or {}))
        path = Path(path)
        make_room(path)
        catalogue = Catalogue.create(path, schema, f"lexpand {_native.__version__}")
        return cls(path, catalogue, verify=True, memory_mib=memory_mib)

    @classmethod
    def open(cls, path: str | Path, *, verify: bool = True, memory_mib: int = MEMORY_MIB) -> Index:
        """Open an index.

        Args:
            path: the folder.
            verify: read every segment once and compare checksums; without it only sizes and headers are checked.
            memory_mib: see `create`.

        Raises:
            NotAnIndex: the folder holds none.
            NewerFormat: a newer version of Lexpand wrote it.
            CorruptIndex: a file is damaged or gone.
        """
        path = Path(path)
        return cls(path, Catalogue.open(path), verify=verify, memory_mib=memory_mib)

    @staticmethod
    def exists(path: str | Path) -> bool:
        """Whether the folder holds a finished index; the left-over of an interrupted `create` is none."""
        path = Path(path)
        return (path / FILE).is_file() and not is_unfinished(path)

    @property
    def space(self) -> VectorSpace:
        """Whose vectors it holds."""
        return self.schema.space

    @property
    def commit_info(self) -> Commit:
        """The commit that searches see."""
        return self._snapshots.current.commit

    def refresh(self) -> bool:
        """See the newest commit; whether there was a newer one.

        Raises:
            CorruptIndex: one of its files is damaged or gone.
            IndexStateError: the folder was removed or replaced since it was opened.
        """
        return self._snapshots.refresh()

    def presence(self, documents: Sequence[Document]) -> list[Presence]:
        """Of each document, whether it is in the newest commit or among the changes that wait for `commit`."""
        return self._writer.presence(documents)

    def add(
        self, documents: Sequence[Document], vectors: SparseVectors, *, chunks: Sequence[Spans] | None = None
    ) -> int:
        """Add documents; they wait for `commit`.

        A document that is there already with the same content is skipped.

        Args:
            documents: the documents.
            vectors: their vectors, one row a document; with ``chunks``, one row a chunk.
            chunks: of each document, the characters of its chunks in `Document.full_text`, first and end. A document
                is found by its best chunk.

        Returns:
            How many were added.

        Raises:
            DuplicateDocument: a doc_id is there with another content, or twice in ``documents`` with two contents.
                Nothing of this call is added then.
            ContractMismatch: the vectors are another model's.
            VectorError: there is not one vector a document, or the vocabulary has another size.
            DataError: a document's metadata cannot be held by a column, or a chunk is not in its text.
            IndexLocked: another writer is at work.
        """
        self._check_space(vectors)
        return self._writer.add(documents, vectors, chunks, replace=False)

    def replace(
        self, documents: Sequence[Document], vectors: SparseVectors, *, chunks: Sequence[Spans] | None = None
    ) -> int:
        """Add documents, or put them in the place of those with the same doc_id; at `commit`, both at once.

        A document that is there already with the same content is skipped. Arguments, result and errors are those of
        `add`; a doc_id twice in ``documents`` with two contents is still a DuplicateDocument.
        """
        self._check_space(vectors)
        return self._writer.add(documents, vectors, chunks, replace=True)

    def delete(self, doc_ids: Sequence[str]) -> int:
        """Delete documents at the next `commit`; ids that the index lacks are left alone.

        The texts stay in the catalogue until a merge or `compact`.

        Returns:
            How many were there.

        Raises:
            IndexLocked: another writer is at work.
        """
        if isinstance(doc_ids, str):
            raise DataError(f"doc_ids is the string {doc_ids!r}: it must be a list of ids")
        return self._writer.delete(doc_ids)

    def commit(self) -> Commit:
        """Make all changes durable and visible, at once. Without any, nothing happens.

        Segments that have become many are merged afterwards, each merge a commit of its own.

        Raises:
            StorageError: the disk refuses. The changes still wait: free some space and commit again.
        """
        return self._writer.commit()

    @property
    def waiting(self) -> int:
        """Documents that were added and wait for `commit`."""
        return self._writer.waiting

    def rollback(self) -> None:
        """Forget the changes that wait."""
        self._writer.rollback()

    def compact(self) -> Commit:
        """Commit, make all segments one without deleted documents, and give their texts' space back to the disk.

        What another reader's snapshot needs stays until a later merge.

        Raises:
            StorageError: the disk refuses; it needs room for a second copy.
            IndexLocked: another writer is at work.
        """
        return self._writer.compact()

    def search(
        self,
        queries: SparseVectors,
        k: int = 10,
        *,
        filter: Filter | None = None,
        effort: float = 1.0,
        group_by: str | None = None,
        threads: int = 1,
        two_step: TwoStep | None = None,
        exhaustive: bool = False,
    ) -> list[Matches]:
        """The best ``k`` documents of each query, best first; exact over stored weights unless ``effort`` is below 1.

        Equal scores are ordered by row, which is the order of adding. Documents that share no term with the query are
        never found, so there may be fewer than ``k``. A document of several chunks is found by its best one.

        Args:
            queries: query vectors.
            k: how many, from 0.
            filter: only documents whose metadata match: an expression, a mapping or a text (docs/filters.md).
            effort: about the share of a query's postings that is read, the strongest first, above 0 and at most 1.
                At 1 the result is exact; less is quicker, and may miss documents (docs/search.md).
            group_by: a field of metadata; only the best document of each value is found. A document without the field
                is a group of its own.
            threads: that may be used, a query on one thread each.
            two_step: find with the query's strongest terms, and score that with all of them; may miss documents.
            exhaustive: score every document in NumPy instead, slowly: the same result to the bit.

        Raises:
            ContractMismatch: the queries are another model's.
            VectorError: their vocabulary has another size.
            DataError: k is negative, there are no threads, or effort is out of its range.
            FilterError: the filter is none, or compares a column with a value that it cannot hold.
        """
        self._check_space(queries)
        _check_search(k, threads, effort)
        snapshot = self._snapshots.current
        allowed = snapshot.allowed(self._expression(filter), self._catalogue)

        def find_in(units: Sequence[Set], vectors: SparseVectors, effort: float) -> Find:
            if exhaustive:
                return find_vectors_exhaustively(snapshot, units, vectors)
            return find_vectors(snapshot, units, vectors, effort, threads)

        if two_step is None:
            find = find_in(allowed, queries, effort)
        else:
            find = find_in_two_steps(snapshot, allowed, queries, two_step, find_in, effort=effort, threads=threads)
        return best_documents(find, len(queries), min(k, _MOST), group_by, snapshot, self._catalogue)

    def search_words(
        self,
        queries: Sequence[WordQuery],
        k: int = 10,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        bm25: BM25 = BM25(),  # noqa: B008 - frozen
        threads: int = 1,
    ) -> list[Matches]:
        """The best ``k`` documents of each query by BM25 over their words, best first; exact.

        Args are those of `search`, but for queries, which are texts, or words as the index's analyzer gives them with
        a weight each, which stands for how often the query has it. The average length and the words' document
        frequencies are those of all live documents, filtered out or not.

        Raises:
            IndexStateError: the index was made without words.
            DataError, FilterError: as `search`.
        """
        _check_search(k, threads)
        words = self._analysed(queries)
        snapshot = self._snapshots.current
        allowed = snapshot.allowed(self._expression(filter), self._catalogue)
        find = find_words(snapshot, allowed, words, bm25, threads)
        return best_documents(find, len(queries), min(k, _MOST), group_by, snapshot, self._catalogue)

    def word_score(self, query: WordQuery, doc_id: str, *, bm25: BM25 = BM25()) -> WordScore:  # noqa: B008 - frozen
        """A document's score in `search_words`, taken apart; of one with several chunks, its best one's.

        Raises:
            IndexStateError: the index was made without words.
            UnknownDocument: the index has none with that id.
        """
        words = self._analysed([query])[0]
        return score_words(self._snapshots.current, *self._place(doc_id), words, bm25)

    def _analysed(self, queries: Sequence[WordQuery]) -> list[Mapping[str, float]]:
        if self.schema.words is None:
            raise IndexStateError(f"{self.path} was made without words: make a new index with words to search them")
        return weighted_words(queries, self.schema.words)

    def _expression(self, given: Filter | None) -> Expression | None:
        if given is None:
            return None
        expression = parse_filter(given)
        check_filter(self.schema.columns, expression)
        return expression

    def best_of_groups(self, matches: Sequence[Match], group_by: str) -> list[Match]:
        """Of a ranking, the first match of each value of a field; a document without the field is a group of its own.

        Raises:
            FilterError: ``group_by`` is no name of a field.
        """
        return first_of_groups(matches, group_by, self._catalogue)

    def inverse_document_frequencies(self) -> NDArray[np.float64]:
        """log(1 + (N - df + 0.5) / (df + 0.5)) of each term over the live units; float64 [vocabulary_size].

        N are the units, df those whose vector has the term (BM25, as Lucene has it). Worked out once a snapshot.
        """
        snapshot = self._snapshots.current
        # Without any unit, the formula gives log 2 for every term.
        return (
            snapshot.inverse_document_frequencies
            if snapshot.segments
            else np.full(len(self.space.vocabulary), np.log(2))
        )

    def largest_weights(self, terms: NDArray[np.uint32]) -> NDArray[np.float64]:
        """Of each term its largest stored weight over the live units, float64 [terms]; 0 where none has it.

        Each is found by a search for the term alone, once a snapshot.

        Raises:
            VectorError: a term is not in the vocabulary.
        """
        return largest_weights(self._snapshots.current, terms, len(self.space.vocabulary))

    def word_bounds(self, queries: Sequence[WordQuery]) -> list[float]:
        """Of each query the sum of its words' inverse document frequencies, which no BM25 score is above.

        A word that no live unit has counts nothing, one that a query has twice counts twice.

        Raises:
            IndexStateError: the index was made without words.
            DataError: ``queries`` is a string.
        """
        return word_bounds(self._snapshots.current, self._analysed(queries))

    def inverse_word_frequencies(self, words: Sequence[str]) -> NDArray[np.float64]:
        """log(1 + (N - df + 0.5) / (df + 0.5)) of each word over the live units, float64 [words]; 0 where none has it.

        Args:
            words: as the index's analyzer gives them.

        Raises:
            IndexStateError: the index was made without words.
        """
        self._analysed([])
        return inverse_word_frequencies(self._snapshots.current, words)

    def matching(self, filter: Filter) -> list[str]:
        """The ids of the documents whose metadata match, in order of adding.

        Raises:
            FilterError: the filter is none, or compares a column with a value that it cannot hold.
        """
        snapshot = self._snapshots.current
        allowed = snapshot.allowed(self._expression(filter), self._catalogue)
        return doc_ids_of(snapshot.documents(allowed), snapshot, self._catalogue)

    def document(self, doc_id: str) -> Document:
        """A document by its id.

        Raises:
            UnknownDocument: the index has none with that id.
        """
        row = self._row(doc_id)
        return self.documents([row])[row]

    def doc_ids(self) -> Iterator[str]:
        """The ids of all documents of the newest commit, in order of adding."""
        return self._catalogue.live_doc_ids()

    def documents(self, rows: Sequence[int]) -> dict[int, Document]:
        """Documents by row, as `Match.row` has it."""
        return self._catalogue.documents(rows)

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
        segment, ordinals = self._place(doc_id)
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
        return stored_batches(self.path, self._catalogue, self._snapshots.current, self.space, batch)

    def stored_units(self, batch: int = 1024) -> Iterator[StoredBatch]:
        """All units with their stored vectors, in order of adding; of a document in chunks each chunk is one.

        Args:
            batch: units at a time.
        """
        return stored_units(self._catalogue, self._snapshots.current, self.space, batch)

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
        snapshot = self._snapshots.current
        return IndexInfo(
            commit=snapshot.commit,
            space=self.space,
            segments=len(snapshot.segments),
            units=sum(segment.entry.units for segment in snapshot.segments),
            live_units=snapshot.live_units,
            nnz=sum(segment.native.nnz(SPARSE_FIELD) for segment in snapshot.segments),
            segment_bytes=sum(segment.entry.bytes for segment in snapshot.segments),
            catalogue_bytes=sum(path.stat().st_size for path in self.path.glob(f"{FILE}*")),
            parts=sum((segment.parts for segment in snapshot.segments), Counter()),
            words=self.schema.words is not None,
            columns={name: column_type.value for name, column_type in self.schema.columns.items()},
        )

    def check(self) -> list[str]:
        """What is wrong with the newest commit, in words; nothing, where all is well.

        Reads everything: checksums and values of all segments, postings against the forward index, SQLite's own
        structures, each document's content against its recorded hash, and that each live document has its units.
        """
        self.refresh()
        return check_index(self.path, self._catalogue, self._snapshots.current)

    def backup(self, target: str | Path) -> Commit:
        """Copy the newest commit to a folder that does not exist or is empty, while others may go on writing.

        Returns:
            The commit that the copy has.

        Raises:
            IndexStateError: the folder holds something.
            StorageError: the disk refuses; what was copied by then is removed.
        """
        self.refresh()
        return back_up(self.path, self._catalogue, Path(target))

    def close(self) -> None:
        """Release the files and the writer's lock. Changes without `commit` are forgotten."""
        self._writer.close()
        self._snapshots.close()
        self._catalogue.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Documents in the commit that searches see."""
        return self.commit_info.documents

    def __repr__(self) -> str:
        return f"<Index {str(self.path)!r}: {len(self)} documents, {self.space.model.label}>"

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (self.path, self._verify, self._memory_mib)

    def _check_space(self, vectors: SparseVectors) -> None:
        if vectors.model is not None:
            self.check_model(vectors.model)
        if vectors.vocabulary_size != len(self.space.vocabulary):
            raise VectorError(
                f"vectors over {vectors.vocabulary_size} terms; {self.path} has {len(self.space.vocabulary)}"
            )

    def _place(self, doc_id: str) -> tuple[OpenSegment, list[int]]:
        row = self._row(doc_id)
        place = self._snapshots.current.find(row)
        if place is None:
            raise CorruptIndex(f"{self.path}: document {doc_id!r} (row {row}) is in no segment")
        return place

    def _row(self, doc_id: str) -> int:
        row = self._catalogue.row_of(doc_id, self.commit_info.commit_id)
        if row is None:
            raise UnknownDocument(f"{self.path} has no document {doc_id!r}: ids are compared letter by letter")
        return row


def _check_search(k: int, threads: int, effort: float = 1.0) -> None:
    if k < 0 or threads < 1:
        raise DataError(f"k is {k} with {threads} threads: at least 0, with at least 1")
    if not 0 < effort <= 1:
        raise DataError(f"effort is {effort}: above 0, at most 1, where the result is exact")


def _reopen(path: Path, verify: bool, memory_mib: int) -> Index:
    return Index.open(path, verify=verify, memory_mib=memory_mib)
