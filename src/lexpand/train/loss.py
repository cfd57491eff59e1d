"""The loss of a step: an objective on scores, and regularizers on weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lexpand.errors import TrainingError
from lexpand.train.autopilot import Autopilot
from lexpand.train.head import sampled_columns
from lexpand.train.objectives import (
    grouped,
    info_nce,
    kl_divergence,
    margin_mse,
    positives_of,
)
from lexpand.train.recipe import Recipe
from lexpand.train.regularizers import anti_zero, flops, l1, masked_flops, ramped
from lexpand.train.student import Student


class SpladeObjective(nn.Module):
    """The loss that a recipe describes, for the trainer of sentence-transformers.

    Args:
        student: the model.
        recipe: what is minimized.

    Attributes:
        model: the SparseEncoder, as the trainer expects it.
        step: optimizer steps done; the trainer's callback advances it.
        terms: running means of the terms of a query and of a document.
        factors: the factors of the regularizers of queries and documents at this step.
    """

    def __init__(self, student: Student, recipe: Recipe) -> None:
        super().__init__()
        self.model = student.model
        self.student = student
        self.recipe = recipe
        self.step = 0
        self.terms = [0.0, 0.0]
        self.pilots = [
            Autopilot(budget, max(factor, 1e-6)) if budget else None
            for budget, factor in (
                (recipe.query_terms, recipe.query_lambda),
                (recipe.document_terms, recipe.document_lambda),
            )
        ]
        self._seen: list[list[float]] = [[], []]
        self._losses: list[float] = []
        self._columns = torch.Generator().manual_seed(recipe.seed)

    def factors(self) -> tuple[float, float]:
        """Return lambda of queries and of documents at this step."""
        recipe = self.recipe
        found = []
        for pilot, target in zip(
            self.pilots, (recipe.query_lambda, recipe.document_lambda), strict=True
        ):
            found.append(
                pilot.factor
                if pilot is not None
                else ramped(target, self.step, recipe.ramp_steps, recipe.ramp)
            )
        return found[0], found[1]

    def mean_loss(self) -> float:
        """Return the mean loss since the last call."""
        mean = sum(self._losses) / max(1, len(self._losses))
        self._losses.clear()
        return mean

    def advance(self) -> None:
        """End an optimizer step: the autopilots take the terms of its texts."""
        self.step += 1
        for side, (pilot, seen) in enumerate(zip(self.pilots, self._seen, strict=True)):
            if seen:
                self.terms[side] = sum(seen) / len(seen)
                if pilot is not None:
                    pilot.update(self.terms[side])
                seen.clear()

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the loss, as JSON values."""
        return {
            "step": self.step,
            "pilots": [pilot and pilot.state() for pilot in self.pilots],
            "columns": self._columns.get_state().tolist(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.step = state["step"]
        self.pilots = [each and Autopilot.from_state(each) for each in state["pilots"]]
        self._columns.set_state(torch.tensor(state["columns"], dtype=torch.uint8))

    def forward(
        self, sentence_features: Sequence[dict[str, Tensor]], labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the parts of the loss, by name.

        Args:
            sentence_features: token ids of the queries, then of the n documents of each.
            labels: teacher scores [queries, n]; None without a teacher.

        Raises:
            TrainingError: a part is not finite.
        """
        queries = self.student.queries(sentence_features[0])
        groups = len(sentence_features) - 1
        documents = _joined(sentence_features[1:])
        if self.recipe.sampled_columns and self.student.table is not None:
            needed = (queries.detach() > 0).any(dim=0).nonzero().squeeze(1)
            columns, factor = sampled_columns(
                needed.cpu(), self.student.terms, self.recipe.sampled_columns, self._columns
            )
            columns = columns.to(queries.device)
            weights = self.student.columns(documents, columns)
            scores = queries[:, columns] @ weights.T
            split = len(needed)
            regularizer = self._regularizer(weights[:, :split])
            if factor:
                regularizer = regularizer + factor * self._regularizer(weights[:, split:])
            active = (weights.detach() > 0).float()
            terms = active[:, :split].sum(1) + factor * active[:, split:].sum(1)
        else:
            weights = self.student.documents(documents)
            scores = queries @ weights.T
            regularizer = self._regularizer(weights)
            terms = (weights.detach() > 0).float().sum(1)
        parts = self._objective(_by_query(scores, groups), groups, labels)
        query_lambda, document_lambda = self.factors()
        parts["document_regularizer"] = document_lambda * regularizer
        if self.student.table is None:
            parts["query_regularizer"] = query_lambda * (
                l1(queries) if self.recipe.query_regularizer == "l1" else flops(queries)
            )
            self._seen[0].append(float((queries.detach() > 0).float().sum(1).mean()))
        self._seen[1].append(float(terms.mean()))
        if self.recipe.anti_zero:
            parts["anti_zero"] = self.recipe.anti_zero * anti_zero(weights)
        for name, part in parts.items():
            if not torch.isfinite(part):
                raise TrainingError(
                    f"the loss must be finite, but {name} is {float(part.detach())} at step"
                    f" {self.step}: lower the learning rate or lambda, and resume from the last"
                    " checkpoint"
                )
        self._losses.append(float(sum(parts.values()).detach()))  # type: ignore[union-attr]
        return parts

    def _regularizer(self, weights: Tensor) -> Tensor:
        threshold = self.recipe.mask_threshold
        return masked_flops(weights, threshold) if threshold else flops(weights)

    def _objective(self, scores: Tensor, group: int, labels: Tensor | None) -> dict[str, Tensor]:
        recipe, parts = self.recipe, {}
        if recipe.info_nce:
            positives = positives_of(len(scores), group, scores.device)
            parts["info_nce"] = recipe.info_nce * info_nce(
                scores, positives, temperature=recipe.temperature
            )
        if labels is not None and (recipe.margin_mse or recipe.kl):
            own, teacher = grouped(scores, group), labels.to(scores.dtype)
            teacher = teacher * recipe.teacher_scale
            if recipe.margin_mse:
                parts["margin_mse"] = recipe.margin_mse * margin_mse(own, teacher)
            if recipe.kl:
                parts["kl"] = recipe.kl * kl_divergence(
                    own, teacher, temperature=recipe.teacher_temperature
                )
        return parts


def _joined(features: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Join the columns of documents into one batch, padded to the longest."""
    longest = max(column["input_ids"].shape[1] for column in features)
    joined: dict[str, Tensor] = {}
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        if name in features[0]:
            joined[name] = torch.cat(
                [
                    nn.functional.pad(column[name], (0, longest - column[name].shape[1]))
                    for column in features
                ]
            )
    return joined


def _by_query(scores: Tensor, group: int) -> Tensor:
    """Reorder the columns of scores from document-major to query-major; see `objectives`."""
    queries = len(scores)
    return scores.view(queries, group, queries).transpose(1, 2).reshape(queries, queries * group)
