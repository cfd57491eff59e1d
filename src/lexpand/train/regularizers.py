"""Regularizers of sparsity: functions on weights, and the schedules of their factors.

Weights are [texts, terms], all >= 0. Values and gradients mean the same for any batch size: they
estimate a property of the distribution of texts, and averaging them over the steps of an
accumulation or over devices estimates the same property.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor

from lexpand.errors import DataError
from lexpand.train.devices import average


def flops(weights: Tensor) -> Tensor:
    """Return an unbiased estimate of the expected score operations of two independent texts.

    F = sum_j E[w_j]^2, the FLOPS regularizer of Paria et al. 2020, *Minimizing FLOPs to Learn
    Efficient Sparse Representations* (arXiv 2004.05665), equation 4, which SPLADE uses (Formal et
    al. 2021, equation 4). The papers estimate E[w_j] by the mean over the batch, which is larger
    than F by Var[w_j] / N, so their value depends on the batch size. This one takes the mean over
    all pairs of different texts: sum_j ((sum_i w_ij)^2 - sum_i w_ij^2) / (N (N - 1)). One text
    alone has the value of the papers, sum_j w_j^2.
    """
    count = len(weights)
    total = weights.sum(dim=0)
    if count < 2:
        return total.square().sum()
    return (total.square() - weights.square().sum(dim=0)).sum() / (count * (count - 1))


class RunningFlops:
    """`flops` with the mean weight of each term over many batches.

    F = sum_j E[w_j]^2 = sum_j (2 b_j - r_j) r_j in expectation, where b is the mean over the batch,
    and r a running mean over batches, without a gradient. The gradient of a weight is then in
    proportion to the use of its term in the data, and not in the batch, which may have one topic.

    Args:
        terms: the size of the vocabulary.
        decay: of the running mean, from 0 to below 1.
    """

    def __init__(self, terms: int, decay: float) -> None:
        self._decay = decay
        self._sum, self._count = torch.zeros(terms), torch.zeros(terms)

    def __call__(self, weights: Tensor, columns: Tensor, factors: Tensor) -> Tensor:
        """Return F, estimated from some columns, and update the running mean.

        Args:
            weights: [texts, columns].
            columns: int64 [columns], their terms.
            factors: [columns], 1 for a column that is always computed, and for one of a sample how
                many columns it stands for.
        """
        batch = weights.mean(dim=0)
        # A column that was drawn stands for the steps in which it was not.
        drawn = weights.new_zeros(2, len(self._sum))
        drawn[0, columns], drawn[1, columns] = batch.detach() * factors, factors
        drawn = (1 - self._decay) * average(drawn)
        self._sum = self._decay * self._sum.to(drawn) + drawn[0]
        self._count = self._decay * self._count.to(drawn) + drawn[1]
        running = self._sum[columns] / self._count[columns]
        return ((2 * batch - running) * running * factors).sum()

    def state(self) -> dict[str, Any]:
        """Return the state as JSON values, for a checkpoint."""
        return {"sum": self._sum.tolist(), "count": self._count.tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._sum, self._count = (torch.tensor(state[name]) for name in ("sum", "count"))


def flops_of_batch(weights: Tensor) -> Tensor:
    """Return sum_j (mean_i w_ij)^2, the estimate of the papers; see `flops`."""
    return weights.mean(dim=0).square().sum()


def l1(weights: Tensor) -> Tensor:
    """Return the mean sum of the weights of a text (efficient SPLADE's query regularizer).

    Lassance and Clinchant 2022, arXiv 2207.03834, section 3.2.
    """
    return weights.sum(dim=1).mean()


def weighted_flops(weights: Tensor, share: Tensor) -> Tensor:
    """Return `flops` in which frequent terms cost more.

    F = sum_j m_j E[w_j]^2 with m_j = p_j / mean(p), where p_j is the share of texts that have term
    j: the posting lists of hub terms are what a search pays for. Compare the DF-FLOPS of Porco et
    al. 2025 (arXiv 2505.15070).

    Args:
        weights: [texts, terms].
        share: [terms], p_j from 0 to 1, without a gradient.
    """
    factors = share / share.mean().clamp_min(1e-12)
    return flops(weights * factors.sqrt())


def masked_flops(weights: Tensor, threshold: int) -> Tensor:
    """Return `flops` of the texts that have more than ``threshold`` terms.

    Sparse texts are not pushed further (the L0 mask of OpenSearch's doc-v3 models, Shen et al.
    2025, arXiv 2504.14839, equation 6). The other texts count as empty in the mean.
    """
    dense = (weights.detach() > 0).sum(dim=1, keepdim=True) > threshold
    return flops(weights * dense)


def anti_zero(weights: Tensor) -> Tensor:
    """Return a penalty on texts whose weights vanish, which stops a collapse to empty vectors.

    P = mean_i 1 / (sum_j w_ij + 1)^2, at most 1.
    """
    return (weights.sum(dim=1) + 1).square().reciprocal().mean()


def banned(weights: Tensor, terms: Tensor) -> Tensor:
    """Return the mean squared weight of terms that no text should have.

    Args:
        weights: [texts, terms].
        terms: int64 [b], the banned terms.
    """
    return weights[:, terms].square().sum(dim=1).mean()


def own_terms(ids: Tensor, mask: Tensor, terms: int, special: Sequence[int]) -> Tensor:
    """Return which terms the tokens of each text are, bool [texts, terms].

    Args:
        ids: int64 [texts, positions], token ids.
        mask: [texts, positions], not 0 where a text has a token.
        terms: the size of the vocabulary.
        special: ids of tokens that are no text.
    """
    present = torch.zeros(len(ids), terms, device=ids.device)
    # Padding has an id too, which a text may have as well.
    present.scatter_add_(1, ids, (mask != 0).to(present.dtype))
    present[:, list(special)] = 0
    return present > 0


def expansion(weights: Tensor, own: Tensor, factors: Tensor | None = None) -> tuple[Tensor, float]:
    """Return the mean sum of the weights of terms that a text does not have, and their share.

    Args:
        weights: [texts, columns].
        own: bool [texts, columns], the terms of each text; see `own_terms`.
        factors: [columns], for how many terms each column of a sample stands; None for 1.
    """
    scaled = weights if factors is None else weights * factors
    other = (scaled * ~own).sum(dim=1).mean()
    whole = float(scaled.detach().sum(dim=1).mean())
    return other, float(other.detach()) / whole if whole else 0.0


class Ramp(StrEnum):
    """The shape of a factor's warm-up."""

    CONSTANT = "constant"
    LINEAR = "linear"
    QUADRATIC = "quadratic"
    """The schedule of Paria et al. 2020, section 5."""


def ramped(target: float, step: int, steps: int, ramp: Ramp = Ramp.QUADRATIC) -> float:
    """Return the factor at a step: it rises to ``target`` over ``steps`` steps and stays there.

    Args:
        target: the final factor, >= 0.
        step: the step, from 0.
        steps: the length of the warm-up.
        ramp: its shape.

    Raises:
        DataError: the target is negative.
    """
    if not target >= 0:
        raise DataError(f"a regularizer's factor must be >= 0, got {target}")
    if ramp is Ramp.CONSTANT or step >= steps:
        return target
    return target * ((step + 1) / steps) ** (1 if ramp is Ramp.LINEAR else 2)


def document_share(weights: Tensor, before: Tensor | None, decay: float = 0.99) -> Tensor:
    """Return the running share of texts that have each term, [terms]; see `weighted_flops`."""
    with torch.no_grad():
        now = (weights > 0).to(weights.dtype).mean(dim=0)
        return now if before is None else decay * before + (1 - decay) * now
