"""The commands, and the modules that they stand in: a module is imported when its command runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple, get_type_hints

import typer
import typer.main
from typer.core import TyperCommand

from lexpand.errors import DataError


class Entry(NamedTuple):
    """Where a command's function is.

    Attributes:
        module: within `lexpand.cli`.
        function: its name there.
    """

    module: str
    function: str

    def load(self) -> Any:  # noqa: ANN401 - a function of any signature
        """The function."""
        return getattr(import_module(f"lexpand.cli.{self.module}"), self.function)


COMMANDS: dict[str, Entry] = {
    "index": Entry("index", "index"),
    "search": Entry("search", "search"),
    "explain": Entry("explain", "explain_command"),
    "sync": Entry("sync", "sync_command"),
    "get": Entry("documents", "get"),
    "delete": Entry("documents", "delete"),
    "fields": Entry("documents", "fields"),
    "info": Entry("info", "info"),
    "check": Entry("maintenance", "check"),
    "compact": Entry("maintenance", "compact"),
    "lint": Entry("diagnose", "lint_command"),
    "oov": Entry("diagnose", "oov_command"),
    "export": Entry("exchange", "export"),
    "import": Entry("exchange", "import_command"),
    "backup": Entry("maintenance", "backup"),
    "encode": Entry("encode", "encode"),
    "demo": Entry("demo", "demo"),
}

GROUPS: dict[str, tuple[str, dict[str, Entry]]] = {
    "model": (
        "Model folders: imported from a checkpoint, made fast, checked and described.",
        {
            "import": Entry("model", "import_command"),
            "optimize": Entry("model", "optimize_command"),
            "check": Entry("model", "check"),
            "info": Entry("model", "info"),
        },
    ),
    "rules": (
        "Rules files: what people edit in the vectors of queries and documents, checked and tested.",
        {"check": Entry("rules", "check"), "test": Entry("rules", "test")},
    ),
}

SETTINGS = {"help_option_names": ["-h", "--help"]}


class Loaded(dict[str, Any]):
    """Commands by name, each made by the first caller."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        super().__init__(dict.fromkeys([*entries, *(GROUPS if entries is COMMANDS else ())]))
        self._entries = entries

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - typer's own types differ between its versions
        made = super().__getitem__(name)
        if made is None:
            made = (
                command_of(name, self._entries[name]) if name in self._entries else group_of(name)
            )
            self[name] = made
        return made

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as above
        """The command, or the default."""
        return self[name] if name in self else default  # noqa: SIM401 - this is `get`

    def items(self) -> Any:  # noqa: ANN401 - as above
        """Names and commands, all made."""
        return [(name, self[name]) for name in self]

    def values(self) -> Any:  # noqa: ANN401 - as above
        """The commands, all made."""
        return [self[name] for name in self]


class _Command(TyperCommand):
    """A command whose texts are UTF-8, whatever the encoding of the terminal is.

    Attributes:
        paths: parameters that are paths, which may be any bytes.
    """

    paths: frozenset[str] = frozenset()

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as above
        """Run the command.

        Raises:
            DataError: an argument is no UTF-8.
        """
        for param in self.params:
            if param.name in ctx.params and param.name not in self.paths:
                label = next(
                    (name for name in param.opts if name.startswith("--")),
                    getattr(param, "metavar", None),
                )
                ctx.params[param.name] = _as_utf8(ctx.params[param.name], label or param.name)
        return super().invoke(ctx)


def _as_utf8(value: Any, label: str) -> Any:  # noqa: ANN401 - of any parameter
    """A text of the command line read as UTF-8; Python reads it in the terminal's encoding."""
    if isinstance(value, list | tuple):
        return type(value)(_as_utf8(each, label) for each in value)
    if not isinstance(value, str) or value.isascii():
        return value
    try:
        return os.fsencode(value).decode()
    except UnicodeDecodeError:
        shown = os.fsencode(value)
        raise DataError(
            f"{label} must be UTF-8, got the bytes {shown!r}: check the terminal's encoding"
        ) from None
    except UnicodeEncodeError:
        return value  # letters that the terminal's encoding lacks are no bytes of its own


def command_of(name: str, entry: Entry) -> Any:  # noqa: ANN401 - as above
    """Typer's command for a function."""
    function = entry.load()
    # Typer keeps the line ends of all paragraphs but the first: a paragraph is made one line.
    text = "\n\n".join(" ".join(part.split()) for part in (function.__doc__ or "").split("\n\n"))
    alone = typer.Typer(add_completion=False, context_settings=SETTINGS)
    alone.command(name, cls=_Command, help=text)(function)
    made: Any = typer.main.get_command(alone)
    made.paths = frozenset(
        each for each, hint in get_type_hints(function).items() if "Path" in str(hint)
    )
    return made


def group_of(name: str) -> Any:  # noqa: ANN401 - as above
    """Typer's group of commands."""
    text, entries = GROUPS[name]
    group = typer.Typer(
        name=name, help=text, no_args_is_help=True, add_completion=False, context_settings=SETTINGS
    )
    group.callback()(_nothing)
    made: Any = typer.main.get_command(group)
    made.commands = Loaded(entries)
    return made


def functions() -> Iterator[tuple[str, Any]]:
    """Every command's whole name and function, for the reference."""
    for name, entry in sorted(COMMANDS.items()):
        yield name, entry.load()
    for group, (_, entries) in GROUPS.items():
        for name, entry in sorted(entries.items()):
            yield f"{group} {name}", entry.load()


def _nothing() -> None: ...
