"""The loss of a step: an objective on scores, and regularizers on weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lexpand.errors import ModelError, TrainingError
from lexpand.train.asking import Asked, distilled, mixed
from lexpand.train.autopilot import Autopilot
from lexpand.train.bank import QueryBank
from lexpand.train.devices import average_figure
from lexpand.train.head import sampled_columns
from lexpand.train.objectives import (
    grouped,
    info_nce,
    kl_divergence,
    margin_mse,
    positives_of,
)
from lexpand.train.recipe import Recipe
from lexpand.train.regularizers import (
    RunningFlops,
    anti_zero,
    banned,
    document_share,
    expansion,
    flops,
    l1,
    masked_flops,
    own_terms,
    ramped,
    weighted_flops,
)
from lexpand.train.student import Student
from lexpand.train.teachers import BatchTeacher


class Means(NamedTuple):
    """Mean figures of some steps: the loss, terms of a query and of a document, and FLOPS."""

    loss: float
    query_terms: float
    document_terms: float
    flops: float


class SpladeObjective(nn.Module):
    """The loss that a recipe describes, for the trainer of sentence-transformers.

    Args:
        student: the model.
        recipe: what is minimized.
        teachers: score the documents of a batch for ``batch_kl``: none, one, or a dense one and
            then a sparse one, whose scores are averaged.
        banks: more queries that the teachers judge, and how many of each bank in a step.

    Raises:
        ModelError: a banned term is not in the vocabulary.

    Attributes:
        model: the SparseEncoder, as the trainer expects it.
        step: optimizer steps done; the trainer's callback advances it.
        terms: mean terms of a query and of a document of the last step.
        pair_flops: expected terms that a query and a document of the last step share: the FLOPS
            of SPLADE's papers.
        expansion: the share of weight that the last step's texts had on words that they do not
            have; None without ``expansion_lambda``.
        factors: the factors of the regularizers of queries and documents at this step.
    """

    def __init__(
        self,
        student: Student,
        recipe: Recipe,
        teachers: Sequence[BatchTeacher] = (),
        banks: Sequence[tuple[QueryBank, int]] = (),
    ) -> None:
        super().__init__()
        self.model = student.model
        self.teachers = teachers
        self.banks = banks
        self.student = student
        self.recipe = recipe
        self.step = 0
        self.terms = [0.0, 0.0]
        self.pair_flops = 0.0
        self.expansion: float | None = None
        self._expanded: list[float] = []
        self.pilots = [
            Autopilot(budget, max(factor, 1e-6), warmup=recipe.budget_steps) if budget else None
            for budget, factor in (
                (recipe.query_terms, recipe.query_lambda),
                (recipe.document_terms or recipe.postings, recipe.document_lambda),
            )
        ]
        self._seen: list[list[float]] = [[], []]
        self._shared: list[float] = []
        self._losses: list[float] = []
        self._figures: list[tuple[float, float, float]] = []
        self._columns = torch.Generator().manual_seed(recipe.seed)
        self._share: Tensor | None = None
        # Of queries and of documents; empty if each batch is regularized by itself.
        decays = [recipe.flops_decay] * 2 if recipe.flops_decay else []
        self._running = [RunningFlops(student.terms, decay) for decay in decays]
        self._banned = _ids(student, recipe.banned_terms)

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

    def means(self) -> Means:
        """Return the mean figures of the steps since the last call."""
        figures = list(zip(*self._figures, strict=True)) or [(), (), ()]
        means = Means(_mean(self._losses), *map(_mean, figures))
        self._losses.clear()
        self._figures.clear()
        return means

    def advance(self) -> None:
        """End an optimizer step: the autopilots take the terms of its texts, of all devices."""
        self.step += 1
        self.pair_flops = average_figure(_mean(self._shared))
        self._shared.clear()
        if self._expanded:
            self.expansion = average_figure(_mean(self._expanded))
            self._expanded.clear()
        for side, (pilot, seen) in enumerate(zip(self.pilots, self._seen, strict=True)):
            if seen:
                self.terms[side] = average_figure(_mean(seen))
                if pilot is not None:
                    by_postings = side == 1 and self.recipe.postings > 0
                    pilot.update(self.pair_flops if by_postings else self.terms[side])
                seen.clear()
        self._figures.append((self.terms[0], self.terms[1], self.pair_flops))

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the loss, as JSON values."""
        return {
            "step": self.step,
            "pilots": [pilot and pilot.state() for pilot in self.pilots],
            "columns": self._columns.get_state().tolist(),
            "losses": self._losses,
            "figures": self._figures,
            "share": None if self._share is None else self._share.tolist(),
            "running": [each.state() for each in self._running],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.step = state["step"]
        self.pilots = [each and Autopilot.from_state(each) for each in state["pilots"]]
        self._columns.set_state(torch.tensor(state["columns"], dtype=torch.uint8))
        self._losses = list(state["losses"])
        self._figures = [(query, document, flops) for query, document, flops in state["figures"]]
        for running, kept in zip(self._running, state["running"], strict=True):
            running.restore(kept)
        if state["share"] is not None:
            self._share = torch.tensor(state["share"])

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
        modes = {"": self.student.queries(sentence_features[0])}
        if self.recipe.encode_queries:
            modes["encoded_"] = self.student.encoded_queries(sentence_features[0])
        groups = len(sentence_features) - 1
        documents = _joined(sentence_features[1:])
        parts: dict[str, Tensor] = {}
        for mode in modes if self.recipe.expansion_lambda else ():
            modes[mode] = self._own_terms(modes[mode], sentence_features[0], parts)
        judged = [teacher.documents(documents) for teacher in self.teachers]
        asked = Asked(self.banks, self.student, self.recipe, judged, self._columns)
        if self.recipe.sampled_columns and self.student.table is not None:
            scores = self._sampled(modes, documents, asked, parts)
        else:
            scores = self._complete(modes, documents, asked, parts)
        same = _by_query(_same_documents(sentence_features[0], documents), groups)
        target = None
        if judged:
            asking = [teacher.queries(sentence_features[0]) for teacher in self.teachers]
            target = mixed(self.recipe, [q @ d.T for q, d in zip(asking, judged, strict=True)])
        for mode, found in scores.items():
            for name, part in self._objective(_by_query(found, groups), same, groups, labels):
                parts[mode + name] = part
            if target is not None:
                part = distilled(self.recipe, found, target)
                parts[f"{mode}batch_kl"] = self.recipe.batch_kl * part
        for name, part in parts.items():
            if not torch.isfinite(part):
                raise NotFinite(
                    f"the loss must be finite, but {name} is {float(part.detach())} at step"
                    f" {self.step}: lower the learning rate or lambda",
                    sentence_features,
                )
        self._losses.append(float(sum(parts.values()).detach()))  # type: ignore[union-attr]
        return parts

    def _sampled(
        self,
        modes: dict[str, Tensor],
        documents: dict[str, Tensor],
        asked: Asked,
        parts: dict[str, Tensor],
    ) -> dict[str, Tensor]:
        """Return the scores [queries, documents] of each query mode, and add regularizers.

        Of the documents' weights only the terms of the queries and a sample of others are computed.
        """
        needs = torch.stack([(each.detach() > 0).any(dim=0) for each in modes.values()]).any(dim=0)
        if self.recipe.expansion_lambda:
            needs[documents["input_ids"].unique()] = True
        asked.mark(needs)
        needed = needs.nonzero().squeeze(1)
        columns, factor = sampled_columns(
            needed.cpu(), self.student.terms, self.recipe.sampled_columns, self._columns
        )
        columns = columns.to(needs.device)
        weights = self.student.columns(documents, columns)
        split = len(needed)
        factors = weights.new_ones(len(columns))
        factors[split:] = factor
        if self.recipe.expansion_lambda:
            weights = self._own_terms(weights, documents, parts, columns, factors)
        if self._running:
            regularizer = self._running[1](weights, columns, factors)
        else:
            regularizer = self._regularizer(weights[:, :split])
            if factor:
                regularizer = regularizer + factor * self._regularizer(weights[:, split:])
        active = (weights.detach() > 0).float()
        terms = active[:, :split].sum(1) + factor * active[:, split:].sum(1)
        self._seen[1].append(float(terms.mean()))
        parts["document_regularizer"] = self.factors()[1] * regularizer
        parts.update(asked.parts(weights, columns))
        self._regularize_queries(modes, parts)
        self._shared.append(_pair_flops(modes[""][:, columns], weights))
        return {mode: queries[:, columns] @ weights.T for mode, queries in modes.items()}

    def _own_terms(
        self,
        weights: Tensor,
        features: dict[str, Tensor],
        parts: dict[str, Tensor],
        columns: Tensor | None = None,
        factors: Tensor | None = None,
    ) -> Tensor:
        """Return the weights of the terms that each text has, and add the penalty on others.

        Args:
            weights: [texts, terms] or [texts, columns].
            features: token ids of the texts.
            parts: of the loss.
            columns: the terms of the columns; None for all.
            factors: for how many terms each column stands.
        """
        special = self.student.model.tokenizer.all_special_ids
        ids, mask = features["input_ids"], features["attention_mask"]
        own = own_terms(ids, mask, self.student.terms, special)
        own = own if columns is None else own[:, columns]
        other, share = expansion(weights, own, factors)
        self._expanded.append(share)
        part = self.recipe.expansion_lambda * other
        parts["expansion"] = parts["expansion"] + part if "expansion" in parts else part
        return weights * own

    def _regularize_queries(self, modes: dict[str, Tensor], parts: dict[str, Tensor]) -> None:
        """Add the regularizer of the queries that are encoded, if any."""
        encoded = modes.get("encoded_", None if self.student.table is not None else modes[""])
        if encoded is not None:
            self._seen[0].append(_mean_terms(encoded))
            if self.recipe.query_regularizer == "l1":
                regularizer = l1(encoded)
            else:
                regularizer = self._flops(0, encoded)
            parts["query_regularizer"] = self.factors()[0] * regularizer

    def _complete(
        self,
        modes: dict[str, Tensor],
        documents: dict[str, Tensor],
        asked: Asked,
        parts: dict[str, Tensor],
    ) -> dict[str, Tensor]:
        """Return the scores [queries, documents] of each query mode, and add regularizers."""
        recipe, weights = self.recipe, self.student.documents(documents)
        if recipe.expansion_lambda:
            weights = self._own_terms(weights, documents, parts)
        self._seen[1].append(_mean_terms(weights))
        parts["document_regularizer"] = self.factors()[1] * self._regularizer(weights)
        self._regularize_queries(modes, parts)
        if recipe.anti_zero:
            parts["anti_zero"] = recipe.anti_zero * anti_zero(weights)
        if len(self._banned):
            parts["banned"] = recipe.banned_lambda * banned(
                weights, self._banned.to(weights.device)
            )
        every = torch.arange(weights.shape[1], device=weights.device)
        parts.update(asked.parts(weights, every))
        self._shared.append(_pair_flops(modes[""], weights))
        return {mode: queries @ weights.T for mode, queries in modes.items()}

    def _flops(self, side: int, weights: Tensor) -> Tensor:
        """Return FLOPS of the weights [texts, terms] of queries (0) or documents (1)."""
        if not self._running:
            return flops(weights)
        every = torch.arange(weights.shape[1], device=weights.device)
        return self._running[side](weights, every, weights.new_ones(len(every)))

    def _regularizer(self, weights: Tensor) -> Tensor:
        recipe = self.recipe
        if recipe.document_regularizer == "l1":
            return l1(weights)
        if recipe.document_regularizer == "df_flops":
            before = None if self._share is None else self._share.to(weights.device)
            self._share = document_share(weights, before)
            return weighted_flops(weights, self._share)
        if recipe.mask_threshold:
            return masked_flops(weights, recipe.mask_threshold)
        return self._flops(1, weights)

    def _objective(
        self, scores: Tensor, same: Tensor, group: int, labels: Tensor | None
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield the parts of the objective, by name."""
        recipe = self.recipe
        if recipe.info_nce:
            positives = positives_of(len(scores), group, scores.device)
            own = functional.one_hot(positives, scores.shape[1]).bool()
            yield (
                "info_nce",
                recipe.info_nce
                * info_nce(
                    scores.masked_fill(same & ~own, -torch.inf),
                    positives,
                    temperature=recipe.temperature,
                ),
            )
        if labels is not None and recipe.distills:
            own_scores, teacher = grouped(scores, group), labels.to(scores.dtype)
            teacher = teacher * recipe.teacher_scale
            if recipe.margin_mse:
                yield "margin_mse", recipe.margin_mse * margin_mse(own_scores, teacher)
            if recipe.kl:
                temperature = recipe.teacher_temperature
                yield "kl", recipe.kl * kl_divergence(own_scores, teacher, temperature=temperature)


class NotFinite(TrainingError):
    """A part of the loss is NaN or infinite.

    Attributes:
        features: token ids of the queries and of the documents of the batch.
    """

    def __init__(self, message: str, features: Sequence[dict[str, Tensor]]) -> None:
        super().__init__(message)
        self.features = features


def _ids(student: Student, tokens: Sequence[str]) -> Tensor:
    known = student.model.tokenizer.get_vocab() if tokens else {}
    unknown = [token for token in tokens if token not in known]
    if unknown:
        raise ModelError(
            f"banned_terms must be tokens of the vocabulary, and {unknown[0]!r} is not one"
        )
    return torch.tensor([known[token] for token in tokens], dtype=torch.int64)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))


def _mean_terms(weights: Tensor) -> float:
    return float((weights.detach() > 0).float().sum(1).mean())


def _pair_flops(queries: Tensor, documents: Tensor) -> float:
    """Return the expected number of terms that a query and a document of the batch share."""
    shares = [(each.detach() > 0).float().mean(dim=0) for each in (queries, documents)]
    return float(shares[0] @ shares[1])


def _same_documents(queries: dict[str, Tensor], documents: dict[str, Tensor]) -> Tensor:
    """Return whether document j may also answer query i, bool [queries, documents].

    It does if it is the positive of i, or the positive of an equal query, by their tokens.
    """
    _, text = documents["input_ids"].unique(dim=0, return_inverse=True)
    _, query = queries["input_ids"].unique(dim=0, return_inverse=True)
    count = len(query)
    equal_queries = query[:, None] == query[None]
    positives = text[:count]  # documents are ordered by column, and positives are the first
    same_text = positives[:, None] == text[None]
    return (equal_queries.float() @ same_text.float()) > 0


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
