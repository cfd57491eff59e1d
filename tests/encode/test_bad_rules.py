"""Invalid rules files: each error names the place, the reason and a remedy."""

from pathlib import Path

import pytest

from lexpand import Encoder
from lexpand.encode import Rules
from lexpand.errors import DataError, SourceError

PINS = "".join(f'[[pin]]\ntext = "id-{number}"\n' for number in range(995))

BAD = [
    ("", "rules.toml: version must be 1, got None: begin the file with version = 1"),
    ("version = 2", "version must be 1, got 2: begin the file with version = 1"),
    ("version = true", "version must be 1, got True"),
    ('version = "1"', "version must be 1, got '1'"),
    (
        "[[bans]]",
        "rules.toml: sections must be among [[ban]], [[cap]], [[boost]], [[synonym]], [[pin]], "
        "[[test]], got 'bans'",
    ),
    (
        'ban = ["day"]',
        "rules.toml, [[ban]] 1: an entry must be a table with term, side, got 'day'",
    ),
    (
        '[ban]\nterm = "day"',
        "rules.toml: ban must be a list of tables, got {'term': 'day'}: write each entry below a "
        "line [[ban]]",
    ),
    (
        '[[ban]]\nterm = "day"\n[[ban]]',
        "rules.toml, [[ban]] 2: the key 'term' is missing: give term",
    ),
    (
        "[[ban]]\nterm = 3",
        "[[ban]] 1: a term must be a token of the vocabulary, as text, got 3",
    ),
    ('[[ban]]\nterm = ""', "[[ban]] 1: a term must be a token of the vocabulary, as text, got ''"),
    (
        '[[ban]]\nterm = "day"\nside = "left"',
        "side must be one of query, document, both, got 'left'",
    ),
    (
        '[[ban]]\nterm = "day"\nweight = 1',
        "[[ban]] 1: the keys must be among term, side, got 'weight'",
    ),
    ('[[ban]]\nterm = "day"\nplace = "x"', "the keys must be among term, side, got 'place'"),
    (
        '[[ban]]\nterm = "[unused4]"',
        "a term must be a token in use, got '[unused4]': unused tokens are reserved for [[pin]]",
    ),
    (
        '[[cap]]\nterm = "day"',
        "[[cap]] 1: the key 'weight' is missing: give term and weight",
    ),
    (
        '[[cap]]\nterm = "day"\nweight = 0',
        "weight must be a number above 0 and at most 1000, got 0",
    ),
    (
        '[[cap]]\nterm = "day"\nweight = "1"',
        "weight must be a number above 0 and at most 1000, got '1'",
    ),
    (
        '[[cap]]\nterm = "day"\nweight = nan',
        "weight must be a number above 0 and at most 1000, got nan",
    ),
    (
        '[[cap]]\nterm = "day"\nweight = true',
        "weight must be a number above 0 and at most 1000, got True",
    ),
    (
        '[[boost]]\nterm = "day"\nfactor = 1001',
        "factor must be a number above 0 and at most 1000, got 1001",
    ),
    (
        '[[boost]]\nterm = "day"\nfactor = inf',
        "factor must be a number above 0 and at most 1000, got inf",
    ),
    (
        '[[synonym]]\nwhen = "++"\nadd = { day = 1 }',
        "when must be a text with a letter or a digit, got '++'",
    ),
    (
        '[[synonym]]\nwhen = ["a"]\nadd = { day = 1 }',
        "when must be a text with a letter or a digit, got ['a']",
    ),
    (
        '[[synonym]]\nwhen = "sso"\nadd = "day"',
        "add must be a table of terms and weights, such as { login = 1.0 }, got 'day'",
    ),
    ('[[synonym]]\nwhen = "sso"\nadd = {}', "add must be a table of terms and weights"),
    (
        '[[synonym]]\nwhen = "sso"\nadd = { day = -1 }',
        "the weight of 'day' must be a number above 0 and at most 1000, got -1",
    ),
    (
        '[[synonym]]\nwhen = "sso"\nadd = { "[unused1]" = 1 }',
        "got '[unused1]': unused tokens are reserved for [[pin]]",
    ),
    (
        '[[pin]]\npattern = "ERR_[0-9]+"',
        "pattern is not supported, because the vocabulary cannot have a term for each id",
    ),
    (
        '[[pin]]\ntext = "a-1"\nside = "query"',
        "the keys must be among text, weight, got 'side'",
    ),
    ('[[pin]]\ntext = "a-1"\nslot = 7', "the keys must be among text, weight, got 'slot'"),
    ('[[pin]]\ntext = " - "', "text must be a text with a letter or a digit, got ' - '"),
    (
        '[[pin]]\ntext = "a-1"\n[[pin]]\ntext = "A-1"',
        "[[pin]] 2: 'a-1' has an entry for the same side already, rules.toml, [[pin]] 1",
    ),
    (
        '[[cap]]\nterm = "day"\nweight = 1\nside = "query"\n[[cap]]\nterm = "day"\nweight = 2',
        "[[cap]] 2: 'day' has an entry for the same side already, rules.toml, [[cap]] 1: remove "
        "one of them",
    ),
    (
        '[[test]]\nquery = "holiday"',
        "[[test]] 1: the key 'expect' is missing: give query and expect",
    ),
    (
        '[[test]]\nquery = "holiday"\nexpect = 3',
        "query and expect must be a query and the id of a document, both as text, got 'holiday' "
        "and 3",
    ),
    (
        '[[test]]\nquery = "holiday"\nexpect = "a"\ntop = 0',
        "top must be an integer >= 1, got 0",
    ),
]


def load(text: str, folder: Path) -> Rules:
    path = folder / "rules.toml"
    path.write_text(
        text if "version" in text or not text else f"version = 1\n{text}", encoding="utf-8"
    )
    return Rules.load(path)


@pytest.mark.parametrize(("text", "expected"), BAD)
def test_an_error_names_the_place_and_the_reason(text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        load(text, tmp_path)
    message = str(error.value).replace(f"{tmp_path}/", "")
    assert message.startswith("rules.toml") and expected in message


def test_a_term_may_have_an_entry_for_each_side(tmp_path: Path) -> None:
    caps = "".join(
        f'[[cap]]\nterm = "day"\nweight = 1\nside = "{side}"\n' for side in ("query", "document")
    )
    assert len(load(caps, tmp_path).caps) == 2


@pytest.mark.parametrize("content", [b"version = ", b"\xff", b"[[ban"])
def test_a_file_that_is_not_toml_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"rules\.toml cannot be read as a rules file: "):
        Rules.load(path)
    with pytest.raises(SourceError, match=r"no rules file .*missing\.toml: check the path"):
        Rules.load(tmp_path / "missing.toml")
    with pytest.raises(SourceError, match="cannot be read as a rules file"):
        Rules.load(tmp_path)


UNKNOWN = [
    (
        '[[ban]]\nterm = "day"\n[[ban]]\nterm = "vacatoin"',
        r"rules\.toml, \[\[ban\]\] 2: the vocabulary has no term 'vacatoin': give one of its "
        r"terms, such as 'vacation', .* "
        r"\(the tokenizer splits the word into 'va' '##cat' '##oin'\)",
    ),
    (
        '[[boost]]\nterm = "Vacation"\nfactor = 2',
        r"\[\[boost\]\] 1: .* 'Vacation': give one of its terms, such as 'vacation' \(",
    ),
    (
        '[[cap]]\nterm = "login"\nweight = 2',
        r"\[\[cap\]\] 1: the vocabulary has no term 'login': .* such as .* 'log' '##in'\)",
    ),
    (
        '[[synonym]]\nwhen = "sso"\nadd = { day = 1, qqzzqq = 1 }',
        r"\[\[synonym\]\] 1: .* no term 'qqzzqq': .* into 'q",
    ),
    (
        PINS,
        r"\[\[pin\]\] 995: there must be at most 994 pins, .* 'id-994' is number 995: remove pins",
    ),
]


@pytest.mark.parametrize(("text", "expected"), UNKNOWN)
def test_the_error_for_an_unknown_term_suggests_similar_terms(
    text: str, expected: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=expected):
        Encoder.load(rules=load(text, tmp_path))
