"""The rooms of the house: which imports which, and what each shows."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import lexpand

SOURCE = Path(lexpand.__file__).parent
# Folder order is import order: a folder imports only folders above it.
ROOMS = ["data", "evaluation", "encode", "index", "search", "explanation", "collection", "adapters", "train", "engines"]
ROOMS += ["serve", "cli"]
EXISTING = [room for room in ROOMS if (SOURCE / room / "__init__.py").is_file()]
FORBIDDEN = {("train", "index")}


def imported_rooms(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name.split(".")[1] for name in names if name.startswith("lexpand.")} & set(ROOMS)


def test_every_folder_is_a_room() -> None:
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(EXISTING)
    assert len(EXISTING) >= 9


@pytest.mark.parametrize("room", EXISTING)
def test_a_room_imports_only_rooms_above_it(room: str) -> None:
    above = set(ROOMS[: ROOMS.index(room) + 1])
    for path in (SOURCE / room).rglob("*.py"):
        for other in imported_rooms(path):
            assert other in above, f"{path} imports lexpand.{other}, which is below"
            assert (room, other) not in FORBIDDEN, f"{path} imports lexpand.{other}"


def test_the_first_import_order_check_can_fail(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from lexpand.cli import main\nimport lexpand.index.index\n")
    assert imported_rooms(wrong) == {"cli", "index"}


@pytest.mark.parametrize("name", ["lexpand", *(f"lexpand.{room}" for room in EXISTING)])
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
    if name == "lexpand.cli":  # what it imports, it imports when the command runs
        imported = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert imported == set(module.__all__)
    for public in module.__all__:
        if public != "__version__":
            assert getattr(module, public).__doc__ or not callable(getattr(module, public))


def test_a_room_says_its_question() -> None:
    for room in EXISTING:
        doc = importlib.import_module(f"lexpand.{room}").__doc__ or ""
        assert doc.splitlines()[0].strip().endswith(("?", ".", ":")), room
        assert "not" in doc or room == "cli", f"lexpand.{room} says what it is not for"


def test_every_public_name_comes_from_its_room() -> None:
    code = "import lexpand, sys; print(*(f'{name}={getattr(lexpand, name)}' for name in lexpand.__all__))"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert not set(lexpand.__all__) & set(ROOMS), "a public name would hide its room"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lexpand.nothing


def test_no_module_hides_a_public_function() -> None:
    """Importing ``lexpand.explanation`` must not make ``lexpand.explain`` a module, whichever is used first."""
    code = """
import importlib, json, pathlib, sys, types, lexpand
from lexpand.errors import MissingExtra
functions = [name for name in lexpand.__all__ if type(getattr(lexpand, name)) is types.FunctionType]
for name in functions:
    del lexpand.__dict__[name]  # as before its first use
missing = []
root = pathlib.Path(lexpand.__file__).parent
for path in sorted(root.rglob("*.py")):
    name = ".".join(("lexpand", *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
    try:
        importlib.import_module(name)
    except MissingExtra:
        pass
    except ModuleNotFoundError as error:  # of an extra
        missing.append(error.name)
kinds = {name: type(getattr(lexpand, name)).__name__ for name in lexpand.__all__}
print(json.dumps([functions, kinds, missing, [name for name in sys.modules if name.startswith("lexpand.")]]))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    functions, kinds, missing, imported = json.loads(found.stdout)
    assert {f"lexpand.{room}" for room in EXISTING} <= set(imported)
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
    rooms = ["data", "encode", "index", "search", "explanation", "collection", "adapters", "evaluation"]
    imports = "; ".join(f"import lexpand.{room}" for room in rooms)
    code = f"import lexpand, sys; {imports}; print([name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_base_install_needs_neither_torch_nor_transformers() -> None:
    from importlib.metadata import requires

    base = [line for line in requires("lexpand") or [] if "extra ==" not in line]
    assert base
    assert not [line for line in base if line.startswith(("torch", "transformers", "fastapi", "pyarrow"))]


def test_the_packaged_model_is_small_and_there_once() -> None:
    folder = SOURCE / "encode" / "models" / "splade-tiny"
    sizes = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    assert sum(sizes.values()) < 30_000_000
    assert [path.name for path, size in sizes.items() if size > 1_000_000] == ["model.safetensors"]
    assert (folder / "NOTICE.md").is_file()
