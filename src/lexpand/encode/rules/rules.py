"""The content of a rules file: edits of query and document vectors, and tests."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from lexpand.data import DocumentEncoding
from lexpand.encode.contract import Role
from lexpand.encode.rules.bound import BoundRules, Entries
from lexpand.encode.rules.entries import Ban, Boost, Cap, Expectation, Pin, Side, Synonym
from lexpand.encode.rules.parsing import VERSION, check_no_duplicates, check_whole, parse_entries
from lexpand.encode.tokens import Tokens
from lexpand.errors import DataError, SourceError

_Sided = TypeVar("_Sided", Ban, Cap, Boost, Synonym, Pin)


@dataclass(frozen=True, slots=True)
class Rules:
    """Edits of vectors, from a rules file (docs/rules.md).

    Attributes:
        bans, caps, boosts, synonyms, pins: the edits.
        tests: queries and the documents that they must find.
        name: the name of the file, for messages.

    Raises:
        DataError: two entries of a kind have the same term and side.
    """

    bans: tuple[Ban, ...] = ()
    caps: tuple[Cap, ...] = ()
    boosts: tuple[Boost, ...] = ()
    synonyms: tuple[Synonym, ...] = ()
    pins: tuple[Pin, ...] = ()
    tests: tuple[Expectation, ...] = ()
    name: str = "rules"

    def __post_init__(self) -> None:
        for entries in (self.bans, self.caps, self.boosts, self.pins):
            check_no_duplicates(entries)

    def __bool__(self) -> bool:
        """Whether there is at least one edit."""
        return any((self.bans, self.caps, self.boosts, self.synonyms, self.pins))

    @classmethod
    def load(cls, path: str | Path) -> Rules:
        """Read a TOML file.

        Raises:
            SourceError: the file does not exist, or is not TOML.
            DataError: the version is not supported, a section or key is unknown, or a value is
                invalid. The message names the file, the section and the number of the entry.
        """
        try:
            # utf-8-sig: editors on Windows add a byte order mark.
            content = Path(path).read_text(encoding="utf-8-sig")
            raw = tomllib.loads(content)
        except FileNotFoundError:
            raise SourceError(f"no rules file {path}: check the path") from None
        except (OSError, ValueError) as error:
            raise SourceError(
                f"{path} cannot be read as a rules file: {error}: "
                "the file must be TOML in UTF-8 (docs/rules.md)"
            ) from error
        return cls.from_dict(raw, str(path))

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], name: str = "rules") -> Rules:
        """Parse the content of a TOML file, or the result of `to_dict`.

        Pins take the unused terms of the vocabulary in their order.

        Raises:
            DataError: see `load`.
        """
        check_whole(raw, name)
        return cls(
            parse_entries(Ban, "ban", raw.get("ban", []), name),
            parse_entries(Cap, "cap", raw.get("cap", []), name),
            parse_entries(Boost, "boost", raw.get("boost", []), name),
            parse_entries(Synonym, "synonym", raw.get("synonym", []), name),
            parse_entries(Pin, "pin", raw.get("pin", []), name),
            parse_entries(Expectation, "test", raw.get("test", []), name),
            name,
        )

    def of(self, role: Role) -> Rules:
        """Return the edits for texts of one role, without tests."""
        return Rules(
            _of(role, self.bans),
            _of(role, self.caps),
            _of(role, self.boosts),
            _of(role, self.synonyms),
            _of(role, self.pins),
            name=self.name,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the edits as plain values, in a canonical order. Pins keep their own order."""
        kinds: dict[str, Iterable[Any]] = {
            "ban": self.bans,
            "cap": self.caps,
            "boost": self.boosts,
            "synonym": self.synonyms,
        }
        written = {
            kind: sorted(map(_plain, entries), key=_canonical)
            for kind, entries in kinds.items()
            if entries
        }
        pins = [{"text": pin.text, "weight": pin.weight} for pin in self.pins]
        return {"version": VERSION, **written, **({"pin": pins} if pins else {})}

    def record(self) -> dict[str, str]:
        """Return the record that a `DocumentEncoding` keeps.

        It has all edits, those of queries too, if some of them apply to documents. Otherwise it is
        empty.
        """
        if not self.of(Role.DOCUMENT):
            return {}
        return {"rules": _canonical(self.to_dict()), "rules_hash": self.hash(Role.DOCUMENT)}

    @classmethod
    def recorded(cls, encoding: DocumentEncoding) -> Rules:
        """Return the rules that `record` recorded. They are empty if nothing is recorded."""
        return (
            cls.from_dict(json.loads(encoding.rules), "the index's rules")
            if encoding.rules
            else cls()
        )

    def hash(self, role: Role) -> str:
        """Return the SHA-256 of the edits for one role. The same hash means the same vectors."""
        return hashlib.sha256(_canonical(self.of(role).to_dict()).encode()).hexdigest()

    def bind(self, role: Role, tokens: Tokens) -> BoundRules | None:
        """Bind the rules for one role to a vocabulary. None if there are none for the role.

        Raises:
            DataError: see `BoundRules`.
        """
        rules = self.of(role)
        if not rules:
            return None
        entries = Entries(rules.bans, rules.caps, rules.boosts, rules.synonyms, rules.pins)
        return BoundRules(entries, tokens)

    def check_pins(self, documents: Rules) -> None:
        """Check that each pin has the same text as the pin of ``documents`` in its slot, if any.

        Raises:
            DataError: a pin has another text.
        """
        existing = {pin.slot: pin.text for pin in documents.pins}
        for pin in self.pins:
            text = existing.get(pin.slot, pin.text)
            if text.lower() != pin.text.lower():
                raise DataError(
                    f"{pin.place}: {pin.text!r} would take the term of {text!r} in the documents "
                    "of the index: add new pins after the existing ones, or make a new index"
                )


def _of(role: Role, entries: tuple[_Sided, ...]) -> tuple[_Sided, ...]:
    return tuple(replace(entry, side=Side(role)) for entry in entries if entry.side.covers(role))


def _plain(entry: Ban | Cap | Boost | Synonym) -> dict[str, Any]:
    return {
        name: str(value) if name == "side" else value
        for name, value in asdict(entry).items()
        if name != "place"
    }


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
