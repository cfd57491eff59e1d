"""Texts in: checked, and put together so that a batch wastes little on padding."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from lexpand.data import Document
from lexpand.encode.tokens import TokenizedText
from lexpand.errors import DataError

CPU_TOKENS = 2048
"""Of a batch, padding included. Larger ones gain nothing on a CPU (eight texts of 256 tokens were best for every
backend measured), and hidden states grow with them."""

GPU_TOKENS = 16384
"""The same on a GPU, which is busy only with more at once; states and what is between the layers of a BERT of usual
size take less than 1 GB. Chosen, not measured."""


def batches(tokenized: list[TokenizedText], most_tokens: int) -> Iterator[list[int]]:
    """Places of texts of like length, longest first, a batch within ``most_tokens``; texts without tokens in none."""
    places = [i for i, text in enumerate(tokenized) if text.ids]
    places.sort(key=lambda i: len(tokenized[i].ids), reverse=True)
    while places:
        size = max(1, most_tokens // len(tokenized[places[0]].ids))
        yield places[:size]
        places = places[size:]


def check_texts(texts: object, name: str) -> Sequence[str | Document]:
    """The texts of a call as a sequence: one string is refused, and an iterator is read.

    Each text is checked where it is read, by `text_of`.

    Args:
        texts: strings or Documents.
        name: of the argument, for the message.

    Raises:
        DataError: it is one text, or cannot be iterated over.
    """
    if isinstance(texts, str | bytes | bytearray | Document | Mapping):
        raise DataError(
            f"{name} must be a list of texts, got {_shown(texts)}: put a single text in a list"
        )
    if isinstance(texts, Sequence):
        return texts
    if isinstance(texts, Iterable):
        return list(texts)
    raise DataError(f"{name} must be a list of texts, got {_shown(texts)}")


def check_documents(documents: object) -> Sequence[Document]:
    """The documents of a call as a sequence; see `check_texts`.

    Raises:
        DataError: it is one text, cannot be iterated over, or an element is no Document.
    """
    checked = check_texts(documents, "documents")
    for place, document in enumerate(checked):
        if not isinstance(document, Document):
            raise DataError(f"documents must be Documents, got {_shown(document)} at place {place}")
    return cast("Sequence[Document]", checked)


def _shown(value: object) -> str:
    return f"the {type(value).__name__} {reprlib.repr(value)}"


def text_of(text: object, place: int) -> str:
    """What is encoded of one element of a batch.

    Args:
        text: a string or a Document.
        place: where it stands in the batch.

    Raises:
        DataError: it is something else, or has a lone surrogate.
    """
    if isinstance(text, Document):
        return text.full_text
    if not isinstance(text, str):
        raise DataError(f"text {place} is a {type(text).__name__}: give strings or Documents")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"text {place} has a lone surrogate at character {error.start}: remove it"
        ) from None
    return text


def cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
