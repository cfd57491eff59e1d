"""The ids of a segment's documents, beside its passages: a search names what it found without asking the catalog.

The catalog decides who is there; what stands here never changes for a row. "Ids" in
docs/format.md specifies it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lexpand import _native
from lexpand.errors import CorruptIndex

STARTS, TEXT = 96, 97
"""The kinds of section."""

NO_FIELD = 2**32 - 1
"""The field of sections that belong to passages."""

Sections: TypeAlias = Callable[[int], NDArray[np.uint8] | None]
"""The bytes of a section by its kind; None where there is none."""


@dataclass(frozen=True, slots=True)
class DocIds:
    """The doc_id of each passage.

    Attributes:
        starts: uint64 [passages + 1]: where each id begins in ``text``.
        text: uint8 [bytes], the ids in UTF-8, one after the other.
    """

    starts: NDArray[np.uint64]
    text: NDArray[np.uint8]

    @classmethod
    def of(cls, ids: Sequence[str]) -> DocIds:
        """These ids, one a passage."""
        encoded = [doc_id.encode() for doc_id in ids]
        starts = np.cumsum([0, *map(len, encoded)], dtype=np.uint64)
        return cls(starts, np.frombuffer(b"".join(encoded), np.uint8))

    @classmethod
    def open(cls, section: Sections, passages: int) -> DocIds:
        """Those of a segment.

        Raises:
            CorruptIndex: it has none, or their sections do not fit ``passages``.
        """
        starts, text = section(STARTS), section(TEXT)
        if starts is None or text is None:
            raise CorruptIndex(
                f"sections {STARTS} and {TEXT}, the ids of its documents, are missing"
            )
        if starts.size != 8 * (passages + 1):
            raise CorruptIndex(f"section {STARTS} has {starts.size} bytes for {passages} passages")
        return cls(starts.view(np.uint64), text)

    def at(self, ordinals: NDArray[np.uint32]) -> list[str]:
        """The ids of these passages.

        Raises:
            CorruptIndex: a place is past the text, or what stands there is not UTF-8.
        """
        return _native.strings_at(self.starts, self.text, np.ascontiguousarray(ordinals))

    def taken(self, ordinals: NDArray[np.int64]) -> DocIds:
        """Those of these passages alone."""
        starts = self.starts.astype(np.int64)
        lengths = np.diff(starts)[ordinals]
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(
            starts[ordinals] - ends + lengths, lengths
        )
        return DocIds(np.concatenate([[0], ends]).astype(np.uint64), self.text[places])

    @property
    def sections(self) -> list[tuple[int, bytes]]:
        """Kind and bytes of each section."""
        return [(STARTS, self.starts.astype("<u8").tobytes()), (TEXT, self.text.tobytes())]


def joined(parts: Sequence[DocIds]) -> DocIds:
    """One after the other."""
    lengths = [np.diff(part.starts) for part in parts]
    starts = np.cumsum(np.concatenate([np.zeros(1, np.uint64), *lengths]), dtype=np.uint64)
    return DocIds(starts, np.concatenate([np.zeros(0, np.uint8), *(part.text for part in parts)]))
