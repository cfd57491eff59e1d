"""Markdown as plain text in snippets; and hits and explanations that show the same passage."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lexpand
from lexpand import Document
from lexpand.search.plain_text import without_marks
from lexpand.search.snippet import shown_passage, shown_snippet


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# A heading #\n\nText.", "A heading Text."),
        ("Heading\n=======\nText\n---\nmore", "Heading Text more"),
        (
            "a **bold** and *slanted* _word_, ***both***, ~~gone~~",
            "a bold and slanted word, both, gone",
        ),
        (
            'See [the page](https://example.org/a_(b) "title") and ![a picture](p.png).',
            "See the page and a picture.",
        ),
        ("[text][ref], [not a link]", "text, [not a link]"),
        ("Run `pip install *x*` or ``a ` b``.", "Run pip install *x* or ``a ` b``."),
        ("```bash\n# a comment\nx = a*b*c\n```\nend", "# a comment x = a*b*c end"),
        ("| a | b |\n|---|:-:|\n| 1 | `x|y` |", "a b 1 x|y"),
        ("> quoted\n> # heading", "quoted heading"),
        (
            "snake_case_name, __init__, 2 * 3 * 4, a*b*c, C#, #1",
            "snake_case_name, __init__, 2 * 3 * 4, a*b*c, C#, #1",
        ),
        ("- a point\n- another", "- a point - another"),
        ("__very bold__ text", "very bold text"),
        ("a | b, x > y, 1 - 2", "a | b, x > y, 1 - 2"),
        ("**a [link](b) in bold**", "a link in bold"),
        ("", ""),
    ],
)
def test_marks_are_removed(text: str, shown: str) -> None:
    assert " ".join(without_marks(text).text.split()) == shown
    assert shown_snippet(text, "") == shown


pieces = st.sampled_from(
    [
        "#",
        "*",
        "**",
        "_",
        "`",
        "```",
        "[",
        "](",
        ")",
        "|",
        "\n",
        " ",
        "word",
        "> ",
        "---",
        "~~",
        "x",
    ]
)


@given(st.lists(pieces, max_size=40).map("".join))
def test_positions_follow_the_removed_marks_in_any_text(text: str) -> None:
    plain = without_marks(text)
    gone = {place for first, end in plain.removed for place in range(first, end)}
    kept = [place for place in range(len(text)) if place not in gone]
    assert len(plain.text) == len(kept)
    for place in kept:
        assert plain.text[plain.place(place)] == text[place] or (
            text[place],
            plain.text[plain.place(place)],
        ) == (
            "|",
            " ",
        )
    assert plain.place(len(text)) == len(plain.text)


words = st.lists(
    st.sampled_from(["heart", "**liver**", "zebra", "x", "\n# y", "[z](u)"]), max_size=150
).map(" ".join)


@given(words, st.sampled_from(["heart liver", "heart", "nothing", ""]))
def test_a_passage_with_a_word_of_the_query_is_the_snippet(text: str, query: str) -> None:
    spans = [(found.start(), found.end(), 1.0) for found in re.finditer("zebra|heart", text)]
    passage = shown_passage(text, query, spans)
    assert {passage.text[first:end] for first, end in passage.marks} <= {"zebra", "heart"}
    if set(query.split()) & set(re.findall(r"\w+", text)):
        assert passage.text == shown_snippet(text, query)


def test_explanations_show_the_snippets_of_hits(tmp_path: Path) -> None:
    filler = " ".join(f"Sentence number {i} is about nothing at all." for i in range(20))
    documents = [
        Document(
            "a",
            f"## Leave\n\nTake a **vacation** at the beach. {filler} "
            f"Ask for a *holiday* in time. {filler}",
            "A",
        ),
        Document("b", f"{filler} Vacations are days off. {filler}"),
        Document("c", "", "Holiday without a text"),
    ]
    kb = lexpand.create(tmp_path / "kb", documents)
    for pipeline in (None, "splade", "bm25"):
        for hit in kb.search("when is a holiday", pipeline=pipeline):
            passage = kb.explain("when is a holiday", hit.doc_id, pipeline=pipeline).snippet()
            assert passage.text == hit.snippet
            assert "*" not in passage.text
    snippets = {hit.doc_id: hit.snippet for hit in kb.search("a holiday in time")}
    assert "Ask for a holiday in time" in snippets["a"]


def test_a_snippet_has_no_title(tmp_path: Path) -> None:
    text = "One sentence about printers. " * 40
    kb = lexpand.create(
        tmp_path / "kb",
        [Document("a", text, "Printer guide")],
        encoding={"long": "chunk", "max_tokens": 64},
    )
    (hit,) = kb.search("printers")
    assert len(hit.text) < len(text)
    assert kb.explain("printers", "a").snippet().text == hit.snippet
    assert "guide" not in hit.snippet
