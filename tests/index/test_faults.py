"""A fault at every single call that changes a file: the index holds what was promised, or the commit under way."""

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
# Those that end the process at once; those that it is told of, which it may survive.
KILLS = ["kill before", "kill after"]
ERRORS = ["fail", "full"]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if not sys.platform.startswith("linux") or compiler is None:
        pytest.skip("faults are made by a preloaded library: Linux and a C compiler are needed")
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
    """Gives a function that lets a writer meet a fault, in a fresh copy of the index at `tmp_path / "i"`."""
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
    """Every call, fault, and what the writer does afterwards. Killed before a call is killed after the last one."""
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


def outcome(path: Path, facts: dict) -> str:
    """Which of the two states there is. What is neither, and what the next writer cannot use, is an error."""
    states = fault_rounds.states()
    allowed = {"under way": states[facts["under way"]], "promised": states[facts["promised"]]}
    with Index.open(path) as index:
        found = list(index.doc_ids())
        which = [name for name, state in allowed.items() if list(state) == found]
        assert which, found
        assert_holds(index, allowed[which[0]])
        assert index.check() == []
    assert_next_writer_works(path, allowed[which[0]])
    return which[0]


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


def assert_survives(one_round: Round, path: Path, number: int, fault: str, after: str) -> str:
    facts = one_round(number, fault, after)
    where = f"call {number}, {fault}, then {after}: {facts}"
    try:
        assert "unexpected" not in facts
        assert (facts["code"] == KILLED) == (
            fault in [*KILLS, "half and kill"] or (after == "die" and "raised" in facts)
        )
        if after == "retry" and "gave up" not in facts:
            assert facts["promised"] == len(fault_rounds.SCRIPT)
        return outcome(path, facts)
    except Exception as error:
        raise AssertionError(where) from error


def all_rounds(one_round: Round, tmp_path: Path) -> list[tuple[int, str, str]]:
    facts = one_round()
    assert (facts["code"], facts["promised"]) == (0, len(fault_rounds.SCRIPT)), facts
    assert outcome(tmp_path / "i", facts) == "under way"
    assert set(facts["kinds"]) == set("wsruo") | ({"t"} & set(facts["kinds"]))
    return rounds_of(facts["kinds"])


def test_a_fault_at_some_calls(one_round: Round, tmp_path: Path) -> None:
    for number, fault, after in random.Random(11).sample(all_rounds(one_round, tmp_path), 60):
        assert_survives(one_round, tmp_path / "i", number, fault, after)


def test_a_sync_that_fails(one_round: Round, tmp_path: Path) -> None:
    """What could not be synced may stand in SQLite's log all the same, and be found after a crash."""
    rounds = all_rounds(one_round, tmp_path)
    syncs = {number for number, kind in enumerate(one_round()["kinds"], 1) if kind == "s"}
    for number, fault, after in rounds:
        if number in syncs and (fault, after) == ("fail", "die"):
            assert_survives(one_round, tmp_path / "i", number, fault, after)


@pytest.mark.slow
def test_a_fault_at_every_call(one_round: Round, tmp_path: Path) -> None:
    rounds = all_rounds(one_round, tmp_path)
    assert len(rounds) >= 1000
    found, failed = Counter[str](), []
    for number, fault, after in rounds:
        try:
            found[
                f"{fault}, {after}: {assert_survives(one_round, tmp_path / 'i', number, fault, after)}"
            ] += 1
        except AssertionError as error:
            failed.append(f"{error} <- {error.__cause__!r}"[:1500])
    print(len(rounds), "rounds", len(failed), "failed", sorted(found.items()))  # noqa: T201
    assert failed == []
