"""Segment files, read by a second implementation that follows docs/format.md only."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_toys import (
    SPACE,
    TERMS,
    RealCollection,
    add_toys,
    make_toys,
    random_vectors,
    space_of,
    toy_document,
)
from segment_reader import PlainSegment

from lexpand import Index, SparseVectors, _native


def segments_of(path: Path) -> list[PlainSegment]:
    return [PlainSegment.read(file) for file in sorted((path / "segments").iterdir())]


def check_sections(segment: PlainSegment) -> None:
    segment.check_closed()
    assert segment.version == _native.SEGMENT_FORMAT
    assert [segment.header[0], *segment.header[4:6]] == [0, 16, 14]
    spans = segment.array(3, "<u4", 0xFFFFFFFF).reshape(-1, 2)
    assert len(spans) == len(segment.rows) == segment.passages
    assert segment.array(2, "<u4", 0xFFFFFFFF).tolist() == [0] * segment.passages


def check_weights(segment: PlainSegment, vectors: SparseVectors) -> None:
    """Compare impacts and scales with those that docs/format.md defines for the vectors."""
    passages, terms, impacts, stored = segment.forward()
    scales = segment.array(17, "<f4").astype(np.float64)
    for passage in range(segment.passages):
        vector_terms, weights = vectors.row(passage)
        weights = weights.astype(np.float64)
        at = passages == passage
        assert terms[at].tolist() == vector_terms[weights > 0].tolist()
        if not at.any():
            assert scales[passage] == 0
            continue
        exact = weights.max() / 65535
        assert (
            exact
            <= scales[passage]
            <= max(float(np.nextafter(np.float32(exact), np.float32(np.inf))), 2**-126)
        )
        weights = weights[weights > 0]
        small = weights < scales[passage] / 2
        assert (np.abs(stored[at] - weights)[~small] <= scales[passage] * 0.5000001).all()
        assert (impacts[at][small] == 1).all()


def compare_scores(
    index: Index, segments: list[PlainSegment], queries: SparseVectors
) -> Iterator[int]:
    """Compare every score with that of the second reader; yield the number of hits per query."""
    found = index.search(queries, 10_000)
    for i, hits in enumerate(found):
        expected = {}
        for segment in segments:
            scores = segment.scores(*queries.row(i))
            expected.update(zip(segment.rows.tolist(), scores.tolist(), strict=True))
        assert {hit.row: hit.score for hit in hits} == {
            row: score for row, score in expected.items() if score > 0
        }
        yield len(hits)


def test_segments_of_real_texts_match_the_specification(real: RealCollection) -> None:
    segments = segments_of(real.path)
    assert [segment.passages for segment in segments] == [120, 1, 179]
    first = 0
    for segment in segments:
        check_sections(segment)
        check_weights(segment, real.vectors[first : first + segment.passages])
        documents = real.documents[first : first + segment.passages]
        spans = segment.array(3, "<u4", 0xFFFFFFFF).reshape(-1, 2).tolist()
        assert spans == [[0, len(document.full_text)] for document in documents]
        first += segment.passages
    with Index.open(real.path) as index:
        assert sum(compare_scores(index, segments, real.queries[:8])) > 800
        assert sum(segment.nnz for segment in segments) == index.info().nnz


@settings(max_examples=25)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 40),
    st.sampled_from([1, 3, TERMS, 1 << 16, (1 << 16) + 1]),
)
def test_segments_of_random_vectors_match_the_specification(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, terms: int
) -> None:
    path = tmp_path_factory.mktemp("segment") / "a.seg"
    vectors = random_vectors(np.random.default_rng(seed), count, terms, min(terms, 12))
    rows = np.arange(count, dtype=np.uint32) * 3
    _native.write_segment(
        path,
        rows,
        np.zeros(count, np.uint32),
        np.zeros(2 * count, np.uint32),
        [(0, terms, vectors.indptr, vectors.terms, vectors.weights)],
    )
    segment = PlainSegment.read(path)
    assert segment.rows.tolist() == rows.tolist()
    assert segment.vocabulary_size == terms
    check_sections(segment)
    check_weights(segment, vectors)


def test_rows_continue_across_commits(tmp_path: Path) -> None:
    path = make_toys(tmp_path / "i", [5, 6], [7], [8, 9])
    assert [segment.rows.tolist() for segment in segments_of(path)] == [[0, 1], [2], [3, 4]]


def written(path: Path, vectors: SparseVectors) -> PlainSegment:
    n = len(vectors)
    _native.write_segment(
        path,
        np.arange(n, dtype=np.uint32),
        np.zeros(n, np.uint32),
        np.zeros(2 * n, np.uint32),
        [(0, vectors.vocabulary_size, vectors.indptr, vectors.terms, vectors.weights)],
        memory=10_000,
    )
    return PlainSegment.read(path)


def test_posting_lists_are_split_into_blocks(tmp_path: Path) -> None:
    """A block of a posting list has 2^16 passages."""
    n = (1 << 16) + 3
    weights = np.random.default_rng(1).random(2 * n) + 0.01
    terms = np.stack([np.arange(n) % 25, np.arange(n) % 30 + 25], axis=1).reshape(-1)
    segment = written(
        tmp_path / "a.seg", SparseVectors(np.arange(0, 2 * n + 1, 2), terms, weights, 55)
    )
    check_sections(segment)
    assert segment.array(22, "<u8").reshape(-1, 3)[[0, 12]].tolist() == [
        [0, 2622, 2622],
        [31464, 34085, 34086],
    ]


@pytest.mark.parametrize("n", [1023, 1024, 16_383, 16_384, 16_385])
def test_dense_terms_and_splits_match_the_specification(tmp_path: Path, n: int) -> None:
    random = np.random.default_rng(n)
    shares = np.array([1.0, 0.5, 0.1, 0.03, 0.03, 0.02, 0.001])
    has = random.random((n, len(shares))) < shares
    weights = np.where(np.arange(len(shares)) == 1, 2.0, random.random(has.shape) ** 3 + 0.001)
    indptr = np.concatenate([[0], np.cumsum(has.sum(axis=1))])
    segment = written(
        tmp_path / "a.seg", SparseVectors(indptr, np.nonzero(has)[1], weights[has], len(shares))
    )
    check_sections(segment)
    assert segment.array(29, "<u4").tolist() == ([0, 1, 2] if n >= 1024 else [])
    assert len(segment.array(27, "<u2")) > 0


def test_the_catalog_lists_the_segments(tmp_path: Path) -> None:
    path = make_toys(tmp_path / "i", [1, 2], [3])
    database = sqlite3.connect(path / "catalog.sqlite")
    assert database.execute("PRAGMA application_id").fetchone() == (0x4C585044,)
    assert database.execute("PRAGMA user_version").fetchone() == (3,)
    listed = database.execute(
        "SELECT file, created, retired, passages, bytes, checksum FROM segments"
    ).fetchall()
    database.close()
    files = sorted((path / "segments").iterdir())
    assert listed == [
        (file.name, i + 1, None, segment.passages, file.stat().st_size, f"{segment.checksum:016x}")
        for i, (file, segment) in enumerate((file, PlainSegment.read(file)) for file in files)
    ]
    assert {entry.name for entry in path.iterdir()} == {
        "catalog.sqlite",
        "segments",
        "writer.lock",
    }
    assert (path / "writer.lock").stat().st_size == 0


def test_segment_names_are_unique(tmp_path: Path) -> None:
    names = set()
    for folder in ("a", "b"):
        with Index.create(tmp_path / folder, space_of(TERMS)) as index:
            add_toys(index, 1)
            index.commit()
        names |= {file.name for file in (tmp_path / folder / "segments").iterdir()}
    assert len(names) == 2
    assert all(
        name.startswith("00000001-") and len(name) == len("00000001-.seg") + 16 for name in names
    )


def test_a_vector_of_zeros_has_no_terms(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", SPACE) as index:
        index.add([toy_document(0)], SparseVectors([0, 2], [3, 4], [0.0, 0.0], TERMS))
        index.commit()
        (segment,) = segments_of(index.path)
        assert (segment.nnz, segment.array(17, "<f4").tolist()) == (0, [0.0])
        assert list(compare_scores(index, [segment], SparseVectors([0, 1], [3], [1.0], TERMS))) == [
            0
        ]
