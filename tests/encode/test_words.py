"""The word analyzer: words, compounds, normalization, languages and counts."""

import pickle
import time
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
PROSE = [
    "The",
    "running",
    " ",
    "dogs'",
    "\u2019s",
    "ﬁne",
    "STRASSE",
    "ß",
    "東京",
    "e\u0301",
    "x" * 300,
    ",",
    "\n",
]
IDENTIFIERS = ["fooBar", "a.b", "CVE", "2023", "1.5", "-", "_", ".", "/", ":", "::", "+~", "\u2011"]
CONTROLS = ["\u202f", "\u00ad", "\u200d", "İ"]
pieces = st.sampled_from(PROSE + IDENTIFIERS + CONTROLS)
texts = st.lists(pieces | st.text(max_size=8), max_size=12).map("".join)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The dogs were running; a dog\u2019s RUN, don't!", ["dog", "run", "dog", "run"]),
        ("part AB-1234.5 of 3,000", ["part", "ab", "1234.5", "3,000", "ab1234.5"]),
        ("ﬁnding \uff21\uff22\uff23 cafe\u0301 café", ["find", "abc", "café", "café"]),
        ("東京タワー 👍 …", ["東", "京", "タワー"]),
        ("", []),
    ],
)
def test_english_text_is_analyzed(text: str, words: list[str]) -> None:
    assert ENGLISH.analyze(text) == words


def test_text_in_other_languages_is_analyzed() -> None:
    german = WordAnalyzer("german").analyze("Die Häuser der großen Straßen, STRASSE")
    assert german == ["haus", "gross", "strass", "strass"]
    french = WordAnalyzer("french").analyze("L\u2019avion de l'école qu'il prend")
    assert french == ["avion", "écol", "prend"]
    assert PLAIN.analyze("The Running DOGS") == ["the", "running", "dogs"]
    assert WordAnalyzer("polish").stop_words == frozenset()


@pytest.mark.parametrize("language", languages())
def test_every_language_has_a_stemmer_and_drops_its_stop_words(language: str) -> None:
    analyzer = WordAnalyzer(language)
    assert analyzer.analyze("1234.5") == ["1234.5"]
    assert all(analyzer.analyze(word) == [] for word in analyzer.stop_words if word.isalpha())


@pytest.mark.parametrize(
    ("language", "word"), [("greek", "\u03b1\u03b3\u03b1"), ("nepali", "\u0915\u093e")]
)
def test_a_word_with_an_empty_stem_is_kept(language: str, word: str) -> None:
    analyzer = WordAnalyzer(language, stop_words=())
    assert analyzer.analyze(f"1 {word}") == ["1", word]
    assert analyzer.counts([f"1 {word}"]).words == ["1", word]


def test_the_error_for_an_unknown_language_lists_the_known_ones() -> None:
    expected = "language must be one of arabic, .*english.*, or None for any, got 'klingon'"
    with pytest.raises(DataError, match=expected):
        WordAnalyzer("klingon")


def test_long_words_are_cut_between_two_characters() -> None:
    assert PLAIN.analyze("x" * 300) == ["x" * 255]
    assert PLAIN.analyze("é" * 300) == ["é" * 127]


def test_custom_stop_words_are_normalized() -> None:
    assert WordAnalyzer(stop_words=["Foo", "don\u2019t"]).analyze("foo FOO don't the") == ["the"]
    assert WordAnalyzer(stop_words=()).analyze("the") == ["the"]
    with pytest.raises(DataError, match="stop_words must be a list of words, got the string 'the'"):
        WordAnalyzer(stop_words="the")


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(DataError, match="text 1"):
        ENGLISH.counts(["fine", "\ud800"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CVE-2023-5678", ["cve", "2023", "5678", "cve2023_5678"]),
        ("glibc 2.36-9+deb12u7", ["glibc", "2.36", "9", "deb12u7", "2.36_9deb12u7"]),
        ("2:2.4.3-1", ["2", "2.4.3", "1", "2_2.4.3_1", "2.4.3_1"]),
        ("Wi-Fi wi\u2011fi", ["wi", "fi", "wi", "fi", "wifi", "wifi"]),
        ("getUserName", ["get", "user", "name", "getusernam"]),
        ("foo_bar", ["foo", "bar", "foobar"]),
        ("std::vector", ["std", "vector", "stdvector"]),
        (
            "/etc/ssh/sshd_config",
            ["etc", "ssh", "sshd", "config", "sshdconfig", "etcsshsshdconfig"],
        ),
        ("python3.11 v1.2.3", ["python", "3.11", "python3.11", "v", "1.2.3", "v1.2.3"]),
        ("a.b.c e.g. U.S.A.", ["abc", "eg", "usa"]),
        ("word.Another", ["word", "anoth", "wordanoth"]),
        ("E0382 mRNA PhD iPhone ATPase", ["e0382", "mrna", "phd", "iphon", "atpas"]),
        ("x86_64-linux-gnu", ["x86", "64", "x86_64", "linux", "gnu", "x86_64linuxgnu"]),
        ("1,000-2,000 don't-care", ["1,000", "2,000", "care", "1,000_2,000", "don'tcar"]),
        ("東京-大阪", ["東", "京", "大", "阪"]),
        (
            "wait...what word--word -x y- https://a.io",
            ["wait", "word", "word", "x", "y", "https", "io", "aio", "httpsaio"],
        ),
    ],
)
def test_a_compound_yields_its_parts_and_their_joined_forms(text: str, words: list[str]) -> None:
    assert ENGLISH.analyze(text) == words


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("getusername", "getUserName"),
        ("user name", "getUserName()"),
        ("wifi", "Wi-Fi"),
        ("wi fi", "Wi-Fi"),
        ("utf8", "UTF-8"),
        ("CVE_2023_5678", "(CVE-2023-5678)"),
        ("sshd_config", "/etc/ssh/sshd_config."),
        ("e-mails", "email"),
        ("python 3.11", "python3.11-slim"),
        ("USA", "the U.S.A."),
    ],
)
def test_a_compound_is_found_by_its_other_spellings(query: str, text: str) -> None:
    query_words, text_words = set(ENGLISH.analyze(query)), set(ENGLISH.analyze(text))
    assert query_words <= text_words or text_words <= query_words


def test_digits_that_would_touch_are_separated() -> None:
    spellings = ["123", "1.23", "1-23", "12-3", "1\u00ad-23", "x\uff12-3", "x2-3"]
    joined = [ENGLISH.analyze(spelling)[-1] for spelling in spellings]
    assert joined == ["123", "1.23", "1_23", "12_3", "1_23", "x2_3", "x2_3"]


def test_the_size_and_the_cost_of_compounds_are_limited() -> None:
    eight, nine = "-".join("bcdfghjk"), "-".join("bcdfghjkl")
    assert PLAIN.analyze(eight) == [*"bcdfghjk", "bcdfghjk"]
    assert PLAIN.analyze(nine) == [*"bcdfghjkl"]
    assert PLAIN.analyze("x" * 128 + "-" + "y" * 127) == ["x" * 128, "y" * 127]
    assert PLAIN.analyze("x" * 127 + "-" + "y" * 127)[-1] == "x" * 127 + "y" * 127
    assert PLAIN.analyze("é" * 100 + "-" + "y" * 60) == ["é" * 100, "y" * 60]
    started = time.perf_counter()
    for hard in (
        "a-" * 50_000,
        "a." * 50_000,
        "x" * 100_000,
        "aB" * 50_000,
        "1," * 50_000,
        "_" * 100_000 + "a",
    ):
        PLAIN.counts([hard])
    assert time.perf_counter() - started < 5


def test_parts_of_a_compound_have_half_the_weight_in_a_query() -> None:
    weights = ENGLISH.query_weights("fix CVE-2023-5678, fix")
    assert weights == {"fix": 2.0, "cve": 0.5, "2023": 0.5, "5678": 0.5, "cve2023_5678": 1.0}
    assert ENGLISH.query_weights("ssh/sshd_config sshd") == {
        "sshsshdconfig": 1.0,
        "sshdconfig": 0.5,
        "ssh": 0.5,
        "sshd": 1.5,
        "config": 0.5,
    }


INVISIBLE = "\u00ad\u034f\u061c\u180e\u200e\u200f\u202a\u202c"
INVISIBLE += "\u202e\u2060\u2062\u2066\u2069\ufe00\ufe0f\ufeff\U000e0100\U000e0041"


@pytest.mark.parametrize("character", INVISIBLE)
def test_invisible_characters_change_no_word(character: str) -> None:
    for text in (f"run{character}ning", f"{character}running", f"running{character}"):
        assert ENGLISH.analyze(text) == ["run"], hex(ord(character))
        assert ENGLISH.analyze(f"see {text} dogs") == ["see", "run", "dog"]
    assert ENGLISH.analyze(f"wi{character}-{character}fi")[-1] == "wifi"


def test_narrow_spaces_separate_words_and_idle_joiners_are_removed() -> None:
    french = WordAnalyzer("french")
    assert french.analyze("chats\u202f? oui\u202f: 10\u202f000") == ["chat", "oui", "10", "000"]
    assert french.places("chats\u202f: 10\u202f000")[-1] == ("000", 11, 14)
    assert PLAIN.analyze("می\u200cروم می\u200c") == ["می\u200cروم", "می"]
    assert PLAIN.analyze("Auf\u200clage foo\u200d") == ["auflage", "foo"]


def test_dotted_and_dotless_i_are_lower_cased_by_language() -> None:
    turkish = WordAnalyzer("turkish")
    lower = turkish.analyze("istanbul istanbul \u0131ş\u0131k")
    assert turkish.analyze("İstanbul I\u0307stanbul IŞIK") == lower
    assert turkish.analyze("\u0131ş\u0131k") != turkish.analyze("işik")
    for analyzer in (PLAIN, ENGLISH):
        assert analyzer.analyze("İstanbul I\u0307stanbul IT-Team")[:2] == ["istanbul", "istanbul"]
        assert analyzer.analyze("ISIK") == ["isik"]


@pytest.mark.parametrize("apostrophe", ["'", "\u2019"])
@pytest.mark.parametrize(
    ("language", "elided", "plain"),
    [
        ("catalan", "l'illa d'Eivissa", "illa Eivissa"),
        (
            "french",
            "L'école qu'elle jusqu'à lorsqu'Anne puisqu'il d'accord",
            "école elle à Anne il accord",
        ),
        ("french", "aujourd'hui presqu'île", "aujourd'hui presqu'île"),
        ("italian", "dell'arte l'Italia un'altra", "arte Italia altra"),
        ("portuguese", "d'água", "água"),
        ("irish", "d'athair", "athair"),
    ],
)
def test_elided_articles_are_removed(
    language: str, elided: str, plain: str, apostrophe: str
) -> None:
    analyzer = WordAnalyzer(language)
    assert analyzer.analyze(elided.replace("'", apostrophe)) == analyzer.analyze(plain)
    assert WordAnalyzer(None).analyze("l'arte") == ["l'arte"]


@given(
    texts,
    st.sampled_from(
        [PLAIN, ENGLISH, WordAnalyzer("turkish"), WordAnalyzer("french", stop_words=())]
    ),
)
def test_spans_contain_their_words(text: str, analyzer: WordAnalyzer) -> None:
    places = analyzer.places(text)
    assert [place.word for place in places] == analyzer.analyze(text)
    for place in places:
        assert 0 <= place.first < place.end <= len(text)
        # The span on its own, as a query would have it, yields the word too.
        assert place.word in analyzer.analyze(text[place.first : place.end])


@given(
    st.lists(texts, max_size=6),
    st.sampled_from([PLAIN, ENGLISH, WordAnalyzer("german", stop_words=["fine"])]),
)
def test_the_counts_of_a_batch_are_those_of_its_texts(
    batch: list[str], analyzer: WordAnalyzer
) -> None:
    counts = analyzer.counts(batch)
    assert len(set(counts.words)) == len(counts.words)
    for i, text in enumerate(batch):
        part = slice(counts.indptr[i], counts.indptr[i + 1])
        words = [counts.words[term] for term in counts.terms[part]]
        assert dict(zip(words, counts.counts[part].tolist(), strict=True)) == Counter(
            analyzer.analyze(text)
        )
        assert counts.lengths[i] == len(analyzer.analyze(text))
        assert np.all(np.diff(counts.terms[part].astype(np.int64)) > 0)
    assert len(build_words(counts.words, counts.indptr, counts.terms, counts.counts)) == 11


def test_an_analyzer_survives_pickle_and_json() -> None:
    analyzer = WordAnalyzer("german", stop_words=["und"])
    assert pickle.loads(pickle.dumps(analyzer)) == analyzer
    assert WordAnalyzer.from_dict(analyzer.to_dict()) == analyzer
    assert WordAnalyzer.from_dict(PLAIN.to_dict()) == PLAIN
    with pytest.raises(DataError, match="must be 2, got 7: upgrade Lexpand"):
        WordAnalyzer.from_dict({**analyzer.to_dict(), "analysis": 7})
    with pytest.raises(DataError, match="lacks language, stem, stop_words"):
        WordAnalyzer.from_dict({"analysis": 2})
    with pytest.raises(
        DataError, match="must be 2, got 1, from before the first release: index the documents"
    ):
        WordAnalyzer.from_dict({**analyzer.to_dict(), "analysis": 1})


def test_another_version_of_the_stemmer_causes_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    recorded = ENGLISH.to_dict()
    major, minor, *_ = recorded["stemmer"].split(".")
    for same in (recorded["stemmer"], f"{major}.{minor}.99"):
        assert WordAnalyzer.from_dict({**recorded, "stemmer": same}) == ENGLISH
    del recorded["stemmer"]  # as in older indexes
    assert WordAnalyzer.from_dict(recorded) == ENGLISH
    assert "stemmer" not in PLAIN.to_dict()
    assert not recwarn.list
    with pytest.warns(
        LexpandWarning, match=r"by PyStemmer 2\.0\.1, but .* pip install 'PyStemmer==2\.0\.\*'"
    ):
        assert WordAnalyzer.from_dict({**recorded, "stemmer": "2.0.1"}) == ENGLISH


def test_threads_may_share_an_analyzer() -> None:
    words = ["running", "houses", "quickly", "nationality", "generously"] * 200
    expected = ENGLISH.analyze(" ".join(words))
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(ENGLISH.analyze, [" ".join(words)] * 16):
            assert found == expected
