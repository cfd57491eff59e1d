"""`_native.pyi` describes the compiled module."""

import subprocess
import sys
from pathlib import Path

from lexpand import _native


def test_the_stub_agrees_with_the_module() -> None:
    command = [sys.executable, "-m", "mypy.stubtest", "lexpand._native", "--concise"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_native_module_has_the_version_of_the_package() -> None:
    from importlib.metadata import version

    assert _native.__version__ == version("lexpand")
