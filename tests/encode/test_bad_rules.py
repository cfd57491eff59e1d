"""Rules files that are none: each says where, what and what to do."""

import re
from pathlib import Path

import pytest

from lexpand import Encoder
from lexpand.encode import Rules
from lexpand.errors import DataError, SourceError

PINS = "".join(f'[[pin]]\ntext = "id-{number}"\n' for number in range(995))

BAD = [
    ("", "rules.toml: the version is None: begin the file with version = 1"),
    ("version = 2", "the version is 2: begin the file with version = 1, which this Lexpand reads"),
    ("version = true", "the version is True"),
    ('version = "1"', "the version is '1'"),
    (
        "[[bans]]",
        "rules.toml has the section 'bans': it may have [[ban]], [[cap]], [[boost]], [[synonym]], [[pin]]",
    ),
    ('ban = ["day"]', "rules.toml, [[ban]] 1: it is 'day': it must be a table with term, side"),
    (
        '[ban]\nterm = "day"',
        "rules.toml: ban is {'term': 'day'}: write each entry below a line [[ban]]",
    ),
    ('[[ban]]\nterm = "day"\n[[ban]]', "rules.toml, [[ban]] 2: it lacks term: it needs term"),
    ("[[ban]]\nterm = 3", "[[ban]] 1: the term 3: it must be a token of the vocabulary, as a text"),
    ('[[ban]]\nterm = ""', "[[ban]] 1: the term '': it must be a token"),
    (
        '[[ban]]\nterm = "day"\nside = "left"',
        "side is 'left': it must be one of query, document, both",
    ),
    (
        '[[ban]]\nterm = "day"\nweight = 1',
        "[[ban]] 1: it has the key 'weight': it may have term, side",
    ),
    ('[[ban]]\nterm = "day"\nplace = "x"', "it has the key 'place'"),
    (
        '[[ban]]\nterm = "[unused4]"',
        "'[unused4]' is a place that the vocabulary leaves free: these are for [[pin]]",
    ),
    ('[[cap]]\nterm = "day"', "[[cap]] 1: it lacks weight: it needs term and weight"),
    (
        '[[cap]]\nterm = "day"\nweight = 0',
        "weight is 0: it must be a number above 0 and at most 1000",
    ),
    ('[[cap]]\nterm = "day"\nweight = "1"', "weight is '1': it must be a number"),
    ('[[cap]]\nterm = "day"\nweight = nan', "weight is nan: it must be a number"),
    ('[[cap]]\nterm = "day"\nweight = true', "weight is True: it must be a number"),
    (
        '[[boost]]\nterm = "day"\nfactor = 1001',
        "factor is 1001: it must be a number above 0 and at most 1000",
    ),
    ('[[boost]]\nterm = "day"\nfactor = inf', "factor is inf"),
    (
        '[[synonym]]\nwhen = "++"\nadd = { day = 1 }',
        "when is '++': it must be a text with a letter or a digit",
    ),
    ('[[synonym]]\nwhen = ["a"]\nadd = { day = 1 }', "when is ['a']: it must be a text"),
    (
        '[[synonym]]\nwhen = "sso"\nadd = "day"',
        "add must be a table of terms and weights, such as { login = 1.0 }",
    ),
    ('[[synonym]]\nwhen = "sso"\nadd = {}', "add must be a table of terms and weights"),
    (
        '[[synonym]]\nwhen = "sso"\nadd = { day = -1 }',
        "the weight of 'day' is -1: it must be a number above 0",
    ),
    ('[[synonym]]\nwhen = "sso"\nadd = { "[unused1]" = 1 }', "these are for [[pin]]"),
    (
        '[[pin]]\npattern = "ERR_[0-9]+"',
        "a pattern stands for any number of ids, and the vocabulary has no term for each",
    ),
    ('[[pin]]\ntext = "a-1"\nside = "query"', "it has the key 'side': it may have text, weight"),
    ('[[pin]]\ntext = "a-1"\nslot = 7', "it has the key 'slot'"),
    ('[[pin]]\ntext = " - "', "text is ' - ': it must be a text with a letter or a digit"),
    (
        '[[pin]]\ntext = "a-1"\n[[pin]]\ntext = "A-1"',
        "[[pin]] 2: 'a-1' is there already, by rules.toml, [[pin]] 1",
    ),
    (
        '[[cap]]\nterm = "day"\nweight = 1\nside = "query"\n[[cap]]\nterm = "day"\nweight = 2',
        "[[cap]] 2: 'day' is there already, by rules.toml, [[cap]] 1: leave one out",
    ),
    ('[[test]]\nquery = "holiday"', "[[test]] 1: it lacks expect: it needs query and expect"),
    (
        '[[test]]\nquery = "holiday"\nexpect = 3',
        "query and expect must be texts: a question and the id of a document",
    ),
    (
        '[[test]]\nquery = "holiday"\nexpect = "a"\ntop = 0',
        "top is 0: it must be an integer of at least 1",
    ),
]


def load(text: str, folder: Path) -> Rules:
    path = folder / "rules.toml"
    path.write_text(
        text if "version" in text or not text else f"version = 1\n{text}", encoding="utf-8"
    )
    return Rules.load(path)


@pytest.mark.parametrize(("text", "said"), BAD)
def test_what_is_wrong_is_said_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        load(text, tmp_path)
    message = str(error.value).replace(f"{tmp_path}/", "")
    assert message.startswith("rules.toml") and said in message


def test_a_term_may_be_there_once_a_side(tmp_path: Path) -> None:
    caps = "".join(
        f'[[cap]]\nterm = "day"\nweight = 1\nside = "{side}"\n' for side in ("query", "document")
    )
    assert len(load(caps, tmp_path).caps) == 2


@pytest.mark.parametrize("content", [b"version = ", b"\xff", b"[[ban"])
def test_what_is_no_toml_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"rules\.toml cannot be read as rules: "):
        Rules.load(path)
    with pytest.raises(SourceError, match=r"no rules file .*missing\.toml: check the path"):
        Rules.load(tmp_path / "missing.toml")
    with pytest.raises(SourceError, match="cannot be read as rules"):
        Rules.load(tmp_path)


UNKNOWN = [
    (
        '[[ban]]\nterm = "day"\n[[ban]]\nterm = "vacatoin"',
        "rules.toml, [[ban]] 2: the vocabulary has no term 'vacatoin': the tokenizer reads it as "
        "'va' '##cat' '##oin'; near are 'vacation', .*: give one of its terms",
    ),
    (
        '[[boost]]\nterm = "Vacation"\nfactor = 2',
        r"\[\[boost\]\] 1: .* 'Vacation': .*; near are 'vacation': give",
    ),
    (
        '[[cap]]\nterm = "login"\nweight = 2',
        r"\[\[cap\]\] 1: the vocabulary has no term 'login': .* 'log' '##in'; near",
    ),
    (
        '[[synonym]]\nwhen = "sso"\nadd = { day = 1, qqzzqq = 1 }',
        r"\[\[synonym\]\] 1: .* no term 'qqzzqq': .* as 'q",
    ),
    (
        PINS,
        r"\[\[pin\]\] 995: the vocabulary leaves 994 places free, and 'id-994' needs number 995: leave pins out",
    ),
]


@pytest.mark.parametrize(("text", "said"), UNKNOWN)
def test_a_term_that_the_vocabulary_lacks_is_said_with_what_is_near(
    text: str, said: str, tmp_path: Path
) -> None:
    said = said.replace("[[ban]] 2", re.escape("[[ban]] 2"))
    with pytest.raises(DataError, match=said):
        Encoder.load(rules=load(text, tmp_path))
