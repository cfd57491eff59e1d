"""`_native.pyi` against the module that was built."""

import subprocess
import sys
from pathlib import Path

from lexpand import _native


def test_stub_and_module_agree() -> None:
    command = [sys.executable, "-m", "mypy.stubtest", "lexpand._native", "--concise"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert found.returncode == 0, found.stdout + found.stderr


def test_one_version_number() -> None:
    from importlib.metadata import version

    assert _native.__version__ == version("lexpand")
