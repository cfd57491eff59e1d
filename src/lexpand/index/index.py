"""An index: a folder of documents and their sparse vectors, searched by query vectors."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from lexpand import _native
from lexpand.data import Document, ModelId, SparseVectors, VectorSpace
from lexpand.errors import (
    ContractMismatch,
    CorruptIndex,
    DataError,
    DuplicateDocument,
    IndexStateError,
    StorageError,
    UnknownDocument,
    VectorError,
)
from lexpand.index import exhaustive as twin
from lexpand.index.catalogue import FILE, Catalogue, Commit, SegmentEntry
from lexpand.index.folder import is_unfinished, make_room
from lexpand.index.pending import Pending
from lexpand.index.results import IndexInfo, Match, Presence, StoredVector
from lexpand.index.writer_lock import WriterLock

_FIELD = 0
_SEGMENTS = "segments"
_ROW_LIMIT = 2**32 - 1


class Index:
    """Documents and their sparse vectors in a folder. `create` makes one, `open` opens one.

    Additions wait in memory until `commit`; what was committed survives whatever happens afterwards. Searches see the
    newest commit as of opening, or of this object's own last commit. One object at a time may write; any number read.
    An open index may be shared by threads for searching; in a forked child it opens its catalogue again, and a pickle
    of it is its path.

    Attributes:
        path: the folder.
        space: whose vectors it holds.
        commit_info: the commit that searches see.
    """

    def __init__(self, path: Path, catalogue: Catalogue, *, verify: bool) -> None:
        self.path = path
        self._catalogue = catalogue
        self._verify = verify
        self._lock = WriterLock(path)
        self._pending = Pending()
        self.commit_info = Commit()
        self._entries: list[SegmentEntry] = []
        self._segments: list[_native.Segment] = []
        try:
            self.space = catalogue.space()
            self._refresh()
        except BaseException:
            catalogue.close()
            raise

    @classmethod
    def create(cls, path: str | Path, space: VectorSpace) -> Index:
        """Make an empty index in a folder that does not exist or is empty.

        Args:
            path: the folder.
            space: whose vectors it will hold, e.g. ``encoder.space``.

        Raises:
            IndexStateError: the folder holds an index or other files.
            StorageError: the disk refuses.
        """
        path = Path(path)
        make_room(path)
        catalogue = Catalogue.create(path, space, f"lexpand {_native.__version__}")
        return cls(path, catalogue, verify=True)

    @classmethod
    def open(cls, path: str | Path, *, verify: bool = True) -> Index:
        """Open an index.

        Args:
            path: the folder.
            verify: read every segment once and compare checksums; without it only sizes and headers are checked.

        Raises:
            NotAnIndex: the folder holds none.
            NewerFormat: a newer version of Lexpand wrote it.
            CorruptIndex: a file is damaged or gone.
        """
        path = Path(path)
        return cls(path, Catalogue.open(path), verify=verify)

    @staticmethod
    def exists(path: str | Path) -> bool:
        """Whether the folder holds a finished index; the left-over of an interrupted `create` is none."""
        path = Path(path)
        return (path / FILE).is_file() and not is_unfinished(path)

    def presence(self, documents: Sequence[Document]) -> list[Presence]:
        """Of each document, whether it is in the index or among the additions that wait for `commit`."""
        stored = self._catalogue.content_hashes([document.doc_id for document in documents])
        known = {**stored, **self._pending.content_hashes}
        found = []
        for document in documents:
            content_hash = known.get(document.doc_id)
            if content_hash is None:
                found.append(Presence.NEW)
            else:
                found.append(Presence.SAME if content_hash == document.content_hash else Presence.OTHER)
        return found

    def add(self, documents: Sequence[Document], vectors: SparseVectors) -> int:
        """Add documents; they wait for `commit`.

        A document that is there already with the same content is skipped.

        Args:
            documents: the documents.
            vectors: their vectors, one row a document.

        Returns:
            How many were added.

        Raises:
            DuplicateDocument: a doc_id is there with another content, or twice in ``documents`` with two contents.
                Nothing of this call is added then.
            ContractMismatch: the vectors are another model's.
            VectorError: there is not one vector a document, or the vocabulary has another size.
            IndexLocked: another writer is at work.
        """
        if len(documents) != len(vectors):
            raise VectorError(f"{len(documents)} documents with {len(vectors)} vectors: one vector a document")
        self._check_space(vectors)
        self._begin_writing()
        chosen = self._new_ones(documents)
        if self._catalogue.next_row() + len(self._pending) + len(chosen) > _ROW_LIMIT:
            raise IndexStateError(f"an index holds at most {_ROW_LIMIT} units: begin a second one")
        self._pending.add([documents[i] for i in chosen], vectors[chosen])
        return len(chosen)

    def commit(self) -> Commit:
        """Make all additions durable and visible, at once. Without any, nothing happens.

        Raises:
            StorageError: the disk refuses. The additions still wait: free some space and commit again.
        """
        if not len(self._pending):
            return self.commit_info
        first_row = self._catalogue.next_row()
        entry = self._write_segment(first_row)
        try:
            self._catalogue.commit(self._pending.documents, first_row, entry)
        finally:
            # Asked of the catalogue, not of the exception: Ctrl-C may come right after the commit point.
            if entry.file in self._catalogue.segment_files():
                self._pending = Pending()
                self._refresh()
            else:
                (self.path / _SEGMENTS / entry.file).unlink(missing_ok=True)
        return self.commit_info

    def rollback(self) -> None:
        """Forget the additions that wait."""
        self._pending = Pending()

    def search(
        self, queries: SparseVectors, k: int = 10, *, threads: int = 1, exhaustive: bool = False
    ) -> list[list[Match]]:
        """The best ``k`` documents of each query, best first; exact over stored weights.

        Equal scores are ordered by row, which is the order of adding. Documents that share no term with the query are
        never found, so there may be fewer than ``k``.

        Args:
            queries: query vectors.
            k: how many, from 0.
            threads: that may be used, a query on one thread each.
            exhaustive: score every document in NumPy instead, slowly: the same result to the bit.

        Raises:
            ContractMismatch: the queries are another model's.
            VectorError: their vocabulary has another size.
            DataError: k is negative, or there are no threads.
        """
        if k < 0 or threads < 1:
            raise DataError(f"k is {k} with {threads} threads: at least 0, with at least 1")
        k = min(k, _ROW_LIMIT)
        self._check_space(queries)
        found = self._search_twin(queries, k) if exhaustive else self._search(queries, k, threads)
        doc_ids = self._catalogue.doc_ids(sorted({row for hits in found for _, row in hits}))
        return [[Match(doc_ids[row], score, row) for score, row in hits] for hits in found]

    def document(self, doc_id: str) -> Document:
        """A document by its id.

        Raises:
            UnknownDocument: the index has none with that id.
        """
        row = self._row(doc_id)
        return self.documents([row])[row]

    def documents(self, rows: Sequence[int]) -> dict[int, Document]:
        """Documents by row, as `Match.row` has it."""
        return self._catalogue.documents(rows)

    def vector(self, doc_id: str) -> StoredVector:
        """A document's stored vector.

        Raises:
            UnknownDocument: the index has none with that id.
        """
        row = self._row(doc_id)
        for segment in self._segments:
            ordinal = segment.ordinal(row)
            if ordinal is not None:
                return StoredVector(*segment.vector(_FIELD, ordinal))
        raise CorruptIndex(f"{self.path}: document {doc_id!r} (row {row}) is in no segment")

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
        return IndexInfo(
            commit=self.commit_info,
            space=self.space,
            segments=len(self._segments),
            units=sum(segment.units for segment in self._segments),
            nnz=sum(segment.nnz(_FIELD) for segment in self._segments),
            segment_bytes=sum(segment.bytes for segment in self._segments),
            catalogue_bytes=sum(path.stat().st_size for path in self.path.glob(f"{FILE}*")),
        )

    def close(self) -> None:
        """Release the files and the writer's lock. Additions without `commit` are forgotten."""
        self.rollback()
        self._segments, self._entries = [], []
        self._catalogue.close()
        self._lock.release()

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
        return _reopen, (self.path, self._verify)

    def _search(self, queries: SparseVectors, k: int, threads: int) -> list[list[tuple[float, int]]]:
        indptr, scores, rows, _, _ = _native.search(
            [(segment, None) for segment in self._segments],
            _FIELD,
            queries.indptr,
            queries.terms,
            queries.weights,
            vocabulary_size=queries.vocabulary_size,
            k=k,
            threads=threads,
        )
        hits = list(zip(scores.tolist(), rows.tolist(), strict=True))
        return [hits[start:end] for start, end in itertools.pairwise(indptr.tolist())]

    def _search_twin(self, queries: SparseVectors, k: int) -> list[list[tuple[float, int]]]:
        return twin.search(self._segments, _FIELD, queries, k)

    def _check_space(self, vectors: SparseVectors) -> None:
        if vectors.model is not None:
            self.check_model(vectors.model)
        if vectors.vocabulary_size != len(self.space.vocabulary):
            raise VectorError(
                f"vectors over {vectors.vocabulary_size} terms; {self.path} has {len(self.space.vocabulary)}"
            )

    def _begin_writing(self) -> None:
        """Take the writer's lock, see the newest commit, and clear away what an interrupted writer left."""
        if self._lock.held:
            return
        self._lock.acquire()
        try:
            self._refresh()
            self._clear_away()
        except BaseException:
            self._lock.release()
            raise

    def _clear_away(self) -> None:
        folder = self.path / _SEGMENTS
        named = self._catalogue.segment_files()
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name not in named and path.suffix in (".seg", ".tmp"):
                path.unlink(missing_ok=True)

    def _new_ones(self, documents: Sequence[Document]) -> list[int]:
        """Places of the documents to add; raises for a doc_id with two contents."""
        chosen: list[int] = []
        first: dict[str, Document] = {}
        for i, (document, presence) in enumerate(zip(documents, self.presence(documents), strict=True)):
            twin = first.setdefault(document.doc_id, document)
            same = twin is document or twin.content_hash == document.content_hash
            if presence is Presence.OTHER or not same:
                where = f" ({document.source})" if document.source else ""
                raise DuplicateDocument(
                    f"doc_id {document.doc_id!r}{where} is there already with another content: "
                    "choose another id, or leave it out"
                )
            if presence is Presence.NEW and twin is document:
                chosen.append(i)
        return chosen

    def _write_segment(self, first_row: int) -> SegmentEntry:
        folder = self.path / _SEGMENTS
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot make {folder}: {error.strerror}") from error
        documents, vectors = self._pending.documents, self._pending.vectors()
        n = len(documents)
        file = f"{self.commit_info.commit_id + 1:08}-{secrets.token_hex(8)}.seg"
        spans = np.array([(0, len(document.full_text)) for document in documents], np.uint32)
        size, checksum = _native.write_segment(
            folder / file,
            np.arange(first_row, first_row + n, dtype=np.uint32),
            np.zeros(n, np.uint32),
            spans.reshape(-1),
            [(_FIELD, vectors.vocabulary_size, vectors.indptr, vectors.terms, vectors.weights)],
        )
        return SegmentEntry(file, n, size, checksum)

    def _refresh(self) -> None:
        """See the newest commit; segments that are open stay open."""
        commit = self._catalogue.last_commit()
        entries = self._catalogue.segments(commit.commit_id)
        opened = dict(zip(self._entries, self._segments, strict=True))
        segments = [opened.get(entry) or self._open_segment(entry) for entry in entries]
        self._entries, self._segments, self.commit_info = entries, segments, commit

    def _open_segment(self, entry: SegmentEntry) -> _native.Segment:
        path = self.path / _SEGMENTS / entry.file
        segment = _native.Segment.open(path, verify=self._verify)
        if (segment.units, segment.bytes, segment.checksum) != (entry.units, entry.bytes, entry.checksum):
            raise CorruptIndex(f"{path} is not the segment that the catalogue names: restore it from a copy")
        return segment

    def _row(self, doc_id: str) -> int:
        row = self._catalogue.row_of(doc_id, self.commit_info.commit_id)
        if row is None:
            raise UnknownDocument(f"{self.path} has no document {doc_id!r}: ids are compared letter by letter")
        return row


def _reopen(path: Path, verify: bool) -> Index:
    return Index.open(path, verify=verify)
