"""Write reports in the format that the suffix of the file names."""

from __future__ import annotations

from pathlib import Path

from lexpand.cli.output import json_line, say
from lexpand.data.streams import atomic_write
from lexpand.errors import DataError
from lexpand.render.report import Report


def write_report(report: Report, path: Path) -> None:
    """Write a report as ``.html``, ``.md`` or ``.json``.

    Raises:
        DataError: the suffix is another one.
        StorageError: the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix in (".html", ".htm"):
        text = report.to_html()
    elif suffix == ".md":
        text = report.to_markdown()
    elif suffix == ".json":
        text = json_line(report.to_dict()) + "\n"
    else:
        raise DataError(f"a report must be a .html, .md or .json file, got {str(path)!r}")
    with atomic_write(path) as file:
        file.write(text.encode())
    say(f"the report is {path}", "dim")
