"""The native core: the SPLADE head, segment files, top-k search, and the lexical field with BM25.

Arrays are C-contiguous and of exactly the stated dtype; another dtype raises TypeError and is never
converted. Long calls release the GIL. Raises VectorError, CorruptIndex, NewerFormat, OlderFormat
and StorageError of `lexpand.errors`.

A set of passages is uint64 words: bit ``i % 64`` of word ``i // 64`` stands for ordinal i. None is
every passage.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

__version__: str
SEGMENT_FORMAT: int
"""The segment format that this build reads and writes."""

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
        activation: of a logit. (sentence-transformers calls the first ``relu``, the second
            ``log1p_relu``.)
    """

    def __new__(
        cls,
        weights: NDArray[np.float32],
        bias: NDArray[np.float32],
        *,
        pooling: Literal["max", "sum"],
        activation: Literal["log1p(relu)", "log1p(log1p(relu))"],
    ) -> Head: ...
    def screened(
        self,
        to_basis: NDArray[np.float64],
        back: NDArray[np.float64],
        kept: int,
        typical: NDArray[np.float64],
        *,
        threads: int = 1,
    ) -> Head:
        """A head over the same weights with safe pruning by ``kept`` leading dimensions.

        They prove most pairs of a position and a term inactive. ``to_basis`` T and ``back`` S are
        [width, width] with T S' = I: a hidden state h becomes h T, a decoder row w becomes w S.
        ``typical`` is a typical hidden state [width], or empty. The vectors are the same to the bit
        for any of them; good ones are fast.
        """

    def encode(
        self, hidden: NDArray[np.float32], lengths: NDArray[np.uint32], *, threads: int = 1
    ) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32], NDArray[np.uint32]]:
        """Encode hidden states [texts, positions, width] to CSR: indptr, terms, weights, positions.

        Text i fills its first ``lengths[i]`` positions; the rest is never read. Terms ascend within
        a text and their weights are above zero. A term's position is the first that has its largest
        logit. The result does not depend on ``threads``. Raises VectorError if a state is not
        finite.
        """

@final
class Segment:
    """An open segment file (docs/format.md). Threads may share it."""

    @staticmethod
    def open(path: str | PathLike[str], *, verify: bool = True) -> Segment:
        """Map and check a file.

        With ``verify`` every byte, otherwise sizes, places and the checksums of header and table.
        """

    def check_deep(self) -> None:
        """Verify every byte, and compare the postings with the forward index.

        Exact search relies on it. No checksum shows the work of a broken writer. The time is linear
        in the size of the file, the memory in the weights of 2^14 passages. Raises CorruptIndex.
        """

    @property
    def passages(self) -> int:
        """The number of passages."""

    @property
    def bytes(self) -> int:
        """The length of the file."""

    @property
    def checksum(self) -> int:
        """The header's checksum, which covers the rest."""

    def nnz(self, field: int) -> int:
        """The number of stored weights of a field."""

    def rows(self) -> NDArray[np.uint32]:
        """The row of each passage's document; a copy."""

    def chunks(self) -> NDArray[np.uint32]:
        """The number of each passage within its document, from 0; a copy."""

    def spans(self) -> NDArray[np.uint32]:
        """The first and end character of each passage, in turn: [2 * passages]; a copy."""

    def parts(self) -> list[tuple[int, int, int]]:
        """Every section: kind, field (2^32 - 1 for none), bytes."""

    def extra(self, kind: int, field: int) -> NDArray[np.uint8] | None:
        """A section of kind 48 or more, in place: read-only, at a multiple of 64 bytes, no copy."""

    def words(self, field: int) -> WordField:
        """An open field, in place: no copy, and the segment stays open while it is used.

        It was checked with the segment. Raises KeyError if the segment has none.
        """

    def forward(
        self, field: int
    ) -> tuple[NDArray[np.uint64], NDArray[np.uint32], NDArray[np.uint16], NDArray[np.float32]]:
        """A copy of the forward index.

        Starts [passages + 1], terms [nnz], impacts [nnz], scales [passages].
        """

    def document_frequencies(
        self, field: int, passages: NDArray[np.uint64] | None = None
    ) -> NDArray[np.uint64]:
        """For each term, the number of passages in the set that have it: [vocabulary_size]."""

    def vector(
        self, field: int, ordinal: int
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint16], float]:
        """One passage: its terms, their impacts, its scale.

        A stored weight is impact * scale in float64.
        """

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
    """Write a segment durably; return its length in bytes and its checksum.

    ``spans`` is [2 * passages], first and end in turn. A field is (number, vocabulary_size, indptr,
    terms, weights), CSR with one row per passage. An extra is (kind, field, bytes), of kind 48 or
    more, stored as it is. ``memory`` is the number of bytes for the postings that are laid out at a
    time, by default 1 GiB.
    """

def merge_segments(
    path: str | PathLike[str],
    sources: Sequence[tuple[Segment, NDArray[np.uint64] | None]],
    extras: Sequence[tuple[int, int, NDArray[np.uint8]]] = ...,
    *,
    memory: int = ...,
    threads: int = 1,
) -> tuple[int, int]:
    """Write the passages of several segments, in their order, as one.

    Stored weights are copied as they are. Each source has the set of passages to keep. ``extras``
    are those of the new segment; those of the sources are ignored. For words, pass what
    `merge_words` returns for ``segment.words(field)`` and the same sets. A source that was opened
    without ``verify`` is verified first. Returns what `write_segment` returns.
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
    """Find the best ``k`` passages of each query (CSR), best first.

    Returns indptr, scores, rows, segments and ordinals. Each segment has the set of passages that
    may be found. Equal scores are ordered by row. Passages that score zero are not hits.
    ``effort``, in (0, 1], is the share of a query's postings that is read, highest impacts first;
    at 1 the result is exact.
    """

def strings_at(
    starts: NDArray[np.uint64], text: NDArray[np.uint8], places: NDArray[np.uint32]
) -> list[str]:
    """Decode the strings at ``places`` of ``text``, which has them in UTF-8, one after the other.

    String i is bytes ``starts[i]`` to ``starts[i + 1]``. Raises CorruptIndex if one exceeds the
    text or is not UTF-8.
    """

@final
class WordField:
    """An open field of a segment: which words its passages have, and how often (docs/format.md).

    Threads may share it.
    """

    @staticmethod
    def from_sections(sections: Mapping[int, bytes], passages: int) -> WordField:
        """Copy and check sections of `build_words` or `merge_words`, of ``passages`` passages."""

    @property
    def passages(self) -> int:
        """The number of passages."""

    @property
    def terms(self) -> int:
        """The number of distinct words."""

    def words(self) -> list[str]:
        """The dictionary, ascending by code points; a copy."""

    def lengths(self) -> NDArray[np.uint32]:
        """The number of words in each passage, repetitions counted; a copy."""

    def totals(self, live: NDArray[np.uint64] | None = None) -> tuple[int, int]:
        """The number of passages in the set, and the sum of their lengths."""

    def passage(self, ordinal: int) -> list[tuple[str, int]]:
        """One passage's words with their frequencies, ascending.

        Looks up every word of the dictionary.
        """

@final
class WordQuery:
    """Weighted words with BM25's parameters and the statistics of the collection.

    Args:
        words: each word once, with its weight in the query, finite and >= 0.
        document_frequencies: uint64, of each word, over the same live passages as ``passages`` and
            ``total_length``.
        passages: number of live passages.
        total_length: sum of their lengths.
        k1: finite and >= 0; how soon repetition stops to count.
        b: 0 to 1; how much length counts.
        rounded_lengths: round lengths as Lucene's norms do.
    """

    def __new__(
        cls,
        words: Sequence[tuple[str, float]],
        document_frequencies: NDArray[np.uint64],
        *,
        passages: int,
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
        """Find the best ``k`` of the allowed passages, exactly, best first.

        Returns scores, rows, segments and ordinals. Equal scores are ordered by row. Passages that
        score zero are not hits.
        """

    def contributions(self, field: WordField, ordinal: int) -> list[tuple[str, int, float, float]]:
        """Word, frequency, idf and share of a passage's score.

        The shares, summed in this order, are the score.
        """

def build_words(
    words: Sequence[str],
    indptr: NDArray[np.int64],
    terms: NDArray[np.uint32],
    counts: NDArray[np.uint32],
) -> list[tuple[int, bytes]]:
    """Build the sections (kind, bytes) of an open field, ascending by kind.

    CSR with one row per passage: ``terms`` are indices into ``words``, in any order and distinct
    within a passage. Words are distinct, 1 to 255 bytes of UTF-8. A word that no passage has is not
    stored.
    """

def merge_words(
    fields: Sequence[WordField], kept: Sequence[NDArray[np.uint64] | None]
) -> list[tuple[int, bytes]]:
    """Build the sections of the kept passages, one field after the other.

    The bytes are those that `build_words` returns for these passages.
    """

def document_frequencies(
    fields: Sequence[WordField], live: Sequence[NDArray[np.uint64] | None], words: Sequence[str]
) -> NDArray[np.uint64]:
    """For each word, the number of live passages that have it."""

def split_words(text: str) -> list[str]:
    """The words of a text, unchanged: Unicode's default word boundaries (UAX #29)."""

def sentence_starts(text: str) -> NDArray[np.uint64]:
    """Where the sentences of a text begin, in characters, ascending from 0.

    Boundaries are Unicode's default ones (UAX #29). White space after a sentence belongs to it, and
    every line end is a boundary. Empty for an empty text.
    """

def number_words(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64], NDArray[np.uint32]]:
    """Split texts and number their words.

    Returns the distinct words by first occurrence, indptr, and a number for each word.
    """
