"""The native core: the SPLADE head, segment files, top-k search, words and BM25.

Arrays are C-contiguous and of exactly the dtype stated; another dtype is a TypeError, never a silent conversion. Long
calls release the GIL. Raises VectorError, CorruptIndex, NewerFormat and StorageError of `lexpand.errors`.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

__version__: str
SEGMENT_FORMAT: int
"""The segment format that this build writes; it reads this one and earlier ones."""

__all__ = [
    "SEGMENT_FORMAT",
    "Head",
    "Segment",
    "WordField",
    "WordQuery",
    "__version__",
    "build_words",
    "document_frequencies",
    "merge_segments",
    "merge_words",
    "number_words",
    "search",
    "sentence_starts",
    "split_words",
    "strings_at",
    "write_segment",
]

@final
class Head:
    """A masked-language-model decoder with SPLADE's activation and pooling.

    Args:
        weights: float32 [vocabulary_size, width], the decoder.
        bias: float32 [vocabulary_size].
        pooling: over the positions of a text.
        activation: of a logit. (sentence-transformers calls the first ``relu``, the second ``log1p_relu``.)
    """

    def __new__(
        cls,
        weights: NDArray[np.float32],
        bias: NDArray[np.float32],
        *,
        pooling: Literal["max", "sum"],
        activation: Literal["log1p(relu)", "log1p(log1p(relu))"],
    ) -> Head: ...
    @property
    def vocabulary_size(self) -> int: ...
    @property
    def width(self) -> int: ...
    def screened(
        self,
        to_basis: NDArray[np.float64],
        back: NDArray[np.float64],
        kept: int,
        typical: NDArray[np.float64],
        *,
        threads: int = 1,
    ) -> Head:
        """A head over the same weights that proves most pairs of position and term inactive from ``kept`` dimensions.

        ``to_basis`` T and ``back`` S are [width, width] with T S' = I: a hidden state h becomes h T, a decoder row w
        becomes w S. ``typical`` is a hidden state [width] as they usually are, or empty. Any of them give the same
        vectors to the bit; good ones are quick.
        """

    def encode(
        self, hidden: NDArray[np.float32], lengths: NDArray[np.uint32], *, threads: int = 1
    ) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32], NDArray[np.uint32]]:
        """Hidden states [texts, positions, width] to CSR: indptr, terms, weights, positions.

        Text i fills its first ``lengths[i]`` positions; the rest is never read. Terms ascend within a text and
        their weights are above zero; a term's position is the first that has its largest logit. The result does
        not depend on ``threads``. Raises VectorError where a state is not finite.
        """

@final
class Segment:
    """An open segment file (docs/format.md). May be shared by threads."""

    @staticmethod
    def open(path: str | PathLike[str], *, verify: bool = True) -> Segment:
        """Map a file and check it: with ``verify`` every byte, else sizes, places and the header's checksums."""

    def check_deep(self) -> None:
        """Every byte, and that the postings are the forward index turned over: exact search relies on it.

        No checksum shows the work of a broken writer. Takes time in proportion to the file, and memory to the weights
        of 2^14 units. Raises CorruptIndex.
        """

    @property
    def units(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def checksum(self) -> int:
        """The header's checksum, which covers the rest."""

    def nnz(self, field: int) -> int:
        """Stored weights of a field."""

    def ordinal(self, row: int) -> int | None:
        """The first unit of a document, by its row; None where the segment has none."""

    def rows(self) -> NDArray[np.uint32]:
        """The row of each unit's document; a copy."""

    def chunks(self) -> NDArray[np.uint32]:
        """The number of each unit within its document, from 0; a copy."""

    def spans(self) -> NDArray[np.uint32]:
        """First and end character of each unit, in turn: [2 * units]; a copy."""

    def parts(self) -> list[tuple[int, int, int]]:
        """Every section: kind, field (2^32 - 1 for none), bytes."""

    def extra(self, kind: int, field: int) -> NDArray[np.uint8] | None:
        """A section of kind 48 or more as it lies in the file: read-only, at a multiple of 64 bytes, no copy."""

    def word_fields(self) -> list[int]:
        """The numbers of the open fields, ascending."""

    def words(self, field: int) -> WordField:
        """The words of an open field, in place: no copy, and the segment stays open as long as they are used.

        They were checked with the segment. Raises KeyError where it has none.
        """

    def forward(
        self, field: int
    ) -> tuple[NDArray[np.uint64], NDArray[np.uint32], NDArray[np.uint16], NDArray[np.float32]]:
        """The forward index, copied: starts [units + 1], terms [nnz], impacts [nnz], scales [units]."""

    def document_frequencies(
        self, field: int, units: NDArray[np.uint64] | None = None
    ) -> NDArray[np.uint64]:
        """Of each term, how many units of a set have it (bit i % 64 of word i // 64; None: all): [vocabulary_size]."""

    def vector(
        self, field: int, ordinal: int
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint16], float]:
        """One unit: its terms, their impacts, its scale. A stored weight is impact * scale in float64."""

def write_segment(
    path: str | PathLike[str],
    rows: NDArray[np.uint32],
    chunks: NDArray[np.uint32],
    spans: NDArray[np.uint32],
    fields: Sequence[tuple[int, int, NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]]],
    extras: Sequence[tuple[int, int, NDArray[np.uint8]]] = ...,
    *,
    memory: int = ...,
    threads: int = 1,
) -> tuple[int, int]:
    """Write a segment durably; returns its length in bytes and its checksum.

    ``spans`` is [2 * units], first and end in turn. A field is (number, vocabulary_size, indptr, terms, weights), CSR
    with one row a unit. An extra is (kind, field, bytes), kind at least 48, kept as it is. ``memory``: bytes for the
    postings that are laid out at a time; 1 GiB unless told.
    """

def merge_segments(
    path: str | PathLike[str],
    sources: Sequence[tuple[Segment, NDArray[np.uint64] | None]],
    extras: Sequence[tuple[int, int, NDArray[np.uint8]]] = ...,
    *,
    memory: int = ...,
    threads: int = 1,
) -> tuple[int, int]:
    """Write the units of several segments, in their order, as one; the stored weights are copied as they are.

    Beside each source, the ordinals to keep (bit i % 64 of word i // 64), or None for all. ``extras`` are those of
    the new segment (for words, those that `merge_words` gives of ``segment.words(field)`` and the same sets); those of
    the sources are not looked at. A source that was opened without ``verify`` is verified first. Returns as
    `write_segment`.
    """

def search(
    segments: Sequence[tuple[Segment, NDArray[np.uint64] | None]],
    field: int,
    indptr: NDArray[np.int64],
    terms: NDArray[np.uint32],
    weights: NDArray[np.float32],
    *,
    vocabulary_size: int,
    k: int,
    effort: float = 1.0,
    threads: int = 1,
) -> tuple[
    NDArray[np.int64],
    NDArray[np.float64],
    NDArray[np.uint32],
    NDArray[np.uint32],
    NDArray[np.uint32],
]:
    """The best ``k`` units of each query (CSR): indptr, scores, rows, segments, ordinals; best first.

    Beside each segment, the ordinals that may be found (bit i % 64 of word i // 64), or None for all. Equal scores are
    ordered by row. Units that score zero are no hits. ``effort``, in (0, 1]: the share of a query's postings that is
    read, strongest contributions first; at 1 the result is exact.
    """

def strings_at(
    starts: NDArray[np.uint64], text: NDArray[np.uint8], places: NDArray[np.uint32]
) -> list[str]:
    """Of strings that lie in ``text`` as UTF-8, one after the other, those at some places.

    String i is bytes ``starts[i]`` to ``starts[i + 1]``. Raises CorruptIndex where one is past the text, or no UTF-8.
    """

@final
class WordField:
    """An open field of a segment: which words its units have, and how often (docs/format.md). May be shared by threads.

    A set of units is uint64 words, bit ``i % 64`` of word ``i // 64`` for ordinal i; None is every unit.
    """

    @staticmethod
    def from_sections(
        sections: Mapping[int, bytes], units: int, *, verify: bool = True
    ) -> WordField:
        """Copy and check sections of `build_words` or `merge_words`; without ``verify`` not every posting."""

    @property
    def units(self) -> int: ...
    @property
    def terms(self) -> int:
        """Distinct words."""

    @property
    def nnz(self) -> int:
        """Pairs of a word and a unit that has it."""

    def words(self) -> list[str]:
        """The dictionary, ascending by code points; a copy."""

    def lengths(self) -> NDArray[np.uint32]:
        """Words in each unit, repetitions counted; a copy."""

    def totals(self, live: NDArray[np.uint64] | None = None) -> tuple[int, int]:
        """Number of units and sum of their lengths, of those in the set."""

    def unit(self, ordinal: int) -> list[tuple[str, int]]:
        """One unit's words with their frequencies, ascending. Looks every word of the dictionary up."""

@final
class WordQuery:
    """Weighted words, BM25's parameters, and what it knows of the collection.

    Args:
        words: each word once, with its weight in the query, finite and >= 0.
        document_frequencies: uint64, of each word, over the same live units as ``units`` and ``total_length``.
        k1: finite and >= 0; how soon repetition stops to count.
        b: 0 to 1; how much length counts.
        rounded_lengths: take the lengths that Lucene's norms keep.
    """

    def __new__(
        cls,
        words: Sequence[tuple[str, float]],
        document_frequencies: NDArray[np.uint64],
        *,
        units: int,
        total_length: int,
        k1: float,
        b: float,
        rounded_lengths: bool = False,
    ) -> WordQuery: ...
    def search(
        self,
        fields: Sequence[WordField],
        rows: Sequence[NDArray[np.uint32]],
        allowed: Sequence[NDArray[np.uint64] | None],
        k: int,
    ) -> tuple[NDArray[np.float64], NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]]:
        """The best ``k`` of the allowed units, exact: scores, rows, segments, ordinals; best first.

        Equal scores are ordered by row. Units that score zero are no hits.
        """

    def contributions(self, field: WordField, ordinal: int) -> list[tuple[str, int, float, float]]:
        """Word, frequency, idf and share of a unit's score; summed in this order they are the score."""

def build_words(
    words: Sequence[str],
    indptr: NDArray[np.int64],
    terms: NDArray[np.uint32],
    counts: NDArray[np.uint32],
) -> list[tuple[int, bytes]]:
    """The sections (kind, bytes) of an open field, ascending by kind.

    CSR with one row a unit: ``terms`` are places in ``words``, each once a unit, in any order. Words are distinct, 1 to
    255 bytes of UTF-8; one that no unit has is not stored.
    """

def merge_words(
    fields: Sequence[WordField],
    kept: Sequence[NDArray[np.uint64] | None],
    order: tuple[NDArray[np.uint32], NDArray[np.uint32]] | None = None,
) -> list[tuple[int, bytes]]:
    """The sections of the kept units, one field after the other, or in ``order``: sources, ordinals.

    An order has each kept unit once. The bytes are those that `build_words` gives for these units.
    """

def document_frequencies(
    fields: Sequence[WordField], live: Sequence[NDArray[np.uint64] | None], words: Sequence[str]
) -> NDArray[np.uint64]:
    """For each word, the live units that have it."""

def split_words(text: str) -> list[str]:
    """The words of a text as they stand in it: Unicode's default word boundaries (UAX #29)."""

def sentence_starts(text: str) -> NDArray[np.uint64]:
    """Where the sentences of a text begin, in characters, ascending from 0: Unicode's default boundaries (UAX #29).

    White space behind a sentence belongs to it, and every line end is a border. Nothing for an empty text.
    """

def number_words(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64], NDArray[np.uint32]]:
    """Texts split and their words numbered: distinct words by first occurrence, indptr, and a number for each word."""
