"""`lexpand encode SOURCE --output OUT`: files, resumption, statistics, refused rows, cache."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lexpand import DocumentEncoding, Encoder
from lexpand.index.exchange import read_vectors

ROWS = [
    {"id": "a", "text": "A note on the heart."},
    {"id": "b", "text": "Reset my login. " * 20},
    {"id": "void", "text": " \n"},
    {"id": "c", "text": "Printers and paper."},
]
TEXTS = [row["text"] for row in ROWS]
SMALL = ("--max-length", "16")


@pytest.fixture
def source(rows_file: Callable) -> Path:
    return rows_file(*ROWS)


@pytest.mark.parametrize("name", ["v.jsonl", "v.jsonl.gz", "v.npz", "v.parquet"])
def test_a_file_has_the_vectors_of_the_encoder(
    run: Callable, source: Path, tmp_path: Path, name: str
) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    ran = run("encode", source, "--output", tmp_path / name, *SMALL)
    assert (ran.code, ran.err) == (0, "")
    assert f"{name} has 4 documents" in ran.out
    assert "1 without any term: void" in ran.out
    found = read_vectors(tmp_path / name)
    assert found.ids == ["a", "b", "void", "c"]
    wanted, vocabulary = (
        Encoder.load(documents=DocumentEncoding(max_tokens=16)),
        Encoder.load().vocabulary,
    )
    for row, plain in zip(
        found.vectors.as_dicts(), wanted.encode_documents(TEXTS).as_dicts(), strict=True
    ):
        named = {found.vocabulary.term(term): weight for term, weight in row.items()}
        assert named == pytest.approx(
            {vocabulary.term(term): weight for term, weight in plain.items()}, abs=1e-4
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({name, source.name})


def test_statistics_are_printed(run: Callable, source: Path, tmp_path: Path) -> None:
    ran = run(
        "encode",
        source,
        "--output",
        tmp_path / "v.npz",
        *SMALL,
        "--stats",
        tmp_path / "s.json",
        "--json",
    )
    facts = json.loads((tmp_path / "s.json").read_text())
    assert ran.json() == facts
    lengths = np.diff(
        Encoder.load(documents=DocumentEncoding(max_tokens=16)).encode_documents(TEXTS).indptr
    )
    assert facts["documents"] == 4
    assert facts["nnz"]["max"] == lengths.max()
    assert (facts["truncated"], facts["most_cut"]) == (1, [[facts["tokens_lost"], "b"]])
    assert facts["empty_ids"] == ["void"]
    assert max(facts["hub_terms"].values()) == 0.75


def test_an_interrupted_run_continues_where_it_stopped(
    run: Callable, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lexpand.collection import encoding_files

    monkeypatch.setattr(encoding_files, "_BATCH", 2)
    encoded, run_window = list[str](), Encoder._run_window

    def interrupted(self: Encoder, texts: list[str], *arguments: object) -> object:
        if len(encoded) >= 2:
            raise KeyboardInterrupt
        encoded.extend(texts)
        return run_window(self, texts, *arguments)  # type: ignore[arg-type]

    def recording(self: Encoder, texts: list[str], *arguments: object) -> object:
        encoded.extend(texts)
        return run_window(self, texts, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Encoder, "_run_window", interrupted)
    target = tmp_path / "v.jsonl"
    ran = run("encode", source, "--output", target, *SMALL)
    assert ran.code == 130
    assert "has 2 texts; run the same command again to continue" in ran.err
    assert not target.exists()
    assert encoded == [row["text"] for row in ROWS[:2]]
    monkeypatch.setattr(Encoder, "_run_window", recording)
    ran = run("encode", source, "--output", target, *SMALL)
    assert ran.code == 0
    assert "continuing from" in ran.err
    assert encoded == [row["text"] for row in ROWS]
    assert [json.loads(line)["id"] for line in target.read_text().splitlines()] == [
        "a",
        "b",
        "void",
        "c",
    ]
    assert not list(tmp_path.glob("*.partial*"))


def test_a_cache_serves_files_and_indexes(
    run: Callable, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ("--cache", tmp_path / "cache")
    assert run("encode", source, "--output", tmp_path / "v.npz", *SMALL, *cache).code == 0

    def fail(*_: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(Encoder, "_run_window", fail)
    assert run("index", source, tmp_path / "i", *SMALL, *cache).code == 0
    assert run("encode", source, "--output", tmp_path / "w.npz", *SMALL, *cache).code == 0
    assert read_vectors(tmp_path / "w.npz").vectors == read_vectors(tmp_path / "v.npz").vectors


def test_unusable_rows_are_refused(run: Callable, rows_file: Callable, tmp_path: Path) -> None:
    source = rows_file(
        ROWS[0], "{bad", {"id": "a", "text": "twice"}, '{"id": "s", "text": "a\\ud800"}', ROWS[1]
    )
    ran = run(
        "encode", source, "--output", tmp_path / "v.jsonl", *SMALL, "--long", "refuse", "--json"
    )
    assert ran.code == 3
    refused = ran.json()["refused"]
    assert {(row["place"].rsplit(":")[-1], row["doc_id"]) for row in refused} == {
        ("2", None),
        ("3", "a"),
        ("4", "s"),
        ("5", "b"),
    }
    assert ran.json()["documents"] == 1


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--long", "chunk", "--chunks", "passages"), 1, "--chunks max"),
        (("--role", "query"), 2, "one source of documents"),
        (("--format", "ciff", "--prune", "top=x"), 1, "top must be a number, got 'x'"),
    ],
)
def test_invalid_options_are_refused(
    run: Callable, source: Path, tmp_path: Path, options: tuple[str, ...], code: int, said: str
) -> None:
    ran = run("encode", source, "--output", tmp_path / "v.jsonl", *SMALL, *options)
    assert (ran.code, said in ran.err) == (code, True), ran
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_an_existing_file_is_not_overwritten(run: Callable, source: Path, tmp_path: Path) -> None:
    (tmp_path / "v.npz").write_text("mine")
    assert "already exists" in run("encode", source, "--output", tmp_path / "v.npz").error()
    assert (
        "does not exist"
        in run("encode", tmp_path / "none.jsonl", "--output", tmp_path / "w.npz").error()
    )
    assert (tmp_path / "v.npz").read_text() == "mine"
    assert not list(tmp_path.glob("w.npz*"))
    assert run("encode", "some text", "--prune", "top=3").code == 2


def test_a_source_without_a_usable_row_replaces_no_file(
    run: Callable, source: Path, rows_file: Callable, tmp_path: Path
) -> None:
    target = tmp_path / "v.jsonl"
    assert run("encode", source, "--output", target, *SMALL).code == 0
    before = target.read_bytes()
    bad = rows_file("{", {"id": "x"}, name="bad.jsonl")
    error = run("encode", bad, "--output", target, "--force", *SMALL).err
    assert f"must have a usable row to replace {target}, got none" in error
    assert target.read_bytes() == before
    assert run("encode", source, "--output", target, "--force", *SMALL).code == 0


def test_refused_rows_are_listed_in_the_order_of_the_source(
    run: Callable, rows_file: Callable, tmp_path: Path
) -> None:
    source = rows_file(*ROWS, ROWS[0], "{", *["{"] * 5, ROWS[1])
    ran = run("encode", source, "--output", tmp_path / "v.jsonl", *SMALL, "--json")
    places = [row["place"] for row in ran.json()["refused"]]
    assert places == [f"{source}:{n}" for n in range(5, 13)]
