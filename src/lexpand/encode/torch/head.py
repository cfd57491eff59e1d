"""The SPLADE head on the device of the hidden states; only active terms are copied to the CPU."""

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
"""indptr, terms, weights and positions, as `_native.Head.encode` returns them."""

# The allowed difference of a pooled value, relative to values above 1. Two float32 sums of 1,024
# products in different orders differ by about 1e-5.
_TOLERANCE = 1e-3


class Implementation(StrEnum):
    """The implementations of pooled logits."""

    TRITON = "triton"
    """A kernel that stores no logits, for GPUs for which torch includes Triton."""

    CHUNKED = "chunked"
    """PyTorch, one tile of the vocabulary at a time, for any device."""


def implementation_for(device: str) -> Implementation | None:
    """Return the implementation for a type of device.

    It is None for a CPU, where the native head is faster.
    """
    if device == "cpu":
        return None
    if device != "cuda":
        return Implementation.CHUNKED
    try:
        import triton  # noqa: F401
    except ImportError:
        return Implementation.CHUNKED
    return Implementation.TRITON


class TorchHead:
    """The interface of `_native.Head` over tensors on a device; threads may share it.

    It needs torch. The Triton kernel is compiled on the machine, which must have a C compiler. The
    kernel is tried once. If it fails or returns wrong values, a warning is issued, and the chunked
    implementation replaces it.

    Args:
        decoder: the decoder of the model.
        device: the device of the hidden states.
        dtype: the dtype of the hidden states, float32 or bfloat16. Products are summed in float32.
            The precision of chunked float32 products follows
            `torch.set_float32_matmul_precision`, which is exact by default.
        implementation: the implementation to try.

    Attributes:
        implementation: the implementation in use.
    """

    def __init__(
        self, decoder: Decoder, device: str, dtype: torch.dtype, implementation: Implementation
    ) -> None:
        import torch

        self._weight = torch.from_numpy(decoder.weight).to(device, dtype)
        self._bias = torch.from_numpy(decoder.bias).to(device)
        self._pooling, self._activation = decoder.pooling, decoder.activation
        self.implementation = implementation
        if implementation is Implementation.TRITON and (reason := self._failure()):
            message = f"the Triton kernel is replaced by PyTorch, which is slower: {reason}"
            warnings.warn(message, LexpandWarning, stacklevel=2)
            self.implementation = Implementation.CHUNKED

    def encode(self, hidden: torch.Tensor, lengths: NDArray[np.uint32]) -> Csr:
        """Encode hidden states as sparse rows; see `_native.Head.encode`.

        Args:
            hidden: the hidden states, [texts, positions, width] on the device. Positions from
                ``lengths[i]`` on are ignored in text i.
            lengths: the number of positions of each text, [texts].

        Raises:
            VectorError: a hidden state is not finite.
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
        if self.implementation is Implementation.TRITON:
            from lexpand.encode.torch.kernel import pool
        else:
            pool = chunked.pool
        return pool(hidden, lengths, self._weight, self._bias, self._pooling, self._activation)

    def _failure(self) -> str | None:
        """Compare the kernel with PyTorch on the CPU for a small input.

        Returns:
            The reason why the kernel cannot be used, or None.
        """
        import torch

        # Rows of the decoder serve as hidden states: two texts, one of them short.
        rows = torch.arange(2 * 40) % len(self._weight)
        weight, bias = self._weight.cpu(), self._bias.cpu()
        lengths = torch.tensor([3, 40], dtype=torch.int32)
        hidden = weight[rows].reshape(2, 40, -1)
        expected = chunked.pool(hidden, lengths, weight, bias, self._pooling, self._activation)
        try:
            found = self._pooled(
                hidden.to(self._weight.device), lengths.to(self._weight.device)
            ).value.cpu()
        except Exception as error:  # noqa: BLE001 - Triton's own errors, the compiler's and the driver's
            return f"it does not run here ({type(error).__name__}: {error})"
        scale = expected.value.abs().clamp(min=1)
        difference = ((found - expected.value).abs() / scale).max().item()
        if difference < _TOLERANCE:
            return None
        return f"it differs by {difference:.2g} from PyTorch on the CPU"


def _check(hidden: torch.Tensor, lengths: torch.Tensor) -> None:
    import torch

    used = torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None]
    wrong = (~hidden.isfinite().all(dim=2) & used).any(dim=1)
    if wrong.any():
        raise VectorError(f"text {int(wrong.nonzero()[0])}: a hidden state is not finite")


def _activated(logits: NDArray[np.float32], activation: Activation) -> NDArray[np.float32]:
    """Apply the activation as the native head does: in float64, rounded once."""
    once = np.log1p(logits.astype(np.float64))
    return (once if activation == "log1p(relu)" else np.log1p(once)).astype(np.float32)
