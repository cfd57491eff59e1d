import hashlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand.data import Vocabulary
from lexpand.errors import DataError, VectorError


def test_terms_and_tokens_are_looked_up():
    vocabulary = Vocabulary(["[PAD]", "log", "##ing"], special=frozenset({0}))
    assert len(vocabulary) == 3
    assert vocabulary.term(1) == "log"
    assert vocabulary.id("##ing") == 2
    assert vocabulary.id("in") is None
    assert "log" in vocabulary
    assert "in" not in vocabulary
    assert vocabulary.special == frozenset({0})
    assert isinstance(vocabulary.tokens, tuple)


@pytest.mark.parametrize("term", [-1, 3, 2**40])
def test_terms_outside_the_vocabulary_are_refused(term):
    for read in (Vocabulary(["a", "b", "c"]).term, Vocabulary(["a", "b", "c"]).text):
        with pytest.raises(VectorError, match=f"term {term} is outside the vocabulary of 3"):
            read(term)


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("##ing", "##ing"),
        ("login", "login"),
        ("\u2581login", "login"),
        ("\u0120login", "login"),
        ("\u2581", "\u2581"),
    ],
)
def test_text_drops_the_mark_of_a_space(token, text):
    assert Vocabulary([token]).text(0) == text


def test_invalid_vocabularies_are_refused():
    with pytest.raises(DataError, match="'a' is in the vocabulary twice, as terms 1 and 3"):
        Vocabulary(["b", "a", "c", "a"])
    with pytest.raises(DataError, match="a vocabulary must have 1 to 262144 tokens, got 0"):
        Vocabulary([])
    with pytest.raises(DataError, match="got 262145 tokens"):
        Vocabulary([str(number) for number in range(2**18 + 1)])
    with pytest.raises(DataError, match="special term 1 "):
        Vocabulary(["a"], special=frozenset({1}))
    with pytest.raises(DataError, match="token 1 must be a string, got 7"):
        Vocabulary(["a", 7])
    with pytest.raises(DataError, match="token 0 has a lone surrogate"):
        Vocabulary(["\ud800"])


def test_sha256_is_as_documented():
    expected = hashlib.sha256(b"\x01\0\0\0a\x02\0\0\0\xc3\xa9").hexdigest()
    assert Vocabulary(["a", "é"]).sha256 == expected


@given(
    st.lists(st.text(max_size=3), unique=True, min_size=1),
    st.lists(st.text(max_size=3), unique=True, min_size=1),
)
def test_sha256_and_equality_distinguish_vocabularies(first, second):
    one, other = Vocabulary(first), Vocabulary(second)
    assert (one.sha256 == other.sha256) == (first == second) == (one == other)
    assert [one.id(one.term(term)) for term in range(len(one))] == list(range(len(one)))
    assert pickle.loads(pickle.dumps(one)) == one


def test_a_string_is_not_a_list_of_tokens():
    with pytest.raises(
        DataError, match=r"tokens must be a list of strings, got 'abc'; pass \[token\]"
    ):
        Vocabulary("abc")
