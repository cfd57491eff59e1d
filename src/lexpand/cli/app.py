"""The command line's frame: the commands in order, global options, errors in one line, exit codes.

Exit codes: 0 done; 1 an error, said in one line; 2 the command line is wrong; 3 done, but rows were refused;
130 interrupted.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lexpand import _native
from lexpand.cli import (
    demo,
    doctors,
    documents,
    encode,
    exchange,
    explain,
    index,
    info,
    maintenance,
    model,
    rules,
    search,
    sync,
)
from lexpand.cli.exit_codes import EXIT_ERROR, EXIT_INTERRUPTED
from lexpand.cli.options import Verbose, is_verbose
from lexpand.cli.output import print_error, say
from lexpand.errors import LexpandError


class _Frame(TyperGroup):
    """Runs a command; what ends it early becomes one line on standard error and an exit code."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - typer's own types differ between its versions
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say("interrupted", "yellow")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except BrokenPipeError:
            # The reader has gone (`| head`): nothing to say.
            raise typer.Exit(EXIT_ERROR) from None
        except (LexpandError, OSError) as error:
            if is_verbose(ctx):
                traceback.print_exception(error)
            print_error(_line(error))
            raise typer.Exit(EXIT_ERROR) from None


def _line(error: LexpandError | OSError) -> str:
    if isinstance(error, LexpandError):
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}: check the path, its permissions and the space on the disk"


_SETTINGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="lexpand",
    cls=_Frame,
    help="Learned sparse retrieval (SPLADE): index documents, search them in words, see why a document was found.",
    epilog="Exit codes: 0 done; 1 error; 2 wrong command line; 3 done, but rows were refused; 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lexpand {_native.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: Verbose = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None: ...


_COMMANDS: dict[str, Callable[..., None]] = {
    "index": index.index,
    "search": search.search,
    "explain": explain.explain_command,
    "sync": sync.sync_command,
    "get": documents.get,
    "delete": documents.delete,
    "fields": documents.fields,
    "info": info.info,
    "check": maintenance.check,
    "compact": maintenance.compact,
    **doctors.COMMANDS,
    "export": exchange.export,
    "import": exchange.import_command,
    "backup": maintenance.backup,
    "encode": encode.encode,
    "demo": demo.demo,
}


def _add(group: typer.Typer, commands: dict[str, Callable[..., None]]) -> None:
    for name, function in commands.items():
        # Typer keeps the line ends of all paragraphs but the first: a paragraph is made one line.
        paragraphs = (function.__doc__ or "").split("\n\n")
        group.command(name, help="\n\n".join(" ".join(part.split()) for part in paragraphs))(function)


_add(app, _COMMANDS)
_models = typer.Typer(help=model.HELP, no_args_is_help=True, context_settings=_SETTINGS)
_add(_models, model.COMMANDS)
app.add_typer(_models, name="model")
_rules = typer.Typer(help=rules.HELP, no_args_is_help=True, context_settings=_SETTINGS)
_add(_rules, rules.COMMANDS)
app.add_typer(_rules, name="rules")


def main() -> None:
    """The entry point of the command `lexpand`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter gets its number
    app()
