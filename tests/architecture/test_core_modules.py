"""The modules of the Rust core have no circular imports.

The imports of a file are its `use` declarations and the paths in its code that begin with
`crate::`, `super::` or `self::`. A name that a `mod.rs` or `lib.rs` only re-exports is resolved to
the file that defines it. Test code is ignored.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "crates" / "lexpand-core" / "src"

Module = tuple[str, ...]
"""The path of a module: () is the crate, ("search", "scan") is `crate::search::scan`."""

NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|b?"(?:\\.|[^"\\])*"|b?\'(?:\\.|[^\'\\])\'', re.DOTALL)
TOKEN = re.compile(r"[{};]|[^{};]+")
ITEM = re.compile(r"\b(fn|struct|enum|trait|impl|const|static|type|union|macro_rules!)\b")
USE = re.compile(r"(pub(?:\([^)]*\))?\s+)?use\s+(.+)", re.DOTALL)
PATH = re.compile(r"\b(?:crate|super|self)(?:::\w+)+")


@dataclass
class File:
    """The declarations and imports of a source file."""

    module: Module
    imports: list[tuple[Module, bool]] = field(default_factory=list)
    """Absolute paths, and whether each is re-exported."""
    exports: dict[str, Module] = field(default_factory=dict)
    has_items: bool = False


def leaves(tree: str) -> Iterator[tuple[str, str]]:
    """Yield the paths of a use tree and their names.

    For `a::{b, c as d}`: (`a::b`, b) and (`a::c`, d).
    """
    tree = tree.strip()
    prefix, brace, rest = tree.partition("{")
    if not brace:
        path, _, alias = tree.partition(" as ")
        yield path.strip(), (alias or path).strip().split("::")[-1]
        return
    depth, start = 0, 0
    rest = rest[: rest.rindex("}")] + ","
    for i, character in enumerate(rest):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "," and depth == 0:
            if rest[start:i].strip():
                for path, name in leaves(rest[start:i]):
                    yield prefix.strip() + path, name
            start = i + 1


def absolute(path: str, inside: Module, children: set[str]) -> Module | None:
    """Resolve a path in a module; None if it is outside the crate."""
    parts = path.split("::")
    if parts[0] == "crate":
        return tuple(parts[1:])
    if parts[0] in children:
        return (*inside, *parts)
    if parts[0] not in {"self", "super"}:
        return None
    while parts and parts[0] in {"self", "super"}:
        inside = inside[:-1] if parts.pop(0) == "super" else inside
    return (*inside, *parts)


def parse(text: str, module: Module) -> File:
    """Parse the text of a source file."""
    found = File(module)
    text = NOISE.sub(" ", text)
    children = set(re.findall(r"\bmod\s+(\w+)\s*;", text))
    for inside, code in statements(text, module):
        used = USE.fullmatch(code)
        if used is None:
            found.has_items |= ITEM.search(code) is not None
            paths = [(path, path, False) for path in PATH.findall(code)]
        else:
            paths = [(path, name, used[1] is not None) for path, name in leaves(used[2])]
        for path, name, is_export in paths:
            target = absolute(path, inside, children)
            if target is not None:
                found.imports.append((target, is_export))
                if is_export and inside == module:
                    found.exports[name] = target
    return found


def statements(text: str, module: Module) -> Iterator[tuple[Module, str]]:
    """Yield the code between braces and semicolons, each piece with its module."""
    scopes: list[tuple[Module, bool]] = [(module, False)]
    pending = ""
    for token in TOKEN.findall(text):
        inside, is_test = scopes[-1]
        pending += token if token not in "{};" else ""
        if re.search(r"\buse\s[^;]*\Z", pending) and token != ";":
            pending += token if token in "{}" else ""
            continue
        if token not in {"{", "}", ";"}:
            continue
        code = pending.strip()
        hidden = is_test or "#[cfg(test)]" in code
        if code and not hidden:
            yield inside, re.sub(r"#!?\[[^\]]*\]", " ", code).strip()
        name = re.search(r"\bmod\s+(\w+)\Z", code)
        if token == "{":
            scopes.append(((*inside, name[1]) if name else inside, hidden))
        elif token == "}":
            scopes.pop()
        pending = ""


def graph_of(files: dict[Module, str]) -> dict[str, set[str]]:
    """Return the modules that each file imports."""
    parsed = {module: parse(text, module) for module, text in files.items()}

    def owner(path: Module, seen: frozenset[Module] = frozenset()) -> Module | None:
        """Return the file that defines the target of a path."""
        module = next(path[:i] for i in range(len(path), -1, -1) if path[:i] in parsed)
        name = path[len(module) : len(module) + 1]
        if name and name[0] in parsed[module].exports and path not in seen:
            return owner(parsed[module].exports[name[0]] + path[len(module) + 1 :], seen | {path})
        return module if parsed[module].has_items else None

    graph: dict[str, set[str]] = {}
    for module, file in parsed.items():
        if file.has_items:
            targets = {owner(path) for path, _ in file.imports} - {module, None}
            graph["::".join(module)] = {
                "::".join(target) for target in targets if target is not None
            }
    return graph


def import_cycle(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules of one circular import, or an empty list."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for other in sorted(graph.get(node, ())):
            if cycle := visit(other, [*path, node]):
                return cycle
        done.add(node)
        return []

    return next((cycle for node in sorted(graph) if (cycle := visit(node, []))), [])


def folders_of(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the top-level modules that each top-level module imports."""
    folders: dict[str, set[str]] = {}
    for module, others in graph.items():
        top = module.split("::")[0]
        folders.setdefault(top, set()).update({other.split("::")[0] for other in others} - {top})
    return folders


def sources() -> dict[Module, str]:
    files = {}
    for path in SOURCE.rglob("*.rs"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        module = parts[:-1] if parts[-1] in {"mod", "lib"} else parts
        if module[-1:] != ("tests",):
            files[module] = path.read_text(encoding="utf-8")
    return files


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    return graph_of(sources())


def test_files_have_no_circular_imports(graph: dict[str, set[str]]) -> None:
    assert import_cycle(graph) == []


def test_top_level_modules_have_no_circular_imports(graph: dict[str, set[str]]) -> None:
    assert import_cycle(folders_of(graph)) == []


def test_the_graph_has_the_modules_of_the_core(graph: dict[str, set[str]]) -> None:
    assert len(graph) > 40
    assert {"search::plan", "search::pool", "search::scan::kernel"} <= graph[
        "search::scan::traverse"
    ]
    assert "words::field" in graph["segment::read"]
    assert {"bit_set", "limits", "top_k"} <= graph["words::search"]
    assert not {"search", "segment", "words", "head"} & set(graph), (
        "a mod.rs only declares and re-exports"
    )


def test_a_circular_import_is_found() -> None:
    files: dict[Module, str] = {
        (): "mod a;\nmod b;\npub use a::A;",
        ("a",): "use crate::b::c::{C, D as E};\npub struct A;",
        ("b",): "mod c;\nmod d;\npub use self::c::C;\npub(crate) use d::*;",
        ("b", "c"): "// use crate::A;\nuse super::d::D;\npub struct C;",
        ("b", "d"): "pub struct D;\n#[cfg(test)]\nmod tests { use crate::A; fn f() {} }",
    }
    assert graph_of(files) == {"a": {"b::c"}, "b::c": {"b::d"}, "b::d": set()}
    assert import_cycle(graph_of(files)) == []
    files["b", "d"] = "pub struct D;\nmod inner { fn f() { super::super::super::A::new() } }"
    assert import_cycle(graph_of(files)) == ["a", "b::c", "b::d", "a"]
    assert import_cycle(folders_of(graph_of(files))) == ["a", "b", "a"]
