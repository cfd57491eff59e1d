"""Read-only and full disks, on real file systems. Skipped if mounting is not permitted."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SMALL = ("--max-length", "16")


def mount(*arguments: object) -> None:
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A mount point. Everything mounted there is unmounted after the test."""
    if os.name != "posix" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting needs root")
    place = tmp_path / "mounted"
    place.mkdir()
    yield place
    # Repeated until umount fails: a bind mount within one file system looks like a plain folder.
    while subprocess.run(["umount", place], capture_output=True).returncode == 0:
        pass
    assert (
        str(place)
        not in subprocess.run(["mount"], capture_output=True, text=True, check=True).stdout
    )


def test_a_read_only_index_is_read_and_not_written(
    run: Callable, pages_index: Path, rows_file: Callable, mounted: Path
) -> None:
    mount("--bind", pages_index.parent, mounted)
    mount("-o", "remount,ro,bind", mounted)
    index, source = mounted / pages_index.name, rows_file({"id": "a", "text": "x"})
    before = sorted(path.name for path in index.rglob("*"))
    assert run("info", index, "--json").json()["documents"] == 4
    assert run("search", index, "printer", "--json").json()["hits"][0]["doc_id"] == "printer"
    assert run("explain", index, "printer", "printer").code == 0
    assert f"{index} is not writable" in run("index", source, index).error()
    assert "cannot create an index at" in run("index", source, mounted / "new").error()
    assert sorted(path.name for path in index.rglob("*")) == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root ignores permission bits")
def test_a_folder_without_permission_is_an_error(
    run: Callable, rows_file: Callable, tmp_path: Path
) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    assert (
        "cannot create an index at"
        in run("index", rows_file({"id": "a", "text": "x"}), folder / "new").error()
    )


def test_a_full_disk_keeps_the_commits(run: Callable, rows_file: Callable, mounted: Path) -> None:
    mount("-t", "tmpfs", "-o", "size=4m", "none", mounted)
    index = mounted / "i"
    small = [{"id": f"s{i}", "text": f"small {i}"} for i in range(256)]
    large = [{"id": f"l{i}", "text": f"large {i} {'x' * 60_000}"} for i in range(80)]
    source = rows_file(*small, *large)
    error = run("index", source, index, *SMALL, "--commit-every", "64").error()
    assert "full" in error or "No space left" in error
    assert str(mounted) in error
    kept = run("info", index, "--json").json()["documents"]
    assert kept == 256, "the four commits of small documents"
    assert run("search", index, "small", "-k", "1").code == 0

    mount("-o", "remount,size=64m", mounted)
    report = run("index", source, index, *SMALL, "--json").json()
    assert (report["unchanged"], report["added"], report["documents"]) == (256, 80, 336)


def test_a_disk_too_small_for_an_index_is_an_error(
    run: Callable, rows_file: Callable, mounted: Path
) -> None:
    mount("-t", "tmpfs", "-o", "size=64k", "none", mounted)
    source, index = rows_file({"id": "a", "text": "x"}), mounted / "i"
    assert str(index) in run("index", source, index).error()
    mount("-o", "remount,size=64m", mounted)
    assert run("index", source, index).code == 0
