"""`oov` uses the default pipeline as criterion, and suggests near words for misspelled ones."""

from pathlib import Path

import pytest

import lexpand
from lexpand import Collection, Document, Query
from lexpand.diagnose.oov import BrokenWord, find_broken_words

PAGES = [
    Document("pw", "How to change your password: open the settings.", "Change password"),
    Document(
        "e0382",
        "A value was used after it was moved. This error is E0382.",
        "Borrow of a moved value",
    ),
    *(
        Document(f"e{i}", f"Error E{i:04} is about values, and values that are moved.")
        for i in range(400, 412)
    ),
]


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return lexpand.create(tmp_path_factory.mktemp("oov") / "kb", PAGES)


def broken_words(kb: Collection, text: str) -> list[BrokenWord]:
    return find_broken_words(kb.index, kb.encoder, [Query("q", text)])


def test_misspelled_words_get_suggestions(kb: Collection) -> None:
    found = {word.word: word for word in broken_words(kb, "chnage pasword")}
    assert {word: each.near for word, each in found.items()} == {
        "chnage": ("change",),
        "pasword": ("password",),
    }
    assert found["pasword"].advice == "no document has it: did you mean password?"
    assert not found["pasword"].needs_pin
    assert broken_words(kb, "zzzqqq") == []


def test_an_identifier_whose_document_is_first_needs_no_pin(kb: Collection) -> None:
    (word,) = broken_words(kb, "what is E0382")
    assert (word.documents, word.rank, word.needs_pin) == (1, 1, False)
    assert "nothing to do" in word.advice


def test_an_identifier_whose_document_is_not_first_needs_a_pin(
    kb: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lexpand.search.pipeline.DEFAULT", "splade")
    query = "error about values that are moved E0382"
    ranked = [hit.doc_id for hit in kb.search(query, 14, pipeline="splade")]
    (word,) = broken_words(kb, query)
    assert word.rank == ranked.index("e0382") + 1 > 1
    assert word.advice.endswith(f"by default the best one is at rank {word.rank}")
    assert word.needs_pin


def test_an_identifier_needs_a_pin_in_an_index_without_words(tmp_path: Path) -> None:
    kb = lexpand.create(tmp_path / "kb", PAGES[:2], words="none")
    (word,) = broken_words(kb, "what is E0382")
    assert (word.documents, word.needs_pin) == (None, True)
