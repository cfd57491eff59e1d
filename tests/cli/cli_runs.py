"""Run commands in this process and capture their results."""

import json
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from typer.testing import CliRunner

from lexpand.cli.app import app

COMMAND = str(Path(sysconfig.get_path("scripts")) / "lexpand")


class Ran(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    def json(self) -> dict:
        """Parse the only line of standard output as JSON."""
        (line,) = self.out.splitlines()
        return json.loads(line)

    def error(self) -> str:
        """Return the error line. Nothing else may be printed, and the exit code must be 1."""
        assert (self.code, self.out) == (1, ""), self
        (line,) = self.err.splitlines()
        assert line.startswith("error: ")
        return line


def run_here(*arguments: object, stdin: str | bytes | None = None, columns: int = 80) -> Ran:
    env = {"COLUMNS": str(columns), "NO_COLOR": None, "FORCE_COLOR": None}
    result = CliRunner().invoke(
        app, [str(argument) for argument in arguments], input=stdin, env=env
    )
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


def write_rows(path: Path, rows: Iterable[object]) -> Path:
    """Write JSON lines. A row that is a string or bytes is written unchanged."""
    with path.open("wb") as file:
        for row in rows:
            line = row if isinstance(row, (str, bytes)) else json.dumps(row)
            file.write((line.encode() if isinstance(line, str) else line) + b"\n")
    return path
