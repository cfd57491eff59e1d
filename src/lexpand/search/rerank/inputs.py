"""Model inputs: queries and texts, tokenized, truncated and batched by similar length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lexpand.encode.batches import CPU_TOKENS, batches
from lexpand.encode.tokens import TokenizedText, load_tokenizer
from lexpand.search.rerank.model_files import ModelFiles

if TYPE_CHECKING:
    from tokenizers import Encoding

# The characters of a text that are tokenized. They have more tokens than any of these models reads,
# and tokenizing 10 MB takes gigabytes of memory.
_LIMIT = 1 << 16


class Inputs:
    """The tokenizer of a model, with its maximum length.

    Args:
        files: the files of the model.
        max_tokens: the maximum length of an input, special tokens included; None for that of the
            model.

    Raises:
        ModelError: the tokenizer is invalid, or the length is out of range.
    """

    def __init__(self, files: ModelFiles, max_tokens: int | None) -> None:
        self.max_tokens = files.max_tokens(max_tokens)
        self._tokenizer = load_tokenizer(files.tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.max_tokens, strategy="longest_first")

    def texts(self, texts: Sequence[str]) -> list[Encoding]:
        """Return the encoding of each text alone, truncated at its end."""
        return self._tokenizer.encode_batch_fast([text[:_LIMIT] for text in texts])

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> list[Encoding]:
        """Return the encoding of each query with its text.

        The longer of the two is truncated at its end until both fit.
        """
        cut = [(query[:_LIMIT], text[:_LIMIT]) for query, text in pairs]
        return self._tokenizer.encode_batch_fast(cut)


def in_batches(encodings: Sequence[Encoding]) -> Iterator[list[int]]:
    """Yield positions of inputs of similar length; see `encode.batches`."""
    return batches(
        [TokenizedText(encoding.ids, len(encoding.ids), 0) for encoding in encodings], CPU_TOKENS
    )
