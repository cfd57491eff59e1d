"""The command `lexpand judge`, in a terminal and through an endpoint."""

import os
import pty
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import COMMAND, Ran

from lexpand import Qrels

Run = Callable[..., Ran]


@pytest.fixture
def queries(tmp_path: Path) -> Path:
    path = tmp_path / "queries.tsv"
    path.write_text("1\tprinter does not print\n2\tinvoice by mail\n", encoding="utf-8")
    return path


def in_terminal(keys: str, *arguments: object) -> tuple[int, str]:
    """Run a command in a pseudo-terminal and press keys, each after a document was shown."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, *map(str, arguments)], stdin=slave, stdout=slave, stderr=slave, close_fds=True
    )
    os.close(slave)
    out, pending, deadline = "", list(keys), time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            out += os.read(master, 65536).decode(errors="replace")
        except OSError:
            break
        if pending and "quit" in out:
            time.sleep(0.2)
            os.write(master, pending.pop(0).encode())
    process.wait(timeout=30)
    os.close(master)
    return process.returncode, out


def test_keys_grade_and_the_next_run_continues(
    pages_index: Path, queries: Path, tmp_path: Path
) -> None:
    out = tmp_path / "grades.tsv"
    common = ("judge", pages_index, queries, "--out", out, "--pipeline", "splade", "--depth", "1")
    code, shown = in_terminal("2q", *common)
    assert code == 0 and "1 of 2 documents are judged" in shown
    assert "printer does not print" in shown
    assert Qrels.read(out) == Qrels({"1": {"printer": 2}})
    code, shown = in_terminal("x0", *common, "--quepid", tmp_path / "ratings.csv")
    assert code == 0 and "2 of 2 documents are judged" in shown
    assert Qrels.read(out) == Qrels({"1": {"printer": 2}, "2": {"invoice": 0}})
    assert (tmp_path / "ratings.csv").read_text().splitlines()[0] == "query,docid,rating"


def test_without_a_terminal_it_says_so(run: Run, pages_index: Path, queries: Path) -> None:
    message = run("judge", pages_index, queries, "--pipeline", "splade").error()
    assert "grading by keys needs a terminal" in message


def test_agreement_is_printed(run: Run, tmp_path: Path) -> None:
    for name, grade in (("a", 2), ("b", 1)):
        (tmp_path / f"{name}.tsv").write_text(
            f"query-id\tcorpus-id\tscore\n1\tx\t{grade}\n1\ty\t0\n"
        )
    done = run("collection", "agreement", tmp_path / "a.tsv", tmp_path / "b.tsv")
    assert done.code == 0 and "2 pairs judged by both, 50.0% with the same grade" in done.out
    assert "kappa of relevant or not 1.000" in done.out
