"""Choose words of a corpus that should be terms of their own.

The words are counted as the tokenizer sees them: after its normalization, and split at its spaces
and punctuation. `vocabulary` adds them to a model.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lexpand.encode.folder import find_folder
from lexpand.encode.tokens import is_by_word, load_tokenizer
from lexpand.errors import DataError, ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Parts of a text, between spaces, whose letters are no words: addresses, and strings such as keys.
_NOT_WORDS = re.compile(r"://|@|^www\.")
_LONGEST_PART = 64

_LONGEST_WORD = 40
_HEX = re.compile(r"[a-f]{8,}")
# Letters that encode data have pieces of one or two letters. So have some short names, such as
# xlsx.
_SHORT, _FEWEST_LETTERS = 8, 2.0

# The number of cached parts of texts, about 50 MB.
_CACHED = 1 << 17


@dataclass(frozen=True, slots=True)
class NewTerm:
    """A word that can become a term.

    Attributes:
        word: the word, as the tokenizer normalizes it.
        documents: the number of texts that contain it.
        pieces: the tokens that it has now.
    """

    word: str
    documents: int
    pieces: tuple[str, ...]


def choose_terms(
    tokenizer: Tokenizer | str | Path,
    texts: Iterable[str],
    count: int,
    *,
    min_documents: int = 5,
) -> list[NewTerm]:
    """Choose the words that gain most from a term of their own.

    Candidates are words of two letters or more that the tokenizer splits. Words with digits,
    addresses, and strings that look like encoded data are left out.

    A candidate ranks by its document frequency times its share among all words that would be split
    after it. WordPiece takes the longest token first, so a term "unc" also changes how
    "uncontrolled" is split. The share of "login" is large, because few words begin with it, and
    that of "unc" is small.

    Args:
        tokenizer: a WordPiece tokenizer, or the folder of a model.
        texts: texts of the domain, such as documents and training pairs.
        count: the largest number of words.
        min_documents: the number of texts that a word must occur in.

    Returns:
        At most `count` words, best first. Equal words are in alphabetical order.

    Raises:
        DataError: `count` or `min_documents` is below 1.
        ModelError: the folder does not exist, or its tokenizer is not WordPiece.
    """
    for name, value in (("count", count), ("min_documents", min_documents)):
        if value < 1:
            raise DataError(f"{name} must be >= 1, got {value}")
    tokenizer = _load(tokenizer)
    known = tokenizer.get_vocab()
    frequencies = {
        word: number
        for word, number in _document_frequencies(tokenizer, texts).items()
        if word not in known
    }
    pieces = split_words(tokenizer, list(frequencies))
    chosen = {
        word
        for word, number in frequencies.items()
        if number >= min_documents and _is_word(word, pieces[word])
    }
    begun = _beginnings(chosen, frequencies, pieces)
    score = {word: frequencies[word] ** 2 / (frequencies[word] + begun[word]) for word in chosen}
    ranked = sorted(chosen, key=lambda word: (-score[word], word))[:count]
    return [NewTerm(word, frequencies[word], pieces[word]) for word in ranked]


def check_word_piece(tokenizer: Tokenizer, name: str) -> None:
    """Check that a tokenizer takes whole words from its vocabulary.

    Raises:
        ModelError: it does not.
    """
    kind = type(tokenizer.model).__name__
    if kind != "WordPiece":
        raise ModelError(
            f"the tokenizer of {name} must be WordPiece (BERT, DistilBERT) to take new terms, "
            f"got {kind}, which is not supported"
        )


def split_words(tokenizer: Tokenizer, words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the tokens of each word, without padding."""
    encodings = tokenizer.encode_batch(list(words), add_special_tokens=False)
    return {
        word: tuple(
            token
            for token, read in zip(encoding.tokens, encoding.attention_mask, strict=True)
            if read
        )
        for word, encoding in zip(words, encodings, strict=True)
    }


def words_of(tokenizer: Tokenizer, text: str) -> list[str]:
    """Return the words of a text, normalized, as the model of the tokenizer gets them."""
    if tokenizer.normalizer is not None:
        text = tokenizer.normalizer.normalize_str(text)
    if tokenizer.pre_tokenizer is None:
        return [text]
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


def _load(tokenizer: Tokenizer | str | Path) -> Tokenizer:
    name = "this model"
    if isinstance(tokenizer, str | Path):
        name = str(tokenizer)
        tokenizer = load_tokenizer(find_folder(tokenizer) / "tokenizer.json")
        tokenizer.no_truncation()
        tokenizer.no_padding()
    check_word_piece(tokenizer, name)
    return tokenizer


def _document_frequencies(tokenizer: Tokenizer, texts: Iterable[str]) -> Counter[str]:
    """Count the texts that contain each word."""
    by_word, cache = is_by_word(tokenizer), dict[str, tuple[str, ...]]()
    frequencies: Counter[str] = Counter()
    for text in texts:
        words: set[str] = set()
        parts = set(_parts(text))
        for part in parts if by_word else (" ".join(_parts(text)),):
            found = cache.get(part)
            if found is None:
                if len(cache) >= _CACHED:
                    cache.clear()
                found = tuple(words_of(tokenizer, part))
                if by_word:
                    cache[part] = found
            words.update(found)
        frequencies.update(words)
    return frequencies


def _parts(text: str) -> Iterator[str]:
    """Yield the parts of a text between spaces, without those that are no words."""
    return (
        part for part in text.split() if len(part) <= _LONGEST_PART and not _NOT_WORDS.search(part)
    )


def _is_word(word: str, pieces: Sequence[str]) -> bool:
    """Return whether a word has only letters, at least two pieces, and is unlike encoded data."""
    return (
        len(pieces) > 1
        and 2 <= len(word) <= _LONGEST_WORD
        and all(letter.isalpha() or unicodedata.category(letter)[0] == "M" for letter in word)
        and not _HEX.fullmatch(word)
        and (len(word) < _SHORT or len(word) / len(pieces) >= _FEWEST_LETTERS)
    )


def _beginnings(
    chosen: set[str], frequencies: Mapping[str, int], pieces: Mapping[str, tuple[str, ...]]
) -> Counter[str]:
    """Sum the frequencies of the longer words that each candidate would change."""
    sums: Counter[str] = Counter()
    for word, number in frequencies.items():
        for end in range(len(pieces[word][0]) + 1 if pieces[word] else 1, len(word)):
            if word[:end] in chosen:
                sums[word[:end]] += number
    return sums
