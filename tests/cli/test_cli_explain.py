"""`lexpand explain` with --why-not, with every pipeline, and as HTML."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import lexpand
from lexpand import Document, Encoder, Index, ingest
from lexpand.encode import WordAnalyzer

PAGES = [
    Document(
        "recovery", "Choose 'I cannot get in' and we send a code to your phone.", "Account recovery"
    ),
    Document("invoice", "Invoices are sent by e-mail each month.", "Billing", {"team": "finance"}),
    Document("printer", "Turn the printer off, wait ten seconds, and turn it on again."),
]


@pytest.fixture(scope="module")
def lexical_index(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Path:
    path = tmp_path_factory.mktemp("explain") / "i"
    with Index.create(path, encoder.space, words=WordAnalyzer()) as index:
        ingest(index, encoder, PAGES)
    return path


def test_why_not_compares_a_document_with_a_better_hit(
    run: Callable, lexical_index: Path, tmp_path: Path
) -> None:
    ran = run(
        "explain", lexical_index, "account recovery code", "printer", "--why-not", columns=200
    )
    lines = ran.out.splitlines()
    assert lines[0].startswith("printer printer scores ")
    assert lines[1] == "neither retriever found the document among its best 500"
    assert "compared with Account recovery recovery scores " in ran.out
    found = run(
        "explain", lexical_index, "account recovery code", "printer", "--than", "invoice", "--json"
    ).json()
    gap = found["than"]["score"] - found["missing"]["score"]
    assert sum(part["difference"] for part in found["parts"]) == pytest.approx(gap, abs=1e-9)
    splade = ("--pipeline", "splade")
    ran = run(
        "explain",
        lexical_index,
        "account recovery code",
        "printer",
        "--why-not",
        *splade,
        columns=200,
    )
    lines = ran.out.splitlines()
    assert lines[0].startswith("printer printer scores ")
    assert re.fullmatch(
        r"the document (is at rank \d, among the best 10|shares no term with the query)",
        lines[1],
    )
    assert "compared with Account recovery recovery scores " in ran.out
    assert re.search(r"^\+\d\.\d{3} +recovery +only the other has it$", ran.out, re.MULTILINE)
    than = ("printer", "--than", "invoice", *splade)
    found = run("explain", lexical_index, "account recovery code", *than, "--json").json()
    assert (found["missing"]["doc_id"], found["than"]["doc_id"], found["k"]) == (
        "printer",
        "invoice",
        10,
    )
    gap = found["than"]["score"] - found["missing"]["score"]
    assert sum(part["difference"] for part in found["differences"]) == pytest.approx(gap, abs=1e-9)
    absent = run("explain", lexical_index, "printer", "printer", "--than", "absent").error()
    assert absent.startswith(f"error: {lexical_index} has no document 'absent'")
    filtered = run(
        "explain", lexical_index, "printer", "printer", "--why-not", "--filter", "team = finance"
    )
    assert (
        filtered.out.splitlines()[1]
        == "the filter excludes the document; without the filter it is at rank 1"
    )


@pytest.mark.parametrize("pipeline", ["splade", "bm25", "hybrid"])
def test_explain_supports_every_pipeline(
    run: Callable, lexical_index: Path, tmp_path: Path, pipeline: str
) -> None:
    options = ("--pipeline", pipeline)
    hit = run("search", lexical_index, "printer off", *options, "--json").json()["hits"][0]
    page = tmp_path / "page.html"
    found = run(
        "explain", lexical_index, "printer off", hit["doc_id"], *options, "--json", "--html", page
    ).json()
    assert found["score"] == hit["score"]
    assert {part["kind"] for part in found["parts"]} == (
        {"splade", "bm25"} if pipeline == "hybrid" else set()
    )
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>\n")
    ran = run("explain", lexical_index, "printer off", hit["doc_id"], *options)
    assert ("splade " in ran.out and "bm25 " in ran.out) == (pipeline == "hybrid")
    assert bool(re.search(r"input, \d times?$", ran.out, re.MULTILINE)) == (pipeline != "splade")
    missing = run(
        "explain",
        lexical_index,
        "printer off",
        "invoice",
        *options,
        "--why-not",
        "--html",
        page,
        "--force",
    )
    assert missing.out.startswith("Billing invoice scores ")
    assert "Why not invoice?" in page.read_text(encoding="utf-8")
    lines = run(
        "search", lexical_index, "printer off", *options, "--explain", "-k", "1"
    ).out.splitlines()
    assert "printer" in lines[2]


def test_explain_uses_the_options_of_search(
    run: Callable, lexical_index: Path, tmp_path: Path
) -> None:
    """Cases: a pruned query, and a pipeline from a file with effort and feedback."""
    hit = run("search", lexical_index, "printer off", "--prune", "top=1", "--json").json()["hits"][
        0
    ]
    found = run(
        "explain", lexical_index, "printer off", hit["doc_id"], "--prune", "top=1", "--json"
    ).json()
    counts = {part["kind"]: len(part["explanation"]["contributions"]) for part in found["parts"]}
    assert (found["score"], counts["splade"]) == (hit["score"], 1)
    one = ("--prune", "top=1", "--pipeline", "splade")
    hit = run("search", lexical_index, "printer off", *one, "--json").json()["hits"][0]
    found = run("explain", lexical_index, "printer off", hit["doc_id"], *one, "--json").json()
    assert (found["score"], len(found["contributions"])) == (hit["score"], 1)
    ran = run("explain", lexical_index, "printer off", "printer", *one, "--why-not")
    assert re.search(r"^lost to query pruning \S+ \+", ran.out, re.MULTILINE)
    pipeline = tmp_path / "p.toml"
    pipeline.write_text(
        "[[parts]]\nfield = 'splade'\neffort = 0.5\nidf = 0.5\n[feedback]\ndocuments = 1\n"
    )
    options = ("--pipeline", pipeline)
    hit = run("search", lexical_index, "printer off", *options, "--json").json()["hits"][0]
    ran = run("explain", lexical_index, "printer off", hit["doc_id"], *options, "--json")
    assert ran.json()["score"] == hit["score"]
    assert re.search(
        r"\d feedback ", run("explain", lexical_index, "printer off", hit["doc_id"], *options).out
    )


def test_an_unwritable_page_is_an_error(run: Callable, lexical_index: Path, tmp_path: Path) -> None:
    assert run(
        "explain", lexical_index, "printer", "printer", "--html", tmp_path / "no" / "page.html"
    ).error()
    page = tmp_path / "page.html"
    page.write_text("mine")
    error = run("explain", lexical_index, "printer", "printer", "--html", page).error()
    assert error == f"error: {page} exists: choose another file, or replace it with --force"
    assert page.read_text() == "mine"


def test_a_reason_why_nothing_was_found_is_printed_once(run: Callable, lexical_index: Path) -> None:
    ran = run("search", lexical_index, "")
    assert (ran.out, ran.err) == ("nothing found: the query has no words\n", "")


def test_a_part_without_terms_prints_no_table(run: Callable, lexical_index: Path) -> None:
    """No document has a word of the query, so BM25 has no terms to compare."""
    options = ("explain", lexical_index, "vacation", "printer", "--why-not", "--than")
    ran = run(*options, "invoice", columns=200)
    (line,) = (line for line in ran.out.splitlines() if line.startswith("bm25 "))
    assert line == "bm25 +0.000: 0.000 against 0.000"
    assert ran.out.count("its terms:") == ran.out.count("difference  term") > 0
    answer = lexpand.open(lexical_index).why_not("vacation", "printer", "invoice")
    assert str(answer).count("its terms:") == str(answer).count("difference  term") > 0
    assert answer.to_html().count("<th>difference</th>") == str(answer).count("its terms:")
