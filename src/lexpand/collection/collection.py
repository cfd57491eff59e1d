"""A collection: an index together with its encoder and its pipeline."""

from __future__ import annotations

import shutil
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from lexpand.collection.folders import swap, temporary
from lexpand.collection.info import CollectionInfo, info_of
from lexpand.collection.ingestion import IngestReport, OnDuplicate, ingest
from lexpand.collection.query_notes import query_notes
from lexpand.collection.settings import IndexSettings, make_index, open_index
from lexpand.collection.synchronizing import SyncPlan, SyncReport, check_deletions, plan_sync, sync
from lexpand.data import Document, Fields
from lexpand.data.objects import Given, documents_of
from lexpand.encode import Encoder, QueryEncoding, Rules, VectorCache
from lexpand.encode.progress import reporting
from lexpand.errors import DataError, IndexStateError, LexpandWarning, RowError
from lexpand.explanation import Explanation, WhyNot, explain, why_not
from lexpand.index import COMMIT_EVERY, Commit, Index
from lexpand.index.exchange import ExportReport, export_index
from lexpand.index.filters import Filter
from lexpand.search import Hits, LocalRetriever, Note, Pipeline, Retriever, encoder_of
from lexpand.search.pipeline import resolve

_EXIST = ("error", "open", "replace")


class Collection:
    """Searchable documents: an index, its encoder and its pipeline.

    `create` makes a collection and `open` opens one. Threads may share it. It can be pickled;
    unpickling opens the index again.

    Args:
        index: the index of the documents.
        encoder: the model; by default the one that the index names, loaded on first use.
        pipeline: how to search: a name, the path of a TOML file, or a `Pipeline`; None for the
            default.
        model: the path of the model, if it has moved since the index was made.
        queries: how queries are encoded.
        rules: edits of queries; by default those that the index records.
        threads: the number of threads of one call; by default all cores of this process.
        cache: the cache of document vectors. A text in the cache is not encoded again.

    Attributes:
        index: the index, which takes and returns vectors.
        report: the counts of the last `add`, `replace` or `create`.
    """

    def __init__(
        self,
        index: Index,
        *,
        encoder: Encoder | None = None,
        pipeline: Pipeline | str | Path | None = None,
        model: str | Path | None = None,
        queries: QueryEncoding = QueryEncoding(),
        rules: Rules | str | Path | None = None,
        threads: int | None = None,
        cache: VectorCache | None = None,
    ) -> None:
        self.index = index
        self.report = IngestReport()
        self._pipeline, self._notes = resolve(pipeline, index)
        self._chosen = None if pipeline is None else self._pipeline
        self._threads = threads
        self._cache = cache
        self._model, self._queries, self._rules = model, queries, rules
        self._encoder = self._given = encoder
        self._loading = threading.RLock()
        self._retrievers: dict[Pipeline, Retriever] = {}
        if encoder is not None:
            index.check_model(encoder.space.model)

    @property
    def path(self) -> Path:
        """The folder of the index."""
        return self.index.path

    @property
    def pipeline(self) -> Pipeline:
        """The default pipeline of searches."""
        return self._pipeline

    @property
    def encoder(self) -> Encoder:
        """The model, which encodes documents as the index records; loaded on first use.

        Raises:
            ModelError: the model cannot be loaded.
        """
        with self._loading:
            if self._encoder is None:
                self._encoder = encoder_of(
                    self.index,
                    model=self._model,
                    queries=self._queries,
                    rules=self._rules,
                    threads=self._threads,
                )
            return self._encoder

    def add(
        self,
        documents: Given,
        *,
        on_duplicate: OnDuplicate | str = OnDuplicate.REFUSE,
        fields: Fields | None = None,
        commit_every: int = COMMIT_EVERY,
        show_progress: bool = False,
        on_done: Callable[[int], None] | None = None,
        report: IngestReport | None = None,
    ) -> IngestReport:
        """Encode documents, add them and commit. Documents that are already stored change nothing.

        Ctrl-C keeps what is done. The same call continues from there.

        Args:
            documents: strings, dicts, `Document`s, or an iterable of them; a data frame of pandas,
                Polars or Arrow; or the path of a source (docs/sources.md). A missing id becomes
                the hash of the content.
            on_duplicate: what to do if the id is stored with different content: ``refuse`` the new
                document and report it, ``skip`` it, or ``replace`` the stored one.
            fields: the fields of a row that make a document; by default those that the index
                records.
            commit_every: the number of documents between commits.
            show_progress: whether to show a progress bar on standard error.
            on_done: a function that takes the number of documents finished since its last call.
            report: a report to update and return. If the call fails, it has the counts so far.

        Returns:
            The counts. Invalid rows are listed in ``refused``; the others are added.

        Raises:
            SourceError: a source cannot be read. The documents before the error are added.
            IndexLocked, StorageError: see `Index.add` and `Index.commit`.
        """
        self.report = IngestReport() if report is None else report
        stream = self._documents(documents, fields, self.report.refused)
        encoder = self.encoder if self._cache is None else self.encoder.with_cache(self._cache)
        total = len(documents) if isinstance(documents, list | tuple) else None
        with reporting(total, "indexing", show_progress) as progress:
            ingest(
                self.index,
                encoder,
                stream,
                on_duplicate=on_duplicate,
                commit_every=commit_every,
                on_done=on_done or progress,
                report=self.report,
            )
        return self.report

    def replace(self, documents: Given, **options: Any) -> IngestReport:  # noqa: ANN401 - those of `add`
        """Add documents, and replace stored ones that have the same id; see `add`."""
        return self.add(documents, on_duplicate=OnDuplicate.REPLACE, **options)

    def delete(self, doc_ids: Sequence[str] | None = None, *, filter: Filter | None = None) -> int:
        """Delete documents by id or by filter, and commit.

        Ids that the index lacks are ignored. A later merge or `compact` removes the texts from
        the disk.

        Returns:
            The number of documents that were deleted.

        Raises:
            DataError: both ids and a filter are given, or neither.
            FilterError: see `Index.search`.
            IndexLocked: another writer has the index open.
        """
        if (doc_ids is None) == (filter is None):
            raise DataError("delete must have either ids or a filter: give one of them")
        self.index.refresh()
        self.index.check_fields(filter)
        deleted = self.index.delete(
            self.index.matching(filter) if filter is not None else doc_ids or ()
        )
        self.index.commit()
        return deleted

    def sync(
        self,
        documents: Given,
        *,
        fields: Fields | None = None,
        force: bool = False,
        commit_every: int = COMMIT_EVERY,
        show_progress: bool = False,
        on_done: Callable[[int], None] | None = None,
        report: SyncReport | None = None,
    ) -> SyncReport:
        """Make the collection hold exactly these documents.

        New documents are added, changed ones replaced, and all others deleted. Unchanged documents
        are not encoded again.

        Args:
            documents: all documents of the source.
            fields: see `add`.
            force: whether more than half of the collection may be deleted.
            commit_every: see `add`.
            show_progress: see `add`.
            on_done: see `add`.
            report: see `add`.

        Raises:
            IndexStateError: more than half of the collection would be deleted, and ``force`` is
                false. If the source is a path or a list, nothing was changed. Otherwise new and
                changed documents were stored.
        """
        report = report or SyncReport()
        total = None
        if _can_be_read_twice(documents):
            plan = self.plan_sync(documents, fields=fields)
            check_deletions(self.index, len(plan.gone), plan.held, force)
            total = plan.new + plan.changed + plan.unchanged
        encoder = self.encoder if self._cache is None else self.encoder.with_cache(self._cache)
        with reporting(total, "indexing", show_progress) as progress:
            return sync(
                self.index,
                encoder,
                self._documents(documents, fields, report.ingest.refused),
                refused=report.ingest.refused,
                force=force,
                commit_every=commit_every,
                on_done=on_done or progress,
                report=report,
            )

    def plan_sync(self, documents: Given, *, fields: Fields | None = None) -> SyncPlan:
        """Return what `sync` would do, without encoding or changing anything."""
        refused: list[RowError] = []
        return plan_sync(self.index, self._documents(documents, fields, refused), refused)

    def compact(self) -> Commit:
        """Merge all segments into one without deleted documents; see `Index.compact`."""
        return self.index.compact()

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        pipeline: Pipeline | str | Path | None = None,
        passages: int = 1,
        min_score: float | None = None,
    ) -> Hits:
        """Return the best ``k`` documents for a query, best first, with their texts.

        Args:
            query: the text of the query.
            k: the number of documents, >= 0.
            filter: a filter over metadata (docs/filters.md). Only documents that match are found.
            group_by: a field of metadata. Only the best document of each of its values is found.
            pipeline: how to search; by default the pipeline of the collection.
            passages: the number of passages that each hit carries, best first, if documents are
                in chunks.
            min_score: the lowest score of a hit.

        Raises:
            FilterError: the filter cannot be read, or names a field that no document has.
            DataError: the query is not a string, or k is negative.
        """
        (hits,) = self.search_many(
            [query],
            k,
            filter=filter,
            group_by=group_by,
            pipeline=pipeline,
            passages=passages,
            min_score=min_score,
            threads=1,
        )
        return hits

    def search_many(
        self,
        queries: Sequence[str],
        k: int = 10,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        pipeline: Pipeline | str | Path | None = None,
        passages: int = 1,
        min_score: float | None = None,
        threads: int = 1,
    ) -> list[Hits]:
        """Search for several queries at once; see `search`.

        Args:
            queries: the texts of the queries.
            k: see `search`.
            filter: see `search`.
            group_by: see `search`.
            pipeline: see `search`.
            passages: see `search`.
            min_score: see `search`.
            threads: the number of threads.
        """
        chosen, notes = (
            (self._pipeline, self._notes) if pipeline is None else resolve(pipeline, self.index)
        )
        self.index.check_fields(filter, group_by)
        reading = self._retriever(chosen).reading()
        results = reading.search_many(
            queries,
            k,
            filter=filter,
            group_by=group_by,
            threads=threads,
            passages=passages,
            min_score=min_score,
        )
        encoder = self.encoder if chosen.needs_model else None
        searcher = (
            reading.searcher if isinstance(reading, LocalRetriever) else self.index.searcher()
        )
        return [
            _with_notes(hits, (*notes, *query_notes(searcher, encoder, hits))) for hits in results
        ]

    def retriever(self, pipeline: Pipeline | str | Path | None = None) -> Retriever:
        """Return the `Retriever` of a pipeline, e.g. to make a run."""
        return self._retriever(
            self._pipeline if pipeline is None else resolve(pipeline, self.index)[0]
        )

    def explain(
        self,
        query: str,
        doc_id: str,
        *,
        filter: Filter | None = None,
        pipeline: Pipeline | str | Path | None = None,
    ) -> Explanation:
        """Explain the score of a document for a query; see `lexpand.explain`.

        Raises:
            UnknownDocument: the index has no such document.
            DataError: the pipeline reranks. The score of a reranker has no parts.
        """
        self.index.check_fields(filter)
        return explain(self.retriever(pipeline), query, doc_id, filter=filter)

    def why_not(
        self,
        query: str,
        doc_id: str,
        than: str | None = None,
        *,
        k: int = 10,
        filter: Filter | None = None,
        pipeline: Pipeline | str | Path | None = None,
    ) -> WhyNot:
        """Explain why a document is not found, or ranks below another; see `lexpand.why_not`."""
        self.index.check_fields(filter)
        return why_not(self.retriever(pipeline), query, doc_id, than, k=k, filter=filter)

    def get(self, doc_id: str) -> Document:
        """Return the document with an id.

        Raises:
            UnknownDocument: the index has no such document.
        """
        return self.index.document(doc_id)

    def export(
        self,
        target: str | Path,
        *,
        format: str | None = None,
        scale: float | None = None,
        overwrite: bool = False,
    ) -> ExportReport:
        """Write ids, texts and vectors to a file that other systems read (docs/exchange.md)."""
        return export_index(self.index, target, format=format, scale=scale, overwrite=overwrite)

    def info(self) -> CollectionInfo:
        """Return what the collection holds and how it was made."""
        return info_of(self.index, self._pipeline)

    def refresh(self) -> bool:
        """Move to the newest commit, e.g. of another process; return whether it is a new one."""
        return self.index.refresh()

    def close(self) -> None:
        """Release the files and the writer's lock."""
        self.index.close()
        if self._cache is not None:
            self._cache.close()

    def __enter__(self) -> Collection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, ...]:
        settings = {
            "encoder": self._given,
            "pipeline": self._chosen,
            "model": self._model,
            "queries": self._queries,
            "rules": self._rules,
            "threads": self._threads,
            "cache": self._cache,
        }
        return _unpickle, (type(self), self.index, settings)

    def __len__(self) -> int:
        """Return the number of documents in the commit that searches see."""
        return len(self.index)

    def __contains__(self, doc_id: str) -> bool:
        return bool(self.index.documents_by_id([doc_id]))

    def __repr__(self) -> str:
        model = self.index.space.model.label
        return f"<Collection {str(self.path)!r}: {len(self):,} documents, {model}>"

    def _documents(
        self, documents: Given, fields: Fields | None, refused: list[RowError]
    ) -> Iterable[Document]:
        columns = {name: kind.value for name, kind in self.index.schema.columns.items()}
        chosen = fields or Fields.from_dict(self.index.source_fields)
        return documents_of(documents, fields=chosen, on_bad_row=refused.append, columns=columns)

    def _retriever(self, pipeline: Pipeline) -> Retriever:
        with self._loading:
            if pipeline not in self._retrievers:
                encoder = self.encoder if pipeline.needs_model else None
                self._retrievers[pipeline] = pipeline.retriever(
                    self.index, encoder, threads=self._threads
                )
            return self._retrievers[pipeline]


def _unpickle(kind: type[Collection], index: Index, settings: Mapping[str, Any]) -> Collection:
    return kind(index, **settings)


def create(
    path: str | Path,
    documents: Given | None = None,
    *,
    exist: str = "error",
    model: str | Path | None = None,
    encoding: Mapping[str, Any] | None = None,
    rules: Rules | str | Path | None = None,
    words: str | None = None,
    columns: Mapping[str, str] | None = None,
    fields: Fields | None = None,
    pipeline: Pipeline | str | Path | None = None,
    threads: int | None = None,
    cache: str | Path | None = None,
    show_progress: bool = False,
) -> Collection:
    """Create a collection in a folder, and add documents to it.

    Args:
        path: the folder.
        documents: see `Collection.add`; None for an empty collection.
        exist: what to do if the folder holds an index: raise an ``error``, ``open`` it and add to
            it, or ``replace`` it. An index is replaced only if a document of the new source is
            usable; otherwise it stays as it is.
        model: ``default`` for the packaged model, or the path of a model folder.
        encoding: how documents are encoded: fields of `DocumentEncoding`, e.g. ``{"long":
            "chunk"}``.
        rules: edits of vectors (docs/rules.md), or the path of a rules file.
        words: the language of the BM25 field, by default ``english``. Without one (``none``), the
            default pipeline searches with the model alone.
        columns: metadata fields that filters often use, with their types; see `Index.create`.
        fields: the fields of a row that make a document; the index records them.
        pipeline: how to search; see `open`.
        threads: the number of threads of one call; by default all cores of this process.
        cache: the path of a vector cache. A text in the cache is not encoded again.
        show_progress: whether to show a progress bar on standard error.

    Returns:
        The open collection. If rows are invalid, they are listed in ``report.refused`` and a
            `LexpandWarning` is issued.

    Raises:
        IndexStateError: the folder holds an index and ``exist`` is ``error``, an index with other
            settings, or other files.
        DataError: the index is to be replaced, and no document is usable.
        ModelError, DataError, SourceError, StorageError: see `Encoder.load`, `Collection.add` and
            `Index.create`.
    """
    if exist not in _EXIST:
        raise DataError(f"exist must be one of {', '.join(_EXIST)}, got {exist!r}")
    path = Path(path)
    settings = IndexSettings(
        model=model,
        encoding=encoding or {},
        rules=rules,
        words=words,
        columns=columns,
        fields=fields,
    )
    if exist == "replace" and Index.exists(path):
        collection = _replaced(path, settings, documents, pipeline, threads, cache, show_progress)
    elif exist == "error" and Index.exists(path):
        raise IndexStateError(
            f"{path} already holds an index: open it with `lexpand.open`, "
            'add to it with exist="open", or replace it with exist="replace"'
        )
    else:
        opened = _opened(path, settings, pipeline, threads, cache)
        collection = _filled(opened, documents, show_progress)
    _warn_of_refused(collection.report)
    return collection


def open(
    path: str | Path,
    pipeline: Pipeline | str | Path | None = None,
    *,
    model: str | Path | None = None,
    queries: QueryEncoding = QueryEncoding(),
    rules: Rules | str | Path | None = None,
    threads: int | None = None,
    cache: str | Path | None = None,
) -> Collection:
    """Open a collection.

    Args:
        path: the folder.
        pipeline: how to search: ``hybrid`` (the default), ``best``, ``splade``, ``bm25``, or the
            path of a TOML file (docs/pipelines.md).
        model: the path of the model, if it has moved since the index was made.
        queries: how queries are encoded.
        rules: edits of queries; by default those that the index records.
        threads: the number of threads of one call; by default all cores of this process.
        cache: the path of a vector cache. A text in the cache is not encoded again.

    Raises:
        NotAnIndex, NewerFormat, OlderFormat, CorruptIndex: see `Index.open`.
        SourceError, DataError: see `Pipeline.load`.
    """
    index = Index.open(path)
    try:
        opened = None if cache is None else VectorCache(Path(cache))
        return Collection(
            index,
            pipeline=pipeline,
            model=model,
            queries=queries,
            rules=rules,
            threads=threads,
            cache=opened,
        )
    except BaseException:
        index.close()
        raise


def open_or_create(
    path: Path,
    settings: IndexSettings,
    *,
    pipeline: Pipeline | str | Path | None = None,
    threads: int | None = None,
    cache: str | Path | None = None,
) -> Collection:
    """Open the collection of a folder, or create it.

    Raises:
        IndexStateError: the folder holds an index with other settings; the message names both.
    """
    return _opened(path, settings, pipeline, threads, cache)


def _opened(
    path: Path,
    settings: IndexSettings,
    pipeline: Pipeline | str | Path | None,
    threads: int | None,
    cache: str | Path | None,
) -> Collection:
    encoder = None
    if Index.exists(path):
        index = open_index(path, settings)
    else:
        index, encoder = make_index(path, settings, threads)
    try:
        kept = None if cache is None else VectorCache(Path(cache))
        return Collection(
            index,
            encoder=encoder,
            pipeline=pipeline,
            model=settings.model,
            threads=threads,
            cache=kept,
        )
    except BaseException:
        index.close()
        raise


def _filled(collection: Collection, documents: Given | None, show_progress: bool) -> Collection:
    """Add the documents, and return the collection; close it if that fails."""
    if documents is None:
        return collection
    try:
        collection.add(documents, show_progress=show_progress)
    except BaseException:
        collection.close()
        raise
    return collection


def _warn_of_refused(report: IngestReport) -> None:
    if report.refused:
        warnings.warn(
            f"{len(report.refused):,} of the documents were refused, "
            f"the first: {report.refused[0]}; see collection.report.refused",
            LexpandWarning,
            stacklevel=3,  # the caller of `create`
        )


def _replaced(
    path: Path,
    settings: IndexSettings,
    documents: Given | None,
    pipeline: Pipeline | str | Path | None,
    threads: int | None,
    cache: str | Path | None,
    show_progress: bool,
) -> Collection:
    """Replace a collection by a new one.

    The old one stays as it is until the new one is complete, and if the new one gets no document.
    """
    target = path.resolve()
    new = temporary(target, "new")
    try:
        opened = _opened(new, settings, pipeline, threads, cache)
        collection = _filled(opened, documents, show_progress)
        report = collection.report
        collection.close()
        if documents is not None and not report.added:
            raise DataError(_nothing_to_replace_by(path, documents, report))
        swap(new, target)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    collection = _opened(path, IndexSettings(model=settings.model), pipeline, threads, cache)
    collection.report = report
    return collection


def _nothing_to_replace_by(path: Path, documents: Given, report: IngestReport) -> str:
    source = documents if isinstance(documents, str | Path) else "documents"
    refused = "".join(f" (refused: {row})" for row in report.refused[:1])
    return (
        f"{source} must have a usable row to replace {path}, got none{refused}:"
        " nothing was replaced; check the source, or leave documents out to replace the index by"
        " an empty one"
    )


def _with_notes(hits: Hits, notes: tuple[Note, ...]) -> Hits:
    return Hits(hits, hits.query, (*notes, *hits.notes)) if notes else hits


def _can_be_read_twice(documents: object) -> bool:
    return (isinstance(documents, str | Path) and str(documents) != "-") or isinstance(
        documents, list | tuple
    )
