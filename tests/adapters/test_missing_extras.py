"""Without a framework its adapter says which extra brings it; the others, and the room, do not mind."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

# The framework is not found, wherever the test runs.
CODE = """
import sys

class Hidden:
    def find_spec(name, path, target=None):
        if name == {framework!r}:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Hidden)
import lexpand.adapters
from lexpand.errors import MissingExtra
try:
    import lexpand.adapters.{module}
except MissingExtra as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("module", "framework", "package", "extra"),
    [
        ("langchain", "langchain_core", "langchain-core", "langchain"),
        ("llama_index", "llama_index", "llama-index-core", "llama-index"),
        # Other packages, installed alone, live in the namespace too.
        ("llama_index", "llama_index.core", "llama-index-core", "llama-index"),
        ("haystack", "haystack", "haystack-ai", "haystack"),
    ],
)
def test_a_missing_framework_is_named_with_its_extra(
    module: str, framework: str, package: str, extra: str
) -> None:
    code = CODE.format(framework=framework, module=module)
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert f"needs {package}: pip install 'lexpand[{extra}]'" in said


def test_the_extras_exist() -> None:
    project = tomllib.loads(
        (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    )["project"]
    extras = project["optional-dependencies"]
    for extra, package in (
        ("langchain", "langchain-core"),
        ("llama-index", "llama-index-core"),
        ("haystack", "haystack-ai"),
    ):
        (requirement,) = extras[extra]
        assert requirement.startswith(f"{package}>=")
