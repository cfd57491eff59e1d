"""An index: a folder of documents and their sparse vectors, searched by query vectors and by words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from lexpand import _native
from lexpand.data import Document, SparseVectors, VectorSpace
from lexpand.encode import WordAnalyzer
from lexpand.errors import DataError
from lexpand.index.catalog import FILE, Catalog, Commit
from lexpand.index.columns import check_columns
from lexpand.index.folder import is_unfinished, make_folder
from lexpand.index.maintenance import back_up, check_index
from lexpand.index.reading import Reading
from lexpand.index.results import Presence
from lexpand.index.schema import Schema
from lexpand.index.searcher import Searcher
from lexpand.index.segment_files import Spans
from lexpand.index.snapshot import Snapshot, Snapshots
from lexpand.index.writer import Writer

MEMORY_MIB = 1024
"""Memory for the postings that are laid out at a time while a segment is written."""


class Index(Reading):
    """Documents and their sparse vectors in a folder. `create` makes one, `open` opens one.

    Changes wait in memory until `commit`; what was committed survives whatever happens afterwards.
    Searches see one commit, the newest as of opening, of `refresh`, or of this object's own last
    commit, whatever others write meanwhile. One object at a time may write; any number read. An
    open index may be shared by threads for searching; in a forked child it opens its catalog
    again, and a pickle of it is its path.

    Attributes:
        path: the folder.
        schema: what it holds of each document.
    """

    def __init__(self, path: Path, catalog: Catalog, *, verify: bool, memory_mib: int) -> None:
        self.path = path
        self._verify = verify
        self._memory_mib = memory_mib
        self._catalog = catalog
        try:
            self.schema = catalog.schema()
            self._snapshots = Snapshots(path, catalog, self.schema, verify=verify)
        except BaseException:
            catalog.close()
            raise
        self._writer = Writer(path, catalog, self._snapshots, memory_mib << 20)

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
            columns: metadata fields that become columns, with their types (``integer``, ``number``,
                ``keyword``, ``boolean``): filters over them are quick, and a document whose field
                has another type is refused.
            memory_mib: memory for the postings that are laid out at a time while a segment is
                written, in MiB.

        Raises:
            IndexStateError: the folder holds an index or other files.
            StorageError: the disk refuses, or the folder is on a network file system.
            DataError: a column's name or type is none.
        """
        schema = Schema(space, words, check_columns(columns or {}))
        path = Path(path)
        make_folder(path)
        catalog = Catalog.create(path, schema, f"lexpand {_native.__version__}")
        return cls(path, catalog, verify=True, memory_mib=memory_mib)

    @classmethod
    def open(cls, path: str | Path, *, verify: bool = True, memory_mib: int = MEMORY_MIB) -> Index:
        """Open an index.

        Args:
            path: the folder.
            verify: read every segment once and compare checksums; without it only sizes and headers
                are checked.
            memory_mib: see `create`.

        Raises:
            NotAnIndex: the folder holds none.
            NewerFormat: a newer version of Lexpand wrote it.
            CorruptIndex: a file is damaged or gone.
        """
        path = Path(path)
        return cls(path, Catalog.open(path), verify=verify, memory_mib=memory_mib)

    @staticmethod
    def exists(path: str | Path) -> bool:
        """Whether the folder holds a finished index; the left-over of an interrupted `create` is none."""
        path = Path(path)
        return (path / FILE).is_file() and not is_unfinished(path)

    @property
    def _snapshot(self) -> Snapshot:
        return self._snapshots.current

    def searcher(self) -> Searcher:
        """The commit that searches see, to be read as long as the searcher is held; see `Searcher`."""
        return Searcher(self.path, self.schema, self._catalog, self._snapshot)

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
        self,
        documents: Sequence[Document],
        vectors: SparseVectors,
        *,
        chunks: Sequence[Spans] | None = None,
    ) -> int:
        """Add documents; they wait for `commit`.

        A document that is there already with the same content is skipped.

        Args:
            documents: the documents.
            vectors: their vectors, one row a document; with ``chunks``, one row a chunk.
            chunks: of each document, the characters of its chunks in `Document.full_text`, first
                and end. A document is found by its best chunk.

        Returns:
            How many were added.

        Raises:
            DuplicateDocument: a doc_id is there with another content, or twice in ``documents``
                with two contents. Nothing of this call is added then.
            ContractMismatch: the vectors are another model's.
            VectorError: there is not one vector a document, or the vocabulary has another size.
            DataError: a document's metadata cannot be held by a column, or a chunk is not in its
                text.
            IndexLocked: another writer is at work.
        """
        self._check_space(vectors)
        return self._writer.add(documents, vectors, chunks, replace=False)

    def replace(
        self,
        documents: Sequence[Document],
        vectors: SparseVectors,
        *,
        chunks: Sequence[Spans] | None = None,
    ) -> int:
        """Add documents, or put them in the place of those with the same doc_id; at `commit`, both at once.

        A document that is there already with the same content is skipped. Arguments, result and
        errors are those of `add`; a doc_id twice in ``documents`` with two contents is still a
        DuplicateDocument.
        """
        self._check_space(vectors)
        return self._writer.add(documents, vectors, chunks, replace=True)

    def delete(self, doc_ids: Sequence[str]) -> int:
        """Delete documents at the next `commit`; ids that the index lacks are left alone.

        The texts stay in the catalog until a merge or `compact`.

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
            StorageError: the disk refuses. The changes still wait: free some space and commit
                again.
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

    def check(self) -> list[str]:
        """What is wrong with the newest commit, in words; nothing, where all is well.

        Reads everything: checksums and values of all segments, postings against the forward index,
        SQLite's own structures, each document's content against its recorded hash, and that each
        live document has its passages.
        """
        self.refresh()
        return check_index(self.path, self._catalog, self._snapshot)

    def backup(self, target: str | Path) -> Commit:
        """Copy the newest commit to a folder that does not exist or is empty, while others may go on writing.

        Returns:
            The commit that the copy has.

        Raises:
            IndexStateError: the folder holds something.
            StorageError: the disk refuses; what was copied by then is removed.
        """
        self.refresh()
        return back_up(self.path, self._catalog, Path(target))

    @property
    def source_fields(self) -> dict[str, Any]:
        """Which fields of a source make a document (`lexpand.data.Fields`), as they were given last."""
        return self._catalog.source_fields()

    def keep_source_fields(self, fields: Mapping[str, Any]) -> None:
        """Record which fields of a source make a document, so that they are given once.

        Raises:
            StorageError: the disk refuses.
        """
        self._catalog.keep_source_fields(fields)

    def close(self) -> None:
        """Release the files and the writer's lock. Changes without `commit` are forgotten."""
        self._writer.close()
        self._snapshots.close()
        self._catalog.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Index {str(self.path)!r}: {len(self)} documents, {self.space.model.label}>"

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (self.path, self._verify, self._memory_mib)


def _reopen(path: Path, verify: bool, memory_mib: int) -> Index:
    return Index.open(path, verify=verify, memory_mib=memory_mib)
