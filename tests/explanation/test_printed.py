"""Printed explanations: plain tables, pins shown by their texts, and words that fit the rank."""

import re
from pathlib import Path

import pytest

import lexpand
from lexpand import Collection, Document

PAGES = [
    Document(
        "leave",
        "Ask your manager for leave at least two weeks before it begins.",
        "Vacation requests",
    ),
    Document("invoice", "Invoices are sent by e-mail on the first day of each month.", "Billing"),
    Document(
        "disk", "ERR_42 means that the disk is full. ERR_42 goes away with a larger disk.", "Errors"
    ),
    Document("other", "ERR_43 means that nobody is there."),
]
QUERY = "when can I take a holiday from my manager?"


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    folder = tmp_path_factory.mktemp("printed")
    (folder / "rules.toml").write_text('version = 1\n[[pin]]\ntext = "ERR_42"\n')
    return lexpand.create(folder / "kb", PAGES, rules=folder / "rules.toml")


def test_a_hybrid_prints_a_table_for_each_part(kb: Collection) -> None:
    explanation = kb.explain(QUERY, "leave")
    lines = str(explanation).splitlines()
    assert lines[0] == f"Vacation requests leave scores {explanation.score:.3f} for {QUERY}"
    for part in explanation.parts:
        product = f"weight {part.weight:g} x share {part.share:.3f}"
        scores = f"score {part.explanation.score:.3f}, {product}"
        number = lines.index(f"{part.kind} {part.contribution:.3f}: rank 1, {scores}")
        assert lines[number + 1].split() == ["contribution", "term", "query", "document"]
        first = part.explanation.contributions[0]
        cells = [f"{first.contribution:.3f}", first.label.split()[0]]
        assert lines[number + 2].split()[:2] == cells
    assert any(line.lstrip().startswith("in the query, not in the document: ") for line in lines)
    assert re.search(
        r"manag +\d.\d\d input +\d.\d\d input, 1 time$", str(explanation), re.MULTILINE
    )


def test_a_single_retriever_prints_one_table(kb: Collection) -> None:
    explanation = kb.explain(QUERY, "leave", pipeline="splade")
    lines = str(explanation).splitlines()
    assert lines[1].split() == ["contribution", "term", "query", "document"]
    for column in ("query", "document"):
        place = lines[1].index(column)
        assert all(line[place - 2 : place] == "  " and line[place].isdigit() for line in lines[2:6])
    assert len(explanation.contributions) <= 20 or "more term" in str(explanation)
    assert str(kb.explain("zzzqqq", "leave", pipeline="bm25")).splitlines()[0] == (
        "Vacation requests leave scores 0.000 for zzzqqq"
    )


@pytest.mark.parametrize("pipeline", [None, "splade", "bm25", "best"])
def test_why_not_prints_the_verdict_and_the_differences(
    kb: Collection, pipeline: str | None
) -> None:
    answer = kb.why_not(QUERY, "invoice", pipeline=pipeline)
    lines = str(answer).splitlines()
    assert lines[0].startswith("Billing invoice scores ")
    assert lines[1] == answer.verdict
    assert any(
        re.fullmatch(r"compared with Vacation requests leave scores .*, at rank 1", line)
        for line in lines
    )
    assert any(line.split() == ["difference", "term", "why"] for line in lines)
    assert "missing" not in str(answer)
    assert "missing" not in answer._repr_html_()


def test_notebooks_show_html(kb: Collection) -> None:
    page = kb.explain(QUERY, "leave")._repr_html_()
    assert re.search(r"<h2>splade: \d\.\d{3}</h2><p>rank 1, score ", page)
    assert "<h2>bm25: " in page
    assert "<mark" in page


@pytest.mark.parametrize("pipeline", [None, "splade", "best"])
def test_pins_are_shown_as_their_texts(kb: Collection, pipeline: str | None) -> None:
    hit = kb.search("what is ERR_42", 1, pipeline=pipeline)[0]
    assert hit.doc_id == "disk"
    # The feedback of the pipeline best adds other terms.
    assert "ERR_42" in dict(hit.terms) or pipeline == "best"
    assert "[unused0]" not in dict(hit.terms)
    explanation = kb.explain("what is ERR_42", "disk", pipeline=pipeline)
    for shown in (
        str(explanation),
        explanation._repr_html_(),
        str(kb.why_not("what is ERR_42", "other")),
    ):
        assert "[unused0]" not in shown
        assert "ERR_42" in shown


def test_the_encoder_decides_if_pins_are_shown_as_texts(kb: Collection, tmp_path: Path) -> None:
    retriever = lexpand.SparseRetriever(kb.index, lexpand.Encoder.load())
    assert "ERR_42" not in dict(retriever.search("what is ERR_42", 1)[0].terms)
    parts = lexpand.explain(
        lexpand.SparseRetriever(kb.index, kb.encoder), "ERR_42", "disk"
    ).contributions
    assert parts[0].label == "ERR_42"
    assert parts[0].term == "[unused0]"
