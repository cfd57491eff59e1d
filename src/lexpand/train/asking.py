"""What a step asks of the banks: their queries nearest to the documents, looked up and encoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lexpand.train.bank import QueryBank, bank_scores
from lexpand.train.objectives import kl_divergence, mixed_scores
from lexpand.train.recipe import Recipe
from lexpand.train.student import Student


def distilled(recipe: Recipe, scores: Tensor, target: Tensor) -> Tensor:
    """Return the divergence of scores [queries, documents] from those of the batch teachers."""
    return kl_divergence(
        scores / recipe.temperature,
        target.to(scores.dtype),
        temperature=recipe.batch_temperature,
    )


def mixed(recipe: Recipe, scores: Sequence[Tensor]) -> Tensor:
    """Return the scores [queries, documents] of all batch teachers as one matrix."""
    if len(scores) == 1:
        return scores[0]
    dense, sparse = scores
    return mixed_scores(dense, sparse, recipe.sparse_share)


class _LookedUp(NamedTuple):
    """Queries of a bank: token ids and mask [n, longest], and the teachers' scores [n, d]."""

    ids: Tensor
    mask: Tensor
    target: Tensor


class _Encoded(NamedTuple):
    """Encoded queries of a bank: their weights [n, terms], and the teachers' scores [n, d]."""

    weights: Tensor
    target: Tensor


class Asked:
    """The queries of the banks that are nearest to the documents of a batch.

    Some of the first bank's are encoded as well, if the recipe has ``bank_encoded``.

    Args:
        banks: each with the number of queries of a step; none to ask nothing.
        student: it encodes them.
        recipe: what is minimized.
        judged: the vectors [documents, width] of each teacher.
        chance: chooses the queries that are encoded.
    """

    def __init__(
        self,
        banks: Sequence[tuple[QueryBank, int]],
        student: Student,
        recipe: Recipe,
        judged: Sequence[Tensor],
        chance: torch.Generator,
    ) -> None:
        self._student, self._recipe = student, recipe
        self._looked_up: list[_LookedUp] = []
        self._encoded: _Encoded | None = None
        for bank, count in banks:
            rows = bank.nearest(judged[0], count)
            ids, mask = (each.to(judged[0].device) for each in bank.terms(rows))
            target = mixed(recipe, bank.targets(rows, judged))
            if recipe.bank_encoded and not self._looked_up:
                some = torch.randperm(len(rows), generator=chance)
                some = some[: recipe.bank_encoded].to(rows.device)
                read, tokens = (each.to(ids.device) for each in bank.tokens(rows[some]))
                features = {"input_ids": read, "attention_mask": tokens.long()}
                self._encoded = _Encoded(student.encoded_queries(features), target[some])
            self._looked_up.append(_LookedUp(ids, mask, target))

    def mark(self, needs: Tensor) -> None:
        """Set the terms of the queries in a bool tensor [terms]."""
        for each in self._looked_up:
            needs[each.ids[each.mask]] = True
        if self._encoded is not None:
            needs |= (self._encoded.weights.detach() > 0).any(dim=0)

    def parts(self, weights: Tensor, columns: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the divergences of the banks' scores, by name: looked up, and encoded.

        Args:
            weights: [documents, columns].
            columns: the terms of the columns.
        """
        if self._looked_up:
            table = self._student.table_weights()[columns]
            place = columns.new_zeros(self._student.terms)
            place[columns] = torch.arange(len(columns), device=columns.device)
            parts = [
                distilled(
                    self._recipe,
                    bank_scores(place[each.ids], each.mask, table, weights),
                    each.target,
                )
                for each in self._looked_up
            ]
            yield "bank_kl", self._recipe.bank_kl * torch.stack(parts).mean()
        if self._encoded is not None:
            scores = self._encoded.weights[:, columns] @ weights.T
            part = distilled(self._recipe, scores, self._encoded.target)
            yield "encoded_bank_kl", self._recipe.bank_kl * part
