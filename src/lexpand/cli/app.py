"""The main command: global options, errors in one line, exit codes.

Exit codes: 0 success; 1 error; 2 wrong command line; 3 success, but rows were refused; 130
interrupted.
"""

from __future__ import annotations

import codecs
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lexpand._native import __version__
from lexpand.cli.ascii import readable
from lexpand.cli.exit_codes import EXIT_ERROR, EXIT_INTERRUPTED
from lexpand.cli.table import COMMANDS, GROUPS, SETTINGS, Loaded
from lexpand.errors import LexpandError

_ISSUES = "https://github.com/lexpand/lexpand/issues"

# Arguments that may begin with a dash.
_FREE_TEXTS = ("QUERY", "QUERIES", "TEXT", "DOC_ID", "ID...")


class _Frame(TyperGroup):
    """Run a command, and turn every exception into one line on standard error and an exit code."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - typer's own types differ between its versions
        super().__init__(**settings)
        self.commands = Loaded(COMMANDS)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:  # noqa: ANN401 - as above
        """Complete command names without importing the commands."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        from typer._click.shell_completion import CompletionItem

        return [
            CompletionItem(name) for name in (*COMMANDS, *GROUPS) if name.startswith(incomplete)
        ]

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as above
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _say("interrupted")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except BrokenPipeError:
            # The reader of the output is gone, as in `| head`.
            raise typer.Exit(EXIT_ERROR) from None
        except Exception as error:  # noqa: BLE001 - no traceback reaches a user who does not ask for one
            _report(ctx, error)
            raise typer.Exit(EXIT_ERROR) from None


def _report(ctx: Any, error: Exception) -> None:  # noqa: ANN401 - as above
    """Print the error in one line. Typer handles its own errors."""
    from lexpand.cli.options import is_verbose
    from lexpand.cli.output import print_error

    if isinstance(error, typer.Exit | typer.Abort) or hasattr(error, "format_message"):
        _hint_at_dashes(error)
        raise error
    if is_verbose(ctx):
        traceback.print_exception(error)
    print_error(_line(error, ctx.invoked_subcommand))


def _hint_at_dashes(error: Any) -> None:  # noqa: ANN401 - as above
    """Add a hint to an unknown option, which may be a query, text or id that begins with a dash."""
    if not (getattr(error, "option_name", None) and getattr(error, "message", None)):
        return
    error.message = f"{error.message.rstrip('.')}."
    if error.ctx is None:
        return
    names = [
        param.metavar for param in error.ctx.command.params if param.param_type_name == "argument"
    ]
    free = [name for name in names if name in _FREE_TEXTS]
    if free:
        before = " ".join(["lexpand", error.ctx.info_name, *names[: names.index(free[0])]])
        error.message += f" Put -- before an argument that begins with a dash: {before} -- '-x'."


def _line(error: Exception, command: str | None) -> str:
    if isinstance(error, LexpandError):
        return str(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        reason = error.strerror or error
        return f"{where}{reason}: check the path, its permissions and the free disk space"
    return (
        f"this is a bug in lexpand {__version__}: `lexpand {command}` raised"
        f" {type(error).__name__}: {error}. Run it again with --verbose and report the traceback at"
        f" {_ISSUES}"
    )


def _say(message: str) -> None:
    from lexpand.cli.output import say

    say(message, "yellow")


app = typer.Typer(
    name="lexpand",
    cls=_Frame,
    help="Learned sparse retrieval (SPLADE): index documents, search them, and see why a document "
    "was found.",
    epilog="Exit codes: 0 success; 1 error; 2 wrong command line; 3 success, but rows were "
    "refused; 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lexpand {__version__}")
        raise typer.Exit


def _note_verbose(context: typer.Context, wanted: bool) -> None:
    if wanted:
        context.meta["lexpand.verbose"] = True


@app.callback()
def _options(
    verbose: Annotated[
        bool,
        typer.Option("--verbose", callback=_note_verbose, help="Show the traceback of an error."),
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None: ...


def run() -> None:
    """Run the command line."""
    codecs.register_error("lexpand.readable", readable)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed, as by `>&-`
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="lexpand.readable")
    app()
