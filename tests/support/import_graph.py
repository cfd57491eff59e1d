"""The import graph of a package, and its first cycle."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path


def modules_under(root: Path) -> dict[str, Path]:
    """Return the modules of the package ``lexpand`` in a folder, by dotted name."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = ("lexpand", *path.relative_to(root).with_suffix("").parts)
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imports_of(module: str, modules: Mapping[str, Path], *, types: bool = True) -> set[str]:
    """Return the modules that a module imports, at its top or within functions.

    A name that a package re-exports counts as an import of the module that defines it. The
    re-exports of an ``__init__`` do not count as its own imports.

    Args:
        module: the module.
        modules: all modules.
        types: whether imports under ``if TYPE_CHECKING`` count.
    """
    path = modules[module]
    if path.name == "__init__.py":
        return set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {
        resolved
        for node in _nodes(tree, types)
        for source, name in _imported(node)
        if (resolved := _definition(source, name, modules)) is not None
    }
    return found - {module}


def cycle_in(graph: Mapping[str, set[str]]) -> list[str] | None:
    """Return the modules of a cycle in order, or None if there is none."""
    done: set[str] = set()

    def search(node: str, path: list[str]) -> list[str] | None:
        if node in path:
            return path[path.index(node) :]
        if node in done:
            return None
        for following in sorted(graph.get(node, ())):
            if (found := search(following, [*path, node])) is not None:
                return found
        done.add(node)
        return None

    return next((found for node in graph if (found := search(node, [])) is not None), None)


def _nodes(tree: ast.AST, types: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not types:
            continue
        yield node
        yield from _nodes(node, types)


def _imported(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, "") for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        yield from ((node.module or "", alias.name) for alias in node.names)


def _definition(source: str, name: str, modules: Mapping[str, Path]) -> str | None:
    """Return the module that defines ``from source import name``, or None outside the package."""
    if f"{source}.{name}" in modules:
        return f"{source}.{name}"
    if source not in modules or f"{source}.{name}" == "lexpand._native":
        return None
    if modules[source].name == "__init__.py":
        tree = ast.parse(modules[source].read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            for inner, exported in _imported(node):
                if exported == name and inner.startswith("lexpand"):
                    return _definition(inner, name, modules)
    return source
