"""What does an index keep of the rules that its documents were encoded with, and who may add to it?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lexpand.encode.contract import Role
from lexpand.encode.rules.rules import Rules
from lexpand.errors import IndexStateError

# Digits of a hash that are shown to people.
_SHOWN = 12


def document_record(rules: Rules) -> dict[str, Any]:
    """What an index records of the rules that its documents are encoded with; nothing where there are none."""
    mine = rules.of(Role.DOCUMENT)
    return {"rules": {"hash": rules.hash(Role.DOCUMENT), **mine.to_dict()}} if mine else {}


def recorded_rules(settings: Mapping[str, Any]) -> Rules:
    """The rules that `document_record` recorded in ``VectorSpace.document_settings``."""
    recorded = settings.get("rules")
    if not recorded:
        return Rules()
    return Rules.from_dict({name: value for name, value in recorded.items() if name != "hash"}, "the index's rules")


def check_same_rules(index: str | Path, recorded: Mapping[str, Any], offered: Mapping[str, Any]) -> None:
    """Nothing, where documents are encoded with the rules of those that the index has.

    Args:
        index: what the message calls it.
        recorded: its ``document_settings``.
        offered: the encoder's.

    Raises:
        IndexStateError: the rules are others; the message names both.
    """
    has, new = (settings.get("rules", {}).get("hash") for settings in (recorded, offered))
    if has != new:
        raise IndexStateError(
            f"{index} holds documents encoded with {_called(has)}, not with {_called(new)}: use the index's rules, "
            "which it records, or make a new index"
        )


def _called(rules_hash: str | None) -> str:
    return "no rules" if rules_hash is None else f"rules {rules_hash[:_SHOWN]}"
