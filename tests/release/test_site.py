"""The documentation site: no warnings, nothing loaded from elsewhere, every public name."""

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from release_tools import ROOT, environment, load

check_site = load("check_site")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built by this Python or by the one of `make docs`."""
    installed = all(
        importlib.util.find_spec(name) for name in ("mkdocs", "material", "mkdocstrings")
    )
    python = Path(sys.executable) if installed else environment(".venv-docs", "make docs")
    folder = tmp_path_factory.mktemp("site")
    command: list[Any] = [
        python,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        folder,
    ]
    settings = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "SITE_URL": ""}
    built = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def page(site: Path, name: str) -> str:
    return (site / name).read_text(encoding="utf-8")


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    assert list(check_site.external(site)) == []


def test_every_page_of_the_docs_is_in_the_site(site: Path) -> None:
    for path in (ROOT / "docs").rglob("*.md"):
        assert (site / path.relative_to(ROOT / "docs").with_suffix(".html")).is_file(), path


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    packages = {path.parent.name for path in (ROOT / "src" / "lexpand").glob("*/__init__.py")} - {
        "adapters",
        "cli",
    }
    assert len(packages) >= 7
    for package in packages:
        module = importlib.import_module(f"lexpand.{package}")
        text = page(site, f"reference/lexpand.{package}.html") if module.__all__ else ""
        for name in module.__all__:
            assert f'id="lexpand.{package}.{name}"' in text, f"lexpand.{package}.{name}"
    text = page(site, "reference/lexpand.html")
    for name in importlib.import_module("lexpand").__all__:
        assert name.startswith("__") or f"<code>{name}</code>" in text, name


def test_sections_of_docstrings_are_rendered(site: Path) -> None:
    text = unescape(re.sub(r"<[^>]+>", "", page(site, "reference/lexpand.search.html")))
    for section in ("Parameters:", "Raises:", "Attributes:"):
        assert section in text
    # A section that was not recognized stays in the text under its own name.
    assert not re.search(r"^\s*Args:", text, re.MULTILINE)


def test_links_to_the_root_and_back(site: Path) -> None:
    assert 'href="project/ARCHITECTURE.html"' in page(site, "index.html")
    assert 'href="../format.html"' in page(site, "project/ARCHITECTURE.html")
    assert 'href="LICENSE.html"' in page(site, "project/index.html")
    assert "/blob/main/examples/quickstart.ipynb" in page(site, "project/index.html")
    assert "Apache License" in page(site, "project/LICENSE.html")


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example/a.js"></script>',
        '<link rel="stylesheet" href="//cdn.example/a.css">',
        '<link rel="preconnect" href="https://fonts.example">',
        '<img src="https://example.com/a.png">',
        '<img srcset="a.png 1x, https://example.com/b.png 2x">',
        "<style>@import 'https://example.com/a.css';</style>",
        '<p style="background: url(https://example.com/a.png)">',
        '<script>import("https://example.com/a.js")</script>',
        '<iframe src="https://example.com"></iframe>',
        '<meta http-equiv="refresh" content="0; url=https://example.com">',
    ],
)
def test_what_a_page_loads_is_found(text: str) -> None:
    assert len(check_site.in_page(text)) == 1


def test_links_load_nothing() -> None:
    text = '<a href="https://arxiv.org/abs/2107.05720">SPLADE</a>'
    text += '<link rel="canonical" href="https://example.com/">'
    assert (
        check_site.in_page(
            text + '<script src="assets/a.js"></script><img src="data:image/png;base64,AA//">'
        )
        == []
    )


def test_a_script_that_loads_is_found(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text('<pre class="mermaid">a</pre>')
    (tmp_path / "a.js").write_text(
        'load("https://unpkg.com/mermaid@11/a.js"); load("https://example.com/b.js")'
    )
    (tmp_path / "a.css").write_text("a { background: url(//example.com/c.png) }")
    assert [line.partition(": ")[2] for line in check_site.external(tmp_path)] == [
        "style //example.com/c.png",
        "script https://example.com/b.js",
        "script https://unpkg.com/mermaid@",
    ]
