"""Errors are one line with a remedy on standard error, and an exit code.

The traceback is printed only with --verbose.
"""

import gzip
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lexpand import Document, Encoder, Index


def flip(path: Path, place: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def segment_of(index: Path) -> Path:
    (path,) = (index / "segments").iterdir()
    return path


def newer(index: Path) -> None:
    db = sqlite3.connect(index / "catalog.sqlite")
    db.execute("PRAGMA user_version = 999")
    db.close()


def foreign(index: Path) -> None:
    (index / "catalog.sqlite").unlink()
    db = sqlite3.connect(index / "catalog.sqlite")
    db.execute("CREATE TABLE mine (x)")
    db.close()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "newer version": (newer, "format 999, but this version of Lexpand reads up to 3: upgrade"),
    "truncated segment": (lambda index: truncate(segment_of(index)), "segments"),
    "flipped bit at the start": (lambda index: flip(segment_of(index), 0.0), "segments"),
    "flipped bit in the middle": (lambda index: flip(segment_of(index), 0.5), "segments"),
    "missing segment": (lambda index: segment_of(index).unlink(), "segments"),
    "damaged catalog": (
        lambda index: (index / "catalog.sqlite").write_bytes(b"x" * 9000),
        "catalog.sqlite is",
    ),
    "another program's catalog": (
        foreign,
        "is not an index, because Lexpand did not write its catalog.sqlite",
    ),
    "no catalog": (
        lambda index: (index / "catalog.sqlite").unlink(),
        "is not an index, because it has no catalog.sqlite",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_is_one_line(
    run: Callable, pages_index: Path, rows_file: Callable, tmp_path: Path, damage: str
) -> None:
    index = tmp_path / "damaged"
    shutil.copytree(pages_index, index)
    spoil, said = DAMAGES[damage]
    spoil(index)
    for arguments in (
        ["info"],
        ["search", "printer"],
        ["explain", "printer", "printer"],
        ["info", "--json"],
    ):
        command, *rest = arguments
        error = run(command, index, *rest).error()
        assert said in error
        assert str(index) in error
    assert str(index) in run("index", rows_file({"id": "a", "text": "x"}), index).error()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["index", "absent.jsonl", "i"], "error: absent.jsonl does not exist: check the path"),
        (["index", "empty.jsonl", "i"], "error: empty.jsonl is empty: it needs at least one row"),
        (["index", "header.csv", "i"], "error: header.csv is empty: it needs at least one row"),
        (["index", "folder", "i"], "error: folder is empty: it needs *.txt, *.md, *.markdown,"),
        (
            ["index", "thing.pdf", "i"],
            "error: thing.pdf must have a known suffix, got .pdf: use one of .jsonl",
        ),
        (
            ["index", "good.jsonl", "full"],
            "error: full is not empty and holds no index: choose another folder",
        ),
        (
            ["index", "good.jsonl", "thing.pdf"],
            "error: cannot create an index at thing.pdf (File exists)",
        ),
        (
            ["index", "good.jsonl", "i", "--model", "none"],
            "error: no model 'none': give the path of a model folder",
        ),
        (["index", "good.jsonl", "i", "--model", "folder"], "error: folder"),
        (
            ["index", "good.jsonl", "i", "--max-length", "2"],
            "error: max_tokens must be from 3 to 512 for splade-tiny, got 2",
        ),
        (
            ["index", "good.jsonl", "i", "--max-length", "513"],
            "error: max_tokens must be from 3 to 512 for splade-tiny, got 513",
        ),
        (
            ["info", "absent"],
            "error: absent is not an index, because it has no catalog.sqlite: create one with ",
        ),
        (["info", "full"], "error: full is not an index"),
        (["info", "thing.pdf"], "error: thing.pdf is a file, not an index"),
        (
            ["info", "x" * 300],
            f"error: {'x' * 300}/catalog.sqlite: File name too long: check the path",
        ),
        (["search", "absent", "words", "--json"], "error: absent is not an index"),
        (["explain", "absent", "words", "id"], "error: absent is not an index"),
        (["encode", "words", "--model", "none"], "error: no model 'none'"),
        (["encode", "\ud800"], "error: text 0 has a lone surrogate at character 0: remove it"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_failed_command_prints_one_line(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in {"empty.jsonl": "", "header.csv": "id,text\n", "thing.pdf": "%PDF"}.items():
        Path(name).write_text(text)
    Path("good.jsonl").write_text('{"id": "a", "text": "x"}\n')
    Path("folder").mkdir()
    Path("full").mkdir()
    Path("full/notes.txt").write_text("mine")
    assert run(*arguments).error().startswith(said)
    assert not Path("i").exists()


def test_an_unknown_document_is_an_error(run: Callable, pages_index: Path) -> None:
    error = run("explain", pages_index, "words", "none").error()
    assert error == f"error: {pages_index} has no document 'none': ids must match exactly"


def test_another_length_than_that_of_the_index_is_refused(
    run: Callable, pages_index: Path, rows_file: Callable
) -> None:
    error = run(
        "index", rows_file({"id": "a", "text": "x"}), pages_index, "--max-length", "16"
    ).error()
    assert (
        " holds documents encoded with max_tokens 512, got 16: leave the setting out, since "
        in error
    )
    assert error.endswith(
        "encode as the index records, or encode them again with `lexpand reencode`"
    )


def test_indexing_fails_while_another_writer_is_open(
    run: Callable, rows_file: Callable, encoder: Encoder, tmp_path: Path
) -> None:
    source = rows_file({"id": "a", "text": "x"})
    run("index", source, tmp_path / "i")
    with Index.open(tmp_path / "i") as writer:
        more = rows_file({"id": "b", "text": "y"}, name="more.jsonl")
        writer.add([Document("c", "z")], encoder.encode_documents(["z"]))
        assert (
            "is being written by another process or Index object: wait"
            in run("index", more, tmp_path / "i").error()
        )
        assert run("search", tmp_path / "i", "x").code == 0
    assert run("index", more, tmp_path / "i").code == 0


def test_a_source_that_is_cut_short_loses_nothing_before_the_cut(
    run: Callable, tmp_path: Path, rows_file: Callable
) -> None:
    rows = [f'{{"id": "{i}", "text": "word {os.urandom(20).hex()}"}}' for i in range(500)]
    source = tmp_path / "docs.jsonl.gz"
    source.write_bytes(gzip.compress("\n".join(["{bad", *rows]).encode())[:-2000])
    ran = run("index", source, tmp_path / "i", "--max-length", "16")
    assert (ran.code, ran.out) == (1, "")
    heading, bad, error = ran.err.splitlines()
    assert heading == "1 row refused:"
    assert bad.startswith(f"  {source}:1: invalid JSON")
    assert error.startswith(f"error: {source} is damaged or cut short after line ")
    line = int(error.split(" after line ")[1].split()[0])
    with Index.open(tmp_path / "i") as index:
        assert 100 < len(index) <= line - 1
        assert index.document("0")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--verbose", "info", "absent"],
        ["info", "absent", "--verbose"],
        ["--verbose", "info", "absent", "--verbose"],
    ],
)
def test_verbose_shows_the_traceback(run: Callable, arguments: list[str]) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (1, "")
    lines = ran.err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-2].startswith("lexpand.errors.NotAnIndex: absent is not an index")
    assert lines[-1].startswith("error: absent is not an index")


def test_a_query_may_look_like_an_option(run: Callable, tmp_path: Path) -> None:
    error = run("search", tmp_path / "absent", "--", "--verbose").error()
    assert error.startswith("error: ")


def test_a_system_error_is_one_line(
    run: Callable, pages_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "some/path")

    monkeypatch.setattr(Index, "open", fail)
    said = (
        "error: some/path: Permission denied: "
        "check the path, its permissions and the free disk space"
    )
    assert run("info", pages_index).error() == said
    assert run("info", pages_index, "--verbose").err.startswith("Traceback")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["index"], "Missing argument 'SOURCE'"),
        (["info"], "Missing argument 'INDEX'"),
        (["search", "i"], "Missing argument 'QUERY'"),
        (["encode"], "Missing argument 'TEXT'"),
        (["search", "i", "words", "-k", "0"], "'-k' / '--top'"),
        (["search", "i", "words", "-k", "-1"], "'-k' / '--top'"),
        (["search", "i", "words", "-k", str(2**64)], "'-k' / '--top'"),
        (["search", "i", "words", "-k", "ten"], "'-k' / '--top'"),
        (["search", "i", "words", "--threads", "0"], "'--threads'"),
        (["search", "i", "words", "--threads", str(2**40)], "'--threads'"),
        (["explain", "i", "words", "id", "--terms", "0"], "'--terms'"),
        (["index", "s", "i", "--commit-every", "0"], "'--commit-every'"),
        (["index", "s", "i", "--on-duplicate", "overwrite"], "'--on-duplicate'"),
        (["encode", "words", "--role", "title"], "'--role'"),
        (["search", "i", "-dash"], "No such option: -d"),
        (["search", "i", "two", "words"], "unexpected extra argument"),
        (["nothing"], "No such command 'nothing'"),
        (["info", "i", "--nothing"], "No such option: --nothing"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_has_code_2(run: Callable, arguments: list[str], said: str) -> None:
    ran = run(*arguments, columns=200)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["search", "i", "-dash"], "search INDEX -- '-x'"),
        (["explain", "i", "-dash", "id"], "explain INDEX -- '-x'"),
        (["get", "i", "-dash"], "get INDEX -- '-x'"),
        (["delete", "i", "-dash"], "delete INDEX -- '-x'"),
        (["oov", "i", "-dash"], "oov INDEX -- '-x'"),
        (["encode", "-dash"], "encode -- '-x'"),
        (["index", "s", "i", "--force"], ""),
        (["info", "i", "--nothing"], ""),
        (["sync", "s", "i", "--force"], ""),
        (["model", "import", "s", "d", "--nothing"], ""),
    ],
    ids=" ".join,
)
def test_an_unknown_option_has_a_hint_if_the_command_takes_a_query(
    run: Callable, arguments: list[str], hint: str
) -> None:
    error = run(*arguments, columns=300).err
    assert re.search(r"No such option: -[-a-z]+\.", error)
    assert ("Put -- before" in error) == bool(hint)
    assert f"begins with a dash: lexpand {hint}." in error or not hint


def test_the_exit_codes_of_the_process(
    shell: Callable, pages_index: Path, rows_file: Callable, tmp_path: Path
) -> None:
    assert shell("info", pages_index).code == 0
    assert shell("info", tmp_path / "absent").error()
    assert shell("search", pages_index).code == 2
    assert shell("index", rows_file({"id": "a", "text": "x"}, "{"), tmp_path / "i").code == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_full_output_is_an_error(shell: Callable, pages_index: Path, options: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ran = shell("info", pages_index, *options, stdout=full)
    assert ran.error().startswith("error: No space left on device: ")


@pytest.mark.parametrize("arguments", [["info", "--json"], ["search", "printer"]])
def test_an_output_without_a_reader_ends_the_command(
    shell: Callable, pages_index: Path, arguments: list[str]
) -> None:
    command, *rest = arguments
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ran = shell(command, pages_index, *rest, stdout=writing)
    finally:
        os.close(writing)
    assert (ran.code, ran.err) == (1, "")


def test_output_is_readable_in_another_encoding(
    run: Callable, shell: Callable, rows_file: Callable, tmp_path: Path
) -> None:
    run("index", rows_file({"id": "日本", "title": "é", "text": "printer"}), tmp_path / "i")
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    text = shell("search", tmp_path / "i", "printer", env=env)
    assert (text.code, text.err) == (0, "")
    assert text.out.startswith("  1. e  \\u65e5\\u672c  ")
    (hit,) = shell("search", tmp_path / "i", "printer", "--json", env=env).json()["hits"]
    assert (hit["doc_id"], hit["title"]) == ("日本", "é")


def test_a_path_may_be_invalid_utf8(shell: Callable, pages_index: Path, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "b") + b"\xff"
    try:
        shutil.copytree(os.fsencode(pages_index), path)
    except OSError:
        pytest.skip("the file system takes only UTF-8")
    assert shell("info", os.fsdecode(path)).out.splitlines()[0].endswith("b\\udcff")
    assert shell("info", os.fsdecode(path), "--json").json()["path"] == os.fsdecode(path)


def test_no_progress_is_shown_without_a_terminal(
    shell: Callable, rows_file: Callable, tmp_path: Path
) -> None:
    ran = shell("index", rows_file({"id": "a", "text": "x"}), tmp_path / "i")
    assert (ran.code, ran.err) == (0, "")
    assert "\x1b" not in ran.out


def test_standard_error_may_be_closed(pages_index: Path, shell: Callable) -> None:
    assert shell("info", pages_index, stderr=subprocess.DEVNULL).code == 0


def test_a_remedy_names_the_argument_and_the_option(
    run: Callable, pages_index: Path, rows_file: Callable, tmp_path: Path
) -> None:
    error = run("info", tmp_path / "nope.index").error()
    assert "create one with lexpand.create (`lexpand index SOURCE " in error
    error = run("sync", rows_file({"id": "x", "text": "x"}), pages_index).error()
    assert error.endswith("confirm it with force=True (--yes on the command line)")
