"""`lexpand collection check` and `overlap`: findings, exit codes and refusals."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import write_rows

from lexpand.data import collection_path

SCIFACT = collection_path("scifact")
ROOT = Path(__file__).parents[2]
LONG = "Turn the printer off, wait ten seconds, and turn it on again after that, please"


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    return write_rows(
        tmp_path / "pages.jsonl",
        [{"id": "printer", "text": LONG}, {"id": "invoice", "text": "Invoices come by e-mail."}],
    )


@pytest.fixture
def questions(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a table of questions, padded to 30 sound ones."""

    def write(*lines: str) -> Path:
        path = tmp_path / "ours.csv"
        sound = [f"question {i},printer,1" for i in range(30)]
        path.write_text("\n".join(["Question,URL,Grade", *lines, *sound]))
        return path

    return write


def test_a_sound_collection_gives_facts_and_code_0(run: Callable) -> None:
    ran = run("collection", "check", SCIFACT, SCIFACT)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "scifact: 5,183 documents, 300 queries, 300 of them judged (100%)",
        "  339 judgments, grades 1 (339)",
        "  1 to 5 relevant documents per query, median 1",
        "0 findings",
    ]


def test_errors_give_code_3(run: Callable, pages: Path, questions: Callable) -> None:
    path = questions("wifi,net,2", "wifi,,1", "bill,invoice,1", "bill,invoice,0", "a,printer,-")
    ran = run("collection", "check", pages, path)
    assert ran.code == 3
    assert ran.err == f"{path}: the document is in 'URL'\n"
    assert ran.out.splitlines() == [
        "error missing-documents: 1 judged id without a document in the corpus: no search can find "
        "it",
        "  net",
        "  check that the corpus is the judged one, and that --id-field names its ids; otherwise "
        "remove the judgments",
        "error contradictions: 1 row with another grade than an earlier one, which is used",
        f"  {path}:5: query 'q2', document 'invoice' is judged 0, and 1 in {path}:4",
        "  keep one row for each query and document",
        "error invalid-rows: 2 rows left out as invalid",
        f"  {path}:3: the document (column 'URL') must not be empty, question 'wifi'",
        f"  {path}:6: the grade must be a whole number, or one of yes, true, relevant, no, false, "
        "irrelevant, not relevant, got '-': correct the row",
        "  correct these rows",
        "ours: 2 documents, 32 queries, 32 of them judged (100%)",
        "  32 judgments, grades 1 (31), 2 (1)",
        "  1 to 1 relevant documents per query, median 1",
        "3 findings",
    ]


def test_warnings_give_code_0(run: Callable, pages: Path, tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("query,doc_id,grade\nwifi,printer,3\nwifi,invoice,1\n")
    ran = run("collection", "check", pages, path)
    assert ran.code == 0
    assert "warning few-judged: 1 judged query: means of fewer than 25 say little" in ran.out
    assert "warning grade-gaps: 1 gap in the grades" in ran.out
    assert "  1 to 3\n" in ran.out


def test_long_lists_are_cut_except_in_json(run: Callable, pages: Path, questions: Callable) -> None:
    path = questions(*(f"gone {i},d{i},1" for i in range(15)))
    ran = run("collection", "check", pages, path, columns=200)
    assert "d0, d1, d2, d3, d4, d5, d6, d7, d8, d9 and 5 more (--json lists all)" in ran.out
    report = run("collection", "check", pages, path, "--json").json()
    assert report["findings"][0]["examples"] == [f"d{i}" for i in range(15)]
    assert report["findings"][0]["kind"] == "missing-documents"
    assert (report["queries"], report["documents"], report["judged_share"]) == (45, 2, 1.0)
    assert report["grades"] == {"1": 45}
    assert report["notes"] == [f"{path}: the document is in 'URL'"]


def test_an_index_is_a_corpus(run: Callable, pages_index: Path, tmp_path: Path) -> None:
    queries = tmp_path / "q.tsv"
    queries.write_text("1\twifi\n2\tprint\n")
    qrels = tmp_path / "x.qrels"
    qrels.write_text("1 0 recovery 1\n2 0 gone 1\n")
    ran = run("collection", "check", pages_index, queries, qrels)
    assert ran.code == 3
    assert "error missing-documents: 1 judged id" in ran.out
    assert "q: 4 documents, 2 queries, 2 of them judged (100%)" in ran.out


def test_the_split_and_the_id_field(run: Callable, tmp_path: Path) -> None:
    folder = tmp_path / "help"
    (folder / "qrels").mkdir(parents=True)
    write_rows(folder / "corpus.jsonl", [{"_id": "1", "url": "/a", "text": "a"}])
    write_rows(folder / "queries.jsonl", [{"_id": "1", "text": "wifi"}, {"_id": "2", "text": "x"}])
    for split, doc_id in {"test": "1", "dev": "/a"}.items():
        table = f"query-id\tcorpus-id\tscore\n{len(split) // 4 + 1}\t{doc_id}\t1\n"
        (folder / "qrels" / f"{split}.tsv").write_text(table)
    ran = run("collection", "check", folder, folder)
    assert ran.code == 0
    assert ran.err == "the judgments are those of qrels/test.tsv, and not dev.tsv\n"
    assert run("collection", "check", folder, folder, "--split", "dev").code == 3
    ran = run("collection", "check", folder, folder, "--split", "dev", "--id-field", "url")
    assert (ran.code, ran.err) == (0, "")
    assert "--split must" not in run("collection", "check", folder, folder, "--split", "x").error()


def test_what_cannot_be_checked_is_refused(run: Callable, pages: Path, tmp_path: Path) -> None:
    queries = tmp_path / "q.tsv"
    queries.write_text("1\twifi\n")
    empty = tmp_path / "x.qrels"
    empty.write_text("\n")
    assert "x.qrels has no judgments" in run("collection", "check", pages, queries, empty).error()
    empty.write_text("7 0 printer 1\n")
    assert "must judge a query of q" in run("collection", "check", pages, queries, empty).error()
    gone = tmp_path / "gone.jsonl"
    assert "gone.jsonl does not exist" in run("collection", "check", gone, queries, empty).error()
    assert "pages.jsonl must have a column for the document" in (
        run("collection", "check", pages, pages).error()
    )


# overlap

ROWS = [
    {"query": "unrelated", "positive": "A page about leave."},
    {"query": "printer broken", "positive": f"First: {LONG.upper()}!", "negatives": ["no"]},
    {"query": "0-dimensional biomaterials show inductive properties", "positive": "x", "id": 7},
]


def test_overlaps_are_listed(run: Callable, pages: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "train.jsonl", ROWS)
    ran = run("collection", "overlap", data, "--with", pages, "--with", SCIFACT)
    assert (ran.code, ran.err) == (3, "")
    assert ran.out.splitlines() == [
        f"{data}:2: passage 'printer' of pages.jsonl",
        "  turn the printer off wait ten seconds and turn it on again after that please",
        f"{data}:3: query '1' of scifact",
        "  0 dimensional biomaterials show inductive properties",
        "2 of 3 rows share text with a collection",
    ]
    found = run("collection", "overlap", data, "--with", pages, "--json").json()
    assert (found["rows"], found["overlapping"], found["output"]) == (3, 1, None)
    assert found["hits"] == [
        {
            "place": f"{data}:2",
            "kind": "passage",
            "shared_id": "printer",
            "words": "turn the printer off wait ten seconds and turn it on again after that please",
            "collection": "pages.jsonl",
        }
    ]


def test_clean_rows_are_written_with_all_their_fields(
    run: Callable, pages: Path, tmp_path: Path
) -> None:
    data = write_rows(tmp_path / "train.jsonl", ROWS)
    out = tmp_path / "clean.jsonl"
    ran = run("collection", "overlap", data, "--with", pages, "--clean", out)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith(
        f"1 of 3 rows shares text with a collection\n{out} has the other 2 rows\n"
    )
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["query"], row.get("id")) for row in rows] == [
        ("unrelated", None),
        (ROWS[2]["query"], 7),
    ]
    ran = run("collection", "overlap", out, "--with", pages)
    assert (ran.code, ran.out) == (0, "0 of 2 rows share text with a collection\n")
    error = run("collection", "overlap", data, "--with", pages, "--clean", out).error()
    assert f"{out} already exists: choose another name, or remove it" in error


def test_shorter_runs_and_many_hits(run: Callable, tmp_path: Path) -> None:
    rows = [{"id": f"d{i}", "text": f"alpha{i} beta gamma {'delta ' * 20}"} for i in range(25)]
    pages = write_rows(tmp_path / "many.jsonl", rows)
    rows = [{"query": "q", "positive": row["text"]} for row in rows]
    data = write_rows(tmp_path / "train.jsonl", rows)
    ran = run("collection", "overlap", data, "--with", pages, "--words", 3)
    assert ran.code == 3
    assert "... and " in ran.out and "more (--json lists all)" in ran.out
    assert "  alpha0 beta gamma delta" in ran.out and " ...\n" in ran.out
    assert len(run("collection", "overlap", data, "--with", pages, "--json").json()["hits"]) >= 25


def test_invalid_rows_and_missing_files(run: Callable, pages: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "train.jsonl", [ROWS[0], {"query": "no positive"}])
    ran = run("collection", "overlap", data, "--with", pages)
    assert ran.code == 3
    assert ran.out == "0 of 1 row share text with a collection\n"
    assert "1 row refused:" in ran.err
    assert f"{data}:2: a row must have `positive`, or `text`" in ran.err
    found = run("collection", "overlap", data, "--with", pages, "--json").json()
    assert [row["place"] for row in found["refused"]] == [f"{data}:2"]
    error = run("collection", "overlap", data, "--with", tmp_path / "gone").error()
    assert "gone does not exist: check the path" in error
    assert run("collection", "overlap", data).code == 2


def test_overlap_imports_no_torch(pages: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "train.jsonl", ROWS)
    code = (
        "import sys\nfrom lexpand.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, "collection", "overlap", data, "--with", pages]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_make_target_checks_every_collection(pages: Path, tmp_path: Path) -> None:
    collections = tmp_path / "our collections"
    for name in ("one", "two"):
        (collections / name).mkdir(parents=True)
        shutil.copy(pages, collections / name / "corpus.jsonl")
    data = write_rows(tmp_path / "train.jsonl", ROWS)
    # The environment is not built again, and the command is that of these tests.
    command = ["make", "--dry-run", "--no-print-directory", "-o", ".venv/base", "check-leakage"]
    command += [f"DATA={collections}", f"TRAIN={data}"]
    recipe = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    script = recipe.replace(".venv/bin/lexpand", str(Path(sys.executable).parent / "lexpand"))
    done = subprocess.run(["sh", "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 3
    assert [line.split()[-1] for line in done.stdout.splitlines()[::2][:2]] == ["one", "two"]
    command[-1] = "TRAIN="
    missing = subprocess.run([*command[:1], *command[2:]], cwd=ROOT, capture_output=True, text=True)
    assert missing.returncode == 2
    assert "make check-leakage DATA=DIR TRAIN=FILE" in missing.stderr
