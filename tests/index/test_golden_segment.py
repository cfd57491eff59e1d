"""Golden segment files of format 2, which every later version must search with the same results.

`tests/golden/segment_v2_maxima.seg` was made by `make_golden` below. It has every section of the
format: a closed field over a small vocabulary with dense, split and rare terms, one over a large
vocabulary, words, and columns. `segment_v2.seg` has the same content. It was made before dense
terms had block maxima (kind 32), when fewer terms were dense.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from segment_reader import PlainSegment

from lexpand import SparseVectors, _native
from lexpand.index.columns import ColumnType, encode_column, open_column

GOLDEN = Path(__file__).parents[1] / "golden" / "segment_v2_maxima.seg"
EARLIER = GOLDEN.with_name("segment_v2.seg")

PASSAGES = 1100
VOCABULARY = 64
WIDE = 70_000
WORDS = ["all", "seventh", "süß", "東京"]
KEYWORDS = [[["red"], [], ["blue", "red"]][passage % 3] for passage in range(PASSAGES)]
PRICES: list[list[float]] = [[passage / 4] for passage in range(PASSAGES)]


def weights_of(passage: int) -> dict[int, float]:
    """Return the weights of a passage.

    Terms 0 and 2 are dense with postings (0 with splits), term 1 is dense without postings, and
    terms from 3 on are rare. Passage 5 has no terms.
    """
    if passage == 5:
        return {}
    mixed = passage * 2_654_435_761 % 2**32 >> 8
    found = {0: 0.125 + (mixed % 64 / 32) ** 3}
    if passage % 2:
        found[1] = 2.5
    if passage % 15 == 0:
        found[2] = 0.25 + passage % 7 / 4
    return found | {3 + mixed % 61: 1 + mixed % 5 / 8}


def words_of(passage: int) -> dict[str, int]:
    return (
        {"all": 1 + passage % 290}
        | ({"seventh": 2, "süß": 1} if passage % 7 == 0 else {})
        | ({"東京": 1} if passage == 9 else {})
    )


def closed(
    number: int, vocabulary: int, factor: int
) -> tuple[int, int, np.ndarray, np.ndarray, np.ndarray]:
    rows = [
        {term * factor: weight for term, weight in weights_of(passage).items()}
        for passage in range(PASSAGES)
    ]
    vectors = SparseVectors.from_rows(rows, vocabulary)
    return number, vocabulary, vectors.indptr, vectors.terms, vectors.weights


def extras() -> Iterator[tuple[int, int, np.ndarray]]:
    counted = [words_of(passage) for passage in range(PASSAGES)]
    indptr = np.cumsum([0, *map(len, counted)], dtype=np.int64)
    terms = np.array([WORDS.index(word) for passage in counted for word in passage], np.uint32)
    counts = np.array([count for passage in counted for count in passage.values()], np.uint32)
    for field, sections in {
        1: _native.build_words(WORDS, indptr, terms, counts),
        2: encode_column(ColumnType.KEYWORD, KEYWORDS),
        3: encode_column(ColumnType.NUMBER, PRICES),
    }.items():
        yield from ((kind, field, np.frombuffer(raw, np.uint8)) for kind, raw in sections)


def make_golden(path: Path) -> None:
    """Write the golden segment, with two chunks per document."""
    passages = np.arange(PASSAGES, dtype=np.uint32)
    spans = (
        np.stack([passages % 2 * 50, passages % 2 * 50 + 80], axis=1).reshape(-1).astype(np.uint32)
    )
    fields = [closed(0, VOCABULARY, 1), closed(7, WIDE, 1093)]
    _native.write_segment(path, passages // 2, passages % 2, spans, fields, list(extras()))


QUERIES = [{0: 1.0, 2: 0.5}, {1: 0.25, 2: 2.0, 17: 3.0}, {2: 1.0}, {0: 0.01, 1: 1.0, 63: 8.0}]
# Ordinals, and scores to the bit, recorded when the golden segment was made.
FOUND = [
    [(690, 8.380816414253786), (1035, 8.2731976412324), (345, 8.130809711317852)],
    [(1035, 4.125027677993785), (825, 4.125002410321031), (195, 4.124982247520165)],
    [(1035, 1.7500083212944446), (510, 1.7500078311059042), (90, 1.750000118800017)],
    [(61, 2.5775069736925866), (203, 2.5775069736925866), (345, 2.5775069736925866)],
]
# BM25 depends on the platform's logarithm.
FOUND_WORDS = [
    (9, 4.81331394224145),
    (0, 1.6667285797166007),
    (581, 1.662123168436778),
    (294, 1.6484583841478506),
]


def found_in(
    segment: _native.Segment, field: int, vocabulary: int, factor: int, k: int
) -> list[list[tuple[int, float]]]:
    queries = SparseVectors.from_rows(
        [{t * factor: w for t, w in query.items()} for query in QUERIES], vocabulary
    )
    indptr, scores, _, _, ordinals = _native.search(
        [(segment, None)],
        field,
        queries.indptr,
        queries.terms,
        queries.weights,
        vocabulary_size=vocabulary,
        k=k,
    )
    pairs = list(zip(ordinals.tolist(), scores.tolist(), strict=True))
    return [pairs[start:end] for start, end in pairwise(indptr.tolist())]


def words_found(segment: _native.Segment) -> list[tuple[int, float]]:
    field = segment.words(1)
    words = ["seventh", "東京"]
    passages, total = field.totals()
    df = _native.document_frequencies([field], [None], words)
    query = _native.WordQuery(
        [(word, 1.0) for word in words], df, passages=passages, total_length=total, k1=1.2, b=0.75
    )
    scores, _, _, ordinals = query.search(
        [field], [np.arange(PASSAGES, dtype=np.uint32)], [None], 4
    )
    return list(zip(ordinals.tolist(), scores.tolist(), strict=True))


@pytest.mark.parametrize("path", [GOLDEN, EARLIER], ids=lambda path: path.name)
def test_a_golden_segment_gives_the_recorded_results(path: Path) -> None:
    segment = _native.Segment.open(path)
    segment.check_deep()
    assert found_in(segment, 0, VOCABULARY, 1, 3) == FOUND
    assert found_in(segment, 7, WIDE, 1093, 3) == FOUND
    assert [ordinal for ordinal, _ in words_found(segment)] == [
        ordinal for ordinal, _ in FOUND_WORDS
    ]
    assert [score for _, score in words_found(segment)] == pytest.approx(
        [score for _, score in FOUND_WORDS], rel=1e-12
    )


@pytest.mark.parametrize(("field", "factor"), [(0, 1), (7, 1093)])
@pytest.mark.parametrize(
    ("path", "dense"), [(GOLDEN, [0, 1, 2]), (EARLIER, [0, 1])], ids=["today", "earlier"]
)
def test_a_golden_segment_matches_the_specification(
    path: Path, dense: list[int], field: int, factor: int
) -> None:
    segment = PlainSegment(PlainSegment.read(path).data, field)
    segment.check_closed()
    assert (segment.version, segment.passages) == (2, PASSAGES)
    assert segment.rows.tolist() == [passage // 2 for passage in range(PASSAGES)]
    passages, terms, _, stored = segment.forward()
    for passage in range(PASSAGES):
        weights = weights_of(passage)
        assert terms[passages == passage].tolist() == [term * factor for term in weights]
        assert stored[passages == passage].tolist() == pytest.approx(
            list(weights.values()), rel=1e-3
        )
    assert segment.array(29, "<u4").tolist() == dense
    assert segment.array(30, "u1").tolist()[1] == 0 < segment.array(30, "u1").tolist()[0]
    assert len(segment.array(27, "<u2")) >= 3


def test_the_words_of_the_golden_segment_are_read() -> None:
    assert PlainSegment.read(GOLDEN).words(1) == [words_of(passage) for passage in range(PASSAGES)]


def test_the_columns_of_the_golden_segment_are_read() -> None:
    segment = _native.Segment.open(GOLDEN)
    keywords = open_column(ColumnType.KEYWORD, lambda kind: segment.extra(kind, 2), PASSAGES)
    assert list(keywords.strings) == ["blue", "red"]
    assert keywords.starts is not None
    assert keywords.starts.tolist() == np.cumsum([0, *map(len, KEYWORDS)]).tolist()
    prices = open_column(ColumnType.NUMBER, lambda kind: segment.extra(kind, 3), PASSAGES)
    assert prices.values.tolist() == [price for (price,) in PRICES]


def test_the_writer_reproduces_the_golden_segment(tmp_path: Path) -> None:
    make_golden(tmp_path / "new.seg")
    assert (tmp_path / "new.seg").read_bytes() == GOLDEN.read_bytes()


@pytest.mark.parametrize("path", [GOLDEN, EARLIER], ids=lambda path: path.name)
def test_a_merge_reproduces_the_golden_segment(path: Path, tmp_path: Path) -> None:
    _native.merge_segments(
        tmp_path / "new.seg", [(_native.Segment.open(path), None)], list(extras())
    )
    assert (tmp_path / "new.seg").read_bytes() == GOLDEN.read_bytes()
