"""`lexpand model add-terms` chooses words of texts and adds them to a model."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from checkpoint_makers import word_pieces, write_bert

from lexpand.models import import_model, importing

OLD = word_pieces().get_vocab_size()
TEXTS = ["Hearts and the heart"] * 6 + ["Two openers"] * 5 + ["a valve"]


@pytest.fixture(autouse=True)
def _without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "has_torch", lambda: False)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    pytest.importorskip("onnx")
    return import_model(write_bert(tmp_path / "plain"), tmp_path / "small").path


@pytest.fixture
def texts(rows_file: Callable[..., Path]) -> Path:
    return rows_file(*({"id": str(i), "text": text} for i, text in enumerate(TEXTS)))


def test_chosen_words_are_listed_and_added(
    run: Callable, model: Path, texts: Path, tmp_path: Path
) -> None:
    listed = run("model", "add-terms", model, "--texts", texts, "--list", "-n", 2)
    assert (listed.code, listed.out.splitlines()) == (
        0,
        ["and  6 documents, now a ##n ##d", "hearts  6 documents, now heart ##s"],
    )
    dest = tmp_path / "more"
    ran = run("model", "add-terms", model, dest, "--texts", texts, "-n", 2)
    assert ran.code == 0 and not (tmp_path / "-n").exists()
    assert ran.out.startswith(f"{dest} is the model more, ")
    assert ran.out.endswith(f", with 2 new terms, {OLD + 2} in all\n")
    assert run("model", "check", dest, "--json").json()["pairs"] == 8
    facts = run("model", "info", dest, "--json").json()
    assert facts["vocabulary_size"] == OLD + 2


def test_the_list_and_the_result_are_json(
    run: Callable, model: Path, texts: Path, tmp_path: Path
) -> None:
    options = ("--texts", texts, "-n", 1, "--min-documents", 6, "--json")
    term = {"word": "and", "documents": 6, "pieces": ["a", "##n", "##d"]}
    assert run("model", "add-terms", model, "--list", *options).json() == {"terms": [term]}
    made = run("model", "add-terms", model, tmp_path / "more", "--name", "mine", *options).json()
    assert (made["terms"], made["skipped"], made["vocabulary_size"]) == (["and"], [], OLD + 1)
    assert (made["model"], made["optimized"], made["reference"]) == ("mine", True, "onnx")


def test_words_of_a_file_are_added(run: Callable, model: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("Hearts\n\nheart\nopeners\n")
    dest = tmp_path / "more"
    options = ("--terms", tmp_path / "words.txt", "--no-optimize")
    ran = run("model", "add-terms", model, dest, *options)
    assert ran.code == 0 and "with 2 new terms" in ran.out
    assert "1 word skipped, terms already: heart" in ran.err
    assert f"it has no graph yet: run lexpand model optimize {dest}" in ran.out
    assert "exists: give another folder" in run("model", "add-terms", model, dest, *options).error()
    assert run("model", "add-terms", model, dest, *options, "--force").code == 0


@pytest.mark.parametrize("text", ["positive", "text"])
def test_queries_of_training_rows_are_read(
    run: Callable, model: Path, rows_file: Callable[..., Path], text: str
) -> None:
    rows = [{"query": "hearts", text: "openers"}] * 5
    listed = run("model", "add-terms", model, "--texts", rows_file(*rows), "--list", "--json")
    assert [term["word"] for term in listed.json()["terms"]] == ["hearts", "openers"]


def test_refused_rows_are_listed(
    run: Callable, model: Path, rows_file: Callable[..., Path]
) -> None:
    source = rows_file("{", *([json.dumps({"text": "hearts"})] * 5))
    ran = run("model", "add-terms", model, "--texts", source, "--list")
    assert (ran.code, ran.out) == (3, "hearts  5 documents, now heart ##s\n")
    assert "1 row refused:" in ran.err


def test_texts_without_such_words(run: Callable, model: Path, texts: Path, tmp_path: Path) -> None:
    options = ("--texts", texts, "--min-documents", 9)
    assert run("model", "add-terms", model, "--list", *options).out == (
        "no word that the tokenizer splits occurs in enough documents\n"
    )
    message = run("model", "add-terms", model, tmp_path / "more", *options).error()
    assert "got none in 9 documents or more: give more texts, or lower --min-documents" in message


def test_wrong_command_lines(run: Callable, model: Path, texts: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("\n")
    for arguments, message in (
        ((tmp_path / "x",), "give either --texts or --terms"),
        ((tmp_path / "x", "--texts", texts, "--terms", words), "give either --texts or --terms"),
        (("--list", "--terms", words), "--list needs --texts"),
        (("--texts", texts), "give the folder to create"),
    ):
        ran = run("model", "add-terms", model, *arguments, columns=200)
        assert ran.code == 2 and message in ran.err
    dest = tmp_path / "more"
    message = run("model", "add-terms", model, dest, "--terms", words).error()
    assert "must have a word in some line, got none" in message
    words.write_bytes(b"heart\n\xff\n")
    message = run("model", "add-terms", model, dest, "--terms", words).error()
    assert f"{words}:2: invalid UTF-8" in message
    assert "cannot" in run("model", "add-terms", model, dest, "--terms", tmp_path / "no").error()
