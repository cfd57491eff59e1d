"""The content of documents is data, neither markup nor a command to the terminal."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import COMMAND

ODD = {
    "markup": ("[bold]x[/]", "[bold]x[/]"),
    "closing markup": ("[/]", "[/]"),
    "link": ("[link=http://example.org]x[/link]", "[link=http://example.org]x[/link]"),
    "emoji's name": (":warning: 10:100:2", ":warning: 10:100:2"),
    "backslash": ("x\\", "x\\"),
    "backslashes": ("x\\\\", "x\\\\"),
    "escape": ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
    "title of the window": ("\x1b]0;x\x07", "\\x1b]0;x\\x07"),
    "8-bit escape": ("\x9b31m", "\\x9b31m"),
    "backspace": ("a\x08b", "a\\x08b"),
    "line ends": ("one\ntwo\r\nthree", "one\\ntwo\\r\\nthree"),
    "separators": ("one\u2028two\u2029three\x85", "one\\u2028two\\u2029three\\x85"),
    "direction": ("\u202egnp.exe", "\\u202egnp.exe"),
    "other alphabets": ("漢字 ñ ไทย 👩\u200d🔬 نمی\u200cشد", "漢字 ñ ไทย 👩\u200d🔬 نمی\u200cشد"),
}


@pytest.mark.parametrize("odd", ODD)
def test_ids_titles_and_texts_are_printed_literally(
    run: Callable, rows_file: Callable, tmp_path: Path, odd: str
) -> None:
    raw, shown = ODD[odd]
    source = rows_file(
        {"id": raw, "title": raw, "text": f"{raw} printer"}, {"id": raw, "text": "another"}
    )
    ran = run("index", source, tmp_path / "i")
    assert f"(id {raw!r})" in ran.err
    lines = run("search", tmp_path / "i", "printer", "--explain").out.split("\n")
    assert lines[0].startswith(f"  1. {shown}  {shown}  ")
    assert lines[1].strip().endswith("printer")
    assert len(lines) == 5
    first = run("explain", tmp_path / "i", f"{raw} printer", raw).out.split("\n")[0]
    assert first.startswith(f"{shown} {shown} scores ")
    assert first.endswith(f" for {shown} printer")
    assert run("encode", raw).out.split("\n")[0] == shown
    as_json = run("search", tmp_path / "i", "printer", "--json")
    assert as_json.json()["hits"][0]["title"] == raw
    assert shown.isprintable() <= as_json.out[:-1].isprintable()
    assert run("explain", tmp_path / "i", "printer", f"no {raw}").error()


def test_lines_are_not_wrapped_without_a_terminal(
    run: Callable, rows_file: Callable, tmp_path: Path
) -> None:
    source = rows_file({"id": "a", "title": "long title " * 30, "text": "printer " * 60})
    run("index", source, tmp_path / "i")
    ran = run("search", tmp_path / "i", "printer", "--explain", columns=40)
    assert len(ran.out.splitlines()) == 4
    parts = run("explain", tmp_path / "i", "printer", "a", "--json").json()["contributions"]
    lines = run("explain", tmp_path / "i", "printer", "a", columns=20).out.splitlines()
    assert [line.split()[1] for line in lines[2 : 2 + len(parts)]] == [
        part["term"] for part in parts
    ]


def in_terminal(*arguments: object, columns: int = 60, **extra: str) -> str:
    """Return what a command sends to a terminal of this width."""
    pty = pytest.importorskip("pty")
    own, child = pty.openpty()
    env = {
        name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")
    }
    env |= {"TERM": "xterm-256color", "COLUMNS": str(columns), **extra}
    with subprocess.Popen(
        [COMMAND, *map(str, arguments)], stdin=child, stdout=child, stderr=child, env=env
    ) as done:
        os.close(child)
        sent = b""
        try:
            while part := os.read(own, 65536):
                sent += part
        except OSError:  # raised on Linux if the other side is closed
            pass
        os.close(own)
    assert done.returncode == 0
    return sent.decode()


def test_a_terminal_gets_colors_and_wrapped_words(pages_index: Path) -> None:
    sent = in_terminal(
        "search",
        pages_index,
        "account recovery code",
        "--pipeline",
        "splade",
        "--explain",
        columns=40,
    )
    assert "\x1b[1mAccount recovery" in sent
    lines = re.sub(r"\x1b\[[0-9;]*m", "", sent).splitlines()
    assert all(len(line) <= 40 for line in lines)
    assert lines[1].startswith("     Choose ")
    assert lines[2].startswith("     ")


def test_no_color_turns_colors_off(pages_index: Path) -> None:
    sent = in_terminal("search", pages_index, "printer", NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", sent)


def test_progress_is_shown_in_a_terminal(rows_file: Callable, tmp_path: Path) -> None:
    source = rows_file(*({"id": str(i), "text": "word"} for i in range(300)))
    sent = in_terminal("index", source, tmp_path / "i", "--json")
    assert "indexing" in sent
    assert '"added": 300' in sent
