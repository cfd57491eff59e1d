"""Published packages: what they contain, and that they install where there is no checkout."""

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from release_tools import ROOT, environment, load

check_wheel = load("check_wheel")

NAME = "lexpand-{version}-cp311-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"
CONTENT = [
    "lexpand/py.typed",
    "lexpand/_native.pyi",
    "lexpand/_native.abi3.so",
    "lexpand/encode/packaged/splade-tiny/NOTICE.md",
    "lexpand/encode/packaged/splade-tiny/model.safetensors",
    "lexpand/encode/packaged/lexpand-mini/NOTICE.md",
    "lexpand/encode/packaged/lexpand-mini/model.q8.safetensors",
    "lexpand/encode/packaged/lexpand-tiny/NOTICE.md",
    "lexpand/encode/packaged/lexpand-tiny/model.q8.safetensors",
    "lexpand/data/collections/scifact/NOTICE.md",
    "lexpand/encode/stop_words/NOTICE.md",
    "lexpand-0.dist-info/licenses/LICENSE",
    "lexpand-0.dist-info/licenses/NOTICE",
]


def build(*arguments: str) -> None:
    python = environment(".venv-release", "make wheel-manylinux")
    made = subprocess.run(
        [python, ROOT / "tools" / "build_release.py", *arguments], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr


def forge(folder: Path, changed: dict[str, bytes | None], name: str = NAME) -> Path:
    """A wheel with the expected files; those that are changed to None are left out."""
    path = folder / name.format(version=check_wheel.version())
    with zipfile.ZipFile(path, "w") as wheel:
        for file, content in {**dict.fromkeys(CONTENT, b""), **changed}.items():
            if content is not None:
                wheel.writestr(file, content)
    return path


def test_a_complete_wheel_has_no_problems(tmp_path: Path) -> None:
    assert check_wheel.problems(forge(tmp_path, {})) == []


@pytest.mark.parametrize("file", CONTENT)
def test_a_missing_file_is_found(tmp_path: Path, file: str) -> None:
    (problem,) = check_wheel.problems(forge(tmp_path, {file: None}))
    assert problem.startswith("must have a file ")


@pytest.mark.parametrize(
    "path",
    [
        b"/root/.cargo/registry/src/a.rs",
        b"/home/runner/work/a.rs",
        b"/Users/runner/a.rs",
        b"C:\\Users\\a\\b.rs",
    ],
)
def test_a_path_of_the_build_machine_is_found(tmp_path: Path, path: bytes) -> None:
    (problem,) = check_wheel.problems(
        forge(tmp_path, {"lexpand/_native.abi3.so": b"\0" + path + b"\0"})
    )
    assert problem.startswith("lexpand/_native.abi3.so must have no path")


def test_other_problems_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = forge(
        tmp_path,
        {"lexpand/__pycache__/a.pyc": b""},
        "lexpand-{version}-cp311-cp311-linux_x86_64.whl",
    )
    assert check_wheel.problems(other) == [
        "the tag must be cp311-abi3",
        "lexpand/__pycache__/a.pyc must not be packaged",
    ]
    old = forge(tmp_path, {}, "lexpand-0.0.0-cp311-abi3-linux_x86_64.whl")
    assert check_wheel.problems(old) == [
        f"version must be {check_wheel.version()}, as in Cargo.toml"
    ]
    monkeypatch.setattr(check_wheel, "MAX_BYTES", 10)
    assert check_wheel.problems(forge(tmp_path, {}))[0].startswith("size must be <= 10 bytes")


def test_the_files_of_a_sdist_are_checked(tmp_path: Path) -> None:
    path = tmp_path / f"lexpand-{check_wheel.version()}.tar.gz"
    with tarfile.open(path, "w:gz") as sdist:
        sdist.addfile(tarfile.TarInfo("lexpand-0/Cargo.toml"), io.BytesIO())
    found = check_wheel.problems(path)
    assert r"must have a file Cargo\.lock" in found
    assert r"must have a file Cargo\.toml" not in found


def test_the_sdist_has_what_a_build_needs(tmp_path: Path) -> None:
    build("--sdist", "--out", str(tmp_path))
    (path,) = tmp_path.iterdir()
    assert check_wheel.problems(path) == []
    with tarfile.open(path) as sdist:
        packaged = {name.partition("/")[2] for name in sdist.getnames()}
    tracked = [
        "git",
        "ls-files",
        "src",
        "crates/lexpand-core/src",
        "crates/lexpand-python",
        "Cargo.lock",
    ]
    listed = subprocess.run(tracked, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("the checkout is no git repository")
    # A file that is deleted and not yet committed is listed by git.
    assert not {name for name in listed.stdout.splitlines() if (ROOT / name).exists()} - packaged


@pytest.mark.slow
def test_a_wheel_builds_from_the_sdist(tmp_path: Path) -> None:
    build("--sdist", "--out", str(tmp_path))
    (path,) = tmp_path.iterdir()
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        tmp_path / "made",
        path,
    ]
    made = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    (wheel,) = (tmp_path / "made").iterdir()
    assert "-cp311-abi3-" in wheel.name


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="manylinux is a policy for Linux")
def test_the_manylinux_wheel_holds_its_policy_and_runs(tmp_path: Path) -> None:
    build("--zig", "--compatibility", "manylinux_2_17", "--out", str(tmp_path))
    (wheel,) = tmp_path.iterdir()
    assert "-cp311-abi3-manylinux" in wheel.name and "manylinux_2_17_" in wheel.name
    assert check_wheel.problems(wheel) == []
    python = environment(".venv-release", "make wheel-manylinux")
    shown = subprocess.run(
        [python, "-m", "auditwheel", "show", wheel], capture_output=True, text=True, check=True
    )
    audited = " ".join(shown.stdout.split())
    assert 'is consistent with the following platform tag: "manylinux_2_17_' in audited, (
        shown.stdout
    )
    assert check_wheel.try_out(wheel).endswith(check_wheel.version())
