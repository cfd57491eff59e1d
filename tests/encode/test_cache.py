"""The vector cache encodes no text twice and ignores damaged entries; encoding statistics."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lexpand import DocumentEncoding, Encoder, Role, SparseVectors, Vocabulary
from lexpand.data import Pruning
from lexpand.encode import EncodingStatistics, VectorCache
from lexpand.errors import StorageError

TEXTS = ["heart disease", "", "reset my login", "heart disease", "word " * 30]


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[VectorCache]:
    with VectorCache(tmp_path / "cache") as opened:
        yield opened


def recording_encoder(cache: VectorCache, **options: Any) -> tuple[Encoder, list[str]]:
    """Return an encoder, and a list that collects the texts that it encodes."""
    documents = DocumentEncoding(max_tokens=16, **options)
    encoder = Encoder.load(documents=documents).with_cache(cache)
    encoded: list[str] = []
    run = encoder._run_window

    def recording(texts: list[str], *arguments: Any) -> Any:
        encoded.extend(texts)
        return run(texts, *arguments)

    encoder._run_window = recording  # type: ignore[method-assign]
    return encoder, encoded


def same(a: Any, b: Any) -> bool:
    return a.vectors == b.vectors and all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("positions", "tokens", "tokens_lost")
    )


def test_a_text_is_encoded_once(cache: VectorCache) -> None:
    encoder, encoded = recording_encoder(cache)
    first = encoder.encode(TEXTS, Role.DOCUMENT)
    assert encoded == ["heart disease", "", "reset my login", "word " * 30]
    assert first.tokens_lost.tolist() == [0, 0, 0, 0, 16]
    assert first.vectors[0:1] == first.vectors[3:4]
    done: list[int] = []
    assert same(encoder.encode(TEXTS, Role.DOCUMENT, on_done=done.append), first)
    assert (len(encoded), sum(done), len(cache)) == (4, 5, 4)
    again, encoded_again = recording_encoder(cache)
    texts = [*TEXTS, "new"]
    assert same(again.encode(texts, Role.DOCUMENT), again.encode(texts, Role.DOCUMENT))
    assert encoded_again == ["new"]


def test_the_key_covers_everything_that_determines_a_vector(cache: VectorCache) -> None:
    encoder, encoded = recording_encoder(cache)
    encoder.encode(["heart"], Role.DOCUMENT)
    encoder.encode(["heart"], Role.QUERY)
    Encoder.load(documents=DocumentEncoding(max_tokens=8)).with_cache(cache).encode(
        ["heart"], Role.DOCUMENT
    )
    assert (len(encoded), len(cache)) == (2, 3)
    pruned, encoded_pruned = recording_encoder(cache, pruning=Pruning(top=2))
    assert pruned.encode(["heart"], Role.DOCUMENT).vectors.nnz == 2
    assert encoded_pruned == []  # the cache holds vectors before pruning


@pytest.mark.parametrize("damage", [b"", b"abc", "text", None, "flip"])
def test_the_text_of_a_damaged_entry_is_encoded_again(cache: VectorCache, damage: object) -> None:
    encoder, encoded = recording_encoder(cache)
    whole = encoder.encode(["heart disease"], Role.DOCUMENT)
    with sqlite3.connect(cache.path) as db:
        (entry,) = db.execute("SELECT entry FROM vectors").fetchone()
        if damage == "flip":
            damage = entry[:20] + bytes([entry[20] ^ 1]) + entry[21:]
        db.execute("UPDATE vectors SET entry = ?", (damage,))
    db.close()
    assert same(encoder.encode(["heart disease"], Role.DOCUMENT), whole)
    assert same(encoder.encode(["heart disease"], Role.DOCUMENT), whole)
    assert encoded == ["heart disease"] * 2


def test_a_file_that_is_not_a_cache_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    path.write_bytes(b"nonsense " * 1000)
    with pytest.raises(StorageError, match="delete it"):
        VectorCache(path)
    with pytest.raises(StorageError, match="cannot be used"):
        VectorCache(tmp_path / "nowhere" / "cache")


def test_statistics_summarize_all_batches() -> None:
    statistics = EncodingStatistics(Vocabulary(["a", "b", "c"]))
    vectors = SparseVectors.from_rows([{0: 1.0, 1: 1.0}, {}, {0: 2.0}, {0: 1.0, 1: 1.0, 2: 1.0}], 3)
    tokens, lost = np.array([9, 0, 20, 30], np.uint32), np.array([0, 0, 4, 14], np.uint32)
    statistics.add(["w", "x", "y", "z"], vectors, tokens, lost)
    statistics.add(["v"], vectors[1:2], tokens[1:2], lost[1:2])
    assert statistics.summary(2.0) == {
        "documents": 5,
        "seconds": 2.0,
        "documents_per_second": 2.5,
        "terms_per_second": 3,
        "nnz": {"mean": 1.2, "p50": 1, "p90": 2, "p99": 2, "max": 3},
        "hub_terms": {"a": 0.6, "b": 0.4, "c": 0.2},
        "empty": 2,
        "empty_ids": ["x", "v"],
        "tokens": 59,
        "tokens_lost": 18,
        "truncated": 2,
        "most_cut": [(14, "z"), (4, "y")],
    }
    assert EncodingStatistics(Vocabulary(["a"])).summary(0.0)["documents"] == 0
