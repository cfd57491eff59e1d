"""The SPLADE head where the hidden states are: only the terms that a text has are copied to the CPU."""

from __future__ import annotations

import warnings
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lexpand.encode.contract import Activation
from lexpand.encode.decoder import Decoder
from lexpand.encode.torch import chunked
from lexpand.encode.torch.chunked import Pooled
from lexpand.errors import LexpandWarning, VectorError

if TYPE_CHECKING:
    import torch

Csr: TypeAlias = (
    "tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32], NDArray[np.uint32]]"
)
"""indptr, terms, weights and positions, as `_native.Head.encode` gives them."""

# Of a logit or a sum, or of 1 for smaller ones; float32 sums of 1,024 products in another order
# differ by some 1e-5.
_TOLERANCE = 1e-3


class Way(StrEnum):
    """How the logits of a text are pooled."""

    TRITON = "triton"
    """A kernel that stores no logit; GPUs for which torch brings Triton."""

    CHUNKED = "chunked"
    """By PyTorch, a tile of the vocabulary at a time; any device."""


def way_on(device: str) -> Way | None:
    """The way for a type of device; None for a CPU, where the native head is faster."""
    if device == "cpu":
        return None
    if device != "cuda":
        return Way.CHUNKED
    try:
        import triton  # noqa: F401
    except ImportError:
        return Way.CHUNKED
    return Way.TRITON


class TorchHead:
    """What `_native.Head` is, over tensors on a device. Needs torch. May be shared by threads.

    Args:
        decoder: the model's.
        device: where the states will be.
        dtype: what they will be in, float32 or bfloat16; products are summed in float32. With
            float32 chunked sums are as `torch.set_float32_matmul_precision` says, exact by torch's
            default.
        way: how. Triton's kernel is tried first, and where it fails or is wrong, a warning says so,
            and the other way is taken: Triton compiles on the machine, and needs a C compiler
            there.

    Attributes:
        way: that was taken.
    """

    def __init__(self, decoder: Decoder, device: str, dtype: torch.dtype, way: Way) -> None:
        import torch

        self._weight = torch.from_numpy(decoder.weight).to(device, dtype)
        self._bias = torch.from_numpy(decoder.bias).to(device)
        self._pooling, self._activation = decoder.pooling, decoder.activation
        self.way = way
        if way is Way.TRITON and (reason := self._failure()):
            said = f"Triton's kernel is not used, and PyTorch alone is slower: {reason}"
            warnings.warn(said, LexpandWarning, stacklevel=2)
            self.way = Way.CHUNKED

    def encode(self, hidden: torch.Tensor, lengths: NDArray[np.uint32]) -> Csr:
        """Sparse rows of hidden states; see `_native.Head.encode`.

        Args:
            hidden: [texts, positions, width] on the device; text i fills its first ``lengths[i]``
                positions.
            lengths: [texts].

        Raises:
            VectorError: a state is not finite.
        """
        import torch

        with torch.inference_mode():
            counts = torch.from_numpy(lengths.astype(np.int32)).to(hidden.device)
            _check(hidden, counts)
            pooled = self._pooled(hidden, counts)
            rows, terms = (pooled.best > 0).nonzero(as_tuple=True)
            values, positions = (
                array[rows, terms].cpu().numpy() for array in (pooled.value, pooled.position)
            )
            sizes = torch.bincount(rows, minlength=len(hidden)).cpu().numpy()
            active = terms.cpu().numpy().astype(np.uint32)
        weights = values if self._pooling == "sum" else _activated(values, self._activation)
        indptr = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        return indptr, active, weights, positions.astype(np.uint32)

    def _pooled(self, hidden: torch.Tensor, lengths: torch.Tensor) -> Pooled:
        if self.way is Way.TRITON:
            from lexpand.encode.torch.kernel import pool
        else:
            pool = chunked.pool
        return pool(hidden, lengths, self._weight, self._bias, self._pooling, self._activation)

    def _failure(self) -> str | None:
        """Why the kernel cannot be used here; None where it gives what PyTorch does on the CPU for some states."""
        import torch

        # The decoder's own rows stand for states: two texts, one of them short.
        rows = torch.arange(2 * 40) % len(self._weight)
        weight, bias, lengths = (
            self._weight.cpu(),
            self._bias.cpu(),
            torch.tensor([3, 40], dtype=torch.int32),
        )
        hidden = weight[rows].reshape(2, 40, -1)
        expected = chunked.pool(hidden, lengths, weight, bias, self._pooling, self._activation)
        try:
            found = self._pooled(
                hidden.to(self._weight.device), lengths.to(self._weight.device)
            ).value.cpu()
        except Exception as error:  # noqa: BLE001 - Triton's own errors, the compiler's and the driver's
            return f"it does not run here ({type(error).__name__}: {error})"
        difference = (
            ((found - expected.value).abs() / expected.value.abs().clamp(min=1)).max().item()
        )
        return (
            None
            if difference < _TOLERANCE
            else f"it differs by {difference:.2g} from PyTorch on the CPU"
        )


def _check(hidden: torch.Tensor, lengths: torch.Tensor) -> None:
    import torch

    used = torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None]
    wrong = (~hidden.isfinite().all(dim=2) & used).any(dim=1)
    if wrong.any():
        raise VectorError(f"text {int(wrong.nonzero()[0])}: a hidden state is not finite")


def _activated(logits: NDArray[np.float32], activation: Activation) -> NDArray[np.float32]:
    """As the native head has it: in float64, rounded once."""
    once = np.log1p(logits.astype(np.float64))
    return (once if activation == "log1p(relu)" else np.log1p(once)).astype(np.float32)
