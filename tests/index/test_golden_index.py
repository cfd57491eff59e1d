"""An index of format 1 as it was first written: every later version must read it to the same answers.

`tests/golden/index_v1` is the folder as the first release wrote it, and is never written again. It was made by running
`make_golden` below once, in an empty folder, with the version that `created_by` names.
"""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from index_toys import same_to_the_bit
from segment_reader import PlainSegment

from lexpand import Document, Index, ModelId, SparseVectors, VectorSpace, Vocabulary, _native

GOLDEN = Path(__file__).parents[1] / "golden" / "index_v1"

TOKENS = ["[PAD]", "apple", "banana", "##s", "naïve", "日本", "😀"]
SPACE = VectorSpace(ModelId("golden", "0123456789abcdef" * 4), Vocabulary(TOKENS), "a model folder", 128)
DOCUMENTS = [
    Document("first", "An apple a day.", "Apples", {"price": 1.5, "tags": ["fruit", None, True]}),
    Document("second/Zweites", "Bananas, naïve\nund süß: 日本語 😀 \0 end", "Ünïcode"),
    Document("third", ""),
    Document("4", "Nothing that the model knows.", "", {"n": 2**70}),
    Document("fünf", "Written by a second commit.", "Later"),
]
WEIGHTS: list[dict[int, float]] = [
    {1: 1.0, 3: 0.5},
    {2: 2.25, 3: 0.5, 4: 1e-6, 5: 0.125, 6: 0.75},
    {1: 1.0, 3: 0.5},
    {},
    {1: 3.0, 2: 0.3},
]


def make_golden(path: Path) -> None:
    vectors = SparseVectors.from_rows(WEIGHTS, len(TOKENS))
    with Index.create(path, SPACE) as index:
        for part in (slice(0, 4), slice(4, 5)):
            index.add(DOCUMENTS[part], vectors[part])
            index.commit()


QUERIES = SparseVectors.from_rows([{1: 1.0, 2: 0.5}, {3: 2.0, 4: 4.0, 6: 0.1}, {0: 1.0}], len(TOKENS))
# Scores to the bit, written down when the golden was made.
FOUND = [
    [
        ("fünf", 3.1499888053349423),
        ("second/Zweites", 1.125000118945536),
        ("first", 1.00000011897464),
        ("third", 1.00000011897464),
    ],
    [
        ("second/Zweites", 1.0751145574529801),
        ("first", 0.9999848599509278),
        ("third", 0.9999848599509278),
    ],
    [],
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "golden.index"))


def check(path: Path) -> None:
    with Index.open(path) as index:
        assert (len(index), index.commit_info.commit_id, index.info().segments) == (5, 2, 2)
        assert index.space == SPACE
        for document, weights in zip(DOCUMENTS, WEIGHTS, strict=True):
            found = index.document(document.doc_id)
            assert found == document
            assert found.content_hash == document.content_hash
            stored = index.vector(document.doc_id)
            assert stored.terms.tolist() == list(weights)
            expected = [weight if weight > 1e-5 else stored.scale for weight in weights.values()]
            assert stored.weights.tolist() == pytest.approx(expected, rel=2e-4)
        hits = same_to_the_bit(index, QUERIES, 10)
        assert [[(hit.doc_id, hit.score) for hit in found] for found in hits] == FOUND


def test_the_golden_is_read(copy: Path) -> None:
    check(copy)


def test_the_golden_is_read_where_nobody_can_write(copy: Path, read_only: Callable[[Path], Path]) -> None:
    check(read_only(copy))
    check(read_only(GOLDEN))


def test_the_golden_is_the_folder_of_the_page() -> None:
    assert sorted(entry.name for entry in GOLDEN.iterdir()) == ["catalogue.sqlite", "segments", "writer.lock"]
    segments = [PlainSegment.read(file) for file in segments_of(GOLDEN)]
    assert [segment.version for segment in segments] == [1, 1]
    assert [segment.rows.tolist() for segment in segments] == [[0, 1, 2, 3], [4]]


def test_what_is_merged_of_it_is_what_todays_writer_makes(tmp_path: Path) -> None:
    make_golden(tmp_path / "new")
    for old, new in zip(segments_of(GOLDEN), segments_of(tmp_path / "new"), strict=True):
        _native.Segment.open(old).check_deep()
        for source in (old, new):
            _native.merge_segments(tmp_path / source.name, [(_native.Segment.open(source), None)])
        assert (tmp_path / old.name).read_bytes() == (tmp_path / new.name).read_bytes()


def test_the_golden_can_be_added_to(copy: Path) -> None:
    with Index.open(copy) as index:
        new = Document("sixth", "added by a later version")
        vectors = SparseVectors.from_rows([{6: 1.0}, WEIGHTS[0]], len(TOKENS))
        assert index.add([new, DOCUMENTS[0]], vectors) == 1
        assert index.commit().documents == 6
    with Index.open(copy) as index:
        assert index.document("sixth") == new
        (found,) = same_to_the_bit(index, SparseVectors.from_rows([{6: 1.0}], len(TOKENS)), 1)
        assert found[0].row == 5


def test_todays_writer_still_writes_the_same(tmp_path: Path) -> None:
    """What formats 1 and 2 share, units and forward index, byte by byte; and the same rows in the catalogue."""
    make_golden(tmp_path / "new")
    assert [common_parts(path) for path in segments_of(tmp_path / "new")] == [
        common_parts(path) for path in segments_of(GOLDEN)
    ]
    assert rows_of(tmp_path / "new") == rows_of(GOLDEN)


def segments_of(path: Path) -> list[Path]:
    return sorted((path / "segments").iterdir())


def common_parts(path: Path) -> dict[tuple[int, int], bytes]:
    segment = PlainSegment.read(path)
    parts = {(part.field, part.kind): segment.bytes_of(part) for part in segment.sections()}
    return {place: raw for place, raw in parts.items() if place[1] in {1, 2, 3, 17, 18, 19, 20}}


def rows_of(path: Path) -> list[object]:
    # Immutable, because SQLite otherwise makes files beside a catalogue that it reads.
    database = sqlite3.connect(f"{(path / 'catalogue.sqlite').as_uri()}?immutable=1", uri=True)
    queries = [
        # Format 2 adds an index on documents, and settings.
        "SELECT sql FROM sqlite_master WHERE name <> 'deleted_documents' ORDER BY name",
        "SELECT key, value FROM settings WHERE key IN ('document_max_tokens', 'model') ORDER BY key",
        "SELECT * FROM fields",
        "SELECT commit_id, documents FROM commits",
        "SELECT * FROM documents",
        "SELECT * FROM texts",
        "SELECT segment, created, retired, units FROM segments",
    ]
    found = [database.execute(query).fetchall() for query in queries]
    (created_by,) = database.execute("SELECT value FROM settings WHERE key = 'created_by'").fetchone()
    assert json.loads(created_by).startswith("lexpand ")
    database.close()
    return found
