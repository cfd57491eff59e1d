"""Pool logits with a Triton kernel, which takes the maximum in registers and stores no logits.

A program handles one text and one tile of the vocabulary. Neighboring programs handle the same
tile, so its weights come from the L2 cache. Importing this module needs Triton.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl

from lexpand.encode.torch.chunked import Pooled

if TYPE_CHECKING:
    from lexpand.encode.contract import Activation, Pooling

# The terms of a program, and the dimensions of a step. Both are guesses, not measured on a GPU.
_TERMS = 64
_WIDTH = 32


def pool(
    hidden: torch.Tensor,
    lengths: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    pooling: Pooling,
    activation: Activation,
) -> Pooled:
    """Compute what `chunked.pool` computes, with float32 sums in another order."""
    texts, positions, width = hidden.shape
    best = torch.empty((texts, len(bias)), dtype=torch.float32, device=hidden.device)
    position = torch.empty((texts, len(bias)), dtype=torch.int32, device=hidden.device)
    value = torch.empty_like(best) if pooling == "sum" else best
    # Triton launches on the current device, even if the tensors are on another.
    with torch.cuda.device_of(hidden):
        _pool[texts, triton.cdiv(len(bias), _TERMS)](
            hidden.contiguous(),
            lengths,
            weight.contiguous(),
            bias,
            best,
            position,
            value,
            positions,
            len(bias),
            width,
            SUM=pooling == "sum",
            TWICE=activation == "log1p(log1p(relu))",
            POSITIONS=_rows(positions),
            TERMS=_TERMS,
            STEP=_WIDTH,
        )
    return Pooled(best, position, value)


def _rows(positions: int) -> int:
    """Return the number of positions that a program handles at a time.

    It is small for queries, and at least 16, the minimum of a dot product in Triton.
    """
    return 16 if positions <= 16 else 32 if positions <= 32 else 64


@triton.jit
def _log1p(x):
    # Kahan's formula: exact to a few units in the last place, whereas log(1 + x) loses a small x.
    shifted = 1.0 + x
    change = shifted - 1.0
    return tl.where(change == 0.0, x, tl.log(shifted) * (x / tl.where(change == 0.0, 1.0, change)))


@triton.jit
def _pool(
    hidden,
    lengths,
    weight,
    bias,
    best_out,
    position_out,
    value_out,
    positions,
    vocabulary,
    width,
    SUM: tl.constexpr,
    TWICE: tl.constexpr,
    POSITIONS: tl.constexpr,
    TERMS: tl.constexpr,
    STEP: tl.constexpr,
):
    text = tl.program_id(0).to(tl.int64)  # text * vocabulary can exceed 2^31
    terms = tl.program_id(1) * TERMS + tl.arange(0, TERMS)
    length = tl.load(lengths + text)
    added = tl.load(bias + terms, mask=terms < vocabulary, other=0.0)
    best = tl.full([TERMS], float("-inf"), tl.float32)
    position = tl.zeros([TERMS], tl.int32)
    total = tl.zeros([TERMS], tl.float32)
    columns = tl.arange(0, STEP)
    for first in range(0, length, POSITIONS):
        rows = first + tl.arange(0, POSITIONS)
        logits = tl.zeros([POSITIONS, TERMS], tl.float32)
        for start in range(0, width, STEP):
            inside = start + columns < width
            states = tl.load(
                hidden + (text * positions + rows[:, None]) * width + start + columns[None, :],
                mask=(rows[:, None] < length) & inside[None, :],
                other=0.0,
            )
            weights = tl.load(
                weight + terms[None, :].to(tl.int64) * width + start + columns[:, None],
                mask=(terms[None, :] < vocabulary) & inside[:, None],
                other=0.0,
            )
            # "ieee" instead of the default tf32, which keeps 10 bits of a float32: weights would
            # differ in the fourth digit.
            logits = tl.dot(states, weights, logits, input_precision="ieee")
        if SUM:
            active = logits + added[None, :]
            active = tl.where((rows[:, None] < length) & (active > 0.0), active, 0.0)
            active = _log1p(active)
            if TWICE:
                active = _log1p(active)
            total += tl.sum(active, axis=0)
        logits = tl.where(rows[:, None] < length, logits, float("-inf"))
        largest, where = tl.max(logits, axis=0, return_indices=True)
        # Strictly greater, so that of equal logits the first position wins.
        position = tl.where(largest > best, first + where, position)
        best = tl.maximum(largest, best)
    places = text * vocabulary + terms
    tl.store(best_out + places, best + added, mask=terms < vocabulary)
    tl.store(position_out + places, position, mask=terms < vocabulary)
    if SUM:
        tl.store(value_out + places, total, mask=terms < vocabulary)
