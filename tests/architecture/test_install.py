"""Error messages of tools/install.sh."""

import os
import subprocess
from pathlib import Path

import pytest

INSTALL = Path(__file__).parents[2] / "tools" / "install.sh"


def program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("cargo", "pip", "message"),
    [
        (
            "echo 'error: rustup could not choose a version of cargo to run' >&2; exit 1",
            "cargo metadata failed",
            "rustup is installed without a default toolchain: run 'rustup default stable', "
            "then run make again",
        ),
        ("echo 'cargo 1.90.0'", "no space left", "the install failed; pip's lines above say why"),
    ],
)
def test_a_failed_install_prints_a_remedy(
    tmp_path: Path, cargo: str, pip: str, message: str
) -> None:
    program(tmp_path / "python", f"echo '{pip}' >&2; exit 1")
    program(tmp_path / "cargo", cargo)
    program(tmp_path / "rustup", "exit 0")
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ran = subprocess.run(
        ["sh", INSTALL, tmp_path / "python", "."],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 1
    assert ran.stderr.splitlines() == [pip, f"lexpand: {message}"]


def test_an_install_announces_the_build(tmp_path: Path) -> None:
    program(tmp_path / "python", "exit 0")
    ran = subprocess.run(
        ["sh", INSTALL, tmp_path / "python", "."], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0
    assert ran.stdout == "building Lexpand (1 to 3 minutes the first time)\n"
