"""MkDocs hooks of the documentation site.

* Markdown files of the repository root become pages under project/ if the navigation lists them.
* The API reference has a page for each package with an `__all__`, generated from docstrings.
* Links to files outside docs/ lead to these pages, or to the repository if the site has no page.
"""

from __future__ import annotations

import ast
import logging
import posixpath
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "lexpand"

PROJECT = "project/"
REFERENCE = "reference/"
# The command line has a page of its own.
NOT_LISTED = {"lexpand.cli"}

LINK = re.compile(r"(?<=\]\()(?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?(?=\))")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)

log = logging.getLogger("mkdocs.hooks.lexpand")


# Pages of the API reference.


def public_names(path: Path) -> list[str]:
    """Return the `__all__` of a module without importing it; empty if it has none."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            names: list[str] = ast.literal_eval(node.value)  # type: ignore[attr-defined]
            return names
    return []


def modules() -> Iterator[str]:
    """Yield the modules of the reference: packages with an `__all__`, errors, and adapters."""
    yield "lexpand"
    for path in sorted(SOURCE.rglob("__init__.py")):
        name = ".".join(path.parent.relative_to(SOURCE.parent).parts)
        hidden = any(part.startswith("_") for part in name.split("."))
        if name != "lexpand" and not hidden and name not in NOT_LISTED and public_names(path):
            yield name
    yield "lexpand.errors"
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    for extra in extras:
        module = extra.replace("-", "_")
        if (SOURCE / "adapters" / f"{module}.py").is_file():
            yield f"lexpand.adapters.{module}"


def reference_page(module: str) -> str:
    """Return the Markdown of the page of a module."""
    if module == "lexpand":
        return top_page()
    path = SOURCE.parent.joinpath(*module.split("."))
    names = public_names(path / "__init__.py") if path.is_dir() else []
    if not names:
        return f"# {module}\n\n::: {module}\n"
    # Each name is listed, so names without a docstring, such as type aliases, are included.
    blocks = [
        f"::: {module}.{name}\n    options: {{show_root_heading: true, show_root_toc_entry: true}}"
        for name in names
    ]
    return "\n\n".join(
        [f"# {module}", f"::: {module}\n    options: {{members: false}}", *blocks, ""]
    )


def top_page() -> str:
    """Return the page of `lexpand`, whose names link to the pages of the packages."""
    rows = ["| name | package |", "|---|---|"]
    for name, package in top():
        rows.append(
            f"| [`{name}`][lexpand.{package}.{name}] "
            f"| [`lexpand.{package}`](lexpand.{package}.md) |"
        )
    table = "\n".join(rows)
    intro = "Import these names from `lexpand` itself. Each links to its description."
    return f"# lexpand\n\n{intro}\n\n{table}\n"


def top() -> Iterator[tuple[str, str]]:
    """Yield the names of `lexpand.__all__` with the packages that describe them."""
    packages = [path.parent.name for path in sorted(SOURCE.glob("*/__init__.py"))]
    listed = {package: public_names(SOURCE / package / "__init__.py") for package in packages}
    for name in public_names(SOURCE / "__init__.py"):
        package = next((package for package in packages if name in listed[package]), "errors")
        if not name.startswith("__"):
            yield name, package


def file_of(module: str) -> str:
    """Return the path of the page of a module on the site."""
    return f"{REFERENCE}{module}.md"


# Events of MkDocs.


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replace `reference/` in the navigation by the pages of the reference."""
    pages: list[Any] = [f"{REFERENCE}index.md", *({name: file_of(name)} for name in modules())]
    for entry in config.nav or []:
        for title, value in list(entry.items()):
            if value == REFERENCE:
                entry[title] = pages
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for name in project_files(config.nav):
        if name == "LICENSE.md":
            texts = [(ROOT / part).read_text(encoding="utf-8") for part in ("LICENSE", "NOTICE")]
            content = "# License\n\n```text\n{}```\n\n## Notice\n\n```text\n{}```\n".format(*texts)
            files.append(File.generated(config, PROJECT + name, content=content))
        elif (ROOT / name).is_file():
            files.append(
                File.generated(
                    config, PROJECT + name, content=(ROOT / name).read_text(encoding="utf-8")
                )
            )
        else:
            raise PluginError(
                f"mkdocs.yml: {PROJECT}{name} in the navigation must be a file of the root, {name}"
            )
    for module in modules():
        files.append(File.generated(config, file_of(module), content=reference_page(module)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace links by their targets on the site."""
    site_path = page.file.src_uri
    parent = "" if site_path.startswith(PROJECT) else posixpath.dirname(f"docs/{site_path}")

    def site_link(match: re.Match[str]) -> str:
        target = match["target"]
        if re.match(r"[a-z]+:", target):
            return match[0]
        linked = posixpath.normpath(posixpath.join(parent, target))
        return destination(linked, site_path, config, files) + (match["anchor"] or "")

    return outside_code(LINK, site_link, markdown)


# Links.


def project_files(nav: Any) -> Iterator[str]:  # noqa: ANN401 - nested lists and dicts of YAML
    """Yield the names under project/ in the navigation."""
    if isinstance(nav, str):
        if nav.startswith(PROJECT):
            yield nav.removeprefix(PROJECT)
    else:
        for entry in nav.values() if isinstance(nav, dict) else nav or []:
            yield from project_files(entry)


def destination(linked: str, site_path: str, config: MkDocsConfig, files: Files) -> str:
    """Return the link from a page of the site to a path of the repository."""
    names = {"LICENSE": f"{PROJECT}LICENSE.md", "NOTICE": f"{PROJECT}LICENSE.md"}
    site_target = names.get(linked) or (
        linked.removeprefix("docs/") if linked.startswith("docs/") else PROJECT + linked
    )
    if files.get_file_from_path(site_target) is not None:
        return posixpath.relpath(site_target, posixpath.dirname(site_path) or ".")
    if not (ROOT / linked).exists():
        log.warning("%s links to %s, which the repository does not have", site_path, linked)
    kind = "tree" if (ROOT / linked).is_dir() else "blob"
    return f"{config.extra['repository']}/{kind}/main/{linked}"


def outside_code(
    pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str], text: str
) -> str:
    """Apply `re.sub` outside fenced code."""
    done, parts = 0, []
    for fence in FENCE.finditer(text):
        parts += [pattern.sub(replace, text[done : fence.start()]), fence[0]]
        done = fence.end()
    return "".join([*parts, pattern.sub(replace, text[done:])])
