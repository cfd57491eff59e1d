"""The ids of short texts, assembled from cached ids of words, are those of the tokenizer."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand import Encoder
from lexpand.encode import tokens as tokens_module
from lexpand.encode.tokens import is_by_word

sys.path.insert(0, str(Path(__file__).parent))
from checkpoint_makers import byte_pieces, word_pieces

SPACES = ["\u00a0", "\u2028", "\x1f", "\x0b", "\x85", "\u200b", "\t", "\r\n", " "]
WORDS = ["[SEP]", "[MASK]x", "ΣΑΣ", "İ", "é", "e\u0301", "\u0301", "漢字", "login", "reset-me!"]
PARTS = st.one_of(st.text(max_size=8), st.sampled_from([*SPACES, *WORDS]))
TEXTS = st.lists(PARTS, max_size=12).map("".join)


@given(text=TEXTS)
def test_the_ids_of_words_are_those_of_the_whole_text(encoder: Encoder, text: str) -> None:
    tokens = encoder._tokens
    assert tokens._ids_of_words is not None
    expected = tokens._tokenizer.encode(text, add_special_tokens=False).ids
    assert tokens.own_ids([text], 512) == [expected[:510]]
    assert tokens.own_ids([text], 5) == [expected[:3]]


def test_the_number_of_cached_words_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_module, "_WORDS", 3)
    tokens = Encoder.load(threads=1)._tokens
    text = "one two three " + "long" * 20
    expected = tokens._tokenizer.encode(text, add_special_tokens=False).ids
    assert tokens.own_ids([text, text], 512) == [expected, expected]
    assert tokens._ids_of_words is not None
    assert list(tokens._ids_of_words) == ["one", "two", "three"], "without the long word"
    tokens.own_ids(["three four"], 512)
    assert list(tokens._ids_of_words) == ["four"]


def test_only_tokenizers_that_split_at_spaces_are_read_by_word() -> None:
    assert is_by_word(word_pieces())
    assert not is_by_word(byte_pieces()), "its tokens contain spaces"
    joined = word_pieces()
    joined.add_tokens(["new york"])
    assert not is_by_word(joined)
