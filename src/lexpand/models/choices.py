"""What a checkpoint does not say of itself, or says wrongly: the importer's choices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lexpand.encode.contract import Activation, Pooling


@dataclass(frozen=True, slots=True)
class Choices:
    """None where the checkpoint decides.

    Attributes:
        pooling: ``max`` or ``sum`` (SPLADE v1).
        activation: ``log1p(relu)`` or ``log1p(log1p(relu))``.
        query: a table of query weights: a file (``idf.json``, ``query_token_weights.txt``,
            ``*.safetensors``) or a folder that holds one.
        query_encoder: another checkpoint that encodes the queries: a folder, or an id of the
            Hugging Face Hub.
        max_tokens: the longest text read, in tokens, special ones included.
        name: how people call the model.
        license, origin: of the weights, and of what they were trained on.
    """

    pooling: Pooling | None = None
    activation: Activation | None = None
    query: Path | None = None
    query_encoder: str | None = None
    max_tokens: int | None = None
    name: str | None = None
    license: str | None = None
    origin: str | None = None
