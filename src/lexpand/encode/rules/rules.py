"""A rules file: what is edited in the vectors of queries and documents, and tests of it."""

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
    """Edits of vectors, in a file that people keep (docs/rules.md).

    Attributes:
        bans, caps, boosts, synonyms, pins: the edits.
        tests: queries with documents that they must find.
        name: what messages call it.

    Raises:
        DataError: two entries of a kind are for one term and side.
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
        """Whether there is any edit."""
        return any((self.bans, self.caps, self.boosts, self.synonyms, self.pins))

    @classmethod
    def load(cls, path: str | Path) -> Rules:
        """The rules of a TOML file.

        Raises:
            SourceError: there is no such file, or it is no TOML.
            DataError: its version is another one, a section or key is unknown, or a value is not
                one that it may have; the message names the file, the section and the entry's
                number.
        """
        try:
            raw = tomllib.loads(
                Path(path).read_text(encoding="utf-8-sig")
            )  # editors on Windows add a byte order mark
        except FileNotFoundError:
            raise SourceError(f"no rules file {path}: check the path") from None
        except (OSError, ValueError) as error:
            raise SourceError(f"{path} cannot be read as rules: {error}") from error
        return cls.from_dict(raw, str(path))

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], name: str = "rules") -> Rules:
        """What a TOML file says, or what `to_dict` gave; pins get the places left free in their order.

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
        """The edits for texts of one role, without tests."""
        return Rules(
            _of(role, self.bans),
            _of(role, self.caps),
            _of(role, self.boosts),
            _of(role, self.synonyms),
            _of(role, self.pins),
            name=self.name,
        )

    def to_dict(self) -> dict[str, Any]:
        """The edits as JSON and TOML have them, in one order whatever the file's; pins in theirs, which counts."""
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
        """What a `DocumentEncoding` keeps of rules that edit documents: all edits, for queries too; else nothing."""
        if not self.of(Role.DOCUMENT):
            return {}
        return {"rules": _canonical(self.to_dict()), "rules_hash": self.hash(Role.DOCUMENT)}

    @classmethod
    def recorded(cls, encoding: DocumentEncoding) -> Rules:
        """The rules that `record` recorded; none where nothing is recorded."""
        return (
            cls.from_dict(json.loads(encoding.rules), "the index's rules")
            if encoding.rules
            else cls()
        )

    def hash(self, role: Role) -> str:
        """SHA-256 over the edits for texts of one role: with the same, texts get the same vectors."""
        return hashlib.sha256(_canonical(self.of(role).to_dict()).encode()).hexdigest()

    def bind(self, role: Role, tokens: Tokens) -> BoundRules | None:
        """The rules for texts of one role over a vocabulary; None where there are none.

        Raises:
            DataError: see `BoundRules`.
        """
        mine = self.of(role)
        if not mine:
            return None
        return BoundRules(
            Entries(mine.bans, mine.caps, mine.boosts, mine.synonyms, mine.pins), tokens
        )

    def check_pins(self, documents: Rules) -> None:
        """Nothing, where each place left free stands for the same text as in the rules of ``documents``.

        Raises:
            DataError: one stands for another text.
        """
        there = {pin.slot: pin.text for pin in documents.pins}
        for pin in self.pins:
            other = there.get(pin.slot, pin.text)
            if other.lower() != pin.text.lower():
                raise DataError(
                    f"{pin.place}: {pin.text!r} has the term that stands for {other!r} in the index's documents: put "
                    "new pins behind the old ones, or make a new index"
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
