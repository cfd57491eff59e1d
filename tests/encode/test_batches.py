"""The texts of a call: a single text is refused, and a list or an iterator of texts is taken."""

from collections.abc import Iterator

import pytest

from lexpand import Document
from lexpand.encode import WordAnalyzer
from lexpand.encode.batches import check_texts, text_of
from lexpand.errors import DataError


@pytest.mark.parametrize(
    "one", ["holiday", b"holiday", bytearray(b"x"), Document("a", text="x"), {"a": 1}, 7, None]
)
def test_a_single_text_is_refused(one: object) -> None:
    with pytest.raises(DataError, match=r"queries must be a list of texts, got the \w+ "):
        check_texts(one, "queries")


def test_lists_are_kept_and_iterators_are_read() -> None:
    texts = ["a", Document("b", text="c")]
    assert check_texts(texts, "texts") is texts

    def generated() -> Iterator[str]:
        yield "a"
        yield "b"

    assert check_texts(generated(), "texts") == ["a", "b"]
    assert sorted(map(str, check_texts({"a", "b"}, "texts"))) == ["a", "b"]
    assert [text_of(text, i) for i, text in enumerate(check_texts(iter(texts), "texts"))] == [
        "a",
        "c",
    ]


def test_the_word_analyzer_refuses_a_single_text() -> None:
    with pytest.raises(
        DataError, match="texts must be a list of texts, got the str 'holiday': put"
    ):
        WordAnalyzer().counts("holiday")
    assert WordAnalyzer().counts(text for text in ["a dog", "dogs"]).words == ["dog"]
