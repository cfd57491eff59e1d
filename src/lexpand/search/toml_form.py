"""Pipelines as TOML text. Values that equal the defaults are left out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from lexpand.search.feedback import Feedback
from lexpand.search.kinds import PARTS
from lexpand.search.parts import Part, Rerank

_FIELDS = {kind: field for field, kind in PARTS.items()}


def write_toml(
    settings: Mapping[str, Any],
    parts: tuple[Part, ...],
    feedback: Feedback | None,
    rerank: Rerank | None,
) -> str:
    """Return the TOML text: the settings, then a table for each part, feedback and reranking."""
    blocks = [_lines(settings)] if settings else []
    blocks += [
        f"[[parts]]\n{_lines({'field': _FIELDS[type(part)]} | _changed(part))}" for part in parts
    ]
    if feedback is not None:
        blocks.append(f"[feedback]\n{_lines(_changed(feedback))}")
    if rerank is not None:
        blocks.append(f"[rerank]\n{_lines(_changed(rerank))}")
    return "\n".join(blocks)


def _changed(settings: Part | Feedback | Rerank) -> dict[str, Any]:
    """Return the values that differ from the defaults, by name."""
    values = {each.name: (getattr(settings, each.name), each.default) for each in fields(settings)}
    return {name: value for name, (value, default) in values.items() if value != default}


def _lines(values: Mapping[str, Any]) -> str:
    return "".join(f"{name} = {_value(value)}\n" for name, value in values.items())


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # JSON strings are TOML strings, except that TOML requires DEL to be escaped.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
