"""Words that the tokenizer breaks up: which, what they lose, and what is said to do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lexpand import Document, Encoder, Index, Query, Role, ingest
from lexpand.diagnose.oov import find_broken_words, is_identifier
from lexpand.encode import Rules, WordAnalyzer
from lexpand.errors import DataError
from lexpand.search import encoder_of

PAGES = [
    *(
        Document(f"p{i}", f"Part {i}: the display shows an error, and the printer stops.")
        for i in range(12)
    ),
    Document("zx", "The part in the box in the cellar is a ZX-9941-K."),
    Document("other", "ZX-9941-KB is for another one. ZX 9941 K is none."),
    Document("cough", "Antitussives are sold without a prescription."),
]


@pytest.fixture
def index(encoder: Encoder, tmp_path: Path) -> Iterator[Index]:
    with Index.create(tmp_path / "i", encoder.space, words=WordAnalyzer()) as index:
        ingest(index, encoder, PAGES)
        yield index


def ask(index: Index, encoder: Encoder, *texts: str, k: int = 1) -> list:
    return find_broken_words(
        index, encoder, [Query(f"q{i}", text) for i, text in enumerate(texts)], k=k
    )


def test_an_identifier_that_the_vectors_miss(index: Index, encoder: Encoder) -> None:
    query = "printer error on the display, part zx-9941-k?"
    (word,) = ask(index, encoder, query)
    trace = encoder.trace(query, Role.QUERY)
    assert "".join(piece.removeprefix("##") for piece in word.pieces) == "zx-9941-k"
    total = sum(trace.weights.values())
    own = {encoder.vocabulary.id(piece) for piece in word.pieces}
    assert word.share == pytest.approx(
        sum(trace.weights.get(term, 0) for term in own) / total, abs=1e-3
    )  # type: ignore[arg-type]
    assert (word.word, word.identifier, word.documents, word.missed) == (
        "zx-9941-k",
        True,
        1,
        ("zx",),
    )
    assert word.pin == '[[pin]]\ntext = "zx-9941-k"'
    assert "pin it in a rules file" in word.advice
    assert ("--pipeline hybrid" in word.advice) == bool(word.by_words)


def test_the_advice_mends_it(encoder: Encoder, tmp_path: Path) -> None:
    query = "printer error on the display, part zx-9941-k?"
    rules = Rules.from_dict({"version": 1, "pin": [{"text": "zx-9941-k", "weight": 6}]})
    pinning = Encoder.load(rules=rules)
    with Index.create(tmp_path / "i", pinning.space, words=WordAnalyzer()) as index:
        ingest(index, pinning, PAGES)
        assert index.search(pinning.encode_queries([query]), 1)[0][0].doc_id == "zx"
        assert ask(index, encoder_of(index, rules=rules), query) == [], "a pinned word is mended"
        assert index.search(encoder.encode_queries([query]), 1)[0][0].doc_id != "zx"


def test_a_rare_word_and_one_that_is_not_broken(index: Index, encoder: Encoder) -> None:
    (word,) = ask(index, encoder, "are antitussives sold")
    assert (word.word, word.identifier, word.documents) == ("antitussives", False, 1)
    assert (word.missed, word.advice) == (
        (),
        "the vectors find the documents that have it: nothing to do",
    )
    assert ask(index, encoder, "printer display error") == []


def test_a_word_that_no_document_has(index: Index, encoder: Encoder) -> None:
    (word,) = ask(index, encoder, "QQ_77 printer")
    assert (word.documents, word.missed) == (0, ()) and word.advice.startswith("no document has it")
    assert ask(index, encoder, "antitussivum") == [], "neither an identifier nor in any document"


def test_words_are_counted_over_queries_and_said_once(index: Index, encoder: Encoder) -> None:
    first, second = ask(index, encoder, "qq_77", "part ZX-9941-K", "zx-9941-k and zx-9941-k")
    assert (first.word, first.queries, first.query_id) == ("ZX-9941-K", 2, "q1")
    assert (second.word, second.queries) == ("qq_77", 1)


def test_without_words_identifiers_alone_are_found(encoder: Encoder, tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", encoder.space) as index:
        ingest(index, encoder, PAGES)
        (word,) = ask(index, encoder, "antitussives zx-9941-k")
    assert (word.word, word.documents, word.missed, word.by_words) == ("zx-9941-k", None, (), None)
    assert word.advice.startswith("index again with --words")


@pytest.mark.parametrize(
    ("word", "identifier"),
    [
        ("ERR_42", True),
        ("iPhone", True),
        ("SSO", True),
        ("b2b", True),
        ("sign-in", False),
        ("Paris", False),
    ],
)
def test_what_an_identifier_is(word: str, identifier: bool) -> None:
    assert is_identifier(word) is identifier


def test_wrong_wishes_are_refused(index: Index, encoder: Encoder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="k is 0: it must be at least 1"):
        ask(index, encoder, "x", k=0)


def test_progress_counts_queries(index: Index, encoder: Encoder) -> None:
    done: list[int] = []
    find_broken_words(index, encoder, [Query("a", "x"), Query("b", "")], on_done=done.append)
    assert sum(done) == 2
