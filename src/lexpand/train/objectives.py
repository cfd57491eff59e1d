"""Training objectives: pure functions on matrices of scores.

A batch has ``q`` queries and a group of ``n`` documents for each: the positive first, then its
hard negatives. A score is the sum over terms of query weight times document weight. *Grouped*
scores [q, n] compare a query with its own group. *In-batch* scores [q, q * n] compare it with the
documents of all groups, so its positive is column ``i * n``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lexpand.errors import DataError


def info_nce(scores: Tensor, positives: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Return the mean negative log-probability of the positives (InfoNCE).

    L = -1/q sum_i log( exp(s_ip / t) / sum_j exp(s_ij / t) ). Van den Oord et al. 2018,
    *Representation Learning with Contrastive Predictive Coding*, equation 4; SPLADE's ranking loss
    with in-batch negatives (Formal et al. 2021, arXiv 2107.05720, equation 5).

    Args:
        scores: [q, d].
        positives: int64 [q], the column of each query's positive.
        temperature: t, above 0.
    """
    _check(scores, temperature)
    return functional.cross_entropy(scores / temperature, positives)


def margin_mse(scores: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared error between the margins of student and teacher.

    L = 1/(q (n-1)) sum ((s_i0 - s_ij) - (t_i0 - t_ij))^2. Hofstätter et al. 2020, *Improving
    Efficient Neural Ranking Models with Cross-Architecture Knowledge Distillation*
    (arXiv 2010.02666), equation 6.

    Args:
        scores: [q, n] grouped scores of the student, n >= 2.
        teacher: [q, n] scores of the teacher. NaN marks a document without a score; its margin is
            left out.

    Raises:
        DataError: a query has no margin, or the shapes differ.
    """
    known = _known(scores, teacher)
    usable = known[:, 1:] & known[:, :1]
    if not usable.any(dim=1).all():
        row = int((~usable.any(dim=1)).nonzero()[0, 0])
        raise DataError(
            f"query {row} of the batch has no teacher score for its positive and a negative: add"
            " the scores, or leave the query out"
        )
    student = scores[:, :1] - scores[:, 1:]
    target = (teacher[:, :1] - teacher[:, 1:]).where(usable, student.detach())
    return ((student - target).square() * usable).sum() / usable.sum()


def kl_divergence(scores: Tensor, teacher: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Return the Kullback-Leibler divergence from the teacher's to the student's distribution.

    L = 1/q sum_i KL( softmax(t_i / T) || softmax(s_i) ). Lin et al. 2020, *Distilling Dense
    Representations for Ranking using Tightly-Coupled Teachers* (arXiv 2010.11386), equation 2;
    SPLADE-v3 (arXiv 2403.06789) mixes it with MarginMSE.

    Args:
        scores: [q, d] scores of the student.
        teacher: [q, d] scores of the teacher. NaN marks a document without a score; it is left out
            of both distributions.
        temperature: T, of the teacher, above 0.

    Raises:
        DataError: a query has fewer than two scored documents, or the shapes differ.
    """
    _check(scores, temperature)
    known = _known(scores, teacher)
    if int(known.sum(dim=1).min()) < 2:
        row = int(known.sum(dim=1).argmin())
        raise DataError(
            f"query {row} of the batch has fewer than two documents with a teacher score: add"
            " scores, or leave the query out"
        )
    lowest = torch.finfo(scores.dtype).min
    student = functional.log_softmax(scores.masked_fill(~known, lowest), dim=1)
    target = functional.log_softmax(
        (teacher / temperature).masked_fill(~known, lowest).to(scores.dtype), dim=1
    )
    terms = target.exp() * (target - student)
    return terms.masked_fill(~known, 0.0).sum(dim=1).mean()


def mixed_scores(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Return the weighted mean of two teachers' scores, in the units of the first.

        (1 - share) first + share (s1 / s2) second

    s1 and s2 are the mean standard deviations of a query's scores over its documents, so a teacher
    with a wide range does not outvote the other. Subtracting the means, as `average_teachers` does,
    would not change a distribution over the documents of a query.

    Args:
        first: [q, d] scores, d >= 2.
        second: the same of the other teacher.
        share: of the second teacher, from 0 to 1.
    """
    spreads = [each.std(dim=1).mean() for each in (first, second)]
    smallest = torch.finfo(spreads[1].dtype).tiny
    return (1 - share) * first + share * (spreads[0] / spreads[1].clamp_min(smallest)) * second


def positives_of(queries: int, group: int, device: torch.device | None = None) -> Tensor:
    """Return the columns of the positives in in-batch scores, int64 [queries]."""
    return torch.arange(queries, device=device) * group


def grouped(scores: Tensor, group: int) -> Tensor:
    """Return the scores [q, group] of each query's own documents from in-batch scores."""
    queries = len(scores)
    return scores.view(queries, queries, group)[torch.arange(queries), torch.arange(queries)]


def _known(scores: Tensor, teacher: Tensor) -> Tensor:
    if scores.shape != teacher.shape:
        raise DataError(
            f"teacher scores must have the shape {list(scores.shape)}, got {list(teacher.shape)}:"
            " give one for each query and document, NaN where there is none"
        )
    return ~teacher.isnan()


def _check(scores: Tensor, temperature: float) -> None:
    if scores.ndim != 2 or not scores.shape[1]:
        raise DataError(f"scores must be a matrix with columns, got the shape {list(scores.shape)}")
    if not temperature > 0:
        raise DataError(f"the temperature must be above 0, got {temperature}")
