"""Ctrl-C keeps what was committed, and the same command continues to the same index."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cli_runs import COMMAND, Ran, write_rows

from lexpand import Document, Index
from lexpand.errors import LexpandError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")

OPTIONS = ("--max-length", "16", "--commit-every", "50")


@pytest.fixture(scope="module")
def rows(scifact: list[Document]) -> list[dict]:
    return [{"id": page.doc_id, "title": page.title, "text": page.text} for page in scifact[:300]]


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen]:
    with subprocess.Popen(
        [COMMAND, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def interrupted(process: subprocess.Popen) -> Ran:
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return Ran(process.returncode, out, err)


def documents_in(path: Path) -> int:
    try:
        with Index.open(path) as index:
            return len(index)
    except LexpandError:  # the index does not exist yet
        return 0


def wait_until(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def content(path: Path) -> dict[str, tuple]:
    """Return every document with its stored vector."""
    with Index.open(path) as index:
        rows = index.documents(range(len(index)))
        vectors = {document.doc_id: index.vector(document.doc_id) for document in rows.values()}
        return {
            document.doc_id: (
                document,
                vector.terms.tolist(),
                vector.impacts.tolist(),
                vector.scale,
            )
            for document in rows.values()
            for vector in [vectors[document.doc_id]]
        }


def test_a_second_run_continues(run: Callable, rows: list[dict], tmp_path: Path) -> None:
    """The source is a pipe that pauses, so the interruption comes when a part is committed."""
    source, pipe, path = tmp_path / "docs.jsonl", tmp_path / "pipe.jsonl", tmp_path / "i"
    write_rows(source, rows)
    os.mkfifo(pipe)
    done = threading.Event()

    def feed() -> None:
        # If the interruption comes before all is read, the rest has no reader.
        with suppress(BrokenPipeError), pipe.open("w") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows[:290])
            file.flush()
            done.wait(60)

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    with started("index", pipe, path, *OPTIONS) as process:
        wait_until(lambda: documents_in(path) > 0, process)
        ran = interrupted(process)
    done.set()
    feeder.join()

    kept = documents_in(path)
    assert 0 < kept <= 290
    assert (ran.code, ran.out) == (130, "")
    assert (
        ran.err
        == f"interrupted: {path} has {kept} documents; run the same command again to continue\n"
    )
    with Index.open(path) as index:
        assert index.document(rows[0]["id"]).title == rows[0]["title"]

    report = run("index", source, path, *OPTIONS, "--json").json()
    assert (report["unchanged"], report["added"], report["documents"]) == (kept, 300 - kept, 300)
    run("index", source, tmp_path / "at once", *OPTIONS)
    assert content(path) == content(tmp_path / "at once")


@pytest.mark.parametrize("delay", [0.0, 0.3])
def test_an_interruption_at_any_time_leaves_a_usable_index(
    run: Callable, rows: list[dict], tmp_path: Path, delay: float
) -> None:
    source, path = write_rows(tmp_path / "docs.jsonl", rows), tmp_path / "i"
    with started("index", source, path, *OPTIONS) as process:
        wait_until((path / "catalog.sqlite").exists, process)
        time.sleep(delay)
        ran = interrupted(process)
    assert ran.code in (0, 130), ran
    assert "Traceback" not in ran.err
    if ran.code == 130:
        assert re.fullmatch(r"interrupted.*\n", ran.err)
    report = run("index", source, path, *OPTIONS, "--json").json()
    assert report["added"] + report["unchanged"] == report["documents"] == 300
    assert run("search", path, "growth of cells", "--json").json()["hits"]


def test_encode_is_interrupted_with_code_130() -> None:
    with started("encode", "first", "-", "--json") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        ran = interrupted(process)
    assert json.loads(line)["text"] == "first"
    assert (ran.code, ran.err) == (130, "interrupted\n")
