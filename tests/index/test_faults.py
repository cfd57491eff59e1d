"""Faults at every call that changes a file: the index holds the last commit or the next one."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import fault_rounds
import pytest
from change_model import State, assert_holds, put, versioned

from lexpand import Index
from lexpand.index.catalog import Catalog

HERE = Path(__file__).parent

Round = Callable[..., dict]

KILLED = -9
# The faults that end the process.
KILLS = ["kill before", "kill after"]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if not sys.platform.startswith("linux") or compiler is None:
        pytest.skip("faults need a preloaded library, and so Linux and a C compiler")
    path = tmp_path_factory.mktemp("shim") / "faults.so"
    subprocess.run(
        [compiler, "-O1", "-shared", "-fPIC", "-o", path, HERE / "faults.c", "-ldl"], check=True
    )
    return path


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prepared") / "i"
    fault_rounds.prepare(path)
    return path


@pytest.fixture
def one_round(shim: Path, prepared: Path, tmp_path: Path) -> Iterator[Round]:
    """Yield a function that runs a writer with a fault on a fresh index at `tmp_path / "i"`."""
    command = [sys.executable, str(HERE / "fault_rounds.py")]
    environment = {**os.environ, "LD_PRELOAD": str(shim)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def call(number: int = 0, fault: str = "count", after: str = "die") -> dict:
            path = tmp_path / "i"
            shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(prepared, path)
            stdin.write(
                json.dumps({"path": str(path), "number": number, "fault": fault, "after": after})
                + "\n"
            )
            stdin.flush()
            return json.loads(stdout.readline())

        yield call
        stdin.close()
    assert process.returncode == 0


def rounds_of(kinds: str) -> list[tuple[int, str, str]]:
    """Return every combination of call, fault and reaction of the writer.

    A kill before a call equals a kill after the previous one, so it is tried only at the first
    call.
    """
    found = [(1, "kill before", "die")]
    for number, kind in enumerate(kinds, 1):
        found += [
            (number, "kill after", "die"),
            (number, "fail", "die"),
            (number, "fail from", "die"),
        ]
        found += [(number, "full", "retry")]
        if kind == "w":
            found += [
                (number, "half and kill", "die"),
                (number, "half", "die"),
                (number, "full from", "die"),
            ]
        else:
            found += [(number, "full", "die"), (number, "fail", "retry")]
    return found


def surviving_state(path: Path, outcome: dict) -> str:
    """Return which of the two allowed states the index has, after checking the next writer."""
    states = fault_rounds.states()
    allowed = {
        "in progress": states[outcome["in progress"]],
        "committed": states[outcome["committed"]],
    }
    with Index.open(path) as index:
        found = list(index.doc_ids())
        names = [name for name, state in allowed.items() if list(state) == found]
        assert names, found
        assert_holds(index, allowed[names[0]])
        assert index.check() == []
    assert_next_writer_works(path, allowed[names[0]])
    return names[0]


def assert_next_writer_works(path: Path, state: State) -> None:
    with Index.open(path) as index:
        assert put(index, [versioned(77, 0)]) == 1
        index.commit()
        assert_holds(index, {**state, "d77": versioned(77, 0)})
        index.compact()
        assert index.check() == []
        assert {file.name for file in (path / "segments").iterdir()} == segment_names(path)


def segment_names(path: Path) -> set[str]:
    catalog = Catalog.open(path)
    try:
        return catalog.segment_files()
    finally:
        catalog.close()


def assert_round(one_round: Round, path: Path, number: int, fault: str, after: str) -> str:
    outcome = one_round(number, fault, after)
    where = f"call {number}, {fault}, then {after}: {outcome}"
    try:
        assert "unexpected" not in outcome
        assert (outcome["code"] == KILLED) == (
            fault in [*KILLS, "half and kill"] or (after == "die" and "raised" in outcome)
        )
        if after == "retry" and "gave up" not in outcome:
            assert outcome["committed"] == len(fault_rounds.SCRIPT)
        return surviving_state(path, outcome)
    except Exception as error:
        raise AssertionError(where) from error


def all_rounds(one_round: Round, tmp_path: Path) -> list[tuple[int, str, str]]:
    outcome = one_round()
    assert (outcome["code"], outcome["committed"]) == (0, len(fault_rounds.SCRIPT)), outcome
    assert surviving_state(tmp_path / "i", outcome) == "in progress"
    assert set(outcome["kinds"]) == set("wsruo") | ({"t"} & set(outcome["kinds"]))
    return rounds_of(outcome["kinds"])


def test_faults_at_some_calls_keep_a_consistent_index(one_round: Round, tmp_path: Path) -> None:
    for number, fault, after in random.Random(11).sample(all_rounds(one_round, tmp_path), 60):
        assert_round(one_round, tmp_path / "i", number, fault, after)


def test_failed_syncs_keep_a_consistent_index(one_round: Round, tmp_path: Path) -> None:
    """A commit that could not be synced may still be in SQLite's log after a crash."""
    rounds = all_rounds(one_round, tmp_path)
    syncs = {number for number, kind in enumerate(one_round()["kinds"], 1) if kind == "s"}
    for number, fault, after in rounds:
        if number in syncs and (fault, after) == ("fail", "die"):
            assert_round(one_round, tmp_path / "i", number, fault, after)


@pytest.mark.slow
def test_faults_at_every_call_keep_a_consistent_index(one_round: Round, tmp_path: Path) -> None:
    rounds = all_rounds(one_round, tmp_path)
    assert len(rounds) >= 1000
    found, failed = Counter[str](), []
    for number, fault, after in rounds:
        try:
            found[
                f"{fault}, {after}: {assert_round(one_round, tmp_path / 'i', number, fault, after)}"
            ] += 1
        except AssertionError as error:
            failed.append(f"{error} <- {error.__cause__!r}"[:1500])
    print(len(rounds), "rounds", len(failed), "failed", sorted(found.items()))  # noqa: T201
    assert failed == []
