"""Helpers of the release's tests: scripts under tools/, and environments that may be missing."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def load(name: str) -> ModuleType:
    """A script under tools/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def environment(folder: str, made_by: str) -> Path:
    """The Python of an environment that make builds; skips without it.

    Linux and macOS: Windows has no make.
    """
    python = ROOT / folder / "bin" / "python"
    if not (ROOT / folder / "ready").is_file():
        pytest.skip(f"{folder} is missing: `{made_by}` builds it")
    return python


def missing(reason: str) -> None:
    """Skip for want of a tool; fail in CI, where every tool must be there."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)
