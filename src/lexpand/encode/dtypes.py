"""In which arithmetic does the transformer run, and what does an index keep of it?"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from lexpand.errors import IndexStateError, ModelError


class Dtype(StrEnum):
    """The arithmetic of the transformer; the head always adds up in float32."""

    FLOAT32 = "float32"
    INT8 = "int8"
    """Products of 8-bit integers, on ONNX Runtime. Weights depend on the texts of a batch, too."""

    BFLOAT16 = "bfloat16"
    """On PyTorch."""

    @property
    def noise(self) -> float:
        """By how much a weight may differ when its text is encoded again among others; of weights above 1, relative.

        Batches of other shapes add float32 in another order: no difference in 200 abstracts of SciFact. int8 has one
        scale for a batch: at most 0.204, nine of ten weights by less than 0.046. bfloat16, on a CPU, 60 abstracts: at
        most 0.042; a GPU was not measured.
        """
        return {Dtype.FLOAT32: 1e-4, Dtype.INT8: 0.25, Dtype.BFLOAT16: 0.1}[self]


def parse_dtype(dtype: Dtype | str) -> Dtype:
    """A dtype by its name.

    Raises:
        ModelError: there is none of this name.
    """
    if dtype not in list(Dtype):
        raise ModelError(f"the dtype {str(dtype)!r}: it must be one of {', '.join(Dtype)}")
    return Dtype(dtype)


def dtype_record(dtype: Dtype) -> dict[str, Any]:
    """What an index records of the dtype that its documents are encoded in; nothing for float32."""
    return {} if dtype is Dtype.FLOAT32 else {"dtype": dtype.value}


def recorded_dtype(settings: Mapping[str, Any]) -> Dtype:
    """What `dtype_record` recorded in ``VectorSpace.document_settings``.

    Raises:
        ModelError: it is none that is known here.
    """
    return parse_dtype(settings.get("dtype", Dtype.FLOAT32))


def check_same_dtype(index: str | Path, recorded: Mapping[str, Any], offered: Mapping[str, Any]) -> None:
    """Nothing, where documents are encoded in the dtype of those that the index has.

    Args:
        index: what the message calls it.
        recorded: its ``document_settings``.
        offered: the encoder's.

    Raises:
        IndexStateError: it is another; the message names both.
    """
    has, new = recorded_dtype(recorded), recorded_dtype(offered)
    if has is not new:
        raise IndexStateError(
            f"{index} holds documents encoded in {has}, not in {new}: encode in {has}, or make a new index"
        )
