"""Queries and texts to what a model reads: tokenized, cut at its length, in batches of like length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lexpand.encode.batches import CPU_TOKENS, batches
from lexpand.encode.tokens import TokenizedText, load_tokenizer
from lexpand.search.rerank.model_files import ModelFiles

if TYPE_CHECKING:
    from tokenizers import Encoding

# Of a longer text only the beginning is looked at: its tokens are more than any of these models
# reads, and tokenizing 10 MB takes gigabytes.
_LOOK = 1 << 16


class Inputs:
    """A model's tokenizer, set to its length.

    Args:
        files: the model's.
        max_tokens: of an input, special ones included; None for what the model reads.

    Raises:
        ModelError: the tokenizer cannot be used, or the length is out of range.
    """

    def __init__(self, files: ModelFiles, max_tokens: int | None) -> None:
        self.max_tokens = files.max_tokens(max_tokens)
        self._tokenizer = load_tokenizer(files.tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.max_tokens, strategy="longest_first")

    def texts(self, texts: Sequence[str]) -> list[Encoding]:
        """Each text alone, cut at its end."""
        return self._tokenizer.encode_batch_fast([text[:_LOOK] for text in texts])

    def pairs(self, query: str, texts: Sequence[str]) -> list[Encoding]:
        """The query with each text, cut at the end of the longer one until both fit."""
        return self._tokenizer.encode_batch_fast([(query[:_LOOK], text[:_LOOK]) for text in texts])


def in_batches(encodings: Sequence[Encoding]) -> Iterator[list[int]]:
    """Places of inputs of like length; see `encode.batches`."""
    return batches(
        [TokenizedText(encoding.ids, len(encoding.ids), 0) for encoding in encodings], CPU_TOKENS
    )
