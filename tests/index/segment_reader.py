"""A reader of segment files written from docs/format.md alone: NumPy and xxhash, nothing of Lexpand."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

MAGIC = b"LXSEG\r\n\x1a"
NO_FIELD = 0xFFFFFFFF
BLOCK = 1 << 16


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
    """Every array of a segment with one field, checked against the page's table of invariants."""

    data: bytes

    @classmethod
    def read(cls, path: Path) -> "PlainSegment":
        segment = cls(path.read_bytes())
        segment.check_frame()
        return segment

    @property
    def checksum(self) -> int:
        return number(self.data, 56, 8)

    @property
    def units(self) -> int:
        return number(self.data, 24, 8)

    def sections(self) -> list[Section]:
        places = range(64, 64 + 32 * number(self.data, 12, 4), 32)
        sizes = ((0, 4), (4, 4), (8, 8), (16, 8), (24, 8))
        return [Section(*(number(self.data, at + start, size) for start, size in sizes)) for at in places]

    def check_frame(self) -> None:
        """Header, table, checksums, places and padding."""
        data, sections = self.data, self.sections()
        table_end = 64 + 32 * len(sections)
        assert data[:8] == MAGIC
        assert number(data, 8, 4) == 1
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

    def array(self, kind: int, dtype: str, field: int = 0) -> np.ndarray:
        (section,) = [s for s in self.sections() if (s.kind, s.field) == (kind, field)]
        return np.frombuffer(self.data[section.offset : section.offset + section.length], dtype)

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
        """Unit, term, impact and stored weight of every entry of the forward index."""
        starts = self.array(18, "<u8").astype(np.int64)
        terms = self.array(19, "<u2" if self.vocabulary_size <= 1 << 16 else "<u4")
        impacts = self.array(20, "<u2")
        assert starts[0] == 0
        assert starts[-1] == self.nnz == len(terms) == len(impacts)
        assert (np.diff(starts) >= 0).all()
        units = np.repeat(np.arange(self.units), np.diff(starts))
        stored = impacts.astype(np.float64) * self.array(17, "<f4").astype(np.float64)[units]
        return units, terms.astype(np.int64), impacts, stored

    def postings(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unit, term and bound (times step) of every posting."""
        blocks = -(-self.units // BLOCK)
        terms, steps = self.array(21, "<u4").astype(np.int64), self.array(25, "<f4").astype(np.float64)
        starts = self.array(22, "<u8").astype(np.int64).reshape(len(terms), blocks + 1)
        offsets, bounds = self.array(23, "<u2").astype(np.int64), self.array(24, "u1").astype(np.float64)
        assert (starts[1:, 0] == starts[:-1, -1]).all()
        assert (bounds >= 1).all()
        lengths = np.diff(starts, axis=1)
        assert lengths.sum() == self.nnz
        place = np.repeat(np.arange(lengths.size), lengths.reshape(-1))
        of_term, of_block = np.divmod(place, max(blocks, 1))
        return of_block * BLOCK + offsets, terms[of_term], bounds * steps[of_term]

    def scores(self, terms: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(sum of q[t] * impact[t]) * scale, added up one term after the other."""
        query = dict(zip(terms.tolist(), weights.astype(np.float64).tolist(), strict=True))
        sums = [0.0] * self.units
        units, of, impacts, _ = self.forward()
        for unit, term, impact in zip(units.tolist(), of.tolist(), impacts.tolist(), strict=True):
            if term in query:
                sums[unit] += query[term] * float(impact)
        return np.array(sums) * self.array(17, "<f4").astype(np.float64)
