"""The options `--long`, `--chunks`, `--overlap`, `--prune` and `--title-weight`.

Also what an index records of them, and what is printed about documents that were cut.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from lexpand import Index

ROWS = [
    {"id": "short", "text": "A note on the heart."},
    {
        "id": "long",
        "text": "We speak of invoices. " * 30 + "The printer is broken. " + "Nothing here. " * 30,
    },
    {"id": "longer", "text": "Nothing at all. " * 90},
]
SMALL = ("--max-length", "64", "--words", "none")


@pytest.fixture
def source(rows_file: Callable) -> Path:
    return rows_file(*ROWS)


def test_cut_documents_are_reported(run: Callable, source: Path, tmp_path: Path) -> None:
    ran = run("index", source, tmp_path / "i", *SMALL)
    assert ran.code == 0
    assert "2 truncated at 64 tokens: " in ran.out
    assert "documents that lost the most tokens: longer 298, long " in ran.out
    report = run("index", source, tmp_path / "j", *SMALL, "--json").json()
    assert (report["truncated"], report["most_cut"][0]) == (2, [298, "longer"])


def test_chunks_are_indexed_as_passages(run: Callable, source: Path, tmp_path: Path) -> None:
    index = tmp_path / "i"
    ran = run("index", source, index, *SMALL, "--long", "chunk")
    assert ran.code == 0
    assert "passages in all" in ran.out
    assert "cut" not in ran.out
    assert run("info", index, "--json").json()["passages"] > 8
    hits = run("search", index, "broken printer", "--json").json()["hits"]
    assert [hit["doc_id"] for hit in hits].count("long") == 1
    assert hits[0]["doc_id"] == "long"
    assert "The printer is broken." in hits[0]["snippet"]


def test_an_index_records_how_its_documents_are_encoded(
    run: Callable, source: Path, rows_file: Callable, tmp_path: Path
) -> None:
    index, way = (
        tmp_path / "i",
        ("--long", "chunk", "--overlap", "4", "--prune", "top=20,ban=special"),
    )
    assert run("index", source, index, *SMALL, *way).code == 0
    settings = run("info", index, "--json").json()["encoding"]
    assert settings["long"] == {"policy": "chunk", "chunks": "passages", "overlap": 4}
    assert settings["pruning"]["top"] == 20
    assert run("sync", source, index).code == 0
    assert run("sync", source, index, *way).code == 0
    assert run("sync", source, index, *way[4:]).code == 0
    with Index.open(index) as opened:
        passages = opened.info().passages
        more = [{"id": "new", "text": ROWS[1]["text"] + "Anew."}]
    assert run("index", rows_file(*more), index).code == 0
    with Index.open(index) as opened:
        assert opened.info().passages > passages + 3
    chunk = ("--long", "chunk")
    others = [
        ("--long", "refuse"),
        chunk,
        (*chunk, "--overlap", "5"),
        (*chunk, "--overlap", "4", "--chunks", "max"),
    ]
    for other in (*others, ("--prune", "top=21,ban=special"), ("--prune", "top=20")):
        error = run("index", source, index, *other).error()
        assert (
            f" holds documents encoded with {'pruning' if other[0] == '--prune' else 'long'} "
            in error
        )
        assert "leave the setting out, since" in error


def test_long_documents_are_refused_on_request(run: Callable, source: Path, tmp_path: Path) -> None:
    index = tmp_path / "i"
    ran = run("index", source, index, *SMALL, "--long", "refuse")
    assert ran.code == 3
    assert ran.err.splitlines()[0] == "2 rows refused:"
    assert f"{source}:2 (id 'long'): " in ran.err
    assert "1 document added" in ran.out
    assert run("sync", source, index).code == 3


def test_documents_and_queries_are_pruned(run: Callable, source: Path, tmp_path: Path) -> None:
    index = tmp_path / "i"
    assert run("index", source, index, *SMALL, "--prune", "top=3").code == 0
    assert run("info", index, "--json").json()["stored_weights"] == 9
    for options, terms in (((), 20), (("--prune", "top=1"), 1)):
        hit = run("search", index, "invoices", *options, "--explain", "--json").json()["hits"][0]
        explanation = hit["explanation"]
        assert len(explanation["contributions"]) + len(explanation["unmatched"]) == terms, options


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--prune", "best=3"), 1, "'best=3'"),
        (("--prune", "ban=qqqqq"), 1, "a banned token must be in the vocabulary, got 'qqqqq'"),
        (("--long", "chunk", "--overlap", "17"), 1, "overlap must be <= 16 tokens"),
        (("--chunks", "max"), 2, "are for --long chunk"),
        (("--long", "split"), 2, "split"),
    ],
)
def test_invalid_options_are_refused(
    run: Callable, source: Path, tmp_path: Path, options: tuple[str, ...], code: int, said: str
) -> None:
    ran = run("index", source, tmp_path / "i", *SMALL, *options)
    assert ran.code == code
    assert said in ran.err


def test_a_model_without_a_table_refuses_lookup(
    run: Callable, source: Path, tmp_path: Path
) -> None:
    assert run("index", source, tmp_path / "i", *SMALL).code == 0
    assert (
        "splade-tiny has no table"
        in run("search", tmp_path / "i", "heart", "--query-mode", "lookup").error()
    )


def test_titles_have_a_weight(run: Callable, pages_file: Path, tmp_path: Path) -> None:
    index = tmp_path / "i"
    assert run("index", pages_file, index, "--title-weight", "0.2").code == 0
    assert run("info", index, "--json").json()["encoding"] == {
        "title_weight": 0.2,
        "max_tokens": 512,
    }
    assert run("sync", pages_file, index).code == 0
    error = run("index", pages_file, index, "--title-weight", "0").error()
    assert "holds documents encoded with title_weight 0.2, got 0: leave the setting out" in error
    found = run("explain", index, "printer", "printer", "--pipeline", "splade", "--json").json()
    assert found["contributions"]
    assert {part["document"]["origin"] for part in found["contributions"]} <= {"text", "expansion"}
    assert (
        "title_weight must be 0 for long documents in chunks"
        in run(
            "index", pages_file, tmp_path / "j", "--title-weight", "1", "--long", "chunk"
        ).error()
    )
    assert run("encode", "some text", "--title-weight", "1").code == 2
    output = tmp_path / "v.jsonl"
    assert run("encode", pages_file, "--output", output, "--title-weight", "0.2").code == 0


def test_an_empty_text_file_is_noted(run: Callable, tmp_path: Path) -> None:
    (tmp_path / "nl.txt").write_text("\n", encoding="utf-8")
    ran = run("index", tmp_path / "nl.txt", tmp_path / "i")
    assert ran.out.splitlines()[1] == "  1 without a word in the text"
