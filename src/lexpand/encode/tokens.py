"""Tokenize texts, truncate them at the maximum length, and count the tokens that are lost."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lexpand.data import Vocabulary
from lexpand.encode.contract import Contract
from lexpand.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

# Characters of a piece. Longer texts are tokenized in pieces, because 10 MB in one call takes
# 1.8 GB of memory (measured with tokenizers 0.23).
_PIECE = 1 << 16
# Not `\s`, which includes separators such as U+001F. BERT's normalizer removes these from the
# middle of a word.
_SPACE = re.compile(r"[ \t\r\n]")
_WORD = re.compile(r"[^ \t\r\n]+")
# Limits of the cache of token ids, about 20 MB: words, and characters of a word.
_WORDS, _LONGEST_WORD = 1 << 16, 64


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """The token ids of one text.

    Attributes:
        ids: the ids that the model reads, special tokens included.
        seen: the number of tokens of the whole text, special tokens included.
        lost: the number of tokens past the maximum length, which are not read.
    """

    ids: list[int]
    seen: int
    lost: int


@dataclass(frozen=True, slots=True)
class Token:
    """A token that the model reads.

    Attributes:
        term: the id of the token.
        start, end: its span of characters in the text, ``end`` excluded.
        word: the span of the word that the token belongs to. None for a special token.
    """

    term: int
    start: int
    end: int
    word: tuple[int, int] | None


class Tokens:
    """The tokenizer of a model, with its vocabulary.

    Attributes:
        vocabulary: the terms.
        special: the number of special tokens that are added to a text.

    Raises:
        ModelError: the vocabulary differs from that of the contract.
    """

    def __init__(self, tokenizer: Tokenizer, contract: Contract) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self.special = tokenizer.num_special_tokens_to_add(False)
        self.vocabulary = read_vocabulary(tokenizer)
        # The cached ids of words, for tokenizers that tokenize each word of a text on its own. None
        # for other tokenizers.
        self._ids_of_words: dict[str, list[int]] | None = {} if is_by_word(tokenizer) else None
        if self.vocabulary.sha256 != contract.vocabulary_sha256:
            raise ModelError(
                f"tokenizer.json must have the {contract.vocabulary_size} tokens of contract.json, "
                f"got {len(self.vocabulary)} others: copy the model folder again"
            )

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[TokenizedText]:
        """Tokenize texts and truncate each at ``max_tokens``, special tokens included.

        A text without tokens of its own has no ids at all. Such a text is empty, or has only spaces
        and control characters.
        """
        heads = [self._head_of(text, max_tokens) for text in texts]
        encodings = self._tokenizer.encode_batch_fast(
            [head for head, _ in heads], add_special_tokens=False
        )
        return [
            self._cut(encoding, seen, max_tokens)
            for encoding, (_, seen) in zip(encodings, heads, strict=True)
        ]

    def own_ids(self, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
        """Return the ids of `tokenize` without special tokens.

        This is faster than `tokenize` for short texts, because tokens are not counted.
        """
        limit = max_tokens - self.special
        if self._ids_of_words is not None and all(len(text) <= _PIECE for text in texts):
            return [self._by_word(text, self._ids_of_words)[:limit] for text in texts]
        heads = [
            text if len(text) <= _PIECE else self._head_of(text, max_tokens)[0] for text in texts
        ]
        encodings = self._tokenizer.encode_batch_fast(heads, add_special_tokens=False)
        return [encoding.ids[:limit] for encoding in encodings]

    def _by_word(self, text: str, cache: dict[str, list[int]]) -> list[int]:
        """Return the ids of a text without special tokens, with the ids of words from a cache."""
        words = _WORD.findall(text)
        found = {word: cache.get(word) for word in words}
        missing = [word for word, ids in found.items() if ids is None]
        if missing:
            new = self._ids_of_each(missing)
            found |= new
            cacheable = {word: ids for word, ids in new.items() if len(word) <= _LONGEST_WORD}
            if len(cache) + len(cacheable) > _WORDS:
                cache.clear()
            cache.update(cacheable)
        return [token for word in words for token in found[word] or ()]

    def _ids_of_each(self, words: list[str]) -> dict[str, list[int]]:
        """Return the ids of each word.

        One call tokenizes all words, because a call costs as much as a few words.
        """
        starts = list(accumulate((len(word) + 1 for word in words), initial=0))
        encoding = self._tokenizer.encode(" ".join(words), add_special_tokens=False)
        ids: list[list[int]] = [[] for _ in words]
        for token, (start, _) in zip(encoding.ids, encoding.offsets, strict=True):
            ids[bisect(starts, start) - 1].append(token)
        return dict(zip(words, ids, strict=True))

    def normalize(self, text: str) -> str:
        """Apply the normalizer of the tokenizer. Without one, the text is returned unchanged."""
        normalizer = self._tokenizer.normalizer
        if normalizer is None:
            return text
        return "".join(normalizer.normalize_str(text[start:end]) for start, end in _pieces(text))

    def offsets(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Locate all tokens of a text, without special tokens and without truncation.

        Returns:
            The start and the end (excluded) of each token in characters, int64 [tokens] each; and
            the ascending indices of the tokens that begin a word, int64.
        """
        spans, words = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.int64)]
        for start, end in _pieces(text):
            encoding = self._tokenizer.encode(text[start:end], add_special_tokens=False)
            spans.append(np.array(encoding.offsets, np.int64).reshape(-1, 2) + start)
            words.append(
                np.array([-1 if word is None else word for word in encoding.word_ids], np.int64)
            )
        begins = [np.diff(numbers, prepend=-2) != 0 for numbers in words]
        offsets = np.concatenate(spans)
        return offsets[:, 0], offsets[:, 1], np.flatnonzero(np.concatenate(begins))

    def places(self, text: str, max_tokens: int) -> list[Token]:
        """Return the tokens of `tokenize` for one text, with their spans."""
        head, _ = self._head_of(text, max_tokens)
        encoding = self._tokenizer.encode(head, add_special_tokens=False)
        if not encoding.ids:
            return []
        encoding.truncate(max_tokens - self.special)
        encoding = self._tokenizer.post_process(encoding)
        words = _word_spans(encoding)
        return [
            Token(term, start, end, None if word is None else words[word])
            for term, (start, end), word in zip(
                encoding.ids, encoding.offsets, encoding.word_ids, strict=True
            )
        ]

    def _cut(self, encoding: Encoding, seen: int | None, max_tokens: int) -> TokenizedText:
        own = len(encoding.ids) if seen is None else seen
        if own == 0:
            return TokenizedText([], 0, 0)
        encoding.truncate(max_tokens - self.special)
        ids = self._tokenizer.post_process(encoding).ids
        total = own + self.special
        return TokenizedText(ids, total, total - len(ids))

    def _head_of(self, text: str, max_tokens: int) -> tuple[str, int | None]:
        """Return the part of a long text that the model can read, and the text's token count.

        A short text is returned as it is. Its count is None, because it is not counted yet.
        """
        if len(text) <= _PIECE:
            return text, None
        seen, head_end = 0, len(text)
        for start, end in _pieces(text):
            seen += len(self._tokenizer.encode(text[start:end], add_special_tokens=False).ids)
            if seen >= max_tokens:
                head_end = min(head_end, end)
        return text[:head_end], seen


def is_by_word(tokenizer: Tokenizer) -> bool:
    """Return whether a tokenizer tokenizes each word between spaces on its own.

    BERT's tokenizer does so, unless an added token contains or depends on spaces.
    """
    parts = (tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.model)
    names = tuple(type(part).__name__ for part in parts)
    added = tokenizer.get_added_tokens_decoder().values()
    return names == ("BertNormalizer", "BertPreTokenizer", "WordPiece") and not any(
        _SPACE.search(token.content) or token.lstrip or token.rstrip or token.single_word
        for token in added
    )


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Yield spans of about `_PIECE` characters that end before a space.

    No word is split, so the tokens are those of the whole text.
    """
    start = 0
    while start < len(text):
        space = _SPACE.search(text, start + _PIECE)
        end = space.start() if space else len(text)
        yield start, end
        start = end


def _word_spans(encoding: Encoding) -> dict[int, tuple[int, int]]:
    spans: dict[int, tuple[int, int]] = {}
    for word, (start, end) in zip(encoding.word_ids, encoding.offsets, strict=True):
        if word is not None:
            first, last = spans.get(word, (start, end))
            spans[word] = (min(first, start), max(last, end))
    return spans


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a ``tokenizer.json``.

    Raises:
        ModelError: the file is missing, or is not a tokenizer.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be used: {error}") from error
    return parse_tokenizer(content, path)


def parse_tokenizer(content: bytes, path: Path) -> Tokenizer:
    """Parse the content of a ``tokenizer.json``.

    Args:
        content: the content.
        path: the path, for messages.

    Raises:
        ModelError: the content is not a tokenizer.
    """
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_str(content.decode())
    except Exception as error:
        raise ModelError(f"{path} cannot be used: {error}") from error


def read_vocabulary(tokenizer: Tokenizer) -> Vocabulary:
    """Return the vocabulary of a tokenizer, with its special tokens.

    Raises:
        ModelError: the token ids have gaps.
    """
    ids = tokenizer.get_vocab()
    tokens = sorted(ids, key=ids.__getitem__)
    if [ids[token] for token in tokens] != list(range(len(tokens))):
        raise ModelError(
            "the token ids in tokenizer.json must be 0, 1, 2, ... without a gap: "
            "use a tokenizer whose ids are the rows of the embeddings"
        )
    special = [
        term for term, token in tokenizer.get_added_tokens_decoder().items() if token.special
    ]
    return Vocabulary(tokens, frozenset(special))
