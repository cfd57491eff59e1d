"""Snippets: short, around the words of the query, and with marks where the text was cut."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lexpand.search.snippet import make_passage, make_snippet

WORD = re.compile(r"\w+")


def body_of(snippet: str) -> tuple[str, bool, bool]:
    """Return the passage itself, and whether its beginning and its end are marked as cut."""
    before, after = snippet.startswith("… "), snippet.endswith(" …")
    return snippet[2 if before else 0 : -2 if after else None], before, after


def check(text: str, query: str) -> str:
    """Check what holds for any text without an ellipsis, and return the snippet."""
    snippet = make_snippet(text, query)
    body, before, after = body_of(snippet)
    folded = " ".join(text.split())
    assert len(body) <= 200
    assert body in folded
    assert "…" not in body
    assert body or not folded
    if not before and not after:
        assert body == folded
    elif not before:
        assert folded.startswith(body)
    elif not after:
        assert folded.endswith(body)
    if before or after:
        assert len(body) < len(folded)
    query_words = {word.lower() for word in WORD.findall(query)}
    found = [word for word in WORD.findall(text[:90_000]) if word.lower() in query_words]
    if found and max(map(len, found)) <= 160:
        assert query_words & {word.lower() for word in WORD.findall(body)}, snippet
    return snippet


words = st.text("abcß", min_size=1, max_size=6) | st.sampled_from(
    ["heart", "a" * 60, "b" * 161, "心臓" * 90]
)
spaces = st.sampled_from([" ", " ", "\n", "\t", "  \n", "-", ", ", "\u3000", ""])
worded = st.lists(st.tuples(words, spaces), max_size=120).map(
    lambda pairs: "".join(map("".join, pairs))
)


@given(worded, worded)
def test_snippets_of_any_words_hold_the_rules(text: str, query: str) -> None:
    check(text, query)


@given(st.text(st.characters(codec="utf-8", exclude_characters="…")), st.text())
@example("a" * 200, "a" * 200)
@example("x" * 100 + "-heart tail " + "y " * 100, "heart")
@example("a b\nheart\n" + "z\n" * 300, "heart")
@example(" " * 300 + "heart", "heart")
@example(" " + "x" * 300, "")
@example("heart" + "\n" * 300, "heart")
def test_snippets_of_any_text_hold_the_rules(text: str, query: str) -> None:
    check(text, query)


@given(st.integers(0, 500), st.integers(0, 500), st.sampled_from(" \n\t"))
def test_a_word_is_found_anywhere_in_the_text(before: int, after: int, space: str) -> None:
    snippet = check(f"{f'w{space}' * before}Heart{f'{space}w' * after}", "a heart?")
    assert "Heart" in snippet.split()


def test_the_snippet_is_the_beginning_if_no_word_is_found() -> None:
    text = "one two three. " * 50
    assert check(text, "absent").startswith("one two three.")
    assert check(text, "") == check(text, "absent")
    assert make_snippet("", "a") == make_snippet(" \n ", "a") == ""


def test_a_short_text_is_shown_completely() -> None:
    text = "word " * 30 + "heart\n\nattack"
    assert check(text, "heart") == "word " * 30 + "heart attack"


def test_the_window_with_most_different_words_is_shown() -> None:
    text = (
        "heart heart heart heart "
        + "x " * 300
        + "the heart of a smoker "
        + "x " * 300
        + "a smoker "
        + "x " * 300
    )
    assert "the heart of a smoker" in check(text, "smoker's heart")


def test_the_first_of_equal_windows_is_shown() -> None:
    text = "x " * 300 + "the first heart " + "x " * 300 + "the second heart " + "x " * 300
    assert "first" in check(text, "heart")


def test_words_are_not_cut() -> None:
    text = "abcdefghij " * 200
    body, before, after = body_of(check(text[:990] + "heart " + text, "heart"))
    assert before
    assert after
    assert set(body.split()) == {"abcdefghij", "heart"}


@pytest.mark.parametrize(
    "word", ["Straße", "ΣΊΣΥΦΟΣ", "İstanbul", "naïve", "日本語", "snake_case", "3"]
)
def test_case_is_folded_in_any_script(word: str) -> None:
    assert word in check(
        "x " * 200 + word + " x" * 200, word.lower() if word.lower().isalnum() else word
    )


def test_a_long_text_is_searched_up_to_a_limit() -> None:
    near, far = "x " * 49_000 + "heart " + "x " * 10_000, "x " * 60_000 + "heart " + "x " * 10_000
    assert "heart" in check(near, "heart")
    assert "heart" not in make_snippet(far, "heart")


weighted = st.lists(
    st.tuples(st.integers(0, 400), st.integers(1, 12), st.floats(0.01, 9)), max_size=12
)


@given(worded, weighted)
def test_passages_of_any_words_hold_the_rules(
    text: str, drawn: list[tuple[int, int, float]]
) -> None:
    spans = [(first, first + size, weight) for first, size, weight in drawn]
    spans = [
        span for span in spans if span[1] <= len(text) and not text[span[0] : span[1]][0].isspace()
    ]
    passage = make_passage(text, spans)
    body, _, _ = body_of(passage.text)
    folded = " ".join(text.split())
    assert len(body) <= 200
    assert body in folded
    # Only the spans are marked, with folded white space.
    expected = {" ".join(text[first:end].split()) for first, end, _ in spans}
    assert {" ".join(passage.text[first:end].split()) for first, end in passage.marks} <= expected
    if spans:
        assert passage.marks or min(end - first for first, end, _ in spans) > 1


def test_the_passage_of_most_weight_is_shown() -> None:
    text = f"zebra {'x ' * 300}heart and\n liver {'y ' * 300}zebra"
    heart, liver = text.index("heart"), text.index("liver")
    last = len(text) - 5
    passage = make_passage(
        text, [(0, 5, 2.0), (heart, heart + 5, 1.5), (liver, liver + 5, 1.5), (last, last + 5, 2.0)]
    )
    assert "heart and liver" in passage.text
    assert [passage.text[first:end] for first, end in passage.marks] == ["heart", "liver"]
    assert make_passage("", []) == ("", ())
