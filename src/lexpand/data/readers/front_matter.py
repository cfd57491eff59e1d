"""Read front matter: the settings between ``---`` lines at the top of a Markdown file.

Front matter is YAML. The reader supports the common subset: ``key: value``, ``key: [a, b]`` and
lists of ``- item`` lines. Other values are kept as strings.
"""

from __future__ import annotations

import re

from lexpand.data.documents import JsonValue

_OPENING = re.compile(r"---[ \t]*\r?\n")
_CLOSING = re.compile(r"^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.MULTILINE)
# Each alternative ends at its first quote or colon, so the time is linear in the line.
_ENTRY = re.compile(
    r"""(?:"(?P<double>[^"]+)"[ \t]*|'(?P<single>[^']+)'[ \t]*"""
    r"""|(?P<plain>[^\s"'#:\[\]{},&*!|>%@`-][^"':#]*))"""
    r":(?:[ \t]+(?P<value>.*))?"
)
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?[0-9]{1,15}\.[0-9]{1,15}")
_COMMENT = re.compile(r"(?:^|[ \t])#.*")
_ITEM = re.compile(
    r"""[ \t]*(?:"(?:[^"\\]|\\.)*"[ \t]*|'(?:[^']|'')*'[ \t]*|[^\s"',\[\]{}#][^,\[\]{}#]*)(?:,|$)"""
)
_WORDS: dict[str, JsonValue] = {"true": True, "false": False, "null": None, "~": None, "": None}
_ESCAPES = {"n": "\n", "t": "\t"}

UNREAD = "front_matter"
"""The metadata key of lines that cannot be parsed."""


def split_front_matter(markdown: str) -> tuple[dict[str, JsonValue], str]:
    """Return the settings and the text after them; no settings if the file has no front matter.

    A block without any ``key:`` line is text. Lines that cannot be parsed are kept as one string
    under the key ``front_matter``.
    """
    opening = _OPENING.match(markdown)
    closing = _CLOSING.search(markdown, opening.end()) if opening else None
    if opening is None or closing is None:
        return {}, markdown
    settings = _parse(markdown[opening.end() : closing.start()].splitlines())
    if not settings.keys() - {UNREAD}:
        return {}, markdown
    return settings, markdown[closing.end() :].lstrip("\r\n")


def _parse(lines: list[str]) -> dict[str, JsonValue]:
    settings: dict[str, JsonValue] = {}
    unread: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        end = _end_of_entry(lines, at + 1)
        entry = _ENTRY.fullmatch(line.rstrip())
        key = (entry["double"] or entry["single"] or entry["plain"].rstrip()) if entry else ""
        if entry and key not in settings:
            settings[key] = _value(entry["value"] or "", lines[at + 1 : end])
        elif line.strip() and not line.startswith("#"):
            unread.extend(lines[at:end])
        at = end
    if unread:
        kept = settings.get(UNREAD)
        settings[UNREAD] = "\n".join([*([str(kept)] if kept is not None else []), *unread])
    return settings


def _end_of_entry(lines: list[str], at: int) -> int:
    """Return the number of the next line that is not indented, blank or a list item."""
    while at < len(lines) and (
        not lines[at].strip() or lines[at][0] in " \t" or _is_item(lines[at])
    ):
        at += 1
    return at


def _is_item(line: str) -> bool:
    return line.lstrip().startswith("- ") or line.strip() == "-"


def _value(first: str, below: list[str]) -> JsonValue:
    """Return the value after a colon and in the lines below it."""
    filled = [line for line in below if line.strip() and not line.lstrip().startswith("#")]
    if not filled:
        return _flow_list(first) if first.startswith("[") else _scalar(first)
    head = _without_comment(first)
    if not head and all(_is_item(line) for line in filled):
        return [_scalar(line.lstrip()[1:].strip()) for line in filled]
    block = _block(below)
    return block if head in ("", "|", ">", "|-", ">-", "|+", ">+") else f"{first}\n{block}"


def _block(lines: list[str]) -> str:
    """Return the lines as one string without their common indentation."""
    indents = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    return "\n".join(line[min(indents) :].rstrip() for line in lines).strip("\n")


def _flow_list(text: str) -> JsonValue:
    """Return the items of a list such as ``[a, "b, c"]``; the unchanged text if it is not flat."""
    whole = _without_comment(text)
    if not whole.endswith("]"):
        return text
    inner, items, at = whole[1:-1].strip(), list[JsonValue](), 0
    while at < len(inner):
        item = _ITEM.match(inner, at)
        if item is None:
            return text
        items.append(_scalar(item[0].strip().removesuffix(",").strip()))
        at = item.end()
    return items


def _scalar(text: str) -> JsonValue:
    """Return a string, number, boolean or null.

    A number that would be printed differently, such as 1.10, stays a string.
    """
    quoted = _quoted(text)
    if quoted is not None:
        return quoted
    plain = _without_comment(text)
    if plain.lower() in _WORDS:
        return _WORDS[plain.lower()]
    if _WHOLE.fullmatch(plain) and plain != "-0":
        return int(plain)
    if _DECIMAL.fullmatch(plain) and repr(float(plain)) == plain:
        return float(plain)
    return plain


def _quoted(text: str) -> str | None:
    """Return the text inside quotes; None if the value is not quoted."""
    if found := re.fullmatch(r'"((?:[^"\\]|\\.)*)"[ \t]*(?:#.*)?', text):
        return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), found[1])
    if found := re.fullmatch(r"'((?:[^']|'')*)'[ \t]*(?:#.*)?", text):
        return found[1].replace("''", "'")
    return None


def _without_comment(text: str) -> str:
    return _COMMENT.sub("", text).strip()
