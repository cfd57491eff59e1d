"""Documents and queries: the texts that are encoded, indexed and searched."""

from __future__ import annotations

import hashlib
import json
import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from lexpand.errors import DataError

ID_BYTES = 512
"""The longest doc_id or query_id, in UTF-8 bytes."""

METADATA_DEPTH = 64
"""The deepest nesting of metadata; far below the recursion limit of Python's JSON encoder."""

# Python refuses to print an integer of more than 4,300 digits
# (sys.int_info.default_max_str_digits).
_INTEGER_BITS = 14_000

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)


def utf8(text: str, name: str) -> bytes:
    """Return the UTF-8 bytes of a string.

    Args:
        text: the string.
        name: the name of the value, for the message.

    Raises:
        DataError: the string has a lone surrogate, which UTF-8 cannot encode.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        code = f"U+{ord(text[error.start]):04X} at character {error.start}"
        raise DataError(
            f"{name} has a lone surrogate, {code}, which UTF-8 cannot encode: remove it"
        ) from None


def check_id(value: object, name: str) -> str:
    """Return the id of a document or query unchanged if it is valid.

    Args:
        value: the id: a nonempty string of at most 512 UTF-8 bytes, without NUL.
        name: the name of the value, for the message: ``doc_id`` or ``query_id``.

    Raises:
        DataError: the id is invalid.
    """
    if not isinstance(value, str) or not value:
        raise DataError(f"{name} must be a non-empty string, got {reprlib.repr(value)}")
    size = len(value) if value.isascii() else len(utf8(value, name))
    if size > ID_BYTES:
        raise DataError(
            f"{name} must have at most {ID_BYTES} bytes, got {size} bytes: "
            f"shorten {reprlib.repr(value)}"
        )
    if "\0" in value:
        raise DataError(f"{name} {reprlib.repr(value)} has a NUL character: remove it")
    return value


def shown(value: object) -> str:
    """Return a value for a message, shortened, with its type: ``'3' (str)``."""
    try:
        return f"{reprlib.repr(value)} ({type(value).__name__})"
    except ValueError:  # an integer of more digits than Python prints
        return f"a value too large to show ({type(value).__name__})"


def check_text(value: object, name: str) -> str:
    """Return a text unchanged if it is a string that UTF-8 can encode; NUL is allowed.

    Raises:
        DataError: the text is not a string, or has a lone surrogate.
    """
    if not isinstance(value, str):
        raise DataError(f"{name} must be a string, got {shown(value)}")
    if not value.isascii():
        utf8(value, name)
    return value


@dataclass(frozen=True, slots=True)
class Document:
    """A text with an id, a title and metadata; checked when it is made.

    Attributes:
        doc_id: the id: a nonempty string of at most 512 UTF-8 bytes, without NUL.
        text: the text.
        title: the title; empty if there is none.
        metadata: other data of the document: JSON with string keys and finite numbers, nested at
            most 64 levels deep. The document keeps a copy.
        source: the place where the document was read (``docs.jsonl:12``). It is ignored in
            comparisons.

    Raises:
        DataError: a field is invalid.
    """

    doc_id: str
    text: str
    title: str = ""
    metadata: Mapping[str, JsonValue] = field(default_factory=dict, hash=False)
    source: str = field(default="", compare=False, repr=False)
    _content_hash: bytes | None = field(default=None, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_id(self.doc_id, "doc_id")
        check_text(self.text, "text")
        check_text(self.title, "title")
        if not isinstance(self.metadata, Mapping):
            raise DataError(f"metadata must be a mapping, got {reprlib.repr(self.metadata)}")
        object.__setattr__(self, "metadata", _json_copy(self.metadata, "metadata", 0))

    @classmethod
    def from_content(
        cls,
        text: str,
        title: str = "",
        metadata: Mapping[str, JsonValue] | None = None,
        source: str = "",
    ) -> Document:
        """Make a document whose id is its `content_hash`, as 32 lowercase hexadecimal digits.

        Equal contents have equal ids, so adding a document twice changes nothing.

        Raises:
            DataError: a field is invalid.
        """
        document = cls("unnamed", text, title, {} if metadata is None else metadata, source)
        object.__setattr__(document, "doc_id", document.content_hash.hex())
        return document

    @property
    def full_text(self) -> str:
        """The text that is encoded: title, space, text; or the one that is not empty."""
        return f"{self.title} {self.text}" if self.title and self.text else self.title or self.text

    @property
    def content_hash(self) -> bytes:
        """The 16-byte BLAKE2b digest of title, text and metadata, without doc_id and source.

        Each part is hashed as its length in bytes (8 bytes, little-endian) and its UTF-8 bytes.
        Metadata is JSON with sorted keys, without spaces and with only the necessary escapes.
        """
        if self._content_hash is not None:
            return self._content_hash
        metadata = json.dumps(
            self.metadata, sort_keys=True, ensure_ascii=False, separators=(",", ":")
        )
        digest = hashlib.blake2b(digest_size=16)
        for part in (self.title, self.text, metadata):
            encoded = part.encode()
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
        object.__setattr__(self, "_content_hash", digest.digest())
        return digest.digest()


@dataclass(frozen=True, slots=True)
class Query:
    """A query with its id.

    Attributes:
        query_id: the id, with the limits of a doc_id.
        text: the text of the query.

    Raises:
        DataError: the id is invalid, or the text is not a string that UTF-8 can encode.
    """

    query_id: str
    text: str

    def __post_init__(self) -> None:
        check_id(self.query_id, "query_id")
        check_text(self.text, "text")


def _json_copy(value: object, name: str, depth: int) -> JsonValue:
    if isinstance(value, (Mapping, list, tuple)):
        if depth == METADATA_DEPTH:
            raise DataError(f"metadata is nested deeper than {METADATA_DEPTH} levels: flatten it")
        if isinstance(value, Mapping):
            return {
                _check_key(key, name): _json_copy(item, f"{name}[{key!r}]", depth + 1)
                for key, item in value.items()
            }
        return [_json_copy(item, f"{name}[{place}]", depth + 1) for place, item in enumerate(value)]
    return _check_scalar(value, name)


def _check_key(key: object, name: str) -> str:
    if not isinstance(key, str):
        raise DataError(f"a key of {name} must be a string, got {reprlib.repr(key)}")
    return check_text(key, f"a key of {name}")


def _check_scalar(value: object, name: str) -> JsonValue:
    if isinstance(value, str):
        return check_text(value, name)
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(f"{name} is {value}, which JSON cannot hold: use null, or leave it out")
    if isinstance(value, int) and value.bit_length() > _INTEGER_BITS:
        raise DataError(f"{name} is an integer of {value.bit_length()} bits: store it as a string")
    if value is None or isinstance(value, int | float):
        return value
    raise DataError(
        f"{name} is a {type(value).__name__}, which JSON cannot hold: "
        "convert it to a string, a number, a boolean, None, a list or a dict"
    )
