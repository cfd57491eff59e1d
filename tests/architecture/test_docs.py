"""The documentation is tested: examples run, the command reference is current, links resolve."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# The examples of these pages need extras. They run if these are installed (`make test-all`).
FRAMEWORKS = {"adapters.md": ["haystack", "langchain_core", "llama_index"]}

# The examples of these pages use the files of a folder in examples/.
FILES = {"evaluate.md": "support", "gate.md": "support", "tune.md": "support"}


def copy_files(page: Path, folder: Path) -> None:
    """Copy the files that the examples of a page use."""
    if page.name in FILES:
        shutil.copytree(ROOT / "examples" / FILES[page.name], folder, dirs_exist_ok=True)


def of_a_user() -> dict[str, str]:
    """Return the environment without the model of the tests: pages show what users see."""
    return {name: value for name, value in os.environ.items() if name != "LEXPAND_MODEL"}


def blocks(page: Path, language: str) -> list[str]:
    return [
        text for found, text in BLOCK.findall(page.read_text(encoding="utf-8")) if found == language
    ]


def with_blocks(language: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, language)]


@pytest.mark.parametrize("page", with_blocks("python"), ids=lambda page: page.name)
def test_python_examples_run(page: Path, tmp_path: Path) -> None:
    for framework in FRAMEWORKS.get(page.name, []):
        if not importlib.util.find_spec(framework):
            pytest.skip(f"{framework} is not installed")
    copy_files(page, tmp_path)
    for i, block in enumerate(blocks(page, "python")):
        script = tmp_path / f"{i}.py"
        script.write_text(block, encoding="utf-8")
        found = subprocess.run(
            [sys.executable, script], cwd=tmp_path, env=of_a_user(), capture_output=True, text=True
        )
        assert found.returncode == 0, f"{block}\n{found.stderr}"


def commands(block: str) -> list[tuple[str, list[str]]]:
    """Return the commands (``$ ``, continued by ``> ``) with their documented output."""
    parsed: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            parsed.append((line[2:], []))
        elif line.startswith("> "):
            parsed[-1] = (f"{parsed[-1][0]}\n{line[2:]}", [])
        else:
            parsed[-1][1].append(line)
    return parsed


def pattern(lines: list[str]) -> str:
    """Return the pattern of the documented output.

    Numbers may differ. A line ``…`` matches any lines, and ``…`` at the end of a line any rest.
    """
    parts = []
    for line in lines:
        if line.strip() == "…":
            parts.append(r"(?:.*\n)*?")
            continue
        text = re.escape(re.sub(r"\d[\d.,]*", "0", line.removesuffix("…")))
        parts.append(text + (r".*\n(?:.*\n)*" if line.endswith("…") else r" *\n"))
    return "".join(parts)


@pytest.mark.parametrize("page", with_blocks("console"), ids=lambda page: page.name)
def test_console_examples_print_the_documented_output(page: Path, tmp_path: Path) -> None:
    copy_files(page, tmp_path)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**of_a_user(), "PATH": path, "COLUMNS": "120", "NO_COLOR": "1"}
    for block in blocks(page, "console"):
        for command, lines in commands(block):
            found = subprocess.run(
                ["bash", "-c", command],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
            )
            assert found.returncode == 0, f"{command}\n{found.stderr}"
            output = re.sub(r"\d[\d.,]*", "0", found.stdout)
            assert re.fullmatch(pattern(lines), output), f"{command}\nprinted\n{found.stdout}"


def test_the_console_check_can_fail() -> None:
    assert re.fullmatch(pattern(["4 documents in 0.2 s", "…"]), "0 documents in 0 s\nmore\n")
    assert not re.fullmatch(pattern(["4 documents"]), "0 pages\n")


@pytest.mark.parametrize(
    ("script", "page"),
    [("write_cli_reference.py", "cli.md"), ("write_recipe_reference.py", "recipe-keys.md")],
)
def test_a_generated_reference_is_current(script: str, page: str) -> None:
    command = [sys.executable, ROOT / "tools" / script, ROOT / "docs" / page, "--check"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_every_make_target_has_a_description() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    listed = set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))
    assert listed == set(re.search(r"\.PHONY: (.*)", makefile)[1].split())  # type: ignore[index]
