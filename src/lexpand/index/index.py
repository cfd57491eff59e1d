"""An index: a folder of documents with sparse vectors and, optionally, a lexical (BM25) field."""

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
from lexpand.index.reader import IndexReader
from lexpand.index.results import Presence
from lexpand.index.schema import Schema
from lexpand.index.searcher import Searcher
from lexpand.index.segment_files import Spans
from lexpand.index.snapshot import Snapshot, Snapshots
from lexpand.index.writer import Writer

MEMORY_MIB = 1024
"""The default memory for building posting lists while a segment is written, in MiB."""


class Index(IndexReader):
    """An index folder, open for reading and writing. Made by `create` or `open`.

    Changes wait in memory until `commit`. Committed changes survive a crash of the process or of
    the machine.

    Searches see one commit: the newest one when the index was opened, when `refresh` was last
    called, or when this object last committed. Commits of other writers do not change it.

    One object at a time may write, and any number may read. Threads may share an open index for
    searching. A forked child opens the catalog again. A pickle holds the path and opens the index
    again.

    Attributes:
        path: the folder.
        schema: what the index holds of each document.
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
        """Create an empty index in a folder that does not exist or is empty.

        Args:
            path: the folder.
            space: the vector space of the vectors, e.g. ``encoder.space``.
            words: the analyzer of a lexical field for `search_words` (BM25); None for none.
            columns: metadata fields that become columns, with their types (``integer``, ``number``,
                ``keyword``, ``boolean``). Filters over columns are fast. A document with a value of
                another type is refused.
            memory_mib: memory for building posting lists while a segment is written, in MiB.

        Raises:
            IndexStateError: the folder holds an index or other files.
            StorageError: the folder cannot be written, or is on a network file system.
            DataError: the name or type of a column is invalid.
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
            verify: whether to read every segment once and compare checksums. If False, only sizes
                and headers are checked.
            memory_mib: see `create`.

        Raises:
            NotAnIndex: the folder holds no index.
            NewerFormat: a newer version of Lexpand wrote the index.
            OlderFormat: a version before the first release wrote the index.
            CorruptIndex: a file is damaged or missing.
        """
        path = Path(path)
        return cls(path, Catalog.open(path), verify=verify, memory_mib=memory_mib)

    @staticmethod
    def exists(path: str | Path) -> bool:
        """Return whether the folder holds an index that was completely created."""
        path = Path(path)
        return (path / FILE).is_file() and not is_unfinished(path)

    @property
    def _snapshot(self) -> Snapshot:
        return self._snapshots.current

    def searcher(self) -> Searcher:
        """Return a reader that owns the commit that searches see now; see `Searcher`."""
        return Searcher(self.path, self.schema, self._catalog, self._snapshot)

    def refresh(self) -> bool:
        """Make searches see the newest commit; return whether there was a newer one.

        Raises:
            CorruptIndex: a file of that commit is damaged or missing.
            IndexStateError: the folder was removed or replaced since it was opened.
        """
        return self._snapshots.refresh()

    def presence(self, documents: Sequence[Document]) -> list[Presence]:
        """Return whether each document is in the newest commit or in the uncommitted changes."""
        return self._writer.presence(documents)

    def add(
        self,
        documents: Sequence[Document],
        vectors: SparseVectors,
        *,
        chunks: Sequence[Spans] | None = None,
    ) -> int:
        """Add documents at the next `commit`.

        A document that is already in the index with the same content is skipped.

        Args:
            documents: the documents.
            vectors: the vectors, one row per document, or one row per chunk with ``chunks``.
            chunks: the chunks of each document, as (first, end) characters in `Document.full_text`.
                A document is found by its best chunk.

        Returns:
            The number of documents added.

        Raises:
            DuplicateDocument: a doc_id is taken by different content, or is in ``documents`` with
                different contents. Nothing of this call is added.
            ContractMismatch: the vectors are of another model.
            VectorError: the number of vectors or the size of the vocabulary is wrong.
            DataError: a column cannot hold a value of a document, or a chunk is outside its text.
            IndexLocked: another writer holds the index.
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
        """Add documents, or replace those with the same doc_id, at the next `commit`.

        The commit deletes the old document and adds the new one in one step. A document that is
        already in the index with the same content is skipped. Arguments, result and errors are
        those of `add`. A doc_id that occurs in ``documents`` with different contents is still a
        DuplicateDocument.
        """
        self._check_space(vectors)
        return self._writer.add(documents, vectors, chunks, replace=True)

    def delete(self, doc_ids: Sequence[str]) -> int:
        """Delete documents at the next `commit`; ids that the index lacks are ignored.

        The texts stay in the catalog until a merge or `compact`.

        Returns:
            The number of documents that will be deleted.

        Raises:
            DataError: ``doc_ids`` is a string.
            IndexLocked: another writer holds the index.
        """
        if isinstance(doc_ids, str):
            raise DataError(
                f"doc_ids must be a list of ids, got the string {doc_ids!r}:"
                " put a single id in a list"
            )
        return self._writer.delete(doc_ids)

    def commit(self) -> Commit:
        """Make all changes durable and visible in one step; do nothing if there are none.

        If there are many segments, some are merged afterwards. Each merge is a commit of its own.

        Raises:
            StorageError: the disk is full or failing. The changes still wait: free some space and
                commit again.
        """
        return self._writer.commit()

    def lock(self) -> None:
        """Take the writer lock now rather than at the first change; `close` releases it.

        Raises:
            IndexLocked: another writer holds the index.
            StorageError: the folder is not writable.
        """
        self._writer.lock()

    @property
    def waiting(self) -> int:
        """The number of added documents that wait for `commit`."""
        return self._writer.waiting

    def rollback(self) -> None:
        """Discard the uncommitted changes."""
        self._writer.rollback()

    def compact(self) -> Commit:
        """Commit, merge all segments into one, and remove deleted documents from the disk.

        Segments and texts that another reader's snapshot needs stay until a later merge.

        Raises:
            StorageError: the disk is full or failing; it needs space for a second copy.
            IndexLocked: another writer holds the index.
        """
        return self._writer.compact()

    def check(self) -> list[str]:
        """Check the newest commit; return a message per fault, and none if it is sound.

        Reads everything: the checksums and values of all segments, the postings against the forward
        index, and SQLite's own structures. It compares the content of each document with its
        recorded hash, and requires that each live document has its passages.
        """
        self.refresh()
        return check_index(self.path, self._catalog, self._snapshot)

    def backup(self, target: str | Path) -> Commit:
        """Copy the newest commit to a folder that does not exist or is empty.

        Other processes may write to the index meanwhile.

        Returns:
            The commit of the copy.

        Raises:
            IndexStateError: the folder is not empty.
            StorageError: the disk is full or failing. The incomplete copy is removed.
        """
        self.refresh()
        return back_up(self.path, self._catalog, Path(target))

    @property
    def source_fields(self) -> dict[str, Any]:
        """The recorded source fields that make a document (`lexpand.data.Fields`)."""
        return self._catalog.source_fields()

    def record_source_fields(self, fields: Mapping[str, Any]) -> None:
        """Record which fields of a source make a document, for later calls.

        Raises:
            StorageError: the disk is full, read-only or failing.
        """
        self._catalog.record_source_fields(fields)

    def close(self) -> None:
        """Release the files and the writer lock. Uncommitted changes are discarded."""
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
