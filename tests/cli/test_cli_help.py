"""Help of every command and option, completion, and a start without heavy imports."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from cli_runs import COMMAND, Ran

from lexpand.cli.app import app
from lexpand.cli.table import Entry, entries

ROOT: Any = typer.main.get_command(app)
GROUPS = ("model", "collection", "gate", "runs", "rules")
COMMANDS: dict[str, Any] = {
    name: command for name, command in ROOT.commands.items() if name not in GROUPS
}
COMMANDS |= {
    f"{group} {name}": command
    for group in GROUPS
    for name, command in ROOT.commands[group].commands.items()
}


def parameters() -> Iterator[tuple[str, Any]]:
    for name, command in {"lexpand": ROOT, **COMMANDS}.items():
        for parameter in command.params:
            yield f"{name} {parameter.opts[0]}", parameter


def test_commands_are_listed_by_task(run: Callable) -> None:
    order = (
        "index sync delete search explain get demo info fields lint oov evaluate compare tune judge"
        " reencode check compact backup push verify pull switch encode export import train adapt"
        " mine score"
    )
    assert list(ROOT.commands) == [*order.split(), *GROUPS]
    assert list(ROOT.commands["model"].commands) == [
        "import",
        "optimize",
        "check",
        "info",
        "graft",
        "pack",
        "export",
        "add-terms",
        "fold",
    ]
    assert list(ROOT.commands["collection"].commands) == ["check", "agreement", "overlap"]
    assert list(ROOT.commands["gate"].commands) == ["init", "check", "accept"]
    assert list(ROOT.commands["runs"].commands) == ["list", "show", "tag", "remove", "export"]
    assert list(ROOT.commands["rules"].commands) == ["check", "test"]
    shown = run("--help").out
    panels = [
        "Put documents in",
        "Find and explain",
        "Inspect",
        "Evaluate",
        "Maintain",
        "Other search engines",
        "Vectors, models",
        "Train",
    ]
    assert [shown.index(panel) for panel in panels] == sorted(map(shown.index, panels))


@pytest.mark.parametrize(("name", "entry"), dict(entries()).items(), ids=dict(entries()))
def test_every_command_has_examples_that_parse(run: Callable, name: str, entry: Entry) -> None:
    assert entry.examples
    shown = " ".join(run(*name.split(), "--help", columns=200).out.split())
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    for example in entry.examples:
        assert " ".join(example.split()) in shown
        words = shlex.split(example)
        command = words[words.index("lexpand") + 1 :]
        if command[: len(name.split())] == name.split():
            assert {word for word in command if word.startswith("-") and len(word) > 1} <= options
        else:
            assert command[0] in COMMANDS  # a following command that uses the result


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_every_command_has_help(run: Callable, name: str) -> None:
    for option in ("--help", "-h"):
        ran = run(*name.split(), option)
        assert (ran.code, ran.err) == (0, "")
        assert "Usage: " in ran.out
    command = COMMANDS[name] if name else ROOT
    assert command.help and command.help.split("\n\n")[0].endswith(".")
    assert all("\n" not in paragraph for paragraph in command.help.split("\n\n"))


@pytest.mark.parametrize("parameter", dict(parameters()).values(), ids=dict(parameters()).keys())
def test_every_option_has_help(parameter: Any) -> None:
    assert parameter.help and parameter.help.endswith((".", "."))
    assert "[" not in parameter.help, "brackets are markup in help"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json_and_verbose(name: str) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert {"--json", "--verbose"} <= options


def test_help_describes_the_default_of_an_option(run: Callable) -> None:
    text = run("index", "--help", columns=200).out
    for default in ("the model's limit", "doc_id, id or _id", "all cores", "refuse", "10000"):
        assert default in text
    assert "SOURCE" in text and "INDEX" in text


def test_help_fits_a_narrow_terminal(run: Callable) -> None:
    for name in COMMANDS:
        assert max(map(len, run(*name.split(), "--help", columns=60).out.splitlines())) <= 60


def test_lexpand_without_a_command_shows_help(run: Callable) -> None:
    ran = run()
    assert ran.code == 2
    assert "Exit codes: 0 success" in ran.out
    for name in ROOT.commands:
        assert f" {name} " in ran.out


def completing(shell: str, **variables: str) -> str:
    """Return what the script prints when a shell requests completion."""
    env = {**os.environ, "_LEXPAND_COMPLETE": shell, **variables}
    return subprocess.run(
        [COMMAND], env=env, capture_output=True, encoding="utf-8", timeout=60
    ).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_valid(shell: str) -> None:
    script = completing(f"source_{shell}")
    assert f"_LEXPAND_COMPLETE=complete_{shell}" in script
    interpreter = shutil.which(shell)
    if interpreter and shell != "fish":
        subprocess.run([interpreter, "-n"], input=script, encoding="utf-8", check=True)


def test_completion_is_shown_and_installed(shell: Callable[..., Ran], tmp_path: Path) -> None:
    env = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    assert "_LEXPAND_COMPLETE" in shell("--show-completion", "zsh", env=env).out
    installed = shell("--install-completion", "bash", env=env)
    assert installed.code == 0
    assert "_LEXPAND_COMPLETE" in (tmp_path / ".bash_completions" / "lexpand.sh").read_text()


def test_commands_and_choices_are_completed() -> None:
    assert completing("complete_bash", COMP_WORDS="lexpand se", COMP_CWORD="1").split() == [
        "search"
    ]
    choices = completing(
        "complete_bash", COMP_WORDS="lexpand index --on-duplicate ", COMP_CWORD="3"
    )
    assert choices.split() == ["refuse", "skip", "replace"]


HEAVY = [
    "onnxruntime",
    "tokenizers",
    "safetensors",
    "scipy",
    "ir_measures",
    "pandas",
    "pyarrow",
    "torch",
]


@pytest.mark.parametrize("arguments", [["--help"], ["info"], ["index", "--help"]], ids=" ".join)
def test_the_start_imports_nothing_heavy(pages_index: Path, arguments: list[str]) -> None:
    command = [*arguments, str(pages_index)] if arguments == ["info"] else arguments
    code = (
        "import sys\nfrom lexpand.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
