"""Settings that a checkpoint lacks or has wrong, given by the person who imports it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lexpand.encode.contract import Activation, Pooling, QueryMode


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Settings of an import. None leaves a setting to the checkpoint.

    Attributes:
        pooling: ``max``, or ``sum`` (SPLADE v1).
        activation: ``log1p(relu)`` or ``log1p(log1p(relu))``.
        query: a table of query weights: a file (``idf.json``, ``query_token_weights.txt`` or
            ``*.safetensors``), or a folder that holds one.
        query_mode: the default way to encode queries. A model with a table has both.
        query_encoder: the checkpoint of a separate query encoder: a folder, or an id of the Hugging
            Face Hub.
        max_tokens: the longest text that is read, in tokens, special tokens included.
        name: the name of the model.
        license: the license of the weights.
        origin: where the weights and their training data come from.
    """

    pooling: Pooling | None = None
    activation: Activation | None = None
    query: Path | None = None
    query_mode: QueryMode | None = None
    query_encoder: str | None = None
    max_tokens: int | None = None
    name: str | None = None
    license: str | None = None
    origin: str | None = None
