"""The lexical field in a segment file: reading in place, merging and checks."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lexpand._native import (
    Segment,
    WordField,
    WordQuery,
    build_words,
    document_frequencies,
    merge_segments,
    merge_words,
    write_segment,
)
from lexpand.errors import CorruptIndex

PASSAGES = [["a", "b", "b"], [], ["b", "zug"], ["東", "b"]]
OTHERS = [["zug"] * 300, ["c", "a"]]
FIELD = 4


def sections(passages: Sequence[Sequence[str]]) -> list[tuple[int, bytes]]:
    words = sorted({word for passage in passages for word in passage})
    counted = [Counter(passage) for passage in passages]
    indptr = np.cumsum([0, *map(len, counted)], dtype=np.int64)
    terms = np.array([words.index(word) for passage in counted for word in passage], np.uint32)
    counts = np.array([count for passage in counted for count in passage.values()], np.uint32)
    return build_words(words, indptr, terms, counts)


def to_extras(found: Sequence[tuple[int, bytes]]) -> list[tuple[int, int, NDArray[np.uint8]]]:
    return [(kind, FIELD, np.frombuffer(raw, np.uint8)) for kind, raw in found]


def written(path: Path, found: Sequence[tuple[int, bytes]], passages: int, first: int = 0) -> Path:
    rows = np.arange(first, first + passages, dtype=np.uint32)
    write_segment(
        path,
        rows,
        np.zeros(passages, np.uint32),
        np.zeros(2 * passages, np.uint32),
        [],
        to_extras(found),
    )
    return path


@pytest.fixture
def segments(tmp_path: Path) -> list[Segment]:
    first = written(tmp_path / "a.seg", sections(PASSAGES), len(PASSAGES))
    return [
        Segment.open(first),
        Segment.open(written(tmp_path / "b.seg", sections(OTHERS), len(OTHERS), 10)),
    ]


def test_words_in_a_file_equal_words_in_memory(segments: list[Segment]) -> None:
    field = segments[0].words(FIELD)
    memory = WordField.from_sections(dict(sections(PASSAGES)), len(PASSAGES))
    assert (field.passages, field.terms) == (memory.passages, memory.terms)
    assert field.totals() == memory.totals()
    assert field.words() == memory.words()
    assert [field.passage(i) for i in range(4)] == [memory.passage(i) for i in range(4)]
    with pytest.raises(IndexError, match="passage 4 of 4"):
        field.passage(4)
    with pytest.raises(KeyError, match="no words of field 5"):
        segments[0].words(5)


def test_words_keep_their_segment_open(tmp_path: Path) -> None:
    segment = Segment.open(written(tmp_path / "c.seg", sections(PASSAGES), len(PASSAGES)))
    field = segment.words(FIELD)
    del segment
    assert field.words() == ["a", "b", "zug", "東"]


def test_a_search_reads_words_of_several_segments(segments: list[Segment]) -> None:
    fields = [segment.words(FIELD) for segment in segments]
    passages, total = (
        sum(numbers) for numbers in zip(*(field.totals() for field in fields), strict=True)
    )
    df = document_frequencies(fields, [None, None], ["zug"])
    query = WordQuery([("zug", 1.0)], df, passages=passages, total_length=total, k1=1.2, b=0.75)
    _, rows, numbers, ordinals = query.search(
        fields, [segment.rows() for segment in segments], [None, None], 5
    )
    assert (df.tolist(), rows.tolist(), numbers.tolist(), ordinals.tolist()) == (
        [2],
        [10, 2],
        [1, 0],
        [0, 2],
    )


def test_a_merged_segment_has_the_words_of_its_sources(
    segments: list[Segment], tmp_path: Path
) -> None:
    kept = [np.array([0b1101], np.uint64), None]
    words = merge_words([segment.words(FIELD) for segment in segments], kept)
    merge_segments(tmp_path / "m.seg", list(zip(segments, kept, strict=True)), to_extras(words))
    merged = Segment.open(tmp_path / "m.seg")
    merged.check_deep()
    assert merged.rows().tolist() == [0, 2, 3, 10, 11]
    expected = sections([PASSAGES[0], *PASSAGES[2:], *OTHERS])
    assert [(kind, bytes(merged.extra(kind, FIELD))) for kind, _ in expected] == expected


def test_words_for_another_number_of_passages_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "d.seg", sections(PASSAGES), len(PASSAGES) + 1)
    with pytest.raises(
        CorruptIndex, match=r"d\.seg: words of field 4: field kind 1, 4 passages of 5"
    ):
        Segment.open(path, verify=False)


def test_verify_finds_a_length_that_is_no_sum_of_frequencies(tmp_path: Path) -> None:
    parts = dict(sections(PASSAGES))
    path = written(
        tmp_path / "e.seg", list({**parts, 58: bytes([4]) + parts[58][1:]}.items()), len(PASSAGES)
    )
    segment = Segment.open(path, verify=False)
    with pytest.raises(CorruptIndex, match="a passage's length"):
        Segment.open(path)
    with pytest.raises(CorruptIndex, match="a passage's length"):
        segment.check_deep()
    with pytest.raises(CorruptIndex, match="a passage's length"):
        merge_segments(tmp_path / "n.seg", [(segment, None)])
