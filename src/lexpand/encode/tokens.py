"""Texts to token ids: cut at the model's length, with what is cut counted."""

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

# Longer texts are tokenized in pieces: a text of 10 MB at once takes 1.8 GB of memory (measured,
# tokenizers 0.23).
_PIECE = 1 << 16
# Not `\s`: that takes in separators such as U+001F, which BERT's normalizer drops from the middle
# of a word.
_SPACE = re.compile(r"[ \t\r\n]")
_WORD = re.compile(r"[^ \t\r\n]+")
# Words whose ids are kept, and the longest of them in characters: some 20 MB at most.
_WORDS, _LONGEST_WORD = 1 << 16, 64


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """The ids that the model reads of one text, special ones included, and how many tokens the whole text has."""

    ids: list[int]
    seen: int
    lost: int


@dataclass(frozen=True, slots=True)
class Token:
    """One token that the model reads.

    Attributes:
        term: its id.
        start, end: its characters in the text.
        word: the characters of the word that it is (a piece of); None for a special token.
    """

    term: int
    start: int
    end: int
    word: tuple[int, int] | None


class Tokens:
    """A model's tokenizer, with its vocabulary.

    Attributes:
        vocabulary: the terms.
        special: the special tokens that a text gets beside its own.

    Raises:
        ModelError: the tokenizer's vocabulary is not the contract's.
    """

    def __init__(self, tokenizer: Tokenizer, contract: Contract) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self.special = tokenizer.num_special_tokens_to_add(False)
        self.vocabulary = read_vocabulary(tokenizer)
        # Of words, where a text's ids are those of its words one after the other; None for other
        # tokenizers.
        self._ids_of_words: dict[str, list[int]] | None = {} if _is_by_word(tokenizer) else None
        if self.vocabulary.sha256 != contract.vocabulary_sha256:
            raise ModelError(
                f"tokenizer.json has {len(self.vocabulary)} tokens that are not the {contract.vocabulary_size} of "
                "contract.json: copy the model folder again"
            )

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[TokenizedText]:
        """Ids of each text, cut at ``max_tokens`` (special ones included).

        A text without any token of its own (empty, only spaces or control characters) has no ids at
        all.
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
        """The ids of `tokenize` without the special ones, sooner: for short texts, of which only the ids are asked."""
        limit = max_tokens - self.special
        if self._ids_of_words is not None and all(len(text) <= _PIECE for text in texts):
            return [self._by_word(text, self._ids_of_words)[:limit] for text in texts]
        heads = [
            text if len(text) <= _PIECE else self._head_of(text, max_tokens)[0] for text in texts
        ]
        encodings = self._tokenizer.encode_batch_fast(heads, add_special_tokens=False)
        return [encoding.ids[:limit] for encoding in encodings]

    def _by_word(self, text: str, known: dict[str, list[int]]) -> list[int]:
        """The ids of a text without the special ones; those of a word are worked out once."""
        words = _WORD.findall(text)
        found = {word: known.get(word) for word in words}
        missing = [word for word, ids in found.items() if ids is None]
        if missing:
            new = self._ids_of_each(missing)
            found |= new
            kept = {word: ids for word, ids in new.items() if len(word) <= _LONGEST_WORD}
            if len(known) + len(kept) > _WORDS:
                known.clear()
            known.update(kept)
        return [one for word in words for one in found[word] or ()]

    def _ids_of_each(self, words: list[str]) -> dict[str, list[int]]:
        """The ids of each of these words, which stand apart, by one call: a call costs as much as some words."""
        starts = list(accumulate((len(word) + 1 for word in words), initial=0))
        encoding = self._tokenizer.encode(" ".join(words), add_special_tokens=False)
        ids: list[list[int]] = [[] for _ in words]
        for one, (start, _) in zip(encoding.ids, encoding.offsets, strict=True):
            ids[bisect(starts, start) - 1].append(one)
        return dict(zip(words, ids, strict=True))

    def normalize(self, text: str) -> str:
        """A text as the model's normalizer spells it; of a model without one, the text itself."""
        normalizer = self._tokenizer.normalizer
        if normalizer is None:
            return text
        return "".join(normalizer.normalize_str(text[start:end]) for start, end in _pieces(text))

    def offsets(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Where all of a text's own tokens are, however many.

        Returns:
            Of each token its first character and the one behind its last, int64 [tokens]; and the
                places, ascending,
            of the tokens that begin a word.
        """
        spans, words = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.int64)]
        for start, end in _pieces(text):
            encoding = self._tokenizer.encode(text[start:end], add_special_tokens=False)
            spans.append(np.array(encoding.offsets, np.int64).reshape(-1, 2) + start)
            words.append(
                np.array([-1 if word is None else word for word in encoding.word_ids], np.int64)
            )
        begins = [np.diff(numbers, prepend=-2) != 0 for numbers in words]
        both = np.concatenate(spans)
        return both[:, 0], both[:, 1], np.flatnonzero(np.concatenate(begins))

    def places(self, text: str, max_tokens: int) -> list[Token]:
        """The same tokens of one text, with their places in it."""
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
        """As much of a long text as the model can read, and the number of tokens in all of it.

        Short texts come back as they are, not yet counted.
        """
        if len(text) <= _PIECE:
            return text, None
        seen, head_end = 0, len(text)
        for start, end in _pieces(text):
            seen += len(self._tokenizer.encode(text[start:end], add_special_tokens=False).ids)
            if seen >= max_tokens:
                head_end = min(head_end, end)
        return text[:head_end], seen


def _is_by_word(tokenizer: Tokenizer) -> bool:
    """Whether what stands between spaces is tokenized as if it stood alone: BERT's, and no added token has a space."""
    parts = (tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.model)
    names = tuple(type(part).__name__ for part in parts)
    added = tokenizer.get_added_tokens_decoder().values()
    return names == ("BertNormalizer", "BertPreTokenizer", "WordPiece") and not any(
        _SPACE.search(token.content) or token.lstrip or token.rstrip or token.single_word
        for token in added
    )


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Spans of about `_PIECE` characters that end before a space: no word is split, so no token changes."""
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
    """The tokenizer of a ``tokenizer.json``.

    Raises:
        ModelError: the file is missing or no tokenizer.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be used: {error}") from error
    return parse_tokenizer(content, path)


def parse_tokenizer(content: bytes, path: Path) -> Tokenizer:
    """The tokenizer that the content of a ``tokenizer.json`` describes; ``path`` is for the message.

    Raises:
        ModelError: it is no tokenizer.
    """
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_str(content.decode())
    except Exception as error:
        raise ModelError(f"{path} cannot be used: {error}") from error


def read_vocabulary(tokenizer: Tokenizer) -> Vocabulary:
    """The tokens by id; special are those that the tokenizer calls so.

    Raises:
        ModelError: ids have gaps.
    """
    ids = tokenizer.get_vocab()
    tokens = sorted(ids, key=ids.__getitem__)
    if [ids[token] for token in tokens] != list(range(len(tokens))):
        raise ModelError("tokenizer.json: token ids must be 0, 1, 2, ... without a gap")
    special = [
        term for term, token in tokenizer.get_added_tokens_decoder().items() if token.special
    ]
    return Vocabulary(tokens, frozenset(special))
