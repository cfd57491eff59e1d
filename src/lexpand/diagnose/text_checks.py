"""Checks of texts: duplicates, truncation, and scripts and languages unlike most."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from lexpand.data import Document
from lexpand.diagnose.boilerplate import Boilerplate
from lexpand.diagnose.finding import EXAMPLES, Finding, Severity
from lexpand.diagnose.scripts import language_of, script_of
from lexpand.encode import Encoder, Role


class TextChecks:
    """Checks every document once. Memory is 16 bytes per document, plus the words of a sample.

    Args:
        encoder: counts tokens; None to skip the check for truncation.
    """

    def __init__(self, encoder: Encoder | None) -> None:
        self._encoder = encoder
        self._hashes: list[NDArray[np.uint64]] = []
        self._rows: list[NDArray[np.int64]] = []
        self._mixes = {"scripts": _Mix(script_of), "languages": _Mix(language_of)}
        self._boilerplate = Boilerplate()
        self._cut, self._tokens, self._lost = 0, 0, 0
        self._most_cut: list[tuple[int, str]] = []

    def see(self, documents: Sequence[Document], rows: Sequence[int]) -> None:
        """Read some documents."""
        hashes = [
            blake2b(" ".join(document.full_text.split()).encode(), digest_size=8)
            for document in documents
        ]
        self._hashes.append(np.frombuffer(b"".join(each.digest() for each in hashes), np.uint64))
        self._rows.append(np.array(rows, np.int64))
        self._boilerplate.see(documents)
        for document in documents:
            for mix in self._mixes.values():
                mix.see(document)
        if self._encoder is not None:
            self._count(self._encoder, documents)

    def duplicates(self) -> tuple[int, list[list[int]]]:
        """Return the number of documents with an earlier document's text, and the largest groups.

        Groups are rows of documents with the same text. Texts are compared by 64 bits of BLAKE2b,
        with white space folded. In a million texts, two different ones collide with a chance of one
        in 37 million.
        """
        hashes = np.concatenate([np.zeros(0, np.uint64), *self._hashes])
        rows = np.concatenate([np.zeros(0, np.int64), *self._rows])
        _, group, sizes = np.unique(hashes, return_inverse=True, return_counts=True)
        largest = np.argsort(-sizes, kind="stable")[: min(EXAMPLES, np.count_nonzero(sizes > 1))]
        return len(hashes) - len(sizes), [
            rows[group == number][:3].tolist() for number in largest.tolist()
        ]

    def findings(self) -> Iterator[Finding]:
        """Yield all findings except duplicates, whose documents are known by row only."""
        if self._cut:
            yield Finding(
                "truncated",
                Severity.WARNING,
                self._cut,
                f"longer than the model reads: {self._lost:,} of all {self._tokens:,} tokens are "
                "in no vector",
                tuple(f"{doc_id} {lost:,} tokens" for lost, doc_id in self._most_cut),
                "create a new index with --long chunk",
            )
        for kind, mix in self._mixes.items():
            yield from mix.findings(kind)
        yield from self._boilerplate.findings()

    def _count(self, encoder: Encoder, documents: Sequence[Document]) -> None:
        seen, lost = encoder.count_tokens(documents, Role.DOCUMENT)
        self._tokens, self._lost = self._tokens + int(seen.sum()), self._lost + int(lost.sum())
        cut = [(int(lost[i]), documents[i].doc_id) for i in np.flatnonzero(lost).tolist()]
        self._cut += len(cut)
        self._most_cut = heapq.nsmallest(
            EXAMPLES, self._most_cut + cut, key=lambda pair: (-pair[0], pair[1])
        )


class _Mix:
    """Counts texts by a trait. A text without the trait is not counted."""

    def __init__(self, trait_of: Callable[[str], str | None]) -> None:
        self._trait_of = trait_of
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def see(self, document: Document) -> None:
        trait = self._trait_of(document.full_text)
        if trait is not None:
            self._counts[trait] += 1
            self._first.setdefault(trait, document.doc_id)

    def findings(self, kind: str) -> Iterator[Finding]:
        (most, _), *others = self._counts.most_common() or [("", 0)]
        if others:
            yield Finding(
                kind,
                Severity.WARNING,
                sum(count for _, count in others),
                f"in other {kind} than most, which are in {_named(most)}: a model of one language "
                "understands little of them",
                tuple(
                    f"{_named(trait)} {count:,}, {self._first[trait]}"
                    for trait, count in others[:EXAMPLES]
                ),
                "use a model that reads them (--model), or one index per language with "
                "--words LANGUAGE",
            )


def duplicates_finding(count: int, groups: list[list[str]]) -> Finding:
    """Return the finding on documents with the same text; ``groups`` are the ids of some."""
    return Finding(
        "duplicates",
        Severity.WARNING,
        count,
        "with the text of an earlier document",
        tuple(" = ".join(group) for group in groups),
        "delete them (lexpand delete), or give them a common field and search with --group-by",
    )


def _named(trait: str) -> str:
    return trait.capitalize()
