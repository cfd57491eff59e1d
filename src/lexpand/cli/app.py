"""The command line's frame: global options, errors in one line, exit codes.

Exit codes: 0 done; 1 an error, said in one line; 2 the command line is wrong; 3 done, but rows were refused;
130 interrupted.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated, ParamSpec

import typer

from lexpand import _native
from lexpand.cli.output import errors
from lexpand.errors import LexpandError

EXIT_ERROR = 1
EXIT_REFUSED = 3
EXIT_INTERRUPTED = 130

_P = ParamSpec("_P")

app = typer.Typer(
    name="lexpand",
    help="Learned sparse retrieval (SPLADE): index documents, search them in words, see why a document was found.",
    epilog="Exit codes: 0 done; 1 error; 2 wrong command line; 3 done, but rows were refused; 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lexpand {_native.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    context.obj = {"verbose": verbose}


def command(function: Callable[_P, None]) -> Callable[_P, None]:
    """Register a command under its function's name; its errors become one line and an exit code."""

    @functools.wraps(function)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except KeyboardInterrupt:
            errors.print("interrupted", style="yellow")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except BrokenPipeError:
            # The reader of our output has gone (`| head`); a second failure when Python flushes says nothing new.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(EXIT_ERROR) from None
        except LexpandError as error:
            if _verbose():
                raise
            errors.print(f"[bold red]error:[/] {_escape(str(error))}", soft_wrap=True)
            raise typer.Exit(EXIT_ERROR) from None

    name = function.__name__.removesuffix("_command")
    app.command(name)(run)
    return function


def _verbose() -> bool:
    # Typer keeps the context to itself once a command runs; the flag stands before the command's name.
    return "--verbose" in sys.argv


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def main() -> None:
    """The entry point of the command `lexpand`."""
    from lexpand.cli import demo, encode, explain, index, info, search  # noqa: F401 - each registers its command

    app()
