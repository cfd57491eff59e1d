"""Text to words: what is found, and that a batch counts what one text has."""

import pickle
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand._native import build_words
from lexpand.encode import WordAnalyzer, languages
from lexpand.errors import DataError, LexpandWarning

PLAIN = WordAnalyzer(None)
ENGLISH = WordAnalyzer()
pieces = st.sampled_from(
    ["The", "running", " ", "-", "dogs'", "\u2019s", "ﬁne", "STRASSE", "ß", "東京", "e\u0301", "1.5", "x" * 300]
)
texts = st.lists(pieces | st.text(max_size=8), max_size=12).map("".join)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The dogs were running; a dog\u2019s RUN, don't!", ["dog", "run", "dog", "run"]),
        ("part AB-1234.5 of 3,000", ["part", "ab", "1234.5", "3,000"]),
        ("ﬁnding \uff21\uff22\uff23 cafe\u0301 café", ["find", "abc", "café", "café"]),
        ("東京タワー 👍 …", ["東", "京", "タワー"]),
        ("", []),
    ],
)
def test_english(text: str, words: list[str]) -> None:
    assert ENGLISH.analyse(text) == words


def test_other_languages() -> None:
    assert WordAnalyzer("german").analyse("Die Häuser der großen Straßen, STRASSE") == [
        "haus",
        "gross",
        "strass",
        "strass",
    ]
    assert WordAnalyzer("french").analyse("L\u2019avion de l'école qu'il prend") == ["avion", "écol", "il", "prend"]
    assert PLAIN.analyse("The Running DOGS") == ["the", "running", "dogs"]
    assert WordAnalyzer("polish").stop_words == frozenset()


@pytest.mark.parametrize("language", languages())
def test_every_language_stems(language: str) -> None:
    analyzer = WordAnalyzer(language)
    assert analyzer.analyse("1234.5") == ["1234.5"]
    assert all(analyzer.analyse(word) == [] for word in analyzer.stop_words if word.isalpha())


@pytest.mark.parametrize(("language", "word"), [("greek", "\u03b1\u03b3\u03b1"), ("nepali", "\u0915\u093e")])
def test_a_word_of_which_a_stemmer_leaves_nothing_stays(language: str, word: str) -> None:
    analyzer = WordAnalyzer(language, stop_words=())
    assert analyzer.analyse(f"1 {word}") == ["1", word]
    assert analyzer.counts([f"1 {word}"]).words == ["1", word]


def test_an_unknown_language_names_those_there_are() -> None:
    with pytest.raises(DataError, match=r"no language 'klingon'; there are arabic, .*english.*, and None for any"):
        WordAnalyzer("klingon")


def test_long_words_are_cut_at_a_character() -> None:
    assert PLAIN.analyse("x" * 300) == ["x" * 255]
    assert PLAIN.analyse("é" * 300) == ["é" * 127]


def test_own_stop_words_are_spelled_as_words_are() -> None:
    assert WordAnalyzer(stop_words=["Foo", "don\u2019t"]).analyse("foo FOO don't the") == ["the"]
    assert WordAnalyzer(stop_words=()).analyse("the") == ["the"]
    with pytest.raises(DataError, match="the string 'the'"):
        WordAnalyzer(stop_words="the")


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(DataError, match="text 1"):
        ENGLISH.counts(["fine", "\ud800"])


@given(st.lists(texts, max_size=6), st.sampled_from([PLAIN, ENGLISH, WordAnalyzer("german", stop_words=["fine"])]))
def test_a_batch_counts_what_each_text_has(batch: list[str], analyzer: WordAnalyzer) -> None:
    counts = analyzer.counts(batch)
    assert len(set(counts.words)) == len(counts.words)
    for i, text in enumerate(batch):
        part = slice(counts.indptr[i], counts.indptr[i + 1])
        words = [counts.words[term] for term in counts.terms[part]]
        assert dict(zip(words, counts.counts[part].tolist(), strict=True)) == Counter(analyzer.analyse(text))
        assert counts.lengths[i] == len(analyzer.analyse(text))
        assert np.all(np.diff(counts.terms[part].astype(np.int64)) > 0)
    assert len(build_words(counts.words, counts.indptr, counts.terms, counts.counts)) == 11


def test_it_travels() -> None:
    analyzer = WordAnalyzer("german", stop_words=["und"])
    assert pickle.loads(pickle.dumps(analyzer)) == analyzer
    assert WordAnalyzer.from_dict(analyzer.to_dict()) == analyzer
    assert WordAnalyzer.from_dict(PLAIN.to_dict()) == PLAIN
    with pytest.raises(DataError, match="analysis 7; this Lexpand has 1"):
        WordAnalyzer.from_dict({**analyzer.to_dict(), "analysis": 7})
    with pytest.raises(DataError, match="lacks language, stem, stop_words"):
        WordAnalyzer.from_dict({"analysis": 1})


def test_another_stemmer_is_said(recwarn: pytest.WarningsRecorder) -> None:
    recorded = ENGLISH.to_dict()
    major, minor, *_ = recorded["stemmer"].split(".")
    for same in (recorded["stemmer"], f"{major}.{minor}.99"):
        assert WordAnalyzer.from_dict({**recorded, "stemmer": same}) == ENGLISH
    del recorded["stemmer"]  # as indexes were written that do not say
    assert WordAnalyzer.from_dict(recorded) == ENGLISH
    assert "stemmer" not in PLAIN.to_dict()
    assert not recwarn.list
    with pytest.warns(LexpandWarning, match=r"by PyStemmer 2\.0\.1, and .* pip install 'PyStemmer==2\.0\.\*'"):
        assert WordAnalyzer.from_dict({**recorded, "stemmer": "2.0.1"}) == ENGLISH


def test_threads_share_an_analyzer() -> None:
    words = ["running", "houses", "quickly", "nationality", "generously"] * 200
    expected = ENGLISH.analyse(" ".join(words))
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(ENGLISH.analyse, [" ".join(words)] * 16):
            assert found == expected
