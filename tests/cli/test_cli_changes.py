"""Commands that read and change an index: `get`, `fields`, `delete`, `sync`, `check` and others.

Also `compact` and `backup`, and the options of `search` and `index` for filters, columns and words.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import Ran, run_here, write_rows

from lexpand import Document, Encoder, Index, ingest
from lexpand.encode import WordAnalyzer

SMALL = ("--max-length", "16")
PAGES = [
    {
        "id": "printer",
        "text": "Turn the printer off and on again.",
        "title": "Printers",
        "year": 2019,
        "team": "it",
    },
    {
        "id": "paper",
        "text": "Paper for the printer is in the cupboard.",
        "year": 2021,
        "team": "office",
    },
    {"id": "invoice", "text": "Invoices are sent by e-mail.", "year": 2022, "team": "finance"},
    {"id": "crash", "text": "Send us the log file of the crash.", "year": 2023, "team": "it"},
]
COLUMNS = ("--column", "year=integer", "--column", "team=keyword")

Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original")
    assert (
        run_here("index", write_rows(path / "docs.jsonl", PAGES), path / "i", *SMALL, *COLUMNS).code
        == 0
    )
    return path / "i"


@pytest.fixture
def index(original: Path, tmp_path: Path) -> Path:
    """A copy of the index of the pages, which a test may change."""
    return Path(shutil.copytree(original, tmp_path / "pages.index"))


def ids_in(path: Path) -> list[str]:
    with Index.open(path) as opened:
        return list(opened.doc_ids())


# get


def test_get_prints_documents_as_they_were_added(run: Run, index: Path) -> None:
    ran = run("get", index, "printer", "paper")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "printer  Printers",
        "  Turn the printer off and on again.",
        "  year: 2019",
        "  team: it",
        "paper",
        "  Paper for the printer is in the cupboard.",
        "  year: 2021",
        "  team: office",
    ]
    assert run("get", index, "crash", "--json").json() == {
        "doc_id": "crash",
        "title": "",
        "text": "Send us the log file of the crash.",
        "metadata": {"year": 2023, "team": "it"},
    }


def test_get_prints_the_documents_it_finds(run: Run, index: Path) -> None:
    """There is one error line for each unknown id."""
    ran = run("get", index, "gone", "printer", "none", "paper")
    said = [
        f"error: {index} has no document {name!r}: ids must match exactly"
        for name in ("gone", "none")
    ]
    assert (ran.code, ran.err.splitlines()) == (1, said)
    assert ran.out == run("get", index, "printer", "paper").out != ""
    ran = run("get", index, "none", "crash", "--json")
    assert (ran.code, ran.json()["doc_id"]) == (1, "crash")
    assert run("get", index, "none").error() == said[1]
    assert run("get", index).code == 2


# fields


def test_fields_lists_types_and_values(run: Run, index: Path) -> None:
    found = {field["name"]: field for field in run("fields", index, "--json").json()["fields"]}
    assert found.keys() == {"year", "team"}
    assert found["team"]["documents"] == 4
    ran = run("fields", index)
    assert (ran.code, ran.err) == (0, "")
    assert "in 4 documents" in ran.out
    assert "it (2)" in ran.out
    assert run("fields", index.parent / "absent").code == 1


def test_fields_is_empty_without_metadata(run: Run, rows_file: Callable, tmp_path: Path) -> None:
    assert run("index", rows_file({"id": "a", "text": "x"}), tmp_path / "i", *SMALL).code == 0
    assert run("fields", tmp_path / "i").out == "no document has metadata\n"
    assert run("fields", tmp_path / "i", "--json").json() == {"fields": []}


# delete


def test_delete_removes_documents_by_id(run: Run, index: Path) -> None:
    ran = run("delete", index, "paper", "none", "crash", "crash")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "2 documents deleted, 1 not found",
        f"{index} holds 2 documents",
    ]
    assert ids_in(index) == ["printer", "invoice"]
    assert run("delete", index, "paper", "--json").json() == {
        "deleted": 0,
        "missing": 1,
        "documents": 2,
        "dry_run": False,
    }
    assert run("check", index).code == 0


def test_delete_removes_documents_by_filter(run: Run, index: Path) -> None:
    ran = run("delete", index, "--filter", "team = it and year < 2020", "--json")
    assert ran.json() == {"deleted": 1, "missing": 0, "documents": 3, "dry_run": False}
    assert ids_in(index) == ["paper", "invoice", "crash"]
    error = run("delete", index, "--filter", "team = it and year < 2020").error()
    assert error.endswith(
        "no document of " + f"{index} matches team = it and year < 2020: nothing was deleted"
    )


def test_delete_with_dry_run_changes_nothing(run: Run, index: Path) -> None:
    ran = run("delete", index, "paper", "none", "crash", "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "2 documents would be deleted, 1 not found",
        "  paper",
        "  crash",
        f"{index} holds 4 documents",
    ]
    many = run("delete", index, "--filter", "year > 2020", "--dry-run", "--json").json()
    assert many == {"deleted": 3, "missing": 0, "documents": 4, "dry_run": True}
    assert len(ids_in(index)) == 4


def test_a_filter_that_matches_more_than_half_needs_yes(run: Run, index: Path) -> None:
    error = run("delete", index, "--filter", "year > 2020").error()
    assert f"year > 2020 matches 3 of the 4 documents of {index}: nothing was deleted" in error
    assert error.endswith("then add --yes")
    assert len(ids_in(index)) == 4
    assert run("delete", index, "--filter", "team = it").code == 0, "half is not more than half"
    assert run("delete", index, "--filter", "year > 2020", "--yes").code == 0
    assert ids_in(index) == []


def test_a_field_that_no_document_has_is_an_error(run: Run, index: Path) -> None:
    for command in (["delete", index], ["search", index, "printer"]):
        error = run(*command, "--filter", "teem = it").error()
        assert "no document of " in error and "has the field teem: the fields are " in error
    assert (
        "has the field teem to group by"
        in run("search", index, "printer", "--group-by", "teem").error()
    )


@pytest.mark.parametrize("arguments", [[], ["paper", "--filter", "year > 0"]])
def test_delete_needs_either_ids_or_a_filter(run: Run, index: Path, arguments: list[str]) -> None:
    ran = run("delete", index, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "give either ids or --filter TEXT" in ran.err
    assert len(ids_in(index)) == 4


def test_delete_fails_while_another_writer_is_open(run: Run, index: Path) -> None:
    with Index.open(index) as writer:
        writer.delete(["crash"])
        assert (
            "is being written by another process or Index object: wait"
            in run("delete", index, "paper").error()
        )


# sync


def test_sync_makes_the_index_equal_the_source(run: Run, index: Path, rows_file: Callable) -> None:
    changed = {**PAGES[1], "text": "Paper is on the second floor."}
    source = rows_file(PAGES[0], changed, {"id": "new", "text": "A new page."}, name="now.jsonl")
    report = run("sync", source, index, "--json").json()
    wanted = {
        "added": 2,
        "replaced": 1,
        "unchanged": 1,
        "deleted": 2,
        "kept": 0,
        "documents": 3,
        "refused": [],
    }
    assert {name: report[name] for name in wanted} == wanted
    assert ids_in(index) == ["printer", "paper", "new"]
    with Index.open(index) as opened:
        assert opened.document("paper").text == "Paper is on the second floor."
        assert opened.check() == []
        commit = opened.commit_info
    ran = run("sync", source, index)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0] == "no document deleted"
    with Index.open(index) as opened:
        assert opened.commit_info == commit  # there was nothing to change


def test_sync_with_dry_run_changes_nothing(run: Run, index: Path, rows_file: Callable) -> None:
    changed = {**PAGES[1], "text": "Paper is on the second floor."}
    source = rows_file(PAGES[0], changed, {"id": "new", "text": "A new page."}, name="now.jsonl")
    with Index.open(index) as opened:
        commit = opened.commit_info
    ran = run("sync", source, index, "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "1 to add, 1 to replace, 1 unchanged, 2 to delete",
        "  delete invoice",
        "  delete crash",
    ]
    plan = run("sync", source, index, "--dry-run", "--json").json()
    counts = {
        "new": 1,
        "changed": 1,
        "unchanged": 1,
        "kept": 0,
        "held": 4,
        "refused": [],
        "gone": ["invoice", "crash"],
    }
    assert plan == counts
    with Index.open(index) as opened:
        assert opened.commit_info == commit


def test_sync_deletes_more_than_half_only_with_yes(
    run: Run, index: Path, rows_file: Callable
) -> None:
    source = rows_file(PAGES[0], {"id": "new", "text": "A new page."}, name="now.jsonl")
    error = run("sync", source, index).error()
    assert f"the source lacks 3 of the 4 documents of {index}" in error
    assert "(--yes on the command line)" in error
    assert len(ids_in(index)) == 4
    assert run("sync", source, index, "--yes").code == 0
    assert ids_in(index) == ["printer", "new"]


FIELDS = ("--id-field", "key", "--text-field", "body", "--title-field", "head")


def test_sync_uses_the_field_names_of_the_index(
    run: Run, rows_file: Callable, tmp_path: Path
) -> None:
    rows = [
        {"key": "a", "body": "one", "head": "One"},
        {"key": "b", "body": "two", "head": "", "text": "other"},
    ]
    source, path = rows_file(*rows), tmp_path / "i"
    assert run("sync", source, path, *SMALL, *FIELDS).code == 0
    with Index.open(path) as index:
        assert index.document("a") == Document("a", "one", "One")
        assert index.document("b") == Document("b", "two", "", {"text": "other"})
    again = run("sync", source, path, "--json").json()
    assert (again["added"], again["unchanged"], again["deleted"]) == (0, 2, 0)
    assert (
        run(
            "index", rows_file({"key": "c", "body": "three", "head": ""}, name="more.jsonl"), path
        ).code
        == 0
    )
    assert ids_in(path) == ["a", "b", "c"]


def test_sync_creates_an_index(run: Run, rows_file: Callable, tmp_path: Path) -> None:
    assert (
        run("sync", rows_file(*PAGES), tmp_path / "new", *SMALL, *COLUMNS, "--words", "none").code
        == 0
    )
    assert len(ids_in(tmp_path / "new")) == 4


def test_a_refused_row_keeps_its_document(run: Run, index: Path, rows_file: Callable) -> None:
    source = rows_file(
        PAGES[0], {"id": "paper", "text": 5}, {**PAGES[2], "year": "soon"}, name="now.jsonl"
    )
    ran = run("sync", source, index)
    assert ran.code == 3
    assert ran.out.splitlines()[:2] == [
        "1 document deleted, which the source lacks",
        "  1 kept, because refused rows may hold them",
    ]
    assert f"{source}:2 (id 'paper')" in ran.err
    assert f"{source}:3 (id 'invoice')" in ran.err
    assert ids_in(index) == ["printer", "paper", "invoice"]
    with Index.open(index) as opened:
        assert opened.document("invoice").metadata == {"year": 2022, "team": "finance"}


def test_a_refused_row_without_an_id_keeps_all_documents(
    run: Run, index: Path, rows_file: Callable
) -> None:
    ran = run("sync", rows_file(PAGES[0], "{bad", name="now.jsonl"), index, "--json")
    assert ran.code == 3
    assert (ran.json()["deleted"], ran.json()["kept"]) == (0, 3)
    assert len(ids_in(index)) == 4


def test_sync_without_a_usable_row_deletes_nothing(
    run: Run, index: Path, rows_file: Callable
) -> None:
    ran = run("sync", rows_file("{bad", name="now.jsonl"), index)
    assert ran.code == 1
    assert ran.err.splitlines()[-1].endswith("has no usable row: nothing was indexed")
    assert (
        "does not exist: check the path"
        in run("sync", index.parent / "absent.jsonl", index).error()
    )
    assert len(ids_in(index)) == 4


# check


def test_check_reports_a_sound_index(run: Run, index: Path) -> None:
    ran = run("check", index)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"{index} is sound: 4 documents, ")
    report = run("check", index, "--json").json()
    assert (report["faults"], report["documents"]) == ([], 4)


def flip_a_bit(file: Path, where: bytes) -> None:
    data = bytearray(file.read_bytes())
    data[data.index(where)] ^= 1
    file.write_bytes(data)


def test_check_names_a_document_whose_text_is_damaged(run: Run, index: Path) -> None:
    flip_a_bit(index / "catalog.sqlite", b"Invoices are sent")
    ran = run("check", index)
    assert ran.code == 1
    assert ran.out == f"{index} has 1 fault: restore it from a copy, or index again\n"
    (fault,) = ran.err.splitlines()
    assert "'invoice'" in fault
    as_json = run("check", index, "--json")
    assert (as_json.code, len(as_json.json()["faults"])) == (1, 1)
    assert run("search", index, "printer").code == 0  # undamaged documents are found


def test_check_names_a_damaged_segment(run: Run, index: Path) -> None:
    (segment,) = (index / "segments").iterdir()
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    segment.write_bytes(data)
    ran = run("check", index)
    assert ran.code == 1
    assert str(segment) in ran.err


# compact and backup


def test_compact_merges_the_segments(run: Run, index: Path, rows_file: Callable) -> None:
    run(
        "index",
        rows_file({"id": "more", "text": "More words.", "team": "it"}, name="more.jsonl"),
        index,
    )
    run("delete", index, "invoice")
    ran = run("compact", index)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("2 segments became 1; ")
    assert run("compact", index, "--json").json()["segments"] == [1, 1]
    assert b"Invoices are sent" not in (index / "catalog.sqlite").read_bytes()
    assert ids_in(index) == ["printer", "paper", "crash", "more"]


def test_backup_copies_the_last_commit_while_a_writer_is_open(
    run: Run, index: Path, tmp_path: Path
) -> None:
    target = tmp_path / "copy"
    with Index.open(index) as writer:
        writer.delete(["crash"])
        writer.commit()
        writer.delete(["paper"])
        ran = run("backup", index, target)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.startswith(f"{target} holds 3 documents, commit 2 of 2")
    assert ids_in(target) == ["printer", "paper", "invoice"]
    assert run("check", target).code == 0
    assert set(hits(run("search", target, "printer", "--json"))[:2]) == {"paper", "printer"}
    assert run("delete", target, "paper").code == 0  # the copy is writable


def test_backup_overwrites_nothing(run: Run, index: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    assert (
        "full is not empty and holds no index: choose another folder"
        in run("backup", index, tmp_path / "full").error()
    )
    assert run("backup", index, index).error().endswith("open it, or choose another folder")
    assert [entry.name for entry in (tmp_path / "full").iterdir()] == ["notes.txt"]
    assert "choose another place" in run("backup", index, tmp_path / "full" / "notes.txt").error()
    assert len(ids_in(index)) == 4


def test_backup_of_a_damaged_index_leaves_nothing(run: Run, index: Path, tmp_path: Path) -> None:
    with Index.open(index):
        pass
    (segment,) = (index / "segments").iterdir()
    segment.unlink()
    run("backup", index, tmp_path / "copy").error()
    assert not (tmp_path / "copy").exists()


# search


def hits(ran: Ran) -> list[str]:
    return [hit["doc_id"] for hit in ran.json()["hits"]]


def test_search_returns_documents_that_match_the_filter(run: Run, index: Path) -> None:
    assert hits(run("search", index, "printer", "--filter", "year > 2020", "--json"))[0] == "paper"
    assert hits(run("search", index, "printer", "--filter", "year > 2050", "--json")) == []
    ran = run("search", index, "printer", "--filter", "year > 2050")
    assert (
        ran.out
        == "nothing found: no document that the filter lets through shares a term with the query\n"
    )


@pytest.mark.parametrize(
    ("filter", "said"),
    [
        ("year >", "the filter is invalid at character"),
        ("year = soon", "year"),
        ("", "filter"),
        ("team > 5", "team"),
    ],
)
def test_an_invalid_filter_is_an_error(run: Run, index: Path, filter: str, said: str) -> None:
    for command in (["search", index, "printer"], ["delete", index]):
        ran = run(*command, "--filter", filter)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith("error: ")
        assert said in ran.err
    assert len(ids_in(index)) == 4


def test_search_by_bm25_uses_the_lexical_field(run: Run, index: Path) -> None:
    assert hits(run("search", index, "printers", "--pipeline", "bm25", "--json")) == [
        "printer",
        "paper",
    ]
    found = run(
        "search", index, "printers", "--pipeline", "bm25", "--json", "--filter", "team = office"
    )
    assert hits(found) == ["paper"]
    assert run("search", index, "printer", "--pipeline", "bm25", "--effort", "0.5").code == 2


def test_search_by_bm25_needs_a_lexical_field(
    run: Run, rows_file: Callable, tmp_path: Path
) -> None:
    run("index", rows_file(*PAGES), tmp_path / "i", *SMALL, "--words", "none")
    error = run("search", tmp_path / "i", "printer", "--pipeline", "bm25").error()
    assert error.endswith("has no BM25 field: create a new index with one to search words")


def test_search_returns_the_best_document_of_each_group(run: Run, index: Path) -> None:
    every = hits(run("search", index, "printer", "--json"))
    groups = hits(run("search", index, "printer", "--group-by", "team", "--json"))
    teams = {page["id"]: page["team"] for page in PAGES}
    best: dict[str, str] = {}
    for doc_id in every:
        best.setdefault(teams[doc_id], doc_id)
    assert groups == list(best.values())
    assert (
        run("search", index, "printer", "--group-by", "")
        .error()
        .startswith("error: '' is not a valid field name")
    )


def test_search_accepts_an_effort_in_its_range(run: Run, index: Path) -> None:
    assert hits(run("search", index, "printer", "--effort", "0.5", "--json"))[:1] == ["paper"]
    assert (
        "effort must be > 0 and <= 1 (exact), got 0.0"
        in run("search", index, "printer", "--effort", "0").error()
    )
    for effort in ("1.5", "-1", "much"):
        assert run("search", index, "printer", "--effort", effort).code == 2


# index --column and --words


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--column", "year"], 2, "a column must be NAME=TYPE, got 'year'"),
        (["--column", "year=date"], 1, "date"),
        (["--column", "=integer"], 1, "'' is not a valid field name: separate keys by dots"),
        (["--words", "klingon"], 1, "klingon"),
    ],
)
def test_invalid_columns_and_words_are_errors(
    run: Run, rows_file: Callable, tmp_path: Path, options: list[str], code: int, said: str
) -> None:
    ran = run("index", rows_file(*PAGES), tmp_path / "i", *SMALL, *options)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert code == 2 or len(ran.err.splitlines()) == 1
    assert not (tmp_path / "i").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--words", "none"],
        ["--words", "german"],
        ["--column", "year=integer"],
        ["--column", "year=keyword"],
    ],
)
def test_columns_and_words_must_be_those_of_the_index(
    run: Run, index: Path, rows_file: Callable, options: list[str]
) -> None:
    for command in ("index", "sync"):
        error = run(command, rows_file(*PAGES), index, *options).error()
        assert error.endswith(
            "was made with words english and columns year=integer, team=keyword: leave out words"
            " and columns (--words and --column on the command line), or make a new index"
        )
    for same in ([], ["--words", "english", *COLUMNS]):
        assert run("index", rows_file(*PAGES), index, *same).code == 0


def test_a_value_that_a_column_cannot_hold_is_a_refused_row(
    run: Run, index: Path, rows_file: Callable
) -> None:
    ran = run(
        "index", rows_file({"id": "x", "text": "y", "year": "soon"}, name="more.jsonl"), index
    )
    assert ran.code == 3
    assert "'soon'" in ran.err
    assert len(ids_in(index)) == 4


def test_the_command_line_and_the_library_analyze_words_alike(
    encoder: Encoder, run: Run, tmp_path: Path
) -> None:
    with Index.create(tmp_path / "i", encoder.space, words=WordAnalyzer("english")) as made:
        ingest(
            made, encoder, [Document("a", "Printers that print."), Document("b", "No such word.")]
        )
        wanted = [match.doc_id for match in made.search_words(["printer"])[0]]
    assert (
        hits(run("search", tmp_path / "i", "printer", "--pipeline", "bm25", "--json"))
        == wanted
        == ["a"]
    )
