"""The checks of `lexpand lint`, which read everything in an index once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import numpy as np

from lexpand.data import Long, SparseVectors, banned_terms
from lexpand.diagnose.duplicates import near_duplicates
from lexpand.diagnose.finding import EXAMPLES, Finding, Severity
from lexpand.diagnose.text_checks import TextChecks, duplicates_finding
from lexpand.diagnose.vector_checks import VectorChecks, scale_finding
from lexpand.encode import Encoder, Role
from lexpand.errors import DataError
from lexpand.index import Index, StoredBatch

SAMPLE = 1000


def lint(
    index: Index,
    encoder: Encoder | None,
    *,
    hub_share: float | None = None,
    sample: int = SAMPLE,
    on_done: Callable[[int], None] | None = None,
) -> list[Finding]:
    """Check an index.

    Memory is about 40 bytes per passage, whatever the length of texts, plus the vectors of the
    sample.

    Args:
        index: the index.
        encoder: the model of the index. Without it, truncation and weights of special tokens are
            not checked, and a finding says so.
        hub_share: the share of passages above which a term is a hub; None to skip this check. A
            sound index has hundreds of terms above 0.1, and a collection on one subject some above
            0.9. Hubs alone need no fix.
        sample: the number of random passages that are checked for near duplicates. The sample is
            the same each time.
        on_done: called with the number of passages that were checked. Passages of the sample count
            twice.

    Raises:
        DataError: ``hub_share`` is not above 0 and at most 1, or ``sample`` is negative.
        ContractMismatch: the index has vectors of another model than the encoder's.
    """
    if (hub_share is not None and not 0 < hub_share <= 1) or sample < 0:
        raise DataError(
            "hub_share must be > 0 and <= 1 and sample must be >= 0, "
            f"got {hub_share!r} and {sample!r}"
        )
    if encoder is not None:
        index.check_model(encoder.space.model)
    done = on_done or (lambda _: None)
    vectors, texts = _checks(index, encoder, hub_share)
    drawn = _Sample(sample)
    last = -1
    for batch in index.stored_passages():
        vectors.see(batch)
        drawn.see(batch)
        new = [
            i
            for i, row in enumerate(batch.rows.tolist())
            if row != (batch.rows[i - 1] if i else last)
        ]
        texts.see([batch.passages[i][0] for i in new], batch.rows[new].tolist())
        last = int(batch.rows[-1])
        done(len(batch.passages))
    return [*_findings(index, vectors, texts, drawn, done), *_unchecked(encoder)]


def _checks(
    index: Index, encoder: Encoder | None, hub_share: float | None
) -> tuple[VectorChecks, TextChecks]:
    special, pinned = frozenset[int](), frozenset[int]()
    if encoder is not None:
        special = banned_terms(encoder.vocabulary, special=True, unused=True)
        pinned = banned_terms(encoder.vocabulary, tokens=encoder.pinned(Role.DOCUMENT).values())
    counts = encoder if index.space.encoding.long.policy is Long.TRUNCATE else None
    return VectorChecks(index.space.vocabulary, special, pinned, hub_share), TextChecks(counts)


def _findings(
    index: Index,
    vectors: VectorChecks,
    texts: TextChecks,
    drawn: _Sample,
    done: Callable[[int], None],
) -> Iterator[Finding]:
    yield from vectors.findings()
    rows, times = vectors.extremes()
    if len(rows):
        yield scale_finding(_doc_ids(index, rows[:EXAMPLES].tolist()), times)
    yield from texts.findings()
    copies, groups = texts.duplicates()
    named = [_doc_ids(index, group) for group in groups]
    if copies:
        yield duplicates_finding(copies, named)
    known = {frozenset((one, other)) for group in named for one in group for other in group}
    yield from near_duplicates(index, drawn.vectors(index), drawn.doc_ids, known, done)


def _unchecked(encoder: Encoder | None) -> Iterator[Finding]:
    if encoder is None:
        yield Finding(
            "unchecked",
            Severity.NOTE,
            2,
            "checks left out, which need the model of the index: truncated documents and special "
            "tokens with weight",
            (),
            "give the path of the model (--model)",
        )


def _doc_ids(index: Index, rows: list[int]) -> list[str]:
    found = index.documents(rows)
    return [found[row].doc_id for row in rows]


class _Sample:
    """A random sample of passages with at least one term (algorithm R; Vitter 1985)."""

    def __init__(self, size: int) -> None:
        self._size, self._seen = size, 0
        self._random = random.Random(0)
        self._drawn: list[tuple[str, SparseVectors]] = []

    @property
    def doc_ids(self) -> list[str]:
        return [doc_id for doc_id, _ in self._drawn]

    def vectors(self, index: Index) -> SparseVectors:
        empty = SparseVectors(
            np.zeros(1, np.int64),
            np.zeros(0),
            np.zeros(0),
            len(index.space.vocabulary),
            index.space.model,
        )
        return SparseVectors.concatenate([empty, *(vector for _, vector in self._drawn)])

    def see(self, batch: StoredBatch) -> None:
        for i, (document, _) in enumerate(batch.passages):
            if batch.vectors.indptr[i] == batch.vectors.indptr[i + 1]:
                continue
            self._seen += 1
            place = (
                len(self._drawn) if self._seen <= self._size else self._random.randrange(self._seen)
            )
            if place < self._size:
                self._drawn[place : place + 1] = [(document.doc_id, batch.vectors[[i]])]
