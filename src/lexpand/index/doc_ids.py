"""The document ids in a segment, with which a search names its hits without the catalog.

The catalog decides which documents are live. The id of a row never changes. The section "Ids" of
docs/format.md is the specification.
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
"""The section kinds."""

NO_FIELD = 2**32 - 1
"""The field number of sections that belong to no field."""

Sections: TypeAlias = Callable[[int], NDArray[np.uint8] | None]
"""Returns the bytes of a section by its kind; None if there is none."""


@dataclass(frozen=True, slots=True)
class DocIds:
    """The doc_id of each passage.

    Attributes:
        starts: uint64 [passages + 1], the start of each id in ``text``.
        text: uint8 [bytes], the concatenated ids in UTF-8.
    """

    starts: NDArray[np.uint64]
    text: NDArray[np.uint8]

    @classmethod
    def of(cls, ids: Sequence[str]) -> DocIds:
        """Encode ids, one per passage."""
        encoded = [doc_id.encode() for doc_id in ids]
        starts = np.cumsum([0, *map(len, encoded)], dtype=np.uint64)
        return cls(starts, np.frombuffer(b"".join(encoded), np.uint8))

    @classmethod
    def open(cls, section: Sections, passages: int) -> DocIds:
        """Open the ids of a segment.

        Raises:
            CorruptIndex: a section is missing, or its size does not fit ``passages``.
        """
        starts, text = section(STARTS), section(TEXT)
        if starts is None or text is None:
            raise CorruptIndex(
                f"sections {STARTS} and {TEXT}, the ids of its documents, are missing"
            )
        size = 8 * (passages + 1)
        if starts.size != size:
            raise CorruptIndex(f"section {STARTS} must have {size} bytes, got {starts.size}")
        return cls(starts.view(np.uint64), text)

    def at(self, ordinals: NDArray[np.uint32]) -> list[str]:
        """Return the ids of these passages.

        Raises:
            CorruptIndex: an id is outside the text, or is not UTF-8.
        """
        return _native.strings_at(self.starts, self.text, np.ascontiguousarray(ordinals))

    def take(self, ordinals: NDArray[np.int64]) -> DocIds:
        """Return the ids of these passages, in their order."""
        starts = self.starts.astype(np.int64)
        lengths = np.diff(starts)[ordinals]
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(
            starts[ordinals] - ends + lengths, lengths
        )
        return DocIds(np.concatenate([[0], ends]).astype(np.uint64), self.text[places])

    @property
    def sections(self) -> list[tuple[int, bytes]]:
        """The kind and bytes of each section."""
        return [(STARTS, self.starts.astype("<u8").tobytes()), (TEXT, self.text.tobytes())]


def concatenate(parts: Sequence[DocIds]) -> DocIds:
    """Return the ids of all parts, in order."""
    lengths = [np.diff(part.starts) for part in parts]
    starts = np.cumsum(np.concatenate([np.zeros(1, np.uint64), *lengths]), dtype=np.uint64)
    return DocIds(starts, np.concatenate([np.zeros(0, np.uint8), *(part.text for part in parts)]))
