"""The forward pass of the head as a Triton kernel for CUDA.

A program computes one tile of terms of one text, position by position block, and keeps the maximum
and its position on the chip, so that logits are never written to memory. It gives what the tiles of
`lexpand.train.head` give. It was tested in Triton's interpreter on the CPU, and not run on a GPU.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_ROWS, _TERMS, _WIDTH = 32, 64, 32
"""The block of positions, of terms, and of the width of states."""


@triton.jit
def _pool(
    rows: Tensor,
    starts: Tensor,
    decoder: Tensor,
    bias: Tensor,
    best: Tensor,
    place: Tensor,
    terms: int,
    width: int,
    precision: tl.constexpr,
    block_rows: tl.constexpr,
    block_terms: tl.constexpr,
    block_width: tl.constexpr,
) -> None:
    """Pool one tile of terms of one text: in the kernel, a tensor is a pointer to its values."""
    text = tl.program_id(0)
    first = tl.load(starts + text)
    end = tl.load(starts + text + 1)
    term = tl.program_id(1) * block_terms + tl.arange(0, block_terms)
    known = term < terms
    maximum = tl.full([block_terms], float("-inf"), tl.float32)
    position = tl.zeros([block_terms], tl.int32)
    for begin in range(first, end, block_rows):
        row = begin + tl.arange(0, block_rows)
        logits = tl.zeros([block_rows, block_terms], tl.float32)
        for column in range(0, width, block_width):
            at = column + tl.arange(0, block_width)
            inside = at < width
            states = tl.load(
                rows + row[:, None].to(tl.int64) * width + at[None, :],
                mask=(row < end)[:, None] & inside[None, :],
                other=0.0,
            )
            vectors = tl.load(
                decoder + term[:, None].to(tl.int64) * width + at[None, :],
                mask=known[:, None] & inside[None, :],
                other=0.0,
            )
            logits += tl.dot(states, tl.trans(vectors), input_precision=precision)
        logits = tl.where((row < end)[:, None], logits, float("-inf"))
        value, where = tl.max(logits, axis=0, return_indices=True)
        # Of equal maxima the first position counts.
        better = value > maximum
        position = tl.where(better, begin - first + where, position)
        maximum = tl.where(better, value, maximum)
    maximum += tl.load(bias + term, mask=known, other=0.0)
    to = text.to(tl.int64) * terms + term
    tl.store(best + to, maximum, mask=known)
    tl.store(place + to, position, mask=known)


def pool_by_triton(
    rows: Tensor, counts: list[int], decoder: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the largest logit of each term in each text, and its position.

    Args:
        rows: float32 [tokens of all texts, width], the input of the decoder without padding.
        counts: the tokens of each text, each >= 1.
        decoder: float32 [terms, width].
        bias: float32 [terms].

    Returns:
        The logits float32 [texts, terms], and the positions int32 [texts, terms].
    """
    device, terms = rows.device, len(decoder)
    starts = torch.tensor([0, *counts], device=device).cumsum(0).to(torch.int32)
    best = torch.empty(len(counts), terms, device=device)
    place = torch.empty(len(counts), terms, dtype=torch.int32, device=device)
    exact = not (rows.is_cuda and torch.backends.cuda.matmul.allow_tf32)
    _pool[(len(counts), triton.cdiv(terms, _TERMS))](
        rows.contiguous(),
        starts,
        decoder.contiguous(),
        bias.contiguous(),
        best,
        place,
        terms,
        rows.shape[1],
        precision="ieee" if exact else "tf32",
        block_rows=_ROWS,
        block_terms=_TERMS,
        block_width=_WIDTH,
    )
    return best, place
