"""Weights of query tokens that models without a query encoder carry."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand.data import Vocabulary
from lexpand.encode.json_files import read_json
from lexpand.encode.query_table import QueryTable
from lexpand.errors import ModelError, VectorError
from lexpand.models.tensors import read_safetensors, read_tensors

Weights = NDArray[np.float32]


def read_query_table(source: Path, vocabulary: Vocabulary) -> tuple[QueryTable, tuple[str, ...]]:
    """A table out of a file or folder, and what was left out of it, for people.

    Read are ``idf.json`` (token: weight), ``query_token_weights.txt`` (token and weight a line),
    and the tensor ``weight`` of a SparseStaticEmbedding (sentence-transformers). Special tokens,
    which are in every query, weigh 0.

    Raises:
        ModelError: there is no such table, or a weight is no finite number >= 0.
    """
    path = _find(source)
    if path.is_dir() or path.suffix == ".safetensors":
        tensors = read_tensors(path) if path.is_dir() else dict(read_safetensors(path))
        weights, unknown = _of_tensor(path, tensors.get("weight"), vocabulary), 0
    else:
        pairs = read_json(path, dict) if path.suffix == ".json" else _lines(path)
        weights, unknown = _of_pairs(path, pairs, vocabulary)
    try:
        table = QueryTable(weights)
    except VectorError as error:
        raise ModelError(f"{path}: {error}") from error
    special = sorted(term for term in vocabulary.special if weights[term])
    notes = (
        [f"{path.name} has {unknown:,} tokens that the tokenizer has not: they are left out"]
        if unknown
        else []
    )
    if special:
        named = ", ".join(vocabulary.term(term) for term in special)
        notes.append(
            f"special tokens ({named}) have a weight in {path.name}: they are in every query, and weigh 0 here"
        )
    return table.without(special), tuple(notes)


def _of_pairs(path: Path, pairs: dict[str, object], vocabulary: Vocabulary) -> tuple[Weights, int]:
    weights, unknown = np.zeros(len(vocabulary), np.float32), 0
    for token, weight in pairs.items():
        term = vocabulary.id(token)
        if term is None:
            unknown += 1
        else:
            weights[term] = _number(path, token, weight)
    if unknown == len(pairs):
        raise ModelError(
            f"{path} has no weight for any token of the tokenizer: it is another model's"
        )
    return weights, unknown


def _find(source: Path) -> Path:
    if source.is_file():
        return source
    if not source.is_dir():
        raise ModelError(
            f"no query table {str(source)!r}: give idf.json, query_token_weights.txt or a safetensors file"
        )
    for name in ("idf.json", "query_token_weights.txt"):
        if (source / name).is_file():
            return source / name
    if (source / "config.json").is_file() and "model_type" in read_json(
        source / "config.json", dict
    ):
        raise ModelError(
            f"{source} is an encoder: a model folder has one encoder, and for queries the same or a table of weights; "
            "import both and encode queries with the other folder only if they share a vocabulary"
        )
    return source


def _of_tensor(path: Path, weights: Weights | None, vocabulary: Vocabulary) -> Weights:
    if weights is None or weights.ndim != 1:
        raise ModelError(
            f"{path} has no tensor 'weight' of one dimension: it is no table of query weights"
        )
    size = len(vocabulary)
    if np.any(weights[size:]):
        raise ModelError(
            f"{path} weighs {len(weights)} tokens, and the tokenizer has {size}: it is another model's"
        )
    # A table made of a list of tokens ends at the last of them.
    fitted = np.zeros(size, np.float32)
    fitted[: len(weights)] = weights[:size]
    return fitted


def _lines(path: Path) -> dict[str, object]:
    pairs: dict[str, object] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        token, _, weight = line.rstrip().rpartition("\t" if "\t" in line else " ")
        if line.strip() and not token:
            raise ModelError(f"{path}:{number}: {line!r} is no token and weight")
        if line.strip():
            pairs[token] = weight
    return pairs


def _number(path: Path, token: str, weight: object) -> float:
    try:
        number = float(weight)  # type: ignore[arg-type] # whatever JSON holds
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ModelError(f"{path}: the weight of {token!r} is {weight!r}, no finite number")
    return number
