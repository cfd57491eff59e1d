"""Check input texts and group them into batches with little padding."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from lexpand.data import Document
from lexpand.encode.tokens import TokenizedText
from lexpand.errors import DataError

CPU_TOKENS = 2048
"""Tokens of a batch on a CPU, padding included.

Larger batches are not faster: eight texts of 256 tokens were best on every backend measured. The
hidden states grow with the batch.
"""

GPU_TOKENS = 16384
"""Tokens of a batch on a GPU, padding included.

A GPU needs larger batches to be busy. The states and activations of a BERT of usual size take less
than 1 GB. This value was chosen, not measured.
"""


def batches(tokenized: list[TokenizedText], max_tokens: int) -> Iterator[list[int]]:
    """Yield batches of text indices: similar lengths together, longest first.

    Args:
        tokenized: the texts. Texts without tokens are in no batch.
        max_tokens: tokens of a batch, padding included. A longer text is a batch of its own.
    """
    remaining = [i for i, text in enumerate(tokenized) if text.ids]
    remaining.sort(key=lambda i: len(tokenized[i].ids), reverse=True)
    while remaining:
        size = max(1, max_tokens // len(tokenized[remaining[0]].ids))
        yield remaining[:size]
        remaining = remaining[size:]


def check_texts(texts: object, name: str) -> Sequence[str | Document]:
    """Return the texts of a call as a sequence.

    An iterator is read to its end. The texts themselves are checked later, by `text_of`.

    Args:
        texts: strings or Documents.
        name: the name of the argument, for messages.

    Raises:
        DataError: the argument is a single text, or cannot be iterated over.
    """
    if isinstance(texts, str | bytes | bytearray | Document | Mapping):
        raise DataError(
            f"{name} must be a list of texts, got {_describe(texts)}: put a single text in a list"
        )
    if isinstance(texts, Sequence):
        return texts
    if isinstance(texts, Iterable):
        return list(texts)
    raise DataError(f"{name} must be a list of texts, got {_describe(texts)}")


def check_documents(documents: object) -> Sequence[Document]:
    """Return the documents of a call as a sequence, as `check_texts` does.

    Raises:
        DataError: the argument is a single text, cannot be iterated over, or has an element that is
            not a Document.
    """
    checked = check_texts(documents, "documents")
    for i, document in enumerate(checked):
        if not isinstance(document, Document):
            raise DataError(f"documents[{i}] must be a Document, got {_describe(document)}")
    return cast("Sequence[Document]", checked)


def _describe(value: object) -> str:
    return f"the {type(value).__name__} {reprlib.repr(value)}"


def text_of(text: object, number: int) -> str:
    """Return the string to encode for one element of a batch.

    Args:
        text: a string or a Document.
        number: the index of the element, for messages.

    Raises:
        DataError: the element is neither a string nor a Document, or has a lone surrogate.
    """
    if isinstance(text, Document):
        return text.full_text
    if not isinstance(text, str):
        raise DataError(f"text {number} must be a string or a Document, got {_describe(text)}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"text {number} has a lone surrogate at character {error.start}: remove it"
        ) from None
    return text


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
