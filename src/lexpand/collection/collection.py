"""The front door: an index together with its encoder and its pipeline."""

from __future__ import annotations

import shutil
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from lexpand.collection.facts import CollectionInfo, facts_of
from lexpand.collection.ingestion import IngestReport, OnDuplicate, ingest
from lexpand.collection.making import Wishes, make_index, open_index
from lexpand.collection.query_notes import query_notes
from lexpand.collection.synchronizing import SyncPlan, SyncReport, check_deletions, plan_sync, sync
from lexpand.data import Document, Fields
from lexpand.data.given import Given, documents_of
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
    """Documents that can be searched: an index, the encoder that made its vectors, and the pipeline that searches it.

    `create` makes one and `open` opens one. The model is loaded when it is first needed. May be
    shared by threads, and pickled: what reads it opens the index again.

    Args:
        index: the documents.
        encoder: the model; by default the one that the index names, loaded when it is first needed.
        pipeline: how to search: a name, the path of a TOML file, or a `Pipeline`; None for the
            default.
        model: where the model is, if it has moved since.
        queries: how queries are encoded.
        rules: edits of queries; by default those that the index records.
        threads: that one call may use; all cores of this process by default.
        cache: where vectors of documents are kept; a text that it has is not encoded again.

    Attributes:
        index: the documents, with vectors in and out.
        report: what became of the documents of the last `add`, `replace` or `create`.
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
        """How it is searched where a call does not say otherwise."""
        return self._pipeline

    @property
    def encoder(self) -> Encoder:
        """The model, which encodes documents as the index records; loaded by the first caller.

        Raises:
            ModelError: it cannot be loaded.
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
        """Encode and add documents, and commit them. A document that is there already changes nothing.

        Ctrl-C keeps what is done, and the same call again carries on.

        Args:
            documents: strings, dicts, `Document`s, or an iterable of them; a data frame of pandas,
                Polars or Arrow; or the path of a source (docs/sources.md). An id that is not given
                is the hash of the content.
            on_duplicate: what to do with an id that is there with another content: ``refuse`` it
                and say so, ``skip`` it, or ``replace`` what is there.
            fields: which fields of rows make a document; by default those that the index records.
            commit_every: documents between commits.
            show_progress: a bar on standard error.
            on_done: called with the number of documents dealt with since its last call.
            report: filled as the work goes on, and returned; hand one in to have it where the work
                ends early.

        Returns:
            What became of them. Rows that cannot be used are listed in its ``refused``; the others
                are added.

        Raises:
            SourceError: a source cannot be read; what was read before is added.
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
        """`add`, where a document takes the place of one with the same id."""
        return self.add(documents, on_duplicate=OnDuplicate.REPLACE, **options)

    def delete(self, doc_ids: Sequence[str] | None = None, *, filter: Filter | None = None) -> int:
        """Delete documents by their ids, or those whose metadata match, and commit.

        Ids that the index lacks are left alone. The texts leave the disk with a later merge, or
        `compact`.

        Returns:
            How many were there.

        Raises:
            DataError: both ids and a filter are given, or neither.
            FilterError: see `Index.search`.
            IndexLocked: another writer is at work.
        """
        if (doc_ids is None) == (filter is None):
            raise DataError("delete takes ids or a filter: give one of them")
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
        """Make the collection hold exactly these documents: add what is new, replace what changed, delete the others.

        Nothing is encoded twice. Arguments are those of `add`.

        Args:
            documents: all documents of the source.
            fields: see `add`.
            force: delete even if more than half of the collection would go.
            commit_every: see `add`.
            show_progress: see `add`.
            on_done: see `add`.
            report: see `add`.

        Raises:
            IndexStateError: more than half of the collection would be deleted, and ``force`` is not
                given. Nothing was changed where the source is a path or a list; else what is new
                was added.
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
        """What `sync` would do; nothing is encoded or changed."""
        refused: list[RowError] = []
        return plan_sync(self.index, self._documents(documents, fields, refused), refused)

    def compact(self) -> Commit:
        """Make all segments one without deleted documents, and give their texts' space back; see `Index.compact`."""
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
        """The best ``k`` documents for a question, best first, with their texts.

        Args:
            query: the question, in words.
            k: how many, from 0.
            filter: only documents whose metadata match (docs/filters.md).
            group_by: only the best document of each value of this field of metadata.
            pipeline: how to search; the collection's own by default.
            passages: passages of a document that a hit carries, best first, where documents are in
                chunks.
            min_score: leave out documents below this score.

        Raises:
            FilterError: the filter cannot be read, or names a field that no document has.
            DataError: the query is no string, or k is negative.
        """
        (found,) = self.search_many(
            [query],
            k,
            filter=filter,
            group_by=group_by,
            pipeline=pipeline,
            passages=passages,
            min_score=min_score,
            threads=1,
        )
        return found

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
        """`search` for several questions at once.

        Args:
            queries: the questions.
            k: see `search`.
            filter: see `search`.
            group_by: see `search`.
            pipeline: see `search`.
            passages: see `search`.
            min_score: see `search`.
            threads: that may be used.
        """
        made, notes = (
            (self._pipeline, self._notes) if pipeline is None else resolve(pipeline, self.index)
        )
        self.index.check_fields(filter, group_by)
        reading = self._retriever(made).reading()
        found = reading.search_many(
            queries,
            k,
            filter=filter,
            group_by=group_by,
            threads=threads,
            passages=passages,
            min_score=min_score,
        )
        encoder = self.encoder if made.needs_model else None
        searcher = (
            reading.searcher if isinstance(reading, LocalRetriever) else self.index.searcher()
        )
        return [
            _noted(hits, (*notes, *query_notes(searcher, encoder, hits.query))) for hits in found
        ]

    def retriever(self, pipeline: Pipeline | str | Path | None = None) -> Retriever:
        """What answers the questions, for runs and everything that takes a `Retriever`."""
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
        """Why a document has its score for a question; see `lexpand.explain`.

        Raises:
            UnknownDocument: there is no such document.
            DataError: the pipeline reranks, and a reranker's score has no parts.
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
        """Why a document is not found, or stands below another one; see `lexpand.why_not`."""
        self.index.check_fields(filter)
        return why_not(self.retriever(pipeline), query, doc_id, than, k=k, filter=filter)

    def get(self, doc_id: str) -> Document:
        """A document by its id.

        Raises:
            UnknownDocument: there is no such document.
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
        """Write the documents' ids, texts and vectors to a file that other systems read; see docs/exchange.md."""
        return export_index(self.index, target, format=format, scale=scale, overwrite=overwrite)

    def info(self) -> CollectionInfo:
        """What the collection holds, and how it was made."""
        return facts_of(self.index, self._pipeline)

    def refresh(self) -> bool:
        """See the newest commit, which another process may have made; whether there was a newer one."""
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
        return _unpickled, (type(self), self.index, settings)

    def __len__(self) -> int:
        """Documents in the commit that searches see."""
        return len(self.index)

    def __contains__(self, doc_id: str) -> bool:
        return bool(self.index.documents_by_id([doc_id]))

    def __repr__(self) -> str:
        return f"<Collection {str(self.path)!r}: {len(self):,} documents, {self.index.space.model.label}>"

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


def _unpickled(kind: type[Collection], index: Index, settings: Mapping[str, Any]) -> Collection:
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
    """Make a collection in a folder, and put documents into it.

    Args:
        path: the folder.
        documents: see `Collection.add`; None for an empty collection.
        exist: what to do if the folder holds an index: ``error``, ``open`` it and add to it, or
            ``replace`` it.
        model: ``default``, the packaged one, or the path of a model folder.
        encoding: how documents are encoded: fields of `DocumentEncoding`, e.g. ``{"long":
            "chunk"}``.
        rules: edits of vectors (docs/rules.md), or the path of a rules file.
        words: the language of the words that are indexed for BM25, ``english`` by default; ``none``
            for no words, which leaves the default pipeline with the model alone.
        columns: metadata fields that filters ask for often, with their types; see `Index.create`.
        fields: which fields of rows make a document; the index records them.
        pipeline: how to search; see `open`.
        threads: that one call may use; all cores of this process by default.
        cache: a file where vectors are kept; a text that it has is not encoded again.
        show_progress: a bar on standard error.

    Returns:
        The collection, open. Rows that could not be used are in its ``report.refused``, and a
            `LexpandWarning` says so.

    Raises:
        IndexStateError: the folder holds an index (``exist``), one with other settings, or other
            files.
        ModelError, DataError, SourceError, StorageError: see `Encoder.load`, `Collection.add` and
            `Index.create`.
    """
    if exist not in _EXIST:
        raise DataError(f"exist must be one of {', '.join(_EXIST)}, got {exist!r}")
    path = Path(path)
    wishes = Wishes(
        model=model,
        encoding=encoding or {},
        rules=rules,
        words=words,
        columns=columns,
        fields=fields,
    )
    if exist == "replace" and Index.exists(path):
        return _replaced(path, wishes, documents, pipeline, threads, cache, show_progress)
    if exist == "error" and Index.exists(path):
        raise IndexStateError(
            f'{path} holds an index already: `lexpand.open` opens it; exist="open" adds to it, exist="replace" replaces'
            " it"
        )
    return _filled(_opened(path, wishes, pipeline, threads, cache), documents, show_progress)


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
        model: where the model is, if it has moved since the index was made.
        queries: how queries are encoded.
        rules: edits of queries; by default those that the index records.
        threads: that one call may use; all cores of this process by default.
        cache: a file where vectors are kept; a text that it has is not encoded again.

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
    wishes: Wishes,
    *,
    pipeline: Pipeline | str | Path | None = None,
    threads: int | None = None,
    cache: str | Path | None = None,
) -> Collection:
    """A collection for documents to go into: the one that is there, if its settings are those of the wishes, or a new.

    Raises:
        IndexStateError: the folder holds an index with other settings; the message names both.
    """
    return _opened(path, wishes, pipeline, threads, cache)


def _opened(
    path: Path,
    wishes: Wishes,
    pipeline: Pipeline | str | Path | None,
    threads: int | None,
    cache: str | Path | None,
) -> Collection:
    encoder = None
    if Index.exists(path):
        index = open_index(path, wishes)
    else:
        index, encoder = make_index(path, wishes, threads)
    try:
        kept = None if cache is None else VectorCache(Path(cache))
        return Collection(
            index,
            encoder=encoder,
            pipeline=pipeline,
            model=wishes.model,
            threads=threads,
            cache=kept,
        )
    except BaseException:
        index.close()
        raise


def _filled(collection: Collection, documents: Given | None, show_progress: bool) -> Collection:
    """The collection with the documents; closed if that fails."""
    if documents is None:
        return collection
    try:
        report = collection.add(documents, show_progress=show_progress)
    except BaseException:
        collection.close()
        raise
    if report.refused:
        first = report.refused[0]
        warnings.warn(
            f"{len(report.refused):,} of the documents were refused, the first: {first}; see collection.report.refused",
            LexpandWarning,
            stacklevel=3,
        )
    return collection


def _replaced(
    path: Path,
    wishes: Wishes,
    documents: Given | None,
    pipeline: Pipeline | str | Path | None,
    threads: int | None,
    cache: str | Path | None,
    show_progress: bool,
) -> Collection:
    """A new collection where another one was, which stays until the new one is whole."""
    fresh, old = path.with_name(f"{path.name}.new"), path.with_name(f"{path.name}.old")
    for left in (fresh, old):
        if Index.exists(left):
            shutil.rmtree(left)
    made = _filled(_opened(fresh, wishes, None, threads, None), documents, show_progress)
    report = made.report
    made.close()
    path.rename(old)
    fresh.rename(path)
    shutil.rmtree(old)
    collection = _opened(path, Wishes(model=wishes.model), pipeline, threads, cache)
    collection.report = report
    return collection


def _noted(hits: Hits, notes: tuple[Note, ...]) -> Hits:
    return Hits(hits, hits.query, (*notes, *hits.notes)) if notes else hits


def _can_be_read_twice(documents: object) -> bool:
    return (isinstance(documents, str | Path) and str(documents) != "-") or isinstance(
        documents, list | tuple
    )
