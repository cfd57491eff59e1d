"""Documents in: what is new is encoded and committed at intervals; what is there already is counted."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from lexpand.data import Document
from lexpand.encode import EncodedDocuments, Encoder
from lexpand.errors import DataError, LexpandError, RowError
from lexpand.index import COMMIT_EVERY, Index, Presence
from lexpand.index.columns import check_metadata

# Documents that are named of those that were cut.
_MOST_CUT = 5

COMMIT_SECONDS = 30.0
"""Seconds between two commits at most: what a killed process can lose."""


class OnDuplicate(StrEnum):
    """What to do with a doc_id that is in the index with another content."""

    REFUSE = "refuse"
    SKIP = "skip"
    REPLACE = "replace"


@dataclass(slots=True)
class IngestReport:
    """What became of the documents.

    Attributes:
        added: documents committed.
        unchanged: there already, with the same content.
        skipped: there already with another content, and left as they are (`OnDuplicate.SKIP`).
        refused: there already with another content (`OnDuplicate.REFUSE`), with metadata that a
            column cannot hold, or too long (`Long.REFUSE`); each names its place.
        replaced: of those added, the ones that took the place of another content
            (`OnDuplicate.REPLACE`).
        truncated: documents that were cut, being longer than the model reads.
        tokens, tokens_lost: of the documents encoded; those past the model's length.
        most_cut: of the documents cut, those that lost most: tokens lost and doc_id.
        passages: vectors made; more than documents where long ones are in chunks.
        empty: vectors without a term, which no query finds.
        encode_seconds: spent in the encoder.
    """

    added: int = 0
    unchanged: int = 0
    skipped: int = 0
    refused: list[RowError] = field(default_factory=list)
    replaced: int = 0
    truncated: int = 0
    tokens: int = 0
    tokens_lost: int = 0
    most_cut: list[tuple[int, str]] = field(default_factory=list)
    passages: int = 0
    empty: int = 0
    encode_seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {**asdict(self), "refused": [row.to_dict() for row in self.refused]}


def ingest(
    index: Index,
    encoder: Encoder,
    documents: Iterable[Document],
    *,
    on_duplicate: OnDuplicate | str = OnDuplicate.REFUSE,
    commit_every: int = COMMIT_EVERY,
    on_done: Callable[[int], None] | None = None,
    report: IngestReport | None = None,
) -> IngestReport:
    """Encode and add documents, with a commit every so often and at the end.

    Whatever ends it early (Ctrl-C, a damaged source, a full disk), what was encoded by then is
    committed first if that is possible, and the same call again carries on: documents that are
    there are neither encoded nor added twice.

    Args:
        index: where to.
        encoder: the index's model.
        documents: read one chunk at a time.
        on_duplicate: what to do with a doc_id that is there with another content.
        commit_every: documents between commits; there is one every `COMMIT_SECONDS` at least.
        on_done: called with the number of documents dealt with since its last call.
        report: filled as the work goes on, and returned; hand one in to have it where the work ends
            early.

    Raises:
        ContractMismatch: the encoder is not the index's model.
        IndexStateError: the encoder encodes documents in another way than the index records.
        DataError: ``on_duplicate`` is unknown, or ``commit_every`` is below 1.
        IndexLocked, StorageError: see `Index.add` and `Index.commit`.
    """
    index.check_model(encoder.space.model)
    index.space.encoding.check_same(index.path, encoder.documents)
    chosen, report = parse_on_duplicate(on_duplicate), IngestReport() if report is None else report
    if commit_every < 1:
        raise DataError(f"commit_every must be at least 1, got {commit_every}")
    done = on_done or (lambda _: None)
    last = time.monotonic()
    try:
        for chunk in _chunks(documents, min(encoder.at_once, commit_every)):
            new = _new_documents(index, chunk, chosen, report)
            done(len(chunk) - len(new))
            _encode_and_add(index, encoder, new, chosen, report, done)
            if index.waiting >= commit_every or (
                index.waiting and time.monotonic() - last >= COMMIT_SECONDS
            ):
                _commit(index, report)
                last = time.monotonic()
    finally:
        _commit(index, report)
    return report


def parse_on_duplicate(on_duplicate: OnDuplicate | str) -> OnDuplicate:
    """What to do with a doc_id that is there, by its name.

    Raises:
        DataError: there is nothing of this name.
    """
    try:
        return OnDuplicate(on_duplicate)
    except ValueError:
        raise DataError(
            f"on_duplicate must be one of {', '.join(OnDuplicate)}, got {on_duplicate!r}"
        ) from None


def _commit(index: Index, report: IngestReport) -> None:
    waiting = index.waiting
    index.commit()
    report.added += waiting


def _chunks(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    """Chunks of documents. What was read before the source fails is handed on before the failure is."""
    chunk: list[Document] = []
    try:
        for document in documents:
            chunk.append(document)
            if len(chunk) == size:
                full, chunk = chunk, []
                yield full
    except (LexpandError, OSError):
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk


def _new_documents(
    index: Index, chunk: list[Document], on_duplicate: OnDuplicate, report: IngestReport
) -> list[Document]:
    """The documents to encode; the others are counted or refused."""
    new: dict[str, Document] = {}
    chunk = [document for document in chunk if _fits(index, document, report)]
    for document, presence in zip(chunk, index.presence(chunk), strict=True):
        earlier = new.get(document.doc_id)
        if earlier is not None:
            presence = (
                Presence.SAME if earlier.content_hash == document.content_hash else Presence.OTHER
            )
        if presence is Presence.NEW:
            new[document.doc_id] = document
        elif presence is Presence.SAME:
            report.unchanged += 1
        elif on_duplicate is OnDuplicate.REPLACE:
            new[document.doc_id] = document
            report.replaced += earlier is None  # not where the source has one id twice
        elif on_duplicate is OnDuplicate.SKIP:
            report.skipped += 1
        else:
            reason = "the doc_id is taken by a document with another content: give it another id, replace it, or skip it"
            report.refused.append(_refusal(document, reason))
    return list(new.values())


def _fits(index: Index, document: Document, report: IngestReport) -> bool:
    try:
        check_metadata(index.schema.columns, document)
    except DataError as error:
        report.refused.append(_refusal(document, str(error)))
        return False
    return True


def _refusal(document: Document, reason: str) -> RowError:
    return RowError(document.source or "documents", reason, document.doc_id)


def _encode_and_add(
    index: Index,
    encoder: Encoder,
    documents: list[Document],
    on_duplicate: OnDuplicate,
    report: IngestReport,
    on_done: Callable[[int], None],
) -> None:
    if not documents:
        return
    start = time.perf_counter()
    encoded = encoder.encode_long(documents, on_done=on_done)
    report.encode_seconds += time.perf_counter() - start
    _count(encoded, report)
    put = index.replace if on_duplicate is OnDuplicate.REPLACE else index.add
    put(encoded.documents, encoded.vectors, chunks=encoded.spans)


def _count(encoded: EncodedDocuments, report: IngestReport) -> None:
    lost = encoded.tokens_lost
    cut = np.flatnonzero(lost)
    report.truncated += len(cut)
    report.tokens += int(encoded.tokens.sum())
    report.tokens_lost += int(lost.sum())
    found = [(int(lost[i]), encoded.documents[i].doc_id) for i in cut]
    report.most_cut = heapq.nsmallest(
        _MOST_CUT, report.most_cut + found, key=lambda pair: (-pair[0], pair[1])
    )
    report.passages += len(encoded.vectors)
    report.empty += encoded.empty
    report.refused.extend(encoded.refused)
