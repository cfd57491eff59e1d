"""The SPLADE head without logits, for training.

log(1 + ReLU) is monotonic, so the maximum over positions comes first: one tile of the vocabulary at
a time, of which only the maximum and its position are kept. A weight depends on one position alone,
so its gradient is one entry: the backward pass multiplies sparse matrices with an entry for each
active weight, instead of matrices of the size of the logits. Values and gradients equal the plain
head's, `plain_head`.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Activation = Literal["log1p(relu)", "log1p(log1p(relu))"]

_TILE_BYTES = 12 << 20
"""Memory of the logits of a tile on a CPU, whose caches a larger one leaves."""

_DEVICE_TILE_BYTES = 64 << 20
"""Memory of the logits of a tile on other devices."""


def plain_head(
    hidden: Tensor,
    mask: Tensor,
    decoder: Tensor,
    bias: Tensor,
    activation: Activation = "log1p(relu)",
) -> Tensor:
    """Return the weights [texts, terms] by way of all logits: the reference implementation.

    Args:
        hidden: [texts, positions, width], the input of the decoder.
        mask: bool [texts, positions], true where a text has a token; at least one a text.
        decoder: [terms, width].
        bias: [terms].
        activation: of the logits.
    """
    logits = (hidden @ decoder.T + bias).masked_fill(~mask[..., None], -torch.inf)
    pooled = logits.amax(dim=1).relu().log1p()
    return pooled if activation == "log1p(relu)" else pooled.log1p()


def splade_head(
    hidden: Tensor,
    mask: Tensor,
    decoder: Tensor,
    bias: Tensor,
    activation: Activation = "log1p(relu)",
    *,
    triton: bool = False,
    position_terms: int = 0,
) -> tuple[Tensor, Tensor | None]:
    """Return the weights [texts, terms] and the position of each maximum, int32 [texts, terms].

    Memory is that of the weights, their positions and one tile of logits. Of equal maxima the first
    position counts, where `plain_head` divides the gradient among them. Without gradients
    (`torch.no_grad`) there are no positions: None, in less time.

    Args:
        hidden: [texts, positions, width], the input of the decoder.
        mask: bool [texts, positions], true where a text has a token; at least one a text.
        decoder: [terms, width].
        bias: [terms].
        activation: of the logits.
        triton: compute float32 by a kernel for CUDA; see `lexpand.train.triton_head`.
        position_terms: of the terms that have their maximum at one position, this many have a
            weight, those with the largest; 0 for all.
    """
    once = activation == "log1p(relu)"
    if torch.is_grad_enabled():
        weights, positions = _Head.apply(hidden, mask, decoder, bias, once, triton, position_terms)
        return weights, positions
    some = position_terms > 0
    best, at = _pooled(hidden[mask], mask, decoder, bias, triton, with_positions=some)
    weights = _activated(best, once)
    return (weights if at is None else _limited(weights, at, position_terms)), None


def sum_head(
    hidden: Tensor,
    mask: Tensor,
    decoder: Tensor,
    bias: Tensor,
    activation: Activation = "log1p(relu)",
) -> Tensor:
    """Return the weights [texts, terms] by the sum over positions, as SPLADE v1 has it.

    Formal et al. 2021, arXiv 2107.05720, equation 3. Every position counts, so the logits are
    needed: one tile of the vocabulary at a time, and again in the backward pass.

    Args:
        hidden: see `splade_head`.
        mask: see `splade_head`.
        decoder: see `splade_head`.
        bias: see `splade_head`.
        activation: see `splade_head`.
    """
    tile = _tile(mask.numel(), hidden)

    def summed(hidden: Tensor, decoder: Tensor, bias: Tensor) -> Tensor:
        weights = (hidden @ decoder.T + bias).relu().log1p()
        if activation != "log1p(relu)":
            weights = weights.log1p()
        return (weights * mask[..., None]).sum(dim=1)

    parts = [
        checkpoint(
            summed,
            hidden,
            decoder[first : first + tile],
            bias[first : first + tile],
            use_reentrant=False,
        )
        for first in range(0, len(decoder), tile)
    ]
    return torch.cat(parts, dim=1)


def sampled_columns(
    needed: Tensor, terms: int, sample: int, generator: torch.Generator
) -> tuple[Tensor, float]:
    """Choose the columns of a step whose queries need no model, and the factor of the sample.

    A score needs only the terms of the batch's queries, which come first. Of the others a uniform
    sample stands for all in a regularizer that is a sum over terms: times the factor (others /
    sample), its sum over the sampled columns is an unbiased estimate of the sum over the others.

    Args:
        needed: int64 [n], distinct terms of the queries, ascending.
        terms: the size of the vocabulary.
        sample: how many other terms are drawn.
        generator: of random numbers.

    Returns:
        Columns int64 [n + s], the needed ones first, and the factor of the others.
    """
    is_other = torch.ones(terms, dtype=torch.bool)
    is_other[needed] = False
    others = is_other.nonzero().squeeze(1)
    drawn = others[torch.randperm(len(others), generator=generator)[:sample]]
    factor = len(others) / len(drawn) if len(drawn) else 0.0
    return torch.cat([needed, drawn.sort().values]), factor


class _Head(torch.autograd.Function):
    """`splade_head` with its backward pass."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's
        hidden: Tensor,
        mask: Tensor,
        decoder: Tensor,
        bias: Tensor,
        once: bool,
        triton: bool,
        position_terms: int,
    ) -> tuple[Tensor, Tensor]:
        rows = hidden[mask]
        best, positions = _pooled(rows, mask, decoder, bias, triton)
        assert positions is not None
        weights = _limited(_activated(best, once), positions, position_terms)
        ctx.once = once
        ctx.shape = tuple(hidden.shape)
        ctx.save_for_backward(rows, mask, decoder, weights, positions)
        ctx.mark_non_differentiable(positions)
        return weights, positions

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        rows, mask, decoder, weights, positions = ctx.saved_tensors
        # d log1p(x) / dx = 1 / (1 + x) = exp(-w); of the double logarithm exp(-w) exp(-(e^w - 1)).
        slope = (-weights).exp_()
        if not ctx.once:
            slope = slope * (-torch.expm1(weights)).exp_()
        entries = torch.where(weights > 0, gradient * slope, 0.0)
        text, term = entries.nonzero(as_tuple=True)
        values = entries[text, term]
        counts = mask.sum(dim=1)
        starts = counts.cumsum(0) - counts
        row = starts[text] + positions[text, term].long()
        needs = ctx.needs_input_grad
        at_rows = at_decoder = at_bias = None
        if needs[0]:
            at_rows = _sparse(row, term, values, len(rows), len(decoder)) @ decoder
        if needs[2]:
            at_decoder = _sparse(term, row, values, len(decoder), len(rows)) @ rows
        if needs[3]:
            at_bias = entries.sum(dim=0)
        at_hidden = None
        if at_rows is not None:
            at_hidden = rows.new_zeros(ctx.shape)
            at_hidden[mask] = at_rows
        return at_hidden, None, at_decoder, at_bias, None, None, None


def _activated(best: Tensor, once: bool) -> Tensor:
    """Return the weights of the largest logits, which are overwritten."""
    weights = best.relu_().log1p_()
    return weights if once else weights.log1p_()


def _limited(weights: Tensor, positions: Tensor, most: int) -> Tensor:
    """Set weights to 0 that are not among the ``most`` largest of their position; 0 for all.

    As `Pruning.position` does when encoding. Of equal weights, the smaller terms come first.

    Args:
        weights: [texts, terms].
        positions: int32 [texts, terms].
        most: terms of a position.
    """
    if not most:
        return weights
    text, term = (weights > 0).nonzero(as_tuple=True)
    values, at = weights[text, term], positions[text, term].long()
    order = values.argsort(descending=True, stable=True)
    group = (text * (positions.max() + 1) + at)[order]
    group, by_group = group.sort(stable=True)
    order = order[by_group]
    _, sizes = torch.unique_consecutive(group, return_counts=True)
    starts = (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    dropped = order[torch.arange(len(order), device=order.device) - starts >= most]
    weights[text[dropped], term[dropped]] = 0.0
    return weights


def _pooled(
    rows: Tensor,
    mask: Tensor,
    decoder: Tensor,
    bias: Tensor,
    triton: bool,
    *,
    with_positions: bool = True,
) -> tuple[Tensor, Tensor | None]:
    """Return the largest logit of each term in each text, and its position.

    Args:
        rows: [tokens of all texts, width], so that padding is left out of the products.
        mask: bool [texts, positions].
        decoder: [terms, width].
        bias: [terms].
        triton: see `splade_head`.
        with_positions: see `_pool`.
    """
    counts = mask.sum(dim=1).tolist()
    if triton and rows.dtype == torch.float32:
        from lexpand.train.triton_head import pool_by_triton

        return pool_by_triton(rows, counts, decoder, bias)
    return _pool(rows, counts, decoder, bias, with_positions=with_positions)


def _pool(
    rows: Tensor, counts: list[int], decoder: Tensor, bias: Tensor, *, with_positions: bool
) -> tuple[Tensor, Tensor | None]:
    """Return the largest logit of each term in each text, and its position, tile by tile.

    Args:
        rows: [tokens of all texts, width].
        counts: the tokens of each text, each >= 1.
        decoder: [terms, width].
        bias: [terms].
        with_positions: whether positions are returned; a maximum without them takes less time.
    """
    terms = len(decoder)
    tile = _tile(len(rows), rows)
    best = rows.new_empty(len(counts), terms)
    positions = (
        torch.empty(len(counts), terms, dtype=torch.int32, device=rows.device)
        if with_positions
        else None
    )
    for first in range(0, terms, tile):
        end = min(first + tile, terms)
        logits = torch.addmm(bias[first:end], rows, decoder[first:end].T)
        for text, part in enumerate(logits.split(counts)):
            if positions is None:
                torch.amax(part, dim=0, out=best[text, first:end])
            else:
                best[text, first:end], positions[text, first:end] = part.max(dim=0)
    return best, positions


def _tile(positions: int, like: Tensor) -> int:
    """Return the terms of a tile of logits [positions, terms]."""
    size = _TILE_BYTES if like.device.type == "cpu" else _DEVICE_TILE_BYTES
    bytes_of_a_term = max(1, positions) * int(like.element_size())
    return max(1, size // bytes_of_a_term)


def _sparse(row: Tensor, column: Tensor, values: Tensor, rows: int, columns: int) -> Tensor:
    """Return a CSR matrix; entries of one place are summed."""
    order = row.argsort(stable=True)
    indptr = torch.zeros(rows + 1, dtype=torch.int64, device=row.device)
    indptr[1:] = torch.bincount(row, minlength=rows).cumsum(0)
    with _no_warning():
        return torch.sparse_csr_tensor(
            indptr, column[order], values[order], (rows, columns), check_invariants=False
        )


def _no_warning() -> Any:  # noqa: ANN401 - a context manager
    import warnings

    # torch warns once that CSR support is in beta.
    return warnings.catch_warnings(category=UserWarning, action="ignore")
