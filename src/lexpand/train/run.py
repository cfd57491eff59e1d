"""A run of the trainer: steps, reports, evaluations, checkpoints, and how it stops."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sentence_transformers import SparseEncoderTrainer, SparseEncoderTrainingArguments
from transformers import PrinterCallback, TrainerCallback

from lexpand.data.streams import write_lines
from lexpand.errors import StorageError, TrainingError
from lexpand.train import devices
from lexpand.train.batches import NeighborBatches, text_vectors
from lexpand.train.evaluating import TrainingEvaluation
from lexpand.train.loss import NotFinite, SpladeObjective
from lexpand.train.recipe import Recipe
from lexpand.train.student import Student

STATE = "lexpand.json"
"""The file of a checkpoint that has the state of the run; it is written last."""

TRAINED = "trained.safetensors"
"""The file of a checkpoint that has the weights that are trained, if the model's are others."""

BAD_BATCH = "bad-batch.json"
"""The file of the texts of a batch whose loss is not finite."""

_TOKENIZED = 1000
"""Rows that are tokenized at a time."""

_ABSURD = 1e6
"""No model has a weight as large as this."""

_PATIENCE = 20
"""Steps of collapse, one after the other, that stop a run."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a run after an optimizer step.

    Attributes:
        step: steps done.
        steps: steps in all.
        loss: mean loss since the last report.
        query_terms, document_terms: mean terms of a text since the last report; 0 for queries by
            lookup.
        query_lambda, document_lambda: factors of the regularizers.
        flops: expected terms that a query and a document share, the mean since the last report.
        seconds: since the start of this run.
        seconds_left: estimate until the last step.
        evaluation: nDCG@10 at this step; None if it was not measured.
    """

    step: int
    steps: int
    loss: float
    query_terms: float
    document_terms: float
    query_lambda: float
    document_lambda: float
    flops: float
    seconds: float
    seconds_left: float
    evaluation: float | None = None
    expansion: float | None = None


class _Trainer(SparseEncoderTrainer):  # type: ignore[misc]
    """The trainer of sentence-transformers with batches of neighbors, if the recipe has them.

    Attributes:
        neighbors: the batches; None for random ones.
        student: what is trained.
        unsettled: whether the weights that are trained are not those of the model yet; see
            `Student.settle`.
    """

    model: Any
    neighbors: NeighborBatches | None = None
    student: Student
    unsettled = False

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Do nothing: `lexpand.train.card` writes the card."""

    def override_model_in_loss(self, loss: Any, model: Any) -> Any:  # noqa: ANN401
        """Return the loss as it is: it runs the modules of the model, and not its wrapper."""
        return loss

    def training_step(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Compute the gradients of a batch; with the last one of a step, average the devices'."""
        loss = super().training_step(*args, **kwargs)
        if self.accelerator.sync_gradients:
            devices.average_gradients(self.model.parameters())
        return loss

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ANN401
        """Write the model of a checkpoint as other tools read it, and what is trained beside it."""
        # Training cuts texts; the model that is written does not.
        with self.student.reading(self.student.longest):
            self._save_settled(output_dir, state_dict)

    def _save_settled(self, output_dir: str | None, state_dict: Any) -> None:  # noqa: ANN401
        if not self.unsettled:
            super()._save(output_dir, state_dict)
            return
        model, folder = self.model, output_dir or self.args.output_dir
        settled = copy.deepcopy(self.student)
        settled.settle()
        self.model = settled.model
        try:
            super()._save(output_dir, state_dict)
        finally:
            self.model = model
        trained = {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}
        save_file(trained, Path(folder) / TRAINED)

    def _load_from_checkpoint(self, checkpoint_path: str) -> None:
        if not self.unsettled:
            super()._load_from_checkpoint(checkpoint_path)
            return
        self.model.load_state_dict(load_file(Path(checkpoint_path) / TRAINED), strict=False)

    def get_batch_sampler(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        return self.neighbors or super().get_batch_sampler(dataset, *args, **kwargs)


def make_trainer(
    recipe: Recipe,
    student: Student,
    objective: SpladeObjective,
    rows: Dataset,
    folder: Path,
    save_every: int,
    log_to: Sequence[str] = (),
    log_every: int = 1,
) -> SparseEncoderTrainer:
    """Return the trainer of a recipe, which writes its checkpoints to ``folder``."""
    columns = [name for name in rows.column_names if name != "label"]
    routes = {name: "query" if name == "query" else "document" for name in columns}
    arguments = SparseEncoderTrainingArguments(
        output_dir=str(folder),
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.accumulation,
        learning_rate=recipe.learning_rate,
        warmup_steps=int(recipe.warmup * recipe.steps),
        save_strategy="steps",
        save_steps=save_every,
        save_total_limit=2,
        logging_strategy="steps",
        logging_steps=log_every if log_to else 1_000_000,
        seed=recipe.seed,
        data_seed=recipe.seed,
        disable_tqdm=True,
        report_to=list(log_to),
        router_mapping=routes if student.routed else {},
        dataloader_drop_last=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
    )
    if arguments.world_size != devices.count():
        raise TrainingError(
            f"the trainer must see {devices.count()} processes (WORLD_SIZE), and sees"
            f" {arguments.world_size}: start them with torchrun"
        )
    trainer = _Trainer(
        model=student.model,
        args=arguments,
        train_dataset=rows,
        loss=objective,
        optimizers=(_optimizer(recipe, student), None),
    )
    trainer.student = student
    trainer.unsettled = recipe.lora_rank > 0 or recipe.table_activation == "softplus"
    trainer.remove_callback(PrinterCallback)  # it prints to standard output
    if recipe.neighbors:
        trainer.neighbors = _neighbors(recipe, student, rows)
    return trainer


def _neighbors(recipe: Recipe, student: Student, rows: Dataset) -> NeighborBatches:
    tokenizer = student.model.tokenizer
    ids: list[NDArray[np.int32]] = []
    for part in rows.select_columns(["query", "document_0"]).iter(_TOKENIZED):
        texts = [f"{q} {text}" for q, text in zip(part["query"], part["document_0"], strict=True)]
        cut = tokenizer(texts, add_special_tokens=False, truncation=True, max_length=128).input_ids
        ids += [np.unique(np.asarray(each, np.int32)) for each in cut]
    vectors = text_vectors(ids, len(tokenizer.get_vocab()), recipe.seed)
    return NeighborBatches(vectors, recipe.batch_size, recipe.seed, recipe.topics)


def _optimizer(recipe: Recipe, student: Student) -> torch.optim.Optimizer:
    """AdamW, with a learning rate of its own for the query table."""
    table = [] if student.table is None else [student.table.weight]
    if recipe.table_learning_rate == 0:
        for weight in table:
            weight.requires_grad_(requires_grad=False)
        table = []
    known = {id(weight) for weight in table}
    rest = [
        weight
        for weight in student.model.parameters()
        if id(weight) not in known and weight.requires_grad
    ]
    groups: list[dict[str, Any]] = [{"params": rest, "lr": recipe.learning_rate}]
    if table:
        groups.append({"params": table, "lr": recipe.table_learning_rate, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, weight_decay=0.01)


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the last complete checkpoint in a folder; None if there is none."""
    complete = [path for path in folder.glob("checkpoint-*") if (path / STATE).is_file()]
    return max(complete, key=lambda path: int(path.name.split("-")[1]), default=None)


def _is_sound(file: Path) -> bool:
    """Return whether no weight of a file is NaN, infinite or absurdly large."""
    return all(bool((each.abs() < _ABSURD).all()) for each in load_file(file).values())


class RunCallback(TrainerCallback):  # type: ignore[misc]
    """Advance the objective, report, evaluate, and save the state with each checkpoint.

    Attributes:
        curve: a point for each report, as JSON values.
        evaluation: pairs of step and nDCG@10.
    """

    def __init__(
        self,
        trainer: SparseEncoderTrainer,
        objective: SpladeObjective,
        report_every: int,
        on_progress: Callable[[Progress], None] | None,
        stop_after: int | None,
        measured: TrainingEvaluation | None,
        evaluate_every: int,
    ) -> None:
        self._trainer, self._objective = trainer, objective
        self._every, self._report = report_every, on_progress
        self._left, self._measured, self._evaluate_every = stop_after, measured, evaluate_every
        self._folder, self._start = Path(trainer.args.output_dir), time.perf_counter()
        self._collapsed = self._first = 0
        self.curve: list[dict[str, Any]] = []
        self.evaluation: list[tuple[int, float]] = []

    def run(self, checkpoint: Path | None, recipe: Recipe) -> int:
        """Train from a checkpoint, or from the start, and return the steps that are done.

        Raises:
            TrainingError, StorageError: see `lexpand.train.training.train`.
        """
        if checkpoint is not None:
            self._restore(json.loads((checkpoint / STATE).read_text(encoding="utf-8")))
            if self._objective.step >= recipe.steps:
                # Only the model folder is missing: the trainer would take another step.
                self._trainer._load_from_checkpoint(str(checkpoint))
                return self._objective.step
        elif self._measured is not None and devices.is_first():
            self.evaluation.append((0, self._measure(self._measured)))
        try:
            with self._objective.student.reading(recipe.max_tokens):
                self._trainer.train(
                    resume_from_checkpoint=None if checkpoint is None else str(checkpoint)
                )
        except NotFinite as error:
            place = self._write_batch(error)
            raise TrainingError(
                f"{error}; the texts of the batch are in {place}; {self._kept()}"
            ) from error
        except OSError as error:
            raise StorageError(
                f"cannot write a checkpoint to {self._folder}: {error.strerror or error}; the last"
                " complete checkpoint is kept, and the same call continues from it"
            ) from error
        except torch.cuda.OutOfMemoryError as error:
            raise TrainingError(
                f"the GPU is out of memory with batch_size = {recipe.batch_size} and max_tokens ="
                f" {recipe.max_tokens}: lower one of them, or set cached_texts = 8 or"
                " gradient_checkpointing = true"
            ) from error
        return int(self._trainer.state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:  # noqa: ANN401
        """Advance the objective, and report, evaluate or stop if it is time."""
        step, last = state.global_step, state.global_step >= self._objective.recipe.steps
        self._objective.advance()
        self._check_collapse(step)
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                control.should_training_stop = True
        value = None
        due = step % self._evaluate_every == 0 or last
        if self._measured is not None and due and devices.is_first():
            value = self._measure(self._measured)
            self.evaluation.append((step, value))
            if self._best() == step:
                save_file(self._weights(), self._folder / f"best-{step}.safetensors")
        if (step % self._every == 0 or last or value is not None) and devices.is_first():
            self._record(step, value)
        return control

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401
        """Write the state of the run, which completes the checkpoint."""
        if not devices.is_first():
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        kept = {
            "objective": self._objective.state(),
            "curve": self.curve,
            "evaluation": self.evaluation,
        }
        write_lines(folder / STATE, [json.dumps(kept)])
        for path in self._folder.glob("best-*.safetensors"):
            if path.stem != f"best-{self._best()}":
                path.unlink()

    def load_best(self) -> None:
        """Give the student the weights of the best step, if there was an evaluation."""
        if self._best() is not None:
            weights = load_file(self._folder / f"best-{self._best()}.safetensors")
            self._objective.model.load_state_dict(weights, strict=False)

    def kept_step(self, recipe: Recipe) -> int:
        """Return the step whose weights the model has."""
        return self._best() or recipe.steps

    def _measure(self, measured: TrainingEvaluation) -> float:
        objective = self._objective
        return measured.measure(objective.student, encode_queries=objective.recipe.encode_queries)

    def _best(self) -> int | None:
        """Return the first step with the highest measure; the base does not count.

        Before a budget of terms is in force, a step is better because it has more terms, so it does
        not count either, unless the run ends before.
        """
        recipe = self._objective.recipe
        first = 1
        if any(self._objective.pilots) and recipe.budget_steps <= recipe.steps:
            first = recipe.budget_steps
        steps = [(value, -step) for step, value in self.evaluation if step >= first]
        return -max(steps)[1] if steps else None

    def _weights(self) -> dict[str, torch.Tensor]:
        """Return the weights of the model without those that are tied."""
        seen: set[int] = set()
        weights = {}
        for name, weight in self._objective.model.state_dict().items():
            if weight.data_ptr() not in seen:
                seen.add(weight.data_ptr())
                weights[name] = weight.contiguous()
        return weights

    def _restore(self, state: dict[str, Any]) -> None:
        self._objective.restore(state["objective"])
        self._first = self._objective.step
        self.curve = state["curve"]
        self.evaluation = [(step, value) for step, value in state["evaluation"]]

    def _record(self, step: int, value: float | None) -> None:
        objective = self._objective
        query, document = objective.factors()
        means = objective.means()
        seconds = time.perf_counter() - self._start
        progress = Progress(
            step,
            objective.recipe.steps,
            means.loss,
            means.query_terms,
            means.document_terms,
            query,
            document,
            means.flops,
            seconds,
            seconds / max(1, step - self._first) * (objective.recipe.steps - step),
            value,
            objective.expansion,
        )
        point = asdict(progress)
        for name in ("seconds", "seconds_left", "steps"):
            del point[name]
        self.curve.append(point)
        if self._trainer.args.report_to:
            self._trainer.log({k: v for k, v in point.items() if k != "step" and v is not None})
        if self._report is not None:
            self._report(progress)

    def _check_collapse(self, step: int) -> None:
        """Stop a run whose documents keep no terms, or nearly all, for some time."""
        recipe, terms = self._objective.recipe, self._objective.terms[1]
        settled = step > max(recipe.ramp_steps, 200)
        dense = settled and terms > self._objective.student.terms / 2
        self._collapsed = self._collapsed + 1 if terms < 1 or dense else 0
        if self._collapsed < _PATIENCE:
            return
        what, remedy = (
            ("documents have no terms left", "lower document_lambda, or set document_terms")
            if terms < 1
            else (f"documents have {terms:,.0f} terms", "raise document_lambda, or set logit_shift")
        )
        raise TrainingError(
            f"training collapsed: {what} for {_PATIENCE} steps, at step {step}; {remedy}."
            f" {self._kept()}"
        )

    def _kept(self) -> str:
        """Say how to go on with other settings than those of this run."""
        kept = latest_checkpoint(self._folder)
        if kept is None:
            return "there is no checkpoint yet, so the same command may have other settings"
        if not all(_is_sound(file) for file in kept.rglob("*.safetensors")):
            return f"the last checkpoint {kept} is damaged too: start again with another --out"
        return (
            f"the last checkpoint is {kept}; other settings need another --out, and --set"
            f" base={kept} starts from it"
        )

    def _write_batch(self, error: NotFinite) -> Path:
        tokenizer = self._objective.model.tokenizer
        texts = [
            tokenizer.batch_decode(each["input_ids"], skip_special_tokens=True)
            for each in error.features
        ]
        rows = [
            json.dumps({"query": query, "documents": documents})
            for query, *documents in zip(*texts, strict=True)
        ]
        write_lines(self._folder / BAD_BATCH, rows)
        return self._folder / BAD_BATCH
