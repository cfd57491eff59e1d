"""Read the weights of query tokens of models without a query encoder."""

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
    """Read a table from a file or folder.

    The formats are ``idf.json`` (token: weight), ``query_token_weights.txt`` (a token and a weight
    in each line), and the tensor ``weight`` of a SparseStaticEmbedding (sentence-transformers).
    Special tokens, which are in every query, get weight 0.

    Returns:
        The table, and notes about what was omitted.

    Raises:
        ModelError: the table does not exist, or a weight is negative or not a finite number.
    """
    path = _find(source)
    if path.is_dir() or path.suffix == ".safetensors":
        tensors = read_tensors(path) if path.is_dir() else dict(read_safetensors(path))
        weights, unknown = _from_tensor(path, tensors.get("weight"), vocabulary), 0
    else:
        pairs = read_json(path, dict) if path.suffix == ".json" else _read_lines(path)
        weights, unknown = _from_pairs(path, pairs, vocabulary)
    try:
        table = QueryTable(weights)
    except VectorError as error:
        raise ModelError(f"{path}: {error}") from error
    special = sorted(term for term in vocabulary.special if weights[term])
    notes = []
    if unknown:
        notes.append(f"{path.name} has {unknown:,} tokens that the tokenizer lacks: omitted")
    if special:
        tokens = ", ".join(vocabulary.term(term) for term in special)
        notes.append(
            f"{path.name} has weights for special tokens ({tokens}), which are in every query: "
            "set to 0"
        )
    return table.without(special), tuple(notes)


def _from_pairs(
    path: Path, pairs: dict[str, object], vocabulary: Vocabulary
) -> tuple[Weights, int]:
    """Return the weights by term, and the number of unknown tokens."""
    weights, unknown = np.zeros(len(vocabulary), np.float32), 0
    for token, weight in pairs.items():
        term = vocabulary.id(token)
        if term is None:
            unknown += 1
        else:
            weights[term] = _number(path, token, weight)
    if unknown == len(pairs):
        raise ModelError(
            f"{path} has no weight for any token of the tokenizer: give the table of this model"
        )
    return weights, unknown


def _find(source: Path) -> Path:
    if source.is_file():
        return source
    if not source.is_dir():
        raise ModelError(
            f"no query table {str(source)!r}: "
            "give idf.json, query_token_weights.txt or a safetensors file"
        )
    for name in ("idf.json", "query_token_weights.txt"):
        if (source / name).is_file():
            return source / name
    config = source / "config.json"
    if config.is_file() and "model_type" in read_json(config, dict):
        raise ModelError(
            f"the query table must be a table of weights, got the encoder {source}: "
            "give it with --query-encoder instead of --query"
        )
    return source


def _from_tensor(path: Path, weights: Weights | None, vocabulary: Vocabulary) -> Weights:
    if weights is None or weights.ndim != 1:
        raise ModelError(
            f"{path} must have a tensor 'weight' of one dimension: give a table of query weights"
        )
    size = len(vocabulary)
    if np.any(weights[size:]):
        raise ModelError(
            f"{path} must have weights for the {size} tokens of the tokenizer, got {len(weights)}: "
            "give the table of this model"
        )
    # A table made from a list of tokens ends with the last of them.
    fitted = np.zeros(size, np.float32)
    fitted[: len(weights)] = weights[:size]
    return fitted


def _read_lines(path: Path) -> dict[str, object]:
    pairs: dict[str, object] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path} cannot be read: {error}: copy the model folder again, or import it again"
        ) from error
    for number, line in enumerate(lines, 1):
        token, _, weight = line.rstrip().rpartition("\t" if "\t" in line else " ")
        if line.strip() and not token:
            raise ModelError(
                f"{path}:{number}: a line must have a token and a weight, got {line!r}"
            )
        if line.strip():
            pairs[token] = weight
    return pairs


def _number(path: Path, token: str, weight: object) -> float:
    try:
        number = float(weight)  # type: ignore[arg-type] # any JSON value
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ModelError(f"{path}: the weight of {token!r} must be a finite number, got {weight!r}")
    return number
