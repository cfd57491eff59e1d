"""Arguments and terminals that are not UTF-8."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lexpand import Document, Index, ModelId, SparseVectors, VectorSpace, Vocabulary
from lexpand.cli.ascii import readable, stand_in

MAIN = [sys.executable, "-c", "from lexpand.cli import main; main()"]
ASCII = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def command(*arguments: object, **options: object) -> "subprocess.CompletedProcess[bytes]":
    """Run a command in a separate process. Arguments may be bytes."""
    raw = [
        argument if isinstance(argument, bytes) else str(argument).encode()
        for argument in arguments
    ]
    return subprocess.run([*MAIN, *raw], capture_output=True, timeout=120, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("arguments", "label"),
    [
        (("get", "INDEX", "caf\udce9"), "ID..."),
        (("get", "INDEX", "printer", "caf\udce9"), "ID..."),
        (("delete", "INDEX", "caf\udce9"), "ID..."),
        (("delete", "INDEX", "--filter", "team = 'caf\udce9'"), "--filter"),
        (("search", "INDEX", "caf\udce9"), "QUERY"),
        (("search", "INDEX", "printer", "--filter", "caf\udce9 = 1"), "--filter"),
        (("search", "INDEX", "printer", "--group-by", "caf\udce9"), "--group-by"),
        (("explain", "INDEX", "printer", "caf\udce9"), "DOC_ID"),
        (("explain", "INDEX", "caf\udce9", "printer"), "QUERY"),
        (("encode", "caf\udce9"), "TEXT"),
    ],
)
def test_arguments_must_be_utf8(
    run: Callable, pages_index: Path, arguments: tuple[str, ...], label: str
) -> None:
    ran = run(*(pages_index if each == "INDEX" else each for each in arguments), columns=400)
    assert label in ran.error()
    assert "must be UTF-8, got the bytes b" in ran.error()
    assert "damaged" not in ran.err


def test_an_error_is_readable_on_an_ascii_terminal(pages_index: Path) -> None:
    ran = command("get", pages_index, "kein-Zugang-für-Gäste", env={**os.environ, **ASCII})
    assert ran.returncode == 1
    assert b"has no document 'kein-Zugang-fur-Gaste'" in ran.stderr


@pytest.mark.parametrize("arguments", [("info",), ("info", "--json"), ("get", "printer", "--json")])
def test_standard_output_may_be_closed(pages_index: Path, arguments: tuple[str, ...]) -> None:
    name, *rest = arguments
    line = f'exec "$0" -c "from lexpand.cli import main; main()" {name} "$1" {" ".join(rest)} >&-'
    ran = subprocess.run(
        ["sh", "-c", line, sys.executable, str(pages_index)], capture_output=True, timeout=120
    )
    assert (ran.returncode, ran.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Café — “so” … l\u2019été", 'Cafe - "so" ... l\'ete'),
        ("Straße, Łódź", "Strasse, Lodz"),
        ("e\u0301", "e"),
        ("ﬁn ½ №", "fin 1/2 No"),
        ("中", "\\u4e2d"),
        ("😀", "\\U0001f600"),
    ],
)
def test_characters_outside_ascii_are_replaced(text: str, shown: str) -> None:
    assert "".join(each if each.isascii() else stand_in(each) for each in text) == shown
    assert readable(UnicodeEncodeError("ascii", f"ab{text}c", 2, 2 + len(text), "")) == (
        "".join(map(stand_in, text)),
        2 + len(text),
    )


def test_titles_are_readable_on_an_ascii_terminal(tmp_path: Path) -> None:
    index = tmp_path / "i"
    with Index.create(index, VectorSpace(ModelId("none", "0" * 64), Vocabulary(["a"]))) as made:
        made.add([Document("a", "Text", "Café — now")], SparseVectors.from_rows([{0: 1.0}], 1))
        made.commit()
    ran = command("get", index, "a", env={**os.environ, **ASCII})
    assert ran.stdout.splitlines()[0].split(b"  ") == [b"a", b"Cafe - now"]
    assert (
        rb"\u00e9 \u2014"
        in command("get", index, "a", "--json", env={**os.environ, **ASCII}).stdout
    )
