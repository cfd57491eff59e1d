"""An adapter without its framework names the extra to install; the package still imports."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

# Hides the framework, whether or not it is installed.
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
        # Other packages, which may be installed alone, share this namespace.
        ("llama_index", "llama_index.core", "llama-index-core", "llama-index"),
        ("haystack", "haystack", "haystack-ai", "haystack"),
    ],
)
def test_a_missing_framework_is_named_with_its_extra(
    module: str, framework: str, package: str, extra: str
) -> None:
    code = CODE.format(framework=framework, module=module)
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert f"needs {package}: pip install 'lexpand[{extra}]'" in output


def test_each_extra_requires_its_framework() -> None:
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
