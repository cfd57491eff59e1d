"""Files that a host of repositories reads: citation, issue forms, hooks, and their one URL."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from release_tools import ROOT, load

changelog = load("changelog")
check_text = load("check_text")

FORMS = sorted(
    path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config"
)


def read(path: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return parsed


def test_the_citation_is_complete_and_of_this_version() -> None:
    citation = read(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors", "license", "repository-code"} <= set(
        citation
    )
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == changelog.cargo_version()
    for author in citation["authors"]:
        assert "name" in author or {"family-names", "given-names"} <= set(author)


def form_problems(form: dict[str, Any]) -> list[str]:
    """Check an issue form against the requirements of GitHub's schema."""
    found = [f"no {key}" for key in ("name", "description", "body") if not form.get(key)]
    fields = [field for field in form.get("body", []) if field["type"] != "markdown"]
    ids = [field.get("id", "") for field in fields]
    found += [
        f"id {name!r}" for name in ids if ids.count(name) > 1 or not re.fullmatch(r"[\w-]+", name)
    ]
    for field in form.get("body", []):
        if field["type"] not in ("checkboxes", "dropdown", "input", "markdown", "textarea"):
            found.append(f"type {field['type']}")
        required = {"markdown": "value", "dropdown": "options"}.get(field["type"], "label")
        if not field["attributes"].get(required):
            found.append(f"{field.get('id')}: no {required}")
        # YAML reads a bare yes or no as a boolean, which GitHub refuses.
        found += [
            f"option {one!r}"
            for one in field["attributes"].get("options", [])
            if not isinstance(one, str)
        ]
    return found


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_issue_forms_are_valid(path: Path) -> None:
    assert form_problems(read(path)) == []


def test_a_broken_form_is_found() -> None:
    body = [
        {"type": "input", "id": "a", "attributes": {}},
        {"type": "input", "id": "a", "attributes": {"label": "a"}},
        {"type": "text", "id": "b", "attributes": {"label": "b"}},
        {"type": "dropdown", "id": "c", "attributes": {"options": [True]}},
    ]
    found = form_problems({"name": "a", "body": body})
    assert found == [
        "no description",
        "id 'a'",
        "id 'a'",
        "a: no label",
        "type text",
        "option True",
    ]


def test_a_ranking_surprise_brings_its_reasons() -> None:
    form = read(ROOT / ".github" / "ISSUE_TEMPLATE" / "ranking.yml")
    field = next(field for field in form["body"] if field.get("id") == "why-not")
    assert "lexpand explain INDEX QUERY DOC_ID --why-not" in field["attributes"]["description"]
    assert field["validations"] == {"required": True}


def test_the_repository_has_one_address() -> None:
    """RELEASE.md lists the files; none has another owner or name."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        address = tomllib.load(file)["project"]["urls"]["Repository"]
    named = re.findall(
        r"^\* `([^`]+)`: .*address", (ROOT / "RELEASE.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert named, "RELEASE.md lists no file with the address"
    for name in named:
        assert address in (ROOT / name).read_text(encoding="utf-8"), name
    found = subprocess.run(
        ["git", "grep", "-lF", address, "--", ":!RELEASE.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if found.returncode <= 1:  # elsewhere, the checkout is no git repository
        assert set(found.stdout.split()) <= set(named)


def test_hooks_call_what_is_there() -> None:
    hooks = [
        hook for repo in read(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]
    ]
    assert len({hook["id"] for hook in hooks}) == len(hooks)
    for hook in hooks:
        assert hook["language"] == "system"
        for word in hook["entry"].split():
            if word.startswith("tools/"):
                assert (ROOT / word).is_file(), word


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.py", b"a = 1", "must end with one newline"),
        ("a.py", b"a = 1\n\n", "must end with one newline"),
        ("a.py", b"a = 1 \n", "line 1 must not end with whitespace"),
        ("a.py", b"a = 1\n  \nb = 2\n", "line 2 must not end with whitespace"),
        ("a.md", b"a \n", "line 1 must not end with whitespace"),
        ("a.py", b"a\r\n", "lines must end with a line feed alone"),
        ("a.py", b"<<<<<<< ours\n", "must have no conflict marker"),
        ("a.py", b"a" * 1_000_000 + b"\n", "must be <= 1,000,000 bytes, got 1,000,001"),
    ],
)
def test_faults_of_text_are_found(name: str, content: bytes, said: str) -> None:
    assert list(check_text.problems(name, content)) == [said]


@pytest.mark.parametrize("content", [b"", b"a\n", b"break  \nhere\n"])
def test_sound_text_has_no_fault(content: bytes) -> None:
    assert list(check_text.problems("a.md", content)) == []


def test_the_text_check_fails(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a")
    command = [sys.executable, ROOT / "tools" / "check_text.py", tmp_path / "a.txt"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 1
    assert "must end with one newline" in ran.stderr
