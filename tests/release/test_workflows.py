"""The workflows: what actionlint finds, permissions, and the tested versions of Python."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from release_tools import ROOT, missing

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
UNAVAILABLE = 69

with (ROOT / "pyproject.toml").open("rb") as _file:
    PROJECT: dict[str, Any] = tomllib.load(_file)["project"]


def read(path: Path) -> dict[Any, Any]:
    parsed: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return parsed


def actionlint(*arguments: Path) -> subprocess.CompletedProcess[str]:
    if sys.platform != "linux":
        pytest.skip("the workflows are the same on every platform: they are linted on Linux")
    ran = subprocess.run(
        ["sh", ROOT / "tools" / "actionlint.sh", *arguments], capture_output=True, text=True
    )
    if ran.returncode == UNAVAILABLE:
        missing(ran.stderr.strip())
    return ran


def test_actionlint_finds_nothing() -> None:
    ran = actionlint()
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_actionlint_can_find_something(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - run: echo ${{ nothing.b }}\n"
    )
    ran = actionlint(wrong)
    assert ran.returncode == 1
    assert "undefined variable" in ran.stdout


def test_a_missing_actionlint_is_told(tmp_path: Path) -> None:
    """In a copy, so that a binary built before is not found; with a PATH without Go."""
    (tmp_path / "tools").mkdir()
    script = shutil.copy(ROOT / "tools" / "actionlint.sh", tmp_path / "tools")
    (tmp_path / "bin").mkdir()
    for program in ("sh", "dirname"):
        (tmp_path / "bin" / program).symlink_to(
            shutil.which(program) or pytest.skip(f"there is no {program}")
        )
    env = {**os.environ, "PATH": str(tmp_path / "bin")}
    ran = subprocess.run(
        [str(tmp_path / "bin" / "sh"), script], env=env, capture_output=True, text=True
    )
    assert ran.returncode == UNAVAILABLE
    assert "install one of them" in ran.stderr


def test_there_are_workflows() -> None:
    assert [path.stem for path in WORKFLOWS] == ["ci", "docs", "nightly", "release"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_permissions_timeouts_and_concurrency_are_set(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert "concurrency" in workflow
    for name, job in workflow["jobs"].items():
        assert job.get("timeout-minutes", 0) > 0, name
        # Only what the job needs may be written.
        writes = {
            scope for scope, access in job.get("permissions", {}).items() if access == "write"
        }
        allowed = {("docs", "deploy"): {"pages", "id-token"}, ("release", "pypi"): {"id-token"}}
        allowed[("release", "github")] = {"contents"}
        assert writes == allowed.get((path.stem, name), set()), name


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_and_keep_no_credentials(path: Path) -> None:
    for job in read(path)["jobs"].values():
        for step in job["steps"]:
            action = step.get("uses", "")
            assert not action or re.fullmatch(
                r"[\w.-]+/[\w.-]+@(v\d+|release/v\d+|[0-9a-f]{40})", action
            ), action
            if action.startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_commands_have_no_expressions(path: Path) -> None:
    """What an event says comes in through the environment, so that it is never run."""
    for job in read(path)["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), step["run"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_make_targets_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("$(VENV)", ".venv")
    targets = set(re.findall(r"^([\w./-]+):", makefile, re.MULTILINE))
    for job in read(path)["jobs"].values():
        for step in job["steps"]:
            for called in re.findall(r"^make (.*)$", step.get("run", ""), re.MULTILINE):
                assert {word for word in called.split() if "=" not in word} <= targets, called


def test_the_tested_versions_of_python_are_those_of_the_package() -> None:
    matrix = read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]
    listed = [
        name.removeprefix("Programming Language :: Python :: ") for name in PROJECT["classifiers"]
    ]
    assert matrix["python"] == [name for name in listed if re.fullmatch(r"3\.\d+", name)]
    assert PROJECT["requires-python"] == f">={matrix['python'][0]}"


def test_the_matrix_leaves_no_platform_and_no_version_out() -> None:
    matrix = read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]
    every = set(product(matrix["os"], matrix["python"]))
    excluded = {(entry["os"], entry["python"]) for entry in matrix["exclude"]}
    assert excluded <= every, "an entry excludes nothing"
    kept = every - excluded
    assert {system for system, _ in kept} == set(matrix["os"])
    assert {version for system, version in kept if system == "ubuntu-24.04"} == set(
        matrix["python"]
    )


def test_wheels_are_built_where_tests_run() -> None:
    tested = read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"][
        "os"
    ]
    release = read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    built = [entry["os"] for entry in release["wheel"]["strategy"]["matrix"]["include"]]
    assert built == tested
    counted = next(step["run"] for step in release["together"]["steps"] if "run" in step)
    assert f"'*.whl' | wc -l)\" = {len(built)}\n" in counted
