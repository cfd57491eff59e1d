"""The golden index of format 3, made by `make_golden`.

It has words, columns, chunks, a replaced document and a deleted one.
"""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from index_toys import same_to_the_bit

from lexpand import Document, Index, SparseVectors
from lexpand.data import DocumentEncoding, ModelId, VectorSpace, Vocabulary
from lexpand.encode import WordAnalyzer
from lexpand.errors import CorruptIndex, OlderFormat

GOLDEN = Path(__file__).parent.parent / "golden" / "index_v3"
TOKENS = ("[PAD]", "account", "login", "reset", "café", "東京", "##ing", "cat")
SPACE = VectorSpace(
    ModelId("golden", "ab" * 16),
    Vocabulary(TOKENS),
    "golden-model",
    DocumentEncoding(max_tokens=256),
)
FIRST = [
    Document(
        "a",
        "Recover your account",
        "Accounts",
        {"year": 2020, "tags": ["help", "login"], "open": True},
    ),
    Document("b", "Reset the login. Then wait.", "", {"year": 2021, "tags": "login"}),
    Document("c", "A cat in a café", "", {"note": {"by": "Zoë"}}),
]
CHUNKS = [[(0, 29)], [(0, 16), (17, 27)], [(0, 15)]]
VECTORS = [{1: 2.0, 3: 0.5}, {2: 1.5, 3: 2.5}, {1: 0.25, 6: 1.0}, {4: 1.0, 7: 2.0}]
SECOND = [Document("c", "Two cats in 東京", "", {"year": 2024})]
WORDS = ["account", "cat"]


def make_golden(path: Path) -> None:
    """Write three commits: additions, a replacement with an addition, and a deletion.

    A merge follows as the fourth commit.
    """
    columns = {"year": "integer", "tags": "keyword", "open": "boolean"}
    with Index.create(
        path, SPACE, words=WordAnalyzer("english", stop_words=["a", "the"]), columns=columns
    ) as index:
        index.add(FIRST, SparseVectors.from_rows(VECTORS, len(TOKENS)), chunks=CHUNKS)
        index.commit()
        index.replace(SECOND, SparseVectors.from_rows([{5: 0.5, 7: 1.0}], len(TOKENS)))
        extra = Document("gone", "to be deleted")
        index.add([extra], SparseVectors.from_rows([{2: 9.0}], len(TOKENS)))
        index.commit()
        index.delete(["gone"])
        index.commit()


def check(path: Path) -> None:
    with Index.open(path) as index:
        assert (len(index), index.commit_info.commit_id, index.schema.space) == (3, 4, SPACE)
        assert index.check() == []
        assert list(index.doc_ids()) == ["a", "b", "c"]
        assert index.document("c") == SECOND[0]
        queries = SparseVectors.from_rows([{3: 1.5, 1: 0.375}, {5: 1.0, 7: 1.0}], len(TOKENS))
        found = same_to_the_bit(index, queries, 10)
        assert [[hit.doc_id for hit in hits] for hits in found] == [["b", "a"], ["c"]]
        assert found[0][0].span == (0, 16)
        assert [[hit.doc_id for hit in hits] for hits in index.search_words(WORDS)] == [
            ["a"],
            ["c"],
        ]
        assert index.matching("year >= 2021 and not tags = login") == ["c"]
        assert index.matching('open = true or note.by = "Zoë"') == ["a"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "golden.index"))


def test_the_golden_index_is_read(copy: Path) -> None:
    check(copy)


def test_the_golden_index_is_read_from_a_read_only_folder(
    read_only: Callable[[Path], Path],
) -> None:
    check(read_only(GOLDEN))


def test_the_golden_index_can_be_compacted(copy: Path) -> None:
    with Index.open(copy) as index:
        index.compact()
        assert (index.info().segments, index.info().live_passages) == (1, index.info().passages)
    database = sqlite3.connect(copy / "catalog.sqlite")
    assert database.execute("SELECT COUNT(*) FROM documents").fetchone() == (3,)
    database.close()
    with Index.open(copy) as index:
        assert index.check() == []
        assert [hits[0].doc_id for hits in index.search_words(WORDS)] == ["a", "c"]


def test_the_writer_reproduces_the_golden_index(tmp_path: Path) -> None:
    """Segments are equal byte by byte, and catalogs are equal except for times and names."""
    make_golden(tmp_path / "new")
    new, old = (sorted((path / "segments").iterdir()) for path in (tmp_path / "new", GOLDEN))
    assert [file.read_bytes() for file in new] == [file.read_bytes() for file in old]
    tables = {
        "documents": "*",
        "texts": "*",
        "fields": "*",
        # The versions of Lexpand and the stemmer change, and with them the checksum.
        "settings": "key, CASE WHEN key IN ('created_by', 'checksum') THEN '' "
        "WHEN key = 'words' THEN json_remove(value, '$.stemmer') ELSE value END",
        "segments": "segment, created, retired, passages, bytes, checksum",
        "commits": "commit_id, documents",
    }
    for table, columns in tables.items():
        query = f"SELECT {columns} FROM {table} ORDER BY 1"
        assert read(tmp_path / "new", query) == read(GOLDEN, query)


def read(path: Path, query: str) -> list[tuple[object, ...]]:
    # Immutable, because SQLite otherwise creates files next to a catalog that it reads.
    database = sqlite3.connect(f"{(path / 'catalog.sqlite').as_uri()}?immutable=1", uri=True)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_format_is_refused(copy: Path, version: int) -> None:
    database = sqlite3.connect(copy / "catalog.sqlite")
    database.execute(f"PRAGMA user_version = {version}")
    database.close()
    with pytest.raises(
        OlderFormat,
        match=f"format {version}, made before the first release: index its source again",
    ):
        Index.open(copy)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE fields SET vocabulary = replace(vocabulary, 'account', 'accoumt')",
        "UPDATE settings SET value = '\"another model\"' WHERE key = 'model'",
        "UPDATE fields SET contract_hash = 'cd'",
        "DELETE FROM settings WHERE key = 'columns'",
    ],
)
def test_settings_and_vocabulary_have_a_checksum(copy: Path, statement: str) -> None:
    database = sqlite3.connect(copy / "catalog.sqlite", isolation_level=None)
    database.execute(statement)
    database.close()
    with pytest.raises(
        CorruptIndex, match="its settings or vocabulary do not match their checksum"
    ):
        Index.open(copy)
