"""Refused rows are listed with their place, the others are indexed, and the exit code is 3."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lexpand import Index

SMALL = ("--max-length", "16")
GOOD = {"id": "good", "text": "good words"}

# The defect: the row, its id if it can be read, and the beginning of the reason.
BAD = {
    "invalid JSON": ("{bad", None, "invalid JSON at column 2: "),
    "no object": ("[1, 2]", None, "a line must be an object, got list"),
    "no text": (
        {"id": "x"},
        "x",
        "missing field 'text' (the row has: id); name it with fields (--text-field on the command"
        " line)",
    ),
    "no id": (
        {"text": "x"},
        None,
        "missing field 'doc_id' (the row has: text); name it with fields (--id-field on the command"
        " line)",
    ),
    "null text": ({"id": "x", "text": None}, "x", "field 'text' must not be null"),
    "text of another type": ({"id": "x", "text": 5}, "x", "text must be a string, got 5 (int)"),
    "empty id": ({"id": "", "text": "x"}, None, "id must be a non-empty string, got ''"),
    "long id": (
        {"id": "x" * 513, "text": "x"},
        None,
        "id must have at most 512 bytes, got 513 bytes: shorten 'xxxxxxxxxxxx...xxxxxxxxxxxxx'",
    ),
    "NUL in the id": (
        {"id": "a\0b", "text": "x"},
        None,
        "id 'a\\x00b' has a NUL character: remove it",
    ),
    "a raw NUL byte": (
        b'{"id": "x", "text": "a\0b"}',
        None,
        "a raw NUL byte at byte offset 22 of the line",
    ),
    "lone surrogate": (
        '{"id": "x", "text": "a\\ud800"}',
        "x",
        "text has a lone surrogate, U+D800 at character 1",
    ),
    "surrogate in a name": (
        '{"id": "x", "text": "a", "\\ud800": 1}',
        "x",
        "a key of metadata has a lone surrogate",
    ),
    "invalid UTF-8": (
        b'{"id": "x", "text": "\xff"}',
        None,
        "invalid UTF-8 at byte offset 21 of the line (0xff)",
    ),
    "different content": (
        {"id": "good", "text": "other"},
        "good",
        "the doc_id is taken by a document with different",
    ),
}


@pytest.mark.parametrize("wrong", BAD)
def test_a_bad_row_is_listed_and_the_others_indexed(
    run: Callable, rows_file: Callable, tmp_path: Path, wrong: str
) -> None:
    row, doc_id, reason = BAD[wrong]
    source = rows_file(GOOD, "", row, {"id": "last", "text": "last words"})
    ran = run("index", source, tmp_path / "i", *SMALL)
    assert ran.code == 3
    heading, listed = ran.err.splitlines()
    named = "" if doc_id is None else f" (id {doc_id!r})"
    assert heading == "1 row refused:"
    assert listed.startswith(f"  {source}:3{named}: {reason}")
    assert ran.out.startswith("2 documents added")
    with Index.open(tmp_path / "i") as index:
        assert index.document("good").text == "good words"
        assert index.document("last").text == "last words"


def test_all_bad_rows_of_a_file_are_reported(
    run: Callable, rows_file: Callable, tmp_path: Path
) -> None:
    source = rows_file(GOOD, *(row for row, _, _ in BAD.values()))
    ran = run("index", source, tmp_path / "i", *SMALL, "--json")
    assert (ran.code, ran.err) == (3, "")
    assert ran.json()["added"] == 1
    refused = sorted(ran.json()["refused"], key=lambda row: int(row["place"].rpartition(":")[2]))
    assert [row["place"] for row in refused] == [f"{source}:{n}" for n in range(2, len(BAD) + 2)]
    for row, (_, doc_id, reason) in zip(refused, BAD.values(), strict=True):
        assert row["doc_id"] == doc_id
        assert row["reason"].startswith(reason)


def test_the_place_is_printed_unchanged(run: Callable, rows_file: Callable, tmp_path: Path) -> None:
    """Some libraries replace ``:100:`` with an emoji."""
    source = rows_file(GOOD, *([""] * 98), "{")
    assert f"{source}:100: " in run("index", source, tmp_path / "i", *SMALL).err


def test_only_the_first_20_bad_rows_are_listed(
    run: Callable, rows_file: Callable, tmp_path: Path
) -> None:
    source = rows_file(GOOD, *(["{"] * 30))
    lines = run("index", source, tmp_path / "i", *SMALL).err.splitlines()
    assert len(lines) == 22
    assert lines[-1] == "  ... and 10 more (--json lists all)"
    assert len(run("index", source, tmp_path / "i", "--json").json()["refused"]) == 30


def test_a_source_without_a_usable_row_creates_no_index(
    run: Callable, rows_file: Callable, tmp_path: Path
) -> None:
    source = rows_file("{", {"id": "x"})
    ran = run("index", source, tmp_path / "i")
    assert ran.code == 1
    assert ran.err.splitlines()[0] == "2 rows refused:"
    assert ran.err.splitlines()[-1] == f"error: {source} has no usable row: nothing was indexed"
    assert not (tmp_path / "i").exists()


def test_a_repeated_id_is_unchanged_or_refused(
    run: Callable, rows_file: Callable, tmp_path: Path
) -> None:
    source = rows_file(GOOD, GOOD, {"id": "good", "text": "other"})
    report = run("index", source, tmp_path / "i", *SMALL, "--json").json()
    assert (report["added"], report["unchanged"], report["skipped"]) == (1, 1, 0)
    assert [row["place"] for row in report["refused"]] == [f"{source}:3"]


@pytest.mark.parametrize("choice", ["refuse", "skip"])
def test_an_id_with_other_content_is_refused_or_skipped(
    run: Callable, rows_file: Callable, tmp_path: Path, choice: str
) -> None:
    run("index", rows_file(GOOD), tmp_path / "i", *SMALL)
    source = rows_file(
        {"id": "good", "text": "other"}, {"id": "new", "text": "new"}, name="more.jsonl"
    )
    ran = run("index", source, tmp_path / "i", "--on-duplicate", choice)
    assert ran.out.startswith("1 document added")
    if choice == "refuse":
        assert ran.code == 3
        assert (
            f"  {source}:1 (id 'good'): the doc_id is taken by a document with different content"
            in ran.err
        )
    else:
        assert (ran.code, ran.err) == (0, "")
        assert "  1 skipped: in the index with different content\n" in ran.out
    with Index.open(tmp_path / "i") as index:
        assert index.document("good").text == "good words"


def test_an_empty_text_is_counted(run: Callable, rows_file: Callable, tmp_path: Path) -> None:
    report = run(
        "index", rows_file(GOOD, {"id": "empty", "text": ""}), tmp_path / "i", "--json"
    ).json()
    assert (report["added"], report["empty"], report["refused"]) == (2, 1, [])


def test_a_nul_in_a_text_is_kept(run: Callable, rows_file: Callable, tmp_path: Path) -> None:
    assert run("index", rows_file({"id": "a", "text": "one\0two"}), tmp_path / "i").code == 0
    with Index.open(tmp_path / "i") as index:
        assert index.document("a").text == "one\0two"


def test_a_text_of_ten_megabytes_is_indexed(
    run: Callable, rows_file: Callable, tmp_path: Path
) -> None:
    text = "extraordinarily " + f"{'x' * 199} " * (10_000_000 // 200)
    report = run(
        "index", rows_file({"id": "big", "text": text}, GOOD), tmp_path / "i", "--json"
    ).json()
    assert (report["added"], report["truncated"]) == (2, 1)
    assert report["tokens"] > 50_000
    hits = run("search", tmp_path / "i", "extraordinarily", "--json").json()["hits"]
    assert hits[0]["doc_id"] == "big"
    assert len(hits[0]["snippet"]) < 300


def test_refused_rows_of_tables_and_folders_have_a_place(run: Callable, tmp_path: Path) -> None:
    table = tmp_path / "docs.csv"
    table.write_text("id,text\na,x\nb\n")
    assert (
        f"  {table}:3: a row must have 2 columns as its header, got 1"
        in run("index", table, tmp_path / "i").err
    )
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "good.txt").write_text("x")
    (notes / "bad.txt").write_bytes(b"\xff")
    ran = run("index", notes, tmp_path / "j")
    assert ran.code == 3
    assert f"  {notes / 'bad.txt'} (id 'bad.txt'): invalid UTF-8 at byte offset 0" in ran.err
