"""Near words for words that no document has, and notes on unreadable queries."""

from pathlib import Path

import pytest

import lexpand
from lexpand import Collection, Document
from lexpand.search import did_you_mean
from lexpand.search.suggestions import within_two_edits

PAGES = [
    Document("pw", "Changing your password is done in the settings.", "Change a Password"),
    Document("out", "Passwords expire after a year. Printers do not.", "Expiry"),
    Document("cafe", "Le café ouvre à huit heures.", "Café"),
]


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return lexpand.create(tmp_path_factory.mktemp("near") / "kb", PAGES)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("chnage pasword", {"chnage": ["change"], "pasword": ["password"]}),
        ("Pasword", {"Pasword": ["password"]}),
        ("setings", {"setings": ["settings"]}),
        ("prinntesr", {"prinntesr": ["printers"]}),
        ("cfaé", {"cfaé": ["café"]}),
        ("change password", {}),
        ("zzzqqq", {}),
        ("yaer", {"yaer": ["year"]}),
        ("yer", {}),
        ("p4ssword", {}),
        ("", {}),
    ],
)
def test_near_words_are_suggested(
    kb: Collection, query: str, expected: dict[str, list[str]]
) -> None:
    assert did_you_mean(kb.index.searcher(), query) == expected


def test_deleted_words_are_not_suggested(tmp_path: Path) -> None:
    kb = lexpand.create(tmp_path / "kb", PAGES)
    kb.delete(["out"])
    assert did_you_mean(kb.index.searcher(), "exipre") == {}


def test_an_index_without_words_suggests_nothing(tmp_path: Path) -> None:
    kb = lexpand.create(tmp_path / "kb", PAGES, words="none")
    assert did_you_mean(kb.index.searcher(), "pasword") == {}


def test_suggestions_stop_after_the_time_limit(kb: Collection) -> None:
    ticks = iter(range(100))
    assert list(did_you_mean(kb.index.searcher(), "pasword chnage", clock=lambda: next(ticks))) == [
        "pasword"
    ]


@pytest.mark.parametrize(
    ("word", "other", "near"),
    [
        ("abcd", "abdc", True),
        ("abcdef", "badcef", True),
        ("abcdef", "badcfe", False),
        ("abc", "abcde", True),
        ("abc", "abcdef", False),
        ("", "ab", True),
    ],
)
def test_two_edits_are_near_and_three_are_not(word: str, other: str, near: bool) -> None:
    assert within_two_edits(word, other) is near
    assert within_two_edits(other, word) is near


FULL_WIDTH = "".join(chr(ord(letter) + 0xFEE0) for letter in "password")
UNREAD = "the model knows no word of the query"


@pytest.mark.parametrize(
    ("query", "pipeline", "notes"),
    [
        (
            "chnage pasword",
            "bm25",
            ["no document has a word of the query", "did you mean 'change password'?"],
        ),
        (
            "chnage pasword",
            None,
            ["no document has a word of the query: the hits", "did you mean 'change password'?"],
        ),
        ("zzzqqq", "bm25", ["no document has a word of the query"]),
        ("is the", "bm25", ["the query has only stop words"]),
        ("is the", None, ["the query has only stop words"]),
        ("😀😀", "bm25", ["the query has no words"]),
        ("😀😀", None, ["the query has no words", UNREAD]),
        ("?!", "bm25", ["the query has no words"]),
        ("", None, ["the query has no words"]),
        ("पासवर्ड बदलें", None, ["no document has a word"]),
        ("เปลี่ยนรหัสผ่าน", None, ["no document has a word", UNREAD]),
        (FULL_WIDTH, None, [UNREAD]),
        (FULL_WIDTH, "bm25", []),
        ("change a password", None, []),
    ],
)
def test_notes_describe_unreadable_queries(
    kb: Collection, query: str, pipeline: str | None, notes: list[str]
) -> None:
    found = [str(note) for note in kb.search(query, 3, pipeline=pipeline).notes]
    assert len(found) == len(notes), found
    for note, beginning in zip(found, notes, strict=True):
        assert note.startswith(beginning)


@pytest.mark.parametrize("pipeline", [None, "best", "splade", "bm25"])
def test_k_0_finds_nothing(kb: Collection, pipeline: str | None) -> None:
    assert kb.search("password", 0, pipeline=pipeline) == []
    assert kb.retriever(pipeline).search("password", 0) == []
