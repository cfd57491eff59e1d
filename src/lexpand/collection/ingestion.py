"""Add documents to an index: encode new ones, and commit at intervals."""

from __future__ import annotations

import heapq
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from lexpand.data import Document
from lexpand.data.arguments import check_integer
from lexpand.data.readers.rows import in_file_order
from lexpand.encode import EncodedDocuments, Encoder
from lexpand.errors import DataError, LexpandError, RowError
from lexpand.index import COMMIT_EVERY, Index, Presence
from lexpand.index.columns import check_metadata

# Truncated documents that a report names.
_MOST_CUT = 5

_WORD = re.compile(r"\w")

COMMIT_SECONDS = 30.0
"""The longest time between two commits, in seconds: the work that a killed process can lose."""


class OnDuplicate(StrEnum):
    """The policy for a document whose id is stored with different content."""

    REFUSE = "refuse"
    SKIP = "skip"
    REPLACE = "replace"


@dataclass(slots=True)
class IngestReport:
    """Counts of added, skipped and refused documents.

    Attributes:
        added: documents that were committed.
        unchanged: documents that are stored with the same content.
        skipped: documents whose id is stored with different content, which stays
            (`OnDuplicate.SKIP`).
        refused: rows that cannot be used, each with its place, in the order of the source: an
            invalid row, an id that is stored with different content (`OnDuplicate.REFUSE`),
            metadata that a column cannot hold, or a document that is too long (`Long.REFUSE`).
        replaced: documents among the added that replaced different content (`OnDuplicate.REPLACE`).
        truncated: documents that are longer than the model reads, and were cut.
        tokens: tokens of the encoded documents.
        tokens_lost: tokens past the length that the model reads.
        most_cut: the documents that lost the most tokens: pairs of tokens lost and doc_id.
        passages: vectors that were made; more than documents if long ones are in chunks.
        empty: vectors without a term, which no query finds.
        wordless: documents without a word in their text, such as an empty file. Only the title, if
            there is one, can be found.
        encode_seconds: the time spent in the encoder.
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
    wordless: int = 0
    encode_seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON."""
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
    """Encode and add documents, and commit at intervals and at the end.

    If the call ends early (Ctrl-C, a damaged source, a full disk), the documents encoded so far
    are committed if possible. The same call then continues: stored documents are neither encoded
    nor added again.

    Args:
        index: the index.
        encoder: the model of the index.
        documents: the documents, read chunk by chunk.
        on_duplicate: what to do with a document whose id is stored with different content.
        commit_every: the number of documents between commits. There is also a commit at least
            every `COMMIT_SECONDS`.
        on_done: a function that takes the number of documents finished since its last call.
        report: a report to update and return. If the call fails, it has the counts so far.

    Raises:
        ContractMismatch: the encoder is not the model of the index.
        IndexStateError: the encoder encodes documents differently from what the index records.
        DataError: ``on_duplicate`` is unknown, or ``commit_every`` is below 1.
        IndexLocked, StorageError: see `Index.add` and `Index.commit`.
    """
    index.check_model(encoder.space.model)
    index.space.encoding.check_same(index.path, encoder.documents)
    chosen, report = parse_on_duplicate(on_duplicate), IngestReport() if report is None else report
    check_integer(commit_every, "commit_every", 1)
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
        report.refused.sort(key=in_file_order)
        _commit(index, report)
    return report


def parse_on_duplicate(on_duplicate: OnDuplicate | str) -> OnDuplicate:
    """Return the `OnDuplicate` with a name.

    Raises:
        DataError: the name is unknown.
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
    """Yield chunks of documents. If the source fails, yield those before the error first."""
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
    """Return the documents to encode; count or refuse the others."""
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
            report.replaced += earlier is None  # not if the source itself repeats the id
        elif on_duplicate is OnDuplicate.SKIP:
            report.skipped += 1
        else:
            reason = (
                "the doc_id is taken by a document with different content: give it another id, or"
                " replace or skip it with on_duplicate (--on-duplicate on the command line)"
            )
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
    store = index.replace if on_duplicate is OnDuplicate.REPLACE else index.add
    store(encoded.documents, encoded.vectors, chunks=encoded.spans)


def _count(encoded: EncodedDocuments, report: IngestReport) -> None:
    lost = encoded.tokens_lost
    truncated = np.flatnonzero(lost)
    report.truncated += len(truncated)
    report.tokens += int(encoded.tokens.sum())
    report.tokens_lost += int(lost.sum())
    cuts = [(int(lost[i]), encoded.documents[i].doc_id) for i in truncated]
    report.most_cut = heapq.nsmallest(
        _MOST_CUT, report.most_cut + cuts, key=lambda pair: (-pair[0], pair[1])
    )
    report.passages += len(encoded.vectors)
    report.empty += encoded.empty
    report.wordless += sum(_WORD.search(document.text) is None for document in encoded.documents)
    report.refused.extend(encoded.refused)
