"""Pooled logits by PyTorch alone, a tile of the vocabulary at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from lexpand.encode.contract import Activation, Pooling

MOST_LOGITS = 2**24
"""That are in memory at a time: 64 MiB."""


class Pooled(NamedTuple):
    """What the positions of each text come to, [texts, vocabulary], where the states are.

    Attributes:
        best: float32, the largest logit, the bias included; minus infinity for a text without
            positions.
        position: int32, the first that has it.
        value: float32, what becomes the weight: ``best``, or with sum pooling the sum of the
            activations.
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
    most_logits: int = MOST_LOGITS,
) -> Pooled:
    """Every logit in float32, whatever the states are in: products of bfloat16 are exact in it.

    Args:
        hidden: [texts, positions, width].
        lengths: int32 [texts].
        weight: [vocabulary, width], as ``hidden``.
        bias: float32 [vocabulary].
        pooling: of a text's positions.
        activation: of a logit.
        most_logits: in memory at a time, but at least one term's.
    """
    import torch

    texts, positions, _ = hidden.shape
    states = hidden.float()
    padding = (torch.arange(positions, device=hidden.device) >= lengths[:, None])[:, :, None]
    size = max(1, most_logits // max(1, texts * positions))
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
