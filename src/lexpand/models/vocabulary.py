"""Add terms to the vocabulary of a model.

A new term is a whole word in the vocabulary of WordPiece, which takes the longest token first. Its
rows in the embeddings and in the decoder are made from the rows of the pieces that the word had, so
it works without training, and training starts from there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand.data.vector_checks import VOCABULARY_LIMIT
from lexpand.encode.contract import Contract
from lexpand.encode.folder import find_folder
from lexpand.encode.query_table import QueryTable
from lexpand.encode.tokens import parse_tokenizer, read_vocabulary
from lexpand.errors import DataError, ModelError
from lexpand.models.checkpoint import Checkpoint
from lexpand.models.choosing import check_word_piece, split_words, words_of
from lexpand.models.importing import ImportResult, import_changed, read_changeable

Matrix = NDArray[np.float32]
Row = NDArray[np.float32]
_Pieces = list[list[int]]

# The length of a new row, in mean lengths of its pieces' rows. The plain mean is shorter than 1. Of
# the places with a new word, 69 % activate its term at 1.0, 81 % at 1.4 and 86 % at 1.8 (packaged
# model, 2,000 terms, support pages). Rankings differ by less than their standard error.
_LENGTH = 1.4


@dataclass(frozen=True, slots=True)
class AddResult:
    """The result of adding terms.

    Attributes:
        imported: the new model folder.
        terms: the new terms, in the order of their ids.
        skipped: the words that were terms already.
        size: the number of terms of the new vocabulary.
    """

    imported: ImportResult
    terms: tuple[str, ...]
    skipped: tuple[str, ...]
    size: int


def add_terms(
    model: str | Path,
    words: Sequence[str],
    dest: str | Path,
    *,
    name: str | None = None,
    force: bool = False,
    optimize: bool = True,
    on_step: Callable[[str], None] | None = None,
) -> AddResult:
    """Write a copy of a model folder whose vocabulary has more terms.

    Old terms keep their ids, and so do the weights of texts that contain neither a new word nor a
    word that begins with one. A separate query encoder and a query table get the same terms.

    Words are normalized by the tokenizer. Words that are terms already are skipped.

    Args:
        model: the model folder, or ``default``. Its tokenizer must be WordPiece.
        words: the words. Each must be one word for the tokenizer.
        dest: the new folder. It appears under this name when it is complete.
        name: the name of the model. None takes the name of `dest`.
        force: replace `dest` if it is a model folder.
        optimize: make the graph too, if the package onnx is installed.
        on_step: called before each step.

    Raises:
        DataError: there is no new word, a word is repeated, or the tokenizer would split it.
        ModelError: the model is not supported, `dest` exists, or the vocabulary would be too large.
        StorageError: a file cannot be written.
    """
    folder, dest = find_folder(model), Path(dest).expanduser().absolute()
    contract = Contract.load(folder)
    checkpoint = read_changeable(folder, "add terms")
    check_word_piece(checkpoint.tokenizer, contract.name)
    terms, skipped = _new_words(checkpoint, words)
    pieces = _pieces(checkpoint, terms)
    extended = _extend(checkpoint, terms, pieces)
    imported = import_changed(
        extended,
        contract.name,
        dest,
        change=f"{len(terms):,} terms added",
        name=name,
        force=force,
        optimize=optimize,
        on_step=on_step,
    )
    return AddResult(imported, tuple(terms), tuple(skipped), len(extended.vocabulary))


def _new_words(checkpoint: Checkpoint, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the normalized words that are no terms yet, and those that are."""
    given: dict[str, str] = {}
    for word in words:
        found = words_of(checkpoint.tokenizer, word)
        if len(found) != 1:
            raise DataError(
                f"a new term must be one word for the tokenizer, got {word!r}, which it splits "
                f"into {found}: leave out spaces and punctuation"
            )
        if found[0] in given:
            raise DataError(
                f"new terms must be distinct, got {word!r} after {given[found[0]]!r}, which the "
                f"tokenizer reads as {found[0]!r} too: leave one out"
            )
        given[found[0]] = word
    skipped = [word for word in given if checkpoint.vocabulary.id(word) is not None]
    new = [word for word in given if checkpoint.vocabulary.id(word) is None]
    if not new:
        raise DataError(
            f"there must be a word that is no term of {checkpoint.folder.name} yet, "
            f"got {len(skipped)} that are terms and no other: give other words"
        )
    size = len(checkpoint.vocabulary) + len(new)
    if size > VOCABULARY_LIMIT:
        raise ModelError(
            f"a vocabulary must have at most {VOCABULARY_LIMIT:,} terms, got {size:,} with the "
            f"{len(new):,} new ones: add fewer"
        )
    return new, skipped


def _pieces(checkpoint: Checkpoint, words: Sequence[str]) -> _Pieces:
    """Return the terms that each word is split into."""
    unknown = getattr(checkpoint.tokenizer.model, "unk_token", "")
    numbers = {token: term for term, token in enumerate(checkpoint.vocabulary.tokens)}
    pieces = []
    for word, tokens in split_words(checkpoint.tokenizer, words).items():
        if unknown in tokens:
            raise DataError(
                f"a new term must have letters that the tokenizer knows, got {word!r}, which it "
                f"reads as {unknown}: leave it out"
            )
        pieces.append([numbers[token] for token in tokens])
    return pieces


def _extend(checkpoint: Checkpoint, words: list[str], pieces: _Pieces) -> Checkpoint:
    """Return a checkpoint with new terms after the old ones, for both of its encoders."""
    head, tensors = checkpoint.architecture.head, dict(checkpoint.tensors)
    for weight in {head.embeddings, checkpoint.head_weight}:
        tensors[weight] = _with_rows(tensors[weight], pieces)
    for bias in tensors.keys() & {head.bias, head.other_bias}:
        means = [tensors[bias][row].mean() for row in pieces]
        tensors[bias] = np.concatenate([tensors[bias], np.array(means, np.float32)])
    content = _extend_tokenizer(checkpoint, words)
    tokenizer = parse_tokenizer(content, checkpoint.folder / "tokenizer.json")
    vocabulary = read_vocabulary(tokenizer)
    found = split_words(tokenizer, words)
    wrong = [word for word in words if found[word] != (word,)]
    if wrong or vocabulary.tokens != (*checkpoint.vocabulary.tokens, *words):
        raise ModelError(
            f"the tokenizer of {checkpoint.folder} must read each new term as one token, got "
            f"several for {wrong[0] if wrong else 'an added token'!r}: leave the word out"
        )
    table, queries = checkpoint.query_table, checkpoint.queries
    return replace(
        checkpoint,
        tensors=tensors,
        tokenizer=tokenizer,
        tokenizer_json=content,
        vocabulary=vocabulary,
        query_table=None if table is None else _extend_table(table, pieces),
        queries=None if queries is None else _extend(queries, words, pieces),
    )


def _extend_tokenizer(checkpoint: Checkpoint, words: list[str]) -> bytes:
    """Return tokenizer.json with whole words in the vocabulary of WordPiece.

    Added tokens go into that vocabulary too, because the tokenizer would number those that it lacks
    after the new words.
    """
    raw = json.loads(checkpoint.tokenizer_json)
    tokens = (*checkpoint.vocabulary.tokens, *words)
    raw["model"]["vocab"] = {token: term for term, token in enumerate(tokens)}
    return json.dumps(raw, ensure_ascii=False, indent=2).encode()


def _with_rows(matrix: Matrix, pieces: _Pieces) -> Matrix:
    """Append a row for each word: the mean of its pieces' rows, lengthened."""
    lengths = np.linalg.norm(matrix, axis=1)
    rows = [_resized(matrix[row].mean(axis=0), _LENGTH * lengths[row].mean()) for row in pieces]
    return np.vstack([matrix, *rows]).astype(np.float32)


def _resized(row: Row, length: float) -> Row:
    return row * (length / max(float(np.linalg.norm(row)), 1e-12))


def _extend_table(table: QueryTable, pieces: _Pieces) -> QueryTable:
    """Append the largest weight of each word's pieces."""
    largest = [table.weights[row].max() for row in pieces]
    return QueryTable(np.concatenate([table.weights, np.array(largest, np.float32)]))
