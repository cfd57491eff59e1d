"""How queries are encoded, where it is not as the model's contract says."""

from __future__ import annotations

from dataclasses import dataclass

from lexpand.data import Dtype, Pruning
from lexpand.data.document_encoding import parse_dtype
from lexpand.encode.contract import QueryMode
from lexpand.errors import ModelError


@dataclass(frozen=True, slots=True)
class QueryEncoding:
    """How queries are encoded. It may change from search to search, unlike `DocumentEncoding`.

    Attributes:
        mode: by the encoder or by the model's table of weights; None for what the contract says.
        pruning: rules that vectors are pruned by, after those of the contract; or a text, as
            `parse_pruning` takes it.
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
    """A query mode by its name.

    Raises:
        ModelError: there is none of this name.
    """
    try:
        return QueryMode(mode)
    except ValueError:
        raise ModelError(
            f"the query mode must be one of {', '.join(QueryMode)}, got {mode!r}"
        ) from None
