"""The packages: their imports, their exports and the length of their files and functions."""

import ast
import importlib
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from import_graph import cycle_in, imports_of, modules_under

import lexpand

SOURCE = Path(lexpand.__file__).parent
# Folder order is import order: a package imports only packages above it.
PACKAGES = [
    "data",
    "evaluation",
    "encode",
    "models",
    "index",
    "search",
    "render",
    "explanation",
    "diagnose",
    "collection",
    "experiments",
    "adapters",
    "train",
    "engines",
    "serve",
    "cli",
]
EXISTING = [package for package in PACKAGES if (SOURCE / package / "__init__.py").is_file()]
MODULES = modules_under(SOURCE)

# The operators of `Retriever` (`+`, `>>`) import its subclasses when they are used.
OPERATORS = {
    ("lexpand.search.retriever", f"lexpand.search.{name}")
    for name in ("hybrid", "mixed", "reranking")
}


def imported_packages(module: str) -> set[str]:
    return {name.split(".")[1] for name in imports_of(module, MODULES) if name.count(".")} & set(
        PACKAGES
    )


def test_every_folder_is_a_package() -> None:
    folders = {
        path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"
    }
    assert folders == set(EXISTING)
    assert len(EXISTING) >= 13


@pytest.mark.parametrize("package", EXISTING)
def test_a_package_imports_only_packages_above_it(package: str) -> None:
    above = set(PACKAGES[: PACKAGES.index(package) + 1])
    inside = [name for name in MODULES if f"{name}.".startswith(f"lexpand.{package}.")]
    assert inside
    for module in inside:
        below = imported_packages(module) - above
        assert not below, f"{module} imports {below}, which are below lexpand.{package}"


def test_no_string_names_a_module_below() -> None:
    """An import by a string would bypass the order of the packages."""
    for module, path in MODULES.items():
        package = module.split(".")[1] if "." in module else "cli"
        below = PACKAGES[PACKAGES.index(package) + 1 :] if package in PACKAGES else PACKAGES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and " " not in node.value
            ):
                assert not any(node.value.startswith(f"lexpand.{name}.") for name in below), module


def test_files_have_no_circular_imports() -> None:
    graph = {module: imports_of(module, MODULES, types=False) for module in MODULES}
    for module, other in OPERATORS:
        assert other in graph[module], f"{module} does not import {other}: drop it from OPERATORS"
        graph[module].remove(other)
    assert cycle_in(graph) is None
    assert sum(map(len, graph.values())) > 500


def test_the_checks_of_imports_can_fail(tmp_path: Path) -> None:
    for name, text in {
        "__init__": "from lexpand.first import thing",
        "first": "from lexpand import second",
        "second": "def late():\n    from lexpand import thing",
        "third": (
            "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from lexpand.first import thing"
        ),
    }.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    modules = modules_under(tmp_path)
    assert imports_of("lexpand.second", modules) == {"lexpand.first"}
    assert imports_of("lexpand.third", modules) == {"lexpand.first"}
    graph = {module: imports_of(module, modules, types=False) for module in modules}
    assert graph["lexpand.third"] == set()
    assert set(cycle_in(graph) or ()) == {"lexpand.first", "lexpand.second"}
    assert cycle_in({**graph, "lexpand.second": set()}) is None


def lengths() -> Iterator[tuple[str, int, int]]:
    """Yield each file and function: its name, its lines, and the limit of the warning."""
    for module, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        yield module, text.count("\n"), 400
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = node.body[0].end_lineno if ast.get_docstring(node) else node.lineno
                yield f"{module}.{node.name}", (node.end_lineno or 0) - (docstring or 0), 60


def test_long_files_and_functions_give_a_warning() -> None:
    """It is a warning, not an error, because some are long for a reason."""
    found = list(lengths())
    assert len(found) > 1000
    long = [
        f"{where} has {lines} lines (more than {limit})"
        for where, lines, limit in found
        if lines > limit
    ]
    if long:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn("\n".join(sorted(long)), stacklevel=1)


@pytest.mark.parametrize("name", ["lexpand", *(f"lexpand.{package}" for package in EXISTING)])
def test_the_public_list_is_sorted_and_complete(name: str) -> None:
    """Everything that an __init__ imports is public, and nothing else is."""
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(module.__all__)
    tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lexpand")
        for alias in node.names
    }
    if name == "lexpand.cli":  # it imports only when a command runs
        imported = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert imported == set(module.__all__)
    for public in module.__all__:
        if public != "__version__":
            assert getattr(module, public).__doc__ or not callable(getattr(module, public))


def test_every_package_has_a_docstring_that_limits_its_scope() -> None:
    for package in EXISTING:
        doc = importlib.import_module(f"lexpand.{package}").__doc__ or ""
        assert doc.splitlines()[0].strip().endswith(("?", ".", ":")), package
        assert "not" in doc or package == "cli", f"lexpand.{package} must say what it is not for"


def test_every_public_name_comes_from_its_package() -> None:
    code = "import lexpand; print(*(getattr(lexpand, name) for name in lexpand.__all__))"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert not set(lexpand.__all__) & set(PACKAGES), "a public name would hide its package"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lexpand.nothing


def test_no_module_hides_a_public_function() -> None:
    """Public names stay functions after every module is imported.

    For example, ``lexpand.explain`` must not become a module.
    """
    code = """
import importlib, json, pathlib, sys, types, lexpand
from lexpand.errors import MissingExtra
functions = [name for name in lexpand.__all__ if type(getattr(lexpand, name)) is types.FunctionType]
for name in functions:
    del lexpand.__dict__[name]  # as before its first use
missing = []
root = pathlib.Path(lexpand.__file__).parent
for path in sorted(root.rglob("*.py")):
    parts = path.relative_to(root).with_suffix("").parts
    name = ".".join(("lexpand", *parts)).removesuffix(".__init__")
    try:
        importlib.import_module(name)
    except MissingExtra:
        pass
    except ModuleNotFoundError as error:  # of an extra
        missing.append(error.name)
kinds = {name: type(getattr(lexpand, name)).__name__ for name in lexpand.__all__}
imported = [name for name in sys.modules if name.startswith("lexpand.")]
print(json.dumps([functions, kinds, missing, imported]))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    functions, kinds, missing, imported = json.loads(found.stdout)
    assert {f"lexpand.{package}" for package in EXISTING} <= set(imported)
    assert len(imported) > 150
    assert {"explain", "why_not", "evaluate", "create", "open", "ingest"} <= set(functions)
    assert {name: kinds[name] for name in functions} == dict.fromkeys(functions, "function")
    assert "module" not in kinds.values()
    assert not [name for name in missing if name.startswith("lexpand")], missing


HEAVY = [
    "onnxruntime",
    "tokenizers",
    "scipy",
    "ir_measures",
    "pyarrow",
    "rich",
    "typer",
    "torch",
    "transformers",
    "haystack",
    "langchain_core",
    "llama_index",
]


def test_the_import_is_light() -> None:
    packages = [package for package in EXISTING if package != "cli"]
    imports = "; ".join(f"import lexpand.{package}" for package in packages)
    code = (
        f"import lexpand, sys; {imports}; print([name for name in {HEAVY} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_base_install_needs_neither_torch_nor_transformers() -> None:
    from importlib.metadata import requires

    base = [line for line in requires("lexpand") or [] if "extra ==" not in line]
    assert base
    assert not [
        line for line in base if line.startswith(("torch", "transformers", "fastapi", "pyarrow"))
    ]


def test_the_packaged_model_is_small_and_has_its_weights_once() -> None:
    folder = SOURCE / "encode" / "packaged" / "splade-tiny"
    sizes = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    assert sum(sizes.values()) < 30_000_000
    assert [path.name for path, size in sizes.items() if size > 1_000_000] == ["model.safetensors"]
    assert (folder / "NOTICE.md").is_file()
