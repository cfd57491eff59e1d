"""Words that the tokenizer splits: which they are, their effect, and the advice."""

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


def broken_words(index: Index, encoder: Encoder, *texts: str, k: int = 1) -> list:
    return find_broken_words(
        index, encoder, [Query(f"q{i}", text) for i, text in enumerate(texts)], k=k
    )


def test_an_identifier_that_the_vectors_miss_gets_a_pin(index: Index, encoder: Encoder) -> None:
    query = "printer error on the display, part zx-9941-k?"
    (word,) = broken_words(index, encoder, query)
    trace = encoder.trace(query, Role.QUERY)
    assert "".join(piece.removeprefix("##") for piece in word.pieces) == "zx-9941-k"
    total = sum(trace.weights.values())
    pieces = {encoder.vocabulary.id(piece) for piece in word.pieces}
    on_pieces = sum(trace.weights.get(term, 0) for term in pieces)  # type: ignore[arg-type]
    assert word.share == pytest.approx(on_pieces / total, abs=1e-3)
    assert (word.word, word.identifier, word.documents, word.missed) == (
        "zx-9941-k",
        True,
        1,
        ("zx",),
    )
    assert word.pin == '[[pin]]\ntext = "zx-9941-k"'
    assert "pin it in a rules file" in word.advice
    assert ("--pipeline hybrid" in word.advice) == bool(word.by_words)


def test_following_the_advice_finds_the_document(encoder: Encoder, tmp_path: Path) -> None:
    query = "printer error on the display, part zx-9941-k?"
    rules = Rules.from_dict({"version": 1, "pin": [{"text": "zx-9941-k", "weight": 6}]})
    pinning = Encoder.load(rules=rules)
    with Index.create(tmp_path / "i", pinning.space, words=WordAnalyzer()) as index:
        ingest(index, pinning, PAGES)
        assert index.search(pinning.encode_queries([query]), 1)[0][0].doc_id == "zx"
        assert broken_words(index, encoder_of(index, rules=rules), query) == [], (
            "a pinned word is fixed"
        )
        assert index.search(encoder.encode_queries([query]), 1)[0][0].doc_id != "zx"


def test_a_rare_word_is_found_and_a_word_in_one_piece_is_not(
    index: Index, encoder: Encoder
) -> None:
    (word,) = broken_words(index, encoder, "are antitussives sold")
    assert (word.word, word.identifier, word.documents) == ("antitussives", False, 1)
    assert (word.missed, word.advice) == (
        (),
        "the vectors find the documents that have it: nothing to do",
    )
    assert broken_words(index, encoder, "printer display error") == []


def test_an_identifier_that_no_document_has_loses_nothing(index: Index, encoder: Encoder) -> None:
    (word,) = broken_words(index, encoder, "QQ_77 printer")
    assert (word.documents, word.missed) == (0, ()) and word.advice.startswith("no document has it")
    assert broken_words(index, encoder, "antitussivum") == [], (
        "neither an identifier nor in any document"
    )


def test_a_word_is_reported_once_with_the_number_of_queries(index: Index, encoder: Encoder) -> None:
    first, second = broken_words(
        index, encoder, "qq_77", "part ZX-9941-K", "zx-9941-k and zx-9941-k"
    )
    assert (first.word, first.queries, first.query_id) == ("ZX-9941-K", 2, "q1")
    assert (second.word, second.queries) == ("qq_77", 1)


def test_only_identifiers_are_found_without_words(encoder: Encoder, tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", encoder.space) as index:
        ingest(index, encoder, PAGES)
        (word,) = broken_words(index, encoder, "antitussives zx-9941-k")
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
def test_an_identifier_has_a_digit_an_underscore_or_an_inner_capital(
    word: str, identifier: bool
) -> None:
    assert is_identifier(word) is identifier


def test_an_invalid_k_is_refused(index: Index, encoder: Encoder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="k must be >= 1, got 0"):
        broken_words(index, encoder, "x", k=0)


def test_progress_counts_queries(index: Index, encoder: Encoder) -> None:
    done: list[int] = []
    find_broken_words(index, encoder, [Query("a", "x"), Query("b", "")], on_done=done.append)
    assert sum(done) == 2
