"""A reader of segment files that follows docs/format.md only, with NumPy and xxhash."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

MAGIC = b"LXSEG\r\n\x1a"
NO_FIELD = 0xFFFFFFFF
BLOCK = 1 << 16
SUB_BLOCK = 1 << 14
LEVELS = np.array([8, 16, 32, 48, 64, 96, 128, 192])
NONE = 0xFFFFFFFF


def number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


@dataclass
class Section:
    kind: int
    field: int
    offset: int
    length: int
    checksum: int


@dataclass
class PlainSegment:
    """The arrays of a segment, checked against docs/format.md."""

    data: bytes
    field: int = 0
    """The closed field to read."""

    @classmethod
    def read(cls, path: Path) -> "PlainSegment":
        segment = cls(path.read_bytes())
        segment.check_frame()
        return segment

    @property
    def version(self) -> int:
        return number(self.data, 8, 4)

    @property
    def checksum(self) -> int:
        return number(self.data, 56, 8)

    @property
    def passages(self) -> int:
        return number(self.data, 24, 8)

    def sections(self) -> list[Section]:
        places = range(64, 64 + 32 * number(self.data, 12, 4), 32)
        sizes = ((0, 4), (4, 4), (8, 8), (16, 8), (24, 8))
        return [
            Section(*(number(self.data, at + start, size) for start, size in sizes))
            for at in places
        ]

    def check_frame(self) -> None:
        """Check the header, the table, checksums, places and padding."""
        data, sections = self.data, self.sections()
        table_end = 64 + 32 * len(sections)
        assert data[:8] == MAGIC
        assert self.version == 2
        assert number(data, 16, 8) == len(data)
        assert number(data, 32, 8) == xxhash.xxh3_64_intdigest(data[64:table_end])
        assert data[40:56] == bytes(16)
        assert number(data, 56, 8) == xxhash.xxh3_64_intdigest(data[:56])
        order = [(section.field, section.kind) for section in sections]
        assert order == sorted(set(order))
        end = table_end
        for section in sections:
            assert section.offset % 64 == 0
            assert 0 <= section.offset - end < 64
            assert data[end : section.offset] == bytes(section.offset - end)
            end = section.offset + section.length
            assert section.checksum == xxhash.xxh3_64_intdigest(data[section.offset : end])
        assert end == len(data)

    def array(self, kind: int, dtype: str, field: int | None = None) -> np.ndarray:
        field = self.field if field is None else field
        (section,) = [s for s in self.sections() if (s.kind, s.field) == (kind, field)]
        return np.frombuffer(self.bytes_of(section), dtype)

    def bytes_of(self, section: Section) -> bytes:
        return self.data[section.offset : section.offset + section.length]

    @property
    def rows(self) -> np.ndarray:
        return self.array(1, "<u4", NO_FIELD)

    @property
    def header(self) -> list[int]:
        return self.array(16, "<u4").tolist()

    @property
    def nnz(self) -> int:
        return self.header[2] | self.header[3] << 32

    @property
    def vocabulary_size(self) -> int:
        return self.header[1]

    def forward(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the passage, term, impact and stored weight of each forward-index entry."""
        starts = self.array(18, "<u8").astype(np.int64)
        terms = self.array(19, "<u2" if self.vocabulary_size <= 1 << 16 else "<u4")
        impacts = self.array(20, "<u2")
        assert starts[0] == 0
        assert starts[-1] == self.nnz == len(terms) == len(impacts)
        assert (np.diff(starts) >= 0).all()
        passages = np.repeat(np.arange(self.passages), np.diff(starts))
        stored = impacts.astype(np.float64) * self.array(17, "<f4").astype(np.float64)[passages]
        return passages, terms.astype(np.int64), impacts, stored

    def check_closed(self) -> None:
        """Compare all sections of a closed field with what its forward index implies."""
        passages, terms, impacts, stored = self.forward()
        same_passage = passages[1:] == passages[:-1]
        assert (terms[1:][same_passage] > terms[:-1][same_passage]).all()
        assert (impacts >= 1).all()
        assert (terms < self.vocabulary_size).all()
        places = self.check_terms(terms)
        steps = self.array(25, "<f4").astype(np.float64)
        largest = np.zeros(len(steps))
        np.maximum.at(largest, places, stored)
        assert (steps * 255 >= largest).all()
        assert (
            (np.nextafter(np.float32(steps), np.float32(0)).astype(np.float64) * 255 < largest)
            | (steps == 2**-126)
        ).all()
        bounds = smallest_bounds(stored, steps[places])
        self.check_shares(places, bounds)
        kept = self.check_rows(passages, places, bounds)
        self.check_postings(passages[kept], places[kept], bounds[kept])

    def check_terms(self, terms: np.ndarray) -> np.ndarray:
        """Return the position of each term among the terms that occur."""
        found, places = np.unique(terms, return_inverse=True)
        assert self.array(21, "<u4").tolist() == found.tolist()
        return places.astype(np.int64).reshape(-1)

    def check_shares(self, places: np.ndarray, bounds: np.ndarray) -> None:
        shares = self.array(28, "u1").reshape(-1, len(LEVELS))
        for place, share in enumerate(shares):
            of_term = bounds[places == place]
            reaching = (of_term[:, None] >= LEVELS).sum(axis=0)
            assert share.tolist() == [-(-255 * int(part) // len(of_term)) for part in reaching]

    def check_rows(
        self, passages: np.ndarray, places: np.ndarray, bounds: np.ndarray
    ) -> np.ndarray:
        """Check the dense impact rows and block maxima; return which weights have postings."""
        dense, cuts, width = (
            self.array(29, "<u4"),
            self.array(30, "u1"),
            -(-self.passages // 64) * 64,
        )
        rows = self.array(31, "u1").reshape(len(dense), width)
        kept = np.ones(len(passages), bool)
        assert (np.diff(dense.astype(np.int64)) > 0).all()
        for place, cut, row in zip(dense.tolist(), cuts.tolist(), rows, strict=True):
            assert cut in {0, *LEVELS.tolist()}
            of_term = places == place
            expected = np.zeros(width, np.uint8)
            expected[passages[of_term]] = bounds[of_term]
            assert row.tolist() == expected.tolist()
            kept &= ~of_term | ((cut > 0) & (bounds >= cut))
        if any((section.kind, section.field) == (32, self.field) for section in self.sections()):
            assert (
                self.array(32, "u1").tolist()
                == rows.reshape(-1, 16).max(axis=1, initial=0).tolist()
            )
        return kept

    def check_postings(self, passages: np.ndarray, places: np.ndarray, bounds: np.ndarray) -> None:
        """Check the order of postings: block, sub-block, descending bound, ordinal; and splits."""
        blocks, offsets = np.divmod(passages, BLOCK)
        numbers = places * -(-self.passages // BLOCK) + blocks
        order = np.lexsort((offsets, -bounds, offsets // SUB_BLOCK, numbers))
        assert self.array(23, "<u2").tolist() == offsets[order].tolist()
        assert self.array(24, "u1").tolist() == bounds[order].tolist()
        assert self.header[6] | self.header[7] << 32 == len(order)
        split_places = self.array(26, "<u4")
        counts = np.bincount(numbers, minlength=len(split_places))
        self.check_starts(counts)
        long = np.flatnonzero(counts >= 64)
        expected = np.full(len(counts), NONE, np.int64)
        expected[long] = np.arange(len(long))
        assert split_places.tolist() == expected.tolist()
        before = [
            [int((offsets[numbers == block] < sub * SUB_BLOCK).sum()) for sub in range(1, 4)]
            for block in long
        ]
        assert self.array(27, "<u2").reshape(-1, 3).tolist() == before

    def check_starts(self, counts: np.ndarray) -> None:
        blocks = -(-self.passages // BLOCK)
        starts = self.array(22, "<u8").astype(np.int64).reshape(-1, blocks + 1)
        ends = np.cumsum(counts)
        assert starts[:, 1:].reshape(-1).tolist() == ends.tolist()
        assert starts[:, 0].tolist() == [0, *starts[:-1, -1].tolist()][: len(starts)]

    def words(self, field: int) -> list[dict[str, int]]:
        """Return the words of each passage of an open field, with their frequencies."""
        _, passages, words, postings, total, _ = self.array(48, "<u8", field).tolist()
        starts, text = self.array(49, "<u4", field).tolist(), self.array(50, "u1", field).tobytes()
        pairs, blocks = self.array(51, "<u4", field).tolist(), self.array(52, "<u2", field).tolist()
        places, offsets = (
            self.array(53, "<u8", field).tolist(),
            self.array(54, "<u2", field).tolist(),
        )
        frequencies = self.array(55, "u1", field).astype(np.int64)
        frequencies[self.array(56, "<u8", field).astype(np.int64)] = self.array(57, "<u4", field)
        found: list[dict[str, int]] = [{} for _ in range(passages)]
        for word in range(words):
            name = text[starts[word] : starts[word + 1]].decode()
            for pair in range(pairs[word], pairs[word + 1]):
                for place in range(places[pair], places[pair + 1]):
                    found[blocks[pair] * BLOCK + offsets[place]][name] = int(frequencies[place])
        assert sum(map(len, found)) == postings
        assert [sum(passage.values()) for passage in found] == self.array(58, "<u4", field).tolist()
        assert sum(sum(passage.values()) for passage in found) == total
        return found

    def scores(self, terms: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return (sum of q[t] * impact[t]) * scale of each passage, summed term by term."""
        query = dict(zip(terms.tolist(), weights.astype(np.float64).tolist(), strict=True))
        sums = [0.0] * self.passages
        passages, of, impacts, _ = self.forward()
        for passage, term, impact in zip(
            passages.tolist(), of.tolist(), impacts.tolist(), strict=True
        ):
            if term in query:
                sums[passage] += query[term] * float(impact)
        return np.array(sums) * self.array(17, "<f4").astype(np.float64)


def smallest_bounds(stored: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return the smallest integers with bound * step >= weight."""
    integers = np.arange(256, dtype=np.float64)
    bounds = [
        int(np.searchsorted(integers * step, weight))
        for weight, step in zip(stored, steps, strict=True)
    ]
    return np.array(bounds, np.int64)
