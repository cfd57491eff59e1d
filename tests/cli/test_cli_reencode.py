"""`lexpand reencode`: another model or other settings for the documents of an index."""

import json
import shutil
from pathlib import Path

import pytest
from cli_runs import run_here

from lexpand import Index
from lexpand.collection.reencoding import unfinished


@pytest.fixture
def path(tmp_path: Path, small_index: Index) -> Path:
    return Path(shutil.copytree(small_index.path, tmp_path / "pages.index"))


def test_settings_change_and_the_report_says_what_was_done(path: Path) -> None:
    ran = run_here("reencode", path, "--prune", "top=3", "--keep", path.with_name("before"))
    assert ran.code == 0, ran.err
    assert "5 documents encoded by splade-tiny" in " ".join(ran.out.split())
    assert "terms a vector became 3" in ran.out
    assert path.with_name("before").is_dir()
    again = run_here("reencode", path, "--json")
    report = json.loads(again.out)
    assert (report["changed"], report["encoded"], report["terms_after"]) == (False, 0, 3.0)
    assert "nothing to do" in run_here("reencode", path).out


def test_a_wrong_model_leaves_the_index_as_it_is(path: Path) -> None:
    ran = run_here("reencode", path, "--model", path.with_name("missing"))
    assert ran.code == 1
    assert "give the path of a model folder" in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert run_here("check", path).code == 0
    assert not unfinished(path).exists()


def test_after_an_interruption_the_same_command_continues(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("reencode", path, "--prune", "top=3", "--commit-every", "2")
    module = "lexpand.collection.reencoding"
    with monkeypatch.context() as patch:

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(f"{module}._check_complete", interrupted)
        ran = run_here(*command)
    assert ran.code == 130
    assert "is as it was" in ran.err
    assert "run the same command again to continue" in ran.err
    ran = run_here(*command, "--json")
    assert ran.code == 0, ran.err
    assert (json.loads(ran.out)["encoded"], json.loads(ran.out)["documents"]) == (0, 5)


def test_the_chunks_of_an_index_can_change(path: Path) -> None:
    ran = run_here("reencode", path, "--overlap", "3")
    assert ran.code == 2
    assert "--chunks and --overlap are for --long chunk" in " ".join(ran.err.split())
    assert run_here("reencode", path, "--long", "chunk", "--max-length", "8").code == 0
    with Index.open(path) as index:
        assert index.has_chunks
