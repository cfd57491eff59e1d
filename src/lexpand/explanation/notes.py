"""What should a reader know besides? Texts that were cut, words that no model knows, words that are not to be found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lexpand.explanation.explanation import Contribution, Origin
from lexpand.explanation.reading import Asked, Found, Reading


def query_notes(asked: Asked) -> Iterator[str]:
    """Of a query."""
    if not _tokens_read(asked.reading):
        yield "the query has no words that the model reads"
    elif not asked.weights:
        yield "no term of the query has a weight"
    yield from _cut("query", asked.reading)
    unknown = asked.reading.unknown_words()
    if unknown:
        yield f"the model's vocabulary lacks {unknown:,} of the query's words"


def document_notes(found: Found, parts: Sequence[Contribution]) -> Iterator[str]:
    """Of a document and the terms that it shares with the query."""
    yield from _cut("document", found.reading)
    unknown = sum(part.document.origin is Origin.UNKNOWN for part in parts)
    if unknown:
        yield (
            f"{unknown:,} of {len(parts):,} terms have no word in the document: its text, read again, does not give "
            "their stored weights, for it was encoded at another length or with other settings"
        )


def _cut(what: str, reading: Reading) -> Iterator[str]:
    if reading.tokens_lost:
        read = _tokens_read(reading)
        yield f"the {what} has {read + reading.tokens_lost:,} tokens, of which the model reads {read:,}"


def _tokens_read(reading: Reading) -> int:
    return sum(len(passage.trace.tokens) for passage in reading.passages)
