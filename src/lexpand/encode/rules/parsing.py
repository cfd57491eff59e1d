"""Parse TOML tables into entries, with errors that name the place of the entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from lexpand.encode.rules.entries import (
    Ban,
    Boost,
    Cap,
    Expectation,
    Pin,
    Side,
    Synonym,
    check_terms,
    parse_side,
)
from lexpand.errors import DataError

VERSION = 1

Entry = TypeVar("Entry", Ban, Cap, Boost, Synonym, Pin, Expectation)

KINDS = ("ban", "cap", "boost", "synonym", "pin", "test")

_PATTERN = (
    "pattern is not supported, because the vocabulary cannot have a term for each id that matches: "
    "give each id as text, or search with --pipeline hybrid, which matches words exactly"
)


def check_whole(raw: Mapping[str, Any], name: str) -> None:
    """Check the version and the section names of a file.

    Raises:
        DataError: the version is not supported, or a section is unknown.
    """
    version = raw.get("version")
    if isinstance(version, bool) or version != VERSION:
        raise DataError(
            f"{name}: version must be {VERSION}, got {version!r}: "
            f"begin the file with version = {VERSION}"
        )
    unknown = sorted(raw.keys() - {"version", *KINDS})
    if unknown:
        known = ", ".join(f"[[{kind}]]" for kind in KINDS)
        raise DataError(f"{name}: sections must be among {known}, got {unknown[0]!r}")


def parse_entries(kind: type[Entry], section: str, raw: object, name: str) -> tuple[Entry, ...]:
    """Return the entries of one section.

    Raises:
        DataError: an entry is invalid. The message names the file, the section and the number of
            the entry, from 1.
    """
    if not isinstance(raw, list):
        raise DataError(
            f"{name}: {section} must be a list of tables, got {raw!r}: "
            f"write each entry below a line [[{section}]]"
        )
    places = [f"{name}, [[{section}]] {number}" for number in range(1, len(raw) + 1)]
    entries = []
    for slot, (table, place) in enumerate(zip(raw, places, strict=True)):
        try:
            entries.append(_entry(kind, table, slot, place))
        except DataError as error:
            raise DataError(f"{place}: {error}") from None
    return tuple(entries)


def _entry(kind: type[Entry], table: object, slot: int, place: str) -> Entry:
    known = {each.name: each for each in fields(kind) if each.name not in ("place", "slot")}
    if kind is Pin:
        del known["side"]  # an exact match needs both sides
    if not isinstance(table, Mapping):
        raise DataError(f"an entry must be a table with {', '.join(known)}, got {table!r}")
    if kind is Pin and "pattern" in table:
        raise DataError(_PATTERN)
    unknown = sorted(table.keys() - known.keys())
    if unknown:
        raise DataError(f"the keys must be among {', '.join(known)}, got {unknown[0]!r}")
    required = [name for name, each in known.items() if each.default is MISSING]
    missing = [name for name in required if name not in table]
    if missing:
        raise DataError(f"the key {missing[0]!r} is missing: give {' and '.join(required)}")
    values: dict[str, Any] = {**table, "place": place}
    if "side" in values:
        values["side"] = parse_side(values["side"])
    if "term" in values:
        check_terms(values["term"])
    if isinstance(values.get("add"), Mapping):
        check_terms(*values["add"])
    if kind is Pin:
        values["slot"] = slot
    return kind(**values)


def check_no_duplicates(
    entries: Sequence[Ban] | Sequence[Cap] | Sequence[Boost] | Sequence[Pin],
) -> None:
    """Check that no two entries of a kind have the same term or text, and the same side.

    Raises:
        DataError: two entries do, so it is unclear which one applies.
    """
    seen: dict[str, list[Ban | Cap | Boost | Pin]] = {}
    for entry in entries:
        subject = entry.text.lower() if isinstance(entry, Pin) else entry.term
        for other in seen.setdefault(subject, []):
            if Side.BOTH in (entry.side, other.side) or entry.side is other.side:
                raise DataError(
                    f"{entry.place}: {subject!r} has an entry for the same side already, "
                    f"{other.place}: remove one of them"
                )
        seen[subject].append(entry)
