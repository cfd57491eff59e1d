"""Training on several devices: one process each, started by ``torchrun``.

The loss runs the modules of the model itself, and not the wrapper that would sum gradients, so the
gradients are averaged here, once a step. Each process has batches of its own, and its in-batch
negatives; the regularizers are unbiased, so that their mean is that of one large batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from accelerate import PartialState
from torch import Tensor, distributed, nn


def count() -> int:
    """Return the number of processes of this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Return the number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_first() -> bool:
    """Whether this process writes the files and reports."""
    return rank() == 0


@contextmanager
def first_before_others() -> Iterator[None]:
    """Run a block in the first process, then in the others, which find the files that it wrote."""
    if count() == 1:
        yield
        return
    # Without `cpu`, accelerate takes processes on CPUs for runs of their own.
    with PartialState(cpu=not torch.cuda.is_available()).main_process_first():
        yield


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give all processes the mean of their gradients. Missing gradients count as zeros."""
    if count() == 1:
        return
    for parameter in parameters:
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            parameter.grad = average(parameter.grad)


def average(values: Tensor) -> Tensor:
    """Return the mean of a tensor over all processes. The tensor itself is overwritten."""
    if count() == 1:
        return values
    distributed.all_reduce(values)
    return values.div_(count())


def average_figure(value: float) -> float:
    """Return the mean of a figure over all processes."""
    if count() == 1:
        return value
    on_gpus = str(distributed.get_backend()) == "nccl"
    device = torch.device("cuda", torch.cuda.current_device()) if on_gpus else None
    return float(average(torch.tensor(value, dtype=torch.float64, device=device)))
