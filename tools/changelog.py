"""Check CHANGELOG.md against Keep a Changelog 1.1.0, and print release notes.

changelog.py check                           exit with 1 if the format is invalid
changelog.py section VERSION                 print the section of a release
changelog.py section VERSION --as-in-cargo   fail if Cargo.toml has another version
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
import tomllib
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")

HEADING = re.compile(
    r"## \[(?P<version>Unreleased|\d+\.\d+\.\d+)\](?: - (?P<date>\d{4}-\d{2}-\d{2}))?"
)


@dataclass
class Release:
    """A `## [...]` section.

    Attributes:
        version: `Unreleased`, or three numbers.
        date: the day of the release; None for `Unreleased`.
        kinds: the lines of each subsection, such as `Added`.
        lines: the text of the section without its heading.
    """

    version: str
    date: datetime.date | None
    kinds: dict[str, list[str]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version as numbers, for comparison."""
        return tuple(int(part) for part in self.version.split("."))

    @property
    def notes(self) -> str:
        """The text without link definitions."""
        return (
            "\n".join(line for line in self.lines if not re.match(r"\[[^\]]+\]: ", line)).strip()
            + "\n"
        )


def parse(text: str) -> list[Release]:
    """Return the releases, newest first.

    Raises:
        ValueError: the format is invalid. The message has the line number.
    """
    releases: list[Release] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("## "):
            releases.append(_release(number, line))
        elif releases:
            _add(releases[-1], number, line)
        elif line.startswith("### "):
            raise ValueError(f"line {number}: {line!r} must be below a release")
    _check(releases)
    return releases


def _release(number: int, line: str) -> Release:
    match = HEADING.fullmatch(line)
    if match is None or (match["version"] == "Unreleased") != (match["date"] is None):
        raise ValueError(
            f"line {number}: must be '## [Unreleased]' or '## [x.y.z] - YYYY-MM-DD', got {line!r}"
        )
    try:
        date = datetime.date.fromisoformat(match["date"]) if match["date"] else None
    except ValueError:
        raise ValueError(
            f"line {number}: the date must be a valid YYYY-MM-DD, got {match['date']}"
        ) from None
    return Release(match["version"], date)


def _add(release: Release, number: int, line: str) -> None:
    release.lines.append(line)
    if line.startswith("### "):
        kind = line.removeprefix("### ")
        if kind not in KINDS:
            raise ValueError(
                f"line {number}: section must be one of {', '.join(KINDS)}, got {kind!r}"
            )
        if kind in release.kinds:
            raise ValueError(f"line {number}: {release.version} has {kind} twice")
        release.kinds[kind] = []
    elif release.kinds:
        release.kinds[list(release.kinds)[-1]].append(line)
    elif re.match(r"[*-] ", line):
        raise ValueError(f"line {number}: an entry must be below one of {', '.join(KINDS)}")


def _check(releases: list[Release]) -> None:
    if not releases or releases[0].version != "Unreleased":
        raise ValueError("the first section must be '## [Unreleased]'")
    released = releases[1:]
    if any(release.version == "Unreleased" for release in released):
        raise ValueError("there must be only one '## [Unreleased]'")
    for newer, older in pairwise(released):
        _check_order(newer, older)
    for release in releases:
        _check_kinds(release)


def _check_order(newer: Release, older: Release) -> None:
    if newer.numbers <= older.numbers:
        raise ValueError(
            f"{newer.version} must be newer than {older.version}: the newest release is first"
        )
    if newer.date and older.date and newer.date < older.date:
        raise ValueError(f"the date of {newer.version} must not be before that of {older.version}")


def _check_kinds(release: Release) -> None:
    if release.date and not release.kinds:
        raise ValueError(f"{release.version} must have a subsection: {', '.join(KINDS)}")
    for kind, lines in release.kinds.items():
        if not any(re.match(r"[*-] ", line) for line in lines):
            raise ValueError(f"{release.version}: {kind} must have an entry")


def cargo_version() -> str:
    """Return the version in Cargo.toml."""
    with (ROOT / "Cargo.toml").open("rb") as file:
        version: str = tomllib.load(file)["workspace"]["package"]["version"]
    return version


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check")
    section = commands.add_parser("section")
    section.add_argument("version")
    section.add_argument("--as-in-cargo", action="store_true")
    options = parser.parse_args()
    try:
        releases = parse((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    except ValueError as error:
        sys.exit(f"CHANGELOG.md: {error}")
    if options.command == "check":
        return
    if options.as_in_cargo and options.version != cargo_version():
        sys.exit(f"Cargo.toml must have version {options.version}, got {cargo_version()}")
    found = [release for release in releases if release.version == options.version]
    if not found:
        sys.exit(f"CHANGELOG.md must have a section '## [{options.version}] - date'")
    print(found[0].notes, end="")


if __name__ == "__main__":
    main()
