"""Settings for encoding queries that override the contract of the model."""

from __future__ import annotations

from dataclasses import dataclass

from lexpand.data import Dtype, Pruning
from lexpand.data.document_encoding import parse_dtype
from lexpand.encode.contract import QueryMode
from lexpand.errors import ModelError


@dataclass(frozen=True, slots=True)
class QueryEncoding:
    """Settings for encoding queries. Unlike `DocumentEncoding`, they may change between searches.

    Attributes:
        mode: ``encoder``, or ``lookup`` for the model's table of weights. None stands for the mode
            of the contract.
        pruning: pruning rules, applied after those of the contract, or a text for `parse_pruning`.
        dtype: the arithmetic of the transformer.

    Raises:
        ModelError: the mode or the dtype is unknown.
    """

    mode: QueryMode | None = None
    pruning: Pruning | str = Pruning()
    dtype: Dtype = Dtype.FLOAT32

    def __post_init__(self) -> None:
        object.__setattr__(self, "mode", None if self.mode is None else parse_query_mode(self.mode))
        object.__setattr__(self, "dtype", parse_dtype(self.dtype))


def parse_query_mode(mode: QueryMode | str) -> QueryMode:
    """Return the query mode with this name.

    Raises:
        ModelError: the name is unknown.
    """
    try:
        return QueryMode(mode)
    except ValueError:
        raise ModelError(
            f"the query mode must be one of {', '.join(QueryMode)}, got {mode!r}"
        ) from None
