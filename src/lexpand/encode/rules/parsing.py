"""Tables of TOML to entries; what is wrong is said with the entry's place."""

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
    "a pattern stands for any number of ids, and the vocabulary has no term for each: give each as text, or search "
    "with --pipeline hybrid, which finds words exactly"
)


def check_whole(raw: Mapping[str, Any], name: str) -> None:
    """Nothing, where a file has a version that is read, and no unknown section.

    Raises:
        DataError: it has not.
    """
    version = raw.get("version")
    if isinstance(version, bool) or version != VERSION:
        raise DataError(
            f"{name}: the version is {version!r}: begin the file with version = {VERSION}, which this Lexpand reads"
        )
    unknown = sorted(raw.keys() - {"version", *KINDS})
    if unknown:
        raise DataError(
            f"{name} has the section {unknown[0]!r}: it may have {', '.join(f'[[{kind}]]' for kind in KINDS)}"
        )


def parse_entries(kind: type[Entry], section: str, raw: object, name: str) -> tuple[Entry, ...]:
    """The entries of one section.

    Raises:
        DataError: one is none; the message names the file, the section and the entry's number from
            1.
    """
    if not isinstance(raw, list):
        raise DataError(
            f"{name}: {section} is {raw!r}: write each entry below a line [[{section}]]"
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
        del known["side"]  # an exact match needs both
    if not isinstance(table, Mapping):
        raise DataError(f"it is {table!r}: it must be a table with {', '.join(known)}")
    if kind is Pin and "pattern" in table:
        raise DataError(_PATTERN)
    unknown = sorted(table.keys() - known.keys())
    if unknown:
        raise DataError(f"it has the key {unknown[0]!r}: it may have {', '.join(known)}")
    needed = [name for name, each in known.items() if each.default is MISSING and name not in table]
    if needed:
        raise DataError(f"it lacks {needed[0]}: it needs {_listed(known)}")
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
    """Nothing, where no two entries of a kind are for one term or text and one side.

    Raises:
        DataError: two are; it is not known which is meant.
    """
    seen: dict[str, list[Ban | Cap | Boost | Pin]] = {}
    for entry in entries:
        named = entry.text.lower() if isinstance(entry, Pin) else entry.term
        for other in seen.setdefault(named, []):
            if Side.BOTH in (entry.side, other.side) or entry.side is other.side:
                raise DataError(
                    f"{entry.place}: {named!r} is there already, by {other.place}: leave one out"
                )
        seen[named].append(entry)


def _listed(known: Mapping[str, Any]) -> str:
    return " and ".join(name for name, each in known.items() if each.default is MISSING)
