"""Pool logits with PyTorch alone, one tile of the vocabulary at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from lexpand.encode.contract import Activation, Pooling

MAX_LOGITS = 2**24
"""The largest number of logits in memory at a time: 64 MiB."""


class Pooled(NamedTuple):
    """Logits pooled over positions, [texts, vocabulary] each, on the device of the hidden states.

    Attributes:
        best: float32, the largest logit, the bias included. It is minus infinity for a text without
            positions.
        position: int32, the first position with the largest logit.
        value: float32, the pooled value: ``best``, or the sum of the activations with sum pooling.
    """

    best: Tensor
    position: Tensor
    value: Tensor


def pool(
    hidden: Tensor,
    lengths: Tensor,
    weight: Tensor,
    bias: Tensor,
    pooling: Pooling,
    activation: Activation,
    max_logits: int = MAX_LOGITS,
) -> Pooled:
    """Compute all logits in float32 and pool them over positions.

    The states may be float32 or bfloat16. Products of bfloat16 are exact in float32.

    Args:
        hidden: the hidden states, [texts, positions, width].
        lengths: the number of positions of each text, int32 [texts].
        weight: the matrix of the decoder, [vocabulary, width], in the dtype of ``hidden``.
        bias: the bias of the decoder, float32 [vocabulary].
        pooling: the pooling over positions.
        activation: the activation of a logit.
        max_logits: the most logits in memory at a time. A tile has at least one term.
    """
    import torch

    texts, positions, _ = hidden.shape
    states = hidden.float()
    padding = (torch.arange(positions, device=hidden.device) >= lengths[:, None])[:, :, None]
    size = max(1, max_logits // max(1, texts * positions))
    parts = []
    for start in range(0, len(bias), size):
        tile = slice(start, start + size)
        logits = (states @ weight[tile].float().T).masked_fill_(padding, -torch.inf)
        best, position = logits.max(dim=1)
        best += bias[tile]
        value = (
            _activated(logits.add_(bias[tile]), activation).sum(dim=1) if pooling == "sum" else best
        )
        parts.append((best, position.to(torch.int32), value))
    return Pooled(*(torch.cat(column, dim=1) for column in zip(*parts, strict=True)))


def _activated(logits: Tensor, activation: Activation) -> Tensor:
    once = logits.relu_().log1p_()
    return once if activation == "log1p(relu)" else once.log1p_()
