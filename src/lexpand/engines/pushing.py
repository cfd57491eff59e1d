"""Push an index to an engine, so that the engine holds exactly its passages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial

from lexpand.engines.engine import Engine
from lexpand.engines.folding import Folding
from lexpand.engines.records import Record, ids_like_passages, record_id_of, records_of
from lexpand.engines.targets import EngineInfo, EngineSchema, RefusedRecord, UploadReport
from lexpand.errors import ContractMismatch, DataError, EngineError
from lexpand.index import Index
from lexpand.index.reader import IndexReader

_RECORDS = 500
_BYTES = 4_000_000
_BYTES_OF_TERM = 16  # of JSON


def push(
    index: Index,
    engine: Engine,
    *,
    shards: int = 1,
    analyzer: str = "standard",
    seismic: bool = False,
    fold_query_weights: bool = False,
    again: bool = False,
    threads: int = 4,
    on_done: Callable[[int], None] | None = None,
) -> UploadReport:
    """Make an engine hold exactly the passages of the current commit of an index.

    The target is created if it does not exist. Records that the engine has already are not sent
    again, so a push that was interrupted continues. Records that the index no longer has are
    deleted in the end.

    Args:
        index: the documents.
        engine: the engine.
        shards: the number of shards of a new target.
        seismic: whether a new target is searched approximately by SEISMIC (OpenSearch 3.3).
        analyzer: the analyzer of words of a new target, for engines with BM25.
        fold_query_weights: whether the query weights of the engine's encoder are multiplied into
            the weights of documents, so that a query is the bag of its tokens with weight 1.
        again: whether all records are sent, also those that the engine says it has; it repairs a
            target that something else has changed.
        threads: the number of requests at a time.
        on_done: a function that takes the number of passages finished since its last call.

    Raises:
        ContractMismatch: the target, or the index whose weights are folded, has vectors of another
            model.
        DataError: query weights are folded, and the engine has no encoder with a table of them.
        EngineError: the engine cannot be reached, or refuses; or something else made the target, or
            a push with other folded weights.
    """
    reading = index.searcher()
    folding = _folding(engine, reading) if fold_query_weights else None
    records = partial(_records, reading, folding)
    engine.forget()
    info = engine.info()
    is_new = info.records is None
    if is_new:
        columns = {name: kind.value for name, kind in index.schema.columns.items()}
        engine.create(
            EngineSchema(
                reading.space.model,
                len(reading.space.vocabulary),
                columns,
                shards,
                analyzer,
                _largest_weight(records()) if seismic else None,
                folding is not None,
            )
        )
    elif info.model is None:
        raise EngineError(
            f"{info.target} on {info.name} must be made by a push, because a push deletes what the"
            " index does not have, and something else made it: choose another name"
        )
    else:
        engine.check_model(reading.space.model)
        _check_columns(index, info)
        _check_folded(info, folding is not None)
    report = UploadReport()
    _send(engine, records(), not is_new and not again, threads, report, on_done or (lambda _: None))
    engine.refresh()
    if not is_new:
        _delete_others(reading, engine, report)
    return report


def _check_columns(index: Index, info: EngineInfo) -> None:
    """Raise if the target was made for other declared columns, which its filters would miss."""
    columns = {name: kind.value for name, kind in index.schema.columns.items()}
    if dict(info.columns) != columns:
        raise EngineError(
            f"{info.target} on {info.name} was made for the columns {_columns(info.columns)}, and"
            f" the index has {_columns(columns)}: push to another name"
        )


def _check_folded(info: EngineInfo, folded: bool) -> None:
    """Raise if the target has the other kind of weights, which queries would not fit."""
    if info.folded != folded:
        had, remedy = ("folded", "with") if info.folded else ("no folded", "without")
        raise EngineError(
            f"{info.target} on {info.name} was made with {had} query weights: push"
            f" {remedy} --fold-query-weights, or to another name"
        )


def _folding(engine: Engine, index: IndexReader) -> Folding:
    if engine.encoder is None:
        raise DataError("folding query weights needs the model: give the engine an encoder")
    given, own = engine.encoder.space.model, index.space.model
    if given.hash != own.hash:
        raise ContractMismatch(
            f"the index has vectors of {own.label}, not of {given.label}: give the"
            " model of the index with --model"
        )
    return Folding.of(engine.encoder)


def _records(index: IndexReader, folding: Folding | None) -> Iterator[Record]:
    return records_of(index) if folding is None else map(folding.fold, records_of(index))


def _columns(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in sorted(columns.items())) or "none"


def _largest_weight(records: Iterable[Record]) -> float:
    return max((float(each.weights.max(initial=0)) for each in records), default=0.0)


def _send(
    engine: Engine,
    records: Iterable[Record],
    compare: bool,
    threads: int,
    report: UploadReport,
    on_done: Callable[[int], None],
) -> None:
    """Send batches, at most ``threads`` requests and as many waiting batches at a time."""
    with ThreadPoolExecutor(threads) as pool:
        running: set[Future[tuple[int, int, list[RefusedRecord], int]]] = set()
        try:
            for batch in _batches(records):
                running.add(pool.submit(_write, engine, batch, compare))
                if len(running) >= 2 * threads:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    _count(done, report, on_done)
            _count(running, report, on_done)
        except BaseException:
            for each in running:
                each.cancel()
            raise


def _write(
    engine: Engine, batch: list[Record], compare: bool
) -> tuple[int, int, list[RefusedRecord], int]:
    """Return the numbers of unchanged and written records, those refused, and the retries."""
    changed = batch
    if compare:
        there = engine.digests([record.record_id for record in batch])
        changed = [each for each in batch if there.get(each.record_id) != each.digest()]
    refused, retries = engine.write(changed) if changed else ([], 0)
    return len(batch) - len(changed), len(changed) - len(refused), refused, retries


def _count(
    done: Iterable[Future[tuple[int, int, list[RefusedRecord], int]]],
    report: UploadReport,
    on_done: Callable[[int], None],
) -> None:
    for each in done:
        unchanged, written, refused, retries = each.result()
        report.unchanged += unchanged
        report.uploaded += written
        report.refused += refused
        report.retries += retries
        on_done(unchanged + written + len(refused))


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield batches of at most 500 records and about 4 MB of JSON."""
    batch: list[Record] = []
    size = 0
    for record in records:
        length = len(record.text) + len(record.title) + _BYTES_OF_TERM * len(record.terms) + 200
        if batch and (len(batch) == _RECORDS or size + length > _BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += length
    if batch:
        yield batch


def _delete_others(index: IndexReader, engine: Engine, report: UploadReport) -> None:
    """Delete the records that the index does not have, and old versions of refused ones.

    An old version stays if the engine was too busy for the new one.
    """
    taken = ids_like_passages(index)
    kept = {
        record_id_of(document.doc_id, chunk, taken)
        for stored in index.stored_passages()
        for (document, _), chunk in zip(stored.passages, stored.chunks, strict=True)
    }
    kept -= {each.record_id for each in report.refused if not each.busy}
    gone = [record_id for record_id in engine.record_ids() if record_id not in kept]
    engine.delete(gone)
    report.deleted = len(gone)
    if gone:
        engine.refresh()
