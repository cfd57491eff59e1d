"""Commands called in this process, and what came of them."""

import json
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from typer.testing import CliRunner

from lexpand.cli.app import app

COMMAND = str(Path(sysconfig.get_path("scripts")) / "lexpand")


class Ran(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str

    def json(self) -> dict:
        """The one line of JSON that it printed."""
        (line,) = self.out.splitlines()
        return json.loads(line)

    def error(self) -> str:
        """The one line of its error: nothing else was printed, and the exit code is 1."""
        assert (self.code, self.out) == (1, ""), self
        (line,) = self.err.splitlines()
        assert line.startswith("error: ")
        return line


def run_here(*arguments: object, given: str | bytes | None = None, columns: int = 80) -> Ran:
    env = {"COLUMNS": str(columns), "NO_COLOR": None, "FORCE_COLOR": None}
    result = CliRunner().invoke(
        app, [str(argument) for argument in arguments], input=given, env=env
    )
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


def write_rows(path: Path, rows: Iterable[object]) -> Path:
    """JSON lines; a row that is a string or bytes is written as it is."""
    with path.open("wb") as file:
        for row in rows:
            line = row if isinstance(row, (str, bytes)) else json.dumps(row)
            file.write((line.encode() if isinstance(line, str) else line) + b"\n")
    return path
