"""The vocabulary of a model: the tokens of its terms."""

from __future__ import annotations

import hashlib
import reprlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from lexpand.data.documents import check_text
from lexpand.data.vector_checks import VOCABULARY_LIMIT
from lexpand.errors import DataError, VectorError

_LENGTH = struct.Struct("<I")
# The marks of SentencePiece and byte-level BPE for the space before a word.
_WORD_STARTS = ("\u2581", "\u0120")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """An immutable list of tokens; a term is a position in it.

    Attributes:
        tokens: 1 to 2^18 distinct tokens, in order of their terms.
        special: the terms of special tokens, such as ``[CLS]`` and ``[PAD]``.
        sha256: SHA-256 over the tokens in order, as 64 hexadecimal digits. A token is hashed as its
            length in UTF-8 bytes (4 bytes, little-endian) and these bytes. ``special`` is not
            hashed.

    Raises:
        DataError: a token is repeated or not a string, the number of tokens is outside its range,
            or a special term is outside the vocabulary.
    """

    tokens: Sequence[str]
    special: frozenset[int] = frozenset()
    sha256: str = field(init=False, repr=False)
    _terms: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.tokens, str):
            raise DataError(
                f"tokens must be a list of strings, got {reprlib.repr(self.tokens)}; pass [token]"
            )
        tokens = tuple(self.tokens)
        if not 1 <= len(tokens) <= VOCABULARY_LIMIT:
            raise DataError(
                f"a vocabulary must have 1 to {VOCABULARY_LIMIT} tokens, got {len(tokens)} tokens"
            )
        outside = sorted(term for term in self.special if not 0 <= term < len(tokens))
        if outside:
            raise DataError(
                f"special term {outside[0]} is outside the vocabulary of {len(tokens)} tokens"
            )
        values = (tokens, frozenset(self.special), _sha256(tokens), _numbered(tokens))
        for name, value in zip(("tokens", "special", "sha256", "_terms"), values, strict=True):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._terms

    def term(self, term_id: int) -> str:
        """Return the token of a term.

        Raises:
            VectorError: the term is outside the vocabulary.
        """
        if not 0 <= term_id < len(self.tokens):
            raise VectorError(f"term {term_id} is outside the vocabulary of {len(self)} tokens")
        return self.tokens[term_id]

    def id(self, token: str) -> int | None:
        """Return the term of a token; None if the vocabulary lacks the token."""
        return self._terms.get(token)

    def text(self, term_id: int) -> str:
        """Return the token of a term without the SentencePiece or BPE mark for a leading space.

        WordPiece's ``##`` stays, because it marks a piece within a word. Two terms may have the
        same text.

        Raises:
            VectorError: the term is outside the vocabulary.
        """
        token = self.term(term_id)
        return token[1:] if token.startswith(_WORD_STARTS) and len(token) > 1 else token


def _numbered(tokens: tuple[str, ...]) -> dict[str, int]:
    terms = {token: place for place, token in enumerate(tokens)}
    if len(terms) < len(tokens):
        place, token = next(pair for pair in enumerate(tokens) if terms[pair[1]] != pair[0])
        raise DataError(
            f"the token {token!r} is in the vocabulary twice, as terms {place} and {terms[token]}"
        )
    return terms


def _sha256(tokens: tuple[str, ...]) -> str:
    try:
        encoded = [token.encode() for token in tokens]
    except (AttributeError, UnicodeEncodeError):
        encoded = [
            check_text(token, f"token {place}").encode() for place, token in enumerate(tokens)
        ]
    parts = [b""] * (2 * len(tokens))
    parts[::2] = [_LENGTH.pack(len(each)) for each in encoded]
    parts[1::2] = encoded
    return hashlib.sha256(b"".join(parts)).hexdigest()
