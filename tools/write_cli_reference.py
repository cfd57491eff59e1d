"""Generate the reference of the command line from the commands.

    write_cli_reference.py OUT           write the page
    write_cli_reference.py OUT --check   exit with 1 if OUT is not current

The script reads the declarations of parameters, not the rendered help, so the version of Typer does
not change the page.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer.models

from lexpand.cli.app import app
from lexpand.cli.table import Entry, entries

_HEAD = """# The command line

Made from the commands by `make reference`; `lexpand COMMAND --help` says the same.

"""


def reference() -> str:
    """Return the page."""
    callback = app.registered_callback
    assert callback is not None and callback.callback is not None
    lines = [_HEAD, f"{app.info.help}\n\n{app.info.epilog}\n\n"]
    lines += ["Before the command:\n\n", *_rows(callback.callback, "option")]
    lines.append(
        "| `--install-completion`, `--show-completion` "
        "| set up or print the completion of your shell |\n"
    )
    for name, entry in entries():
        lines += _section(name, entry)
    return "".join(lines)


def _section(name: str, entry: Entry) -> Iterator[str]:
    function = entry.load()
    arguments = " ".join(
        names[0] for names, _, kind, _ in _parameters(function) if kind == "argument"
    )
    yield f"\n## lexpand {name}\n\n    lexpand {name} {arguments} [OPTIONS]\n\n".replace(
        "  [", " ["
    )
    yield f"{inspect.getdoc(function)}\n\n"
    yield "".join(("```sh\n", *(f"{line}\n" for line in entry.examples), "```\n\n"))
    yield from _rows(function, "argument")
    yield from _rows(function, "option")


def _rows(function: Callable[..., Any], selected: str) -> Iterator[str]:
    rows = [
        (names, text, default)
        for names, text, kind, default in _parameters(function)
        if kind == selected
    ]
    if rows:
        yield f"| {selected} | meaning |\n|---|---|\n"
    for names, text, default in rows:
        shown = ", ".join(f"`{name}`" for name in names)
        yield f"| {shown} | {text}{default} |\n"
    if rows and selected == "argument":
        yield "\n"


def _parameters(function: Callable[..., Any]) -> Iterator[tuple[list[str], str, str, str]]:
    """Yield the names, help, kind and default of each declared parameter."""
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        if get_origin(parameter.annotation) is not Annotated:
            continue
        kind, *declared = get_args(parameter.annotation)
        info = declared[0]
        is_option = isinstance(info, typer.models.OptionInfo)
        # In Annotated, the first positional argument of Typer is the first name of the option, but
        # Typer calls it `default`.
        names = [
            decl for decl in (info.default, *(info.param_decls or ())) if isinstance(decl, str)
        ]
        names = names or [f"--{name.replace('_', '-')}"]
        if not is_option:
            names = [info.metavar or name.upper()]
        default = info.show_default if isinstance(info.show_default, str) else parameter.default
        yield (
            names,
            _text(info.help, kind),
            "option" if is_option else "argument",
            _default(default),
        )


def _text(text: str | None, kind: Any) -> str:  # noqa: ANN401 - any type that an annotation may hold
    choices = [
        member
        for member in (kind, *get_args(kind))
        if inspect.isclass(member) and issubclass(member, Enum)
    ]
    listed = f" One of {', '.join(f'`{value.value}`' for value in choices[0])}." if choices else ""
    return f"{(text or '').replace('|', chr(92) + '|')}{listed}"


def _default(value: object) -> str:
    if value is inspect.Parameter.empty or value is None or isinstance(value, bool):
        return ""
    return f" [default: {value.value if isinstance(value, Enum) else value}]"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="the page")
    parser.add_argument("--check", action="store_true", help="only compare")
    options = parser.parse_args()
    page = reference()
    if options.check:
        if options.out.read_text(encoding="utf-8") != page:
            sys.exit(f"{options.out} must be what the commands generate: run `make reference`")
        return
    options.out.write_text(page, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
