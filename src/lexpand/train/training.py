"""Train a model by a recipe, with the trainer of sentence-transformers."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import SparseEncoderTrainer, SparseEncoderTrainingArguments
from sentence_transformers.sparse_encoder.model_card import SparseEncoderModelCardCallback
from torch import nn
from transformers import PrinterCallback, TrainerCallback, set_seed
from transformers.utils.logging import disable_progress_bar

from lexpand.data.streams import write_lines
from lexpand.encode.folder import find_folder
from lexpand.errors import DataError, ModelError, RowError, StorageError, TrainingError
from lexpand.models import import_model
from lexpand.models.options import ImportOptions
from lexpand.train.examples import grouped, read_examples
from lexpand.train.loss import SpladeObjective
from lexpand.train.recipe import Recipe
from lexpand.train.student import Student, make_student

CHECKPOINTS = "checkpoints"
"""The folder of checkpoints in the output."""

_STATE = "lexpand.json"


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a run after an optimizer step.

    Attributes:
        step: steps done.
        steps: steps in all.
        loss: mean loss since the last report.
        query_terms, document_terms: terms of the texts of the step; 0 for queries by lookup.
        query_lambda, document_lambda: factors of the regularizers.
        seconds: since the start.
    """

    step: int
    steps: int
    loss: float
    query_terms: float
    document_terms: float
    query_lambda: float
    document_lambda: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Trained:
    """The result of a run.

    Attributes:
        folder: the model folder, which loads in Lexpand and in sentence-transformers.
        steps: optimizer steps of the whole training.
        examples: examples of the data.
        refused: rows that could not be used.
        seconds: of this run.
    """

    folder: Path
    steps: int
    examples: int
    refused: Sequence[RowError]
    seconds: float


def train(
    recipe: Recipe,
    data: Iterable[str | Path],
    out: str | Path,
    *,
    save_every: int = 200,
    report_every: int = 10,
    on_progress: Callable[[Progress], None] | None = None,
    refused: list[RowError] | None = None,
    stop_after: int | None = None,
) -> Trained:
    """Train a model and write its folder; an interrupted run continues from its last checkpoint.

    Args:
        recipe: the settings.
        data: JSON lines files or folders of them; see `read_examples`.
        out: the folder of the model. Checkpoints are kept in it until training is complete.
        save_every: steps between checkpoints.
        report_every: steps between calls of ``on_progress``.
        on_progress: called with the state of the run.
        refused: rows that cannot be used are added to it.
        stop_after: end this run after so many steps, as an interruption would; None for all.

    Raises:
        DataError: the data have no usable row, or lack the teacher scores that the recipe needs.
        ModelError: the base cannot be loaded, or ``out`` holds something else.
        TrainingError: the loss is not finite, or a checkpoint is of another recipe.
        StorageError: the disk refuses.
    """
    start, folder = time.perf_counter(), Path(out)
    refused = [] if refused is None else refused
    examples = list(read_examples(data, refused.append))
    if len(examples) < 2:
        raise DataError(
            f"training needs at least two usable examples, got {len(examples)};"
            f" {len(refused)} rows were refused"
        )
    if (recipe.margin_mse or recipe.kl) and not any(example.scores for example in examples):
        raise DataError(
            f"the recipe {recipe.name} needs teacher scores, and no row has `scores`: add them, or"
            " choose a recipe with info_nce alone"
        )
    checkpoint = _prepare(folder, recipe)
    disable_progress_bar()
    set_seed(recipe.seed)
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    student = Student(_student_model(recipe))
    objective = SpladeObjective(student, recipe)
    rows = Dataset.from_list(list(grouped(examples, recipe.negatives, recipe.seed)))
    trainer = _trainer(recipe, student, objective, rows, folder / CHECKPOINTS, save_every)
    trainer.add_callback(_Steps(objective, recipe, report_every, on_progress, stop_after, start))
    if checkpoint is not None:
        objective.restore(json.loads((checkpoint / _STATE).read_text(encoding="utf-8")))
    try:
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    except OSError as error:
        raise StorageError(
            f"cannot write a checkpoint to {folder}: {error.strerror or error}; the last complete"
            " checkpoint is kept, and the same call continues from it"
        ) from error
    except torch.cuda.OutOfMemoryError as error:
        raise TrainingError(
            f"the GPU is out of memory with batch_size = {recipe.batch_size} and max_tokens ="
            f" {recipe.max_tokens}: lower one of them, and raise accumulation to keep the batch"
        ) from error
    done = int(trainer.state.global_step)
    if done >= recipe.steps:
        _finish(student, recipe, folder, len(examples))
    return Trained(folder, done, len(examples), refused, time.perf_counter() - start)


def _student_model(recipe: Recipe) -> Any:  # noqa: ANN401 - a SparseEncoder
    base = str(find_folder(recipe.base)) if recipe.base in ("", "default") else recipe.base
    return make_student(
        base,
        lookup=recipe.lookup,
        activation=recipe.activation,  # type: ignore[arg-type]
        max_tokens=recipe.max_tokens,
        query_max_tokens=recipe.query_max_tokens,
    )


def _prepare(folder: Path, recipe: Recipe) -> Path | None:
    """Return the checkpoint to continue from; None for a new run."""
    if (folder / "contract.json").is_file():
        raise ModelError(f"{folder} holds a trained model: choose another folder, or remove it")
    record = folder / CHECKPOINTS / "recipe.json"
    if not record.is_file():
        if folder.exists() and any(folder.iterdir()):
            raise ModelError(f"{folder} is not empty: choose another folder for the model")
        record.parent.mkdir(parents=True, exist_ok=True)
        write_lines(record, [json.dumps(recipe.to_dict())])
        return None
    recorded = json.loads(record.read_text(encoding="utf-8"))
    differing = [key for key, value in recipe.to_dict().items() if recorded.get(key) != value]
    if differing:
        key = differing[0]
        raise TrainingError(
            f"{folder} has checkpoints of another recipe: {key} must be {recorded.get(key)!r}, got"
            f" {getattr(recipe, key)!r}; use the same recipe, or another folder"
        )
    complete = [path for path in record.parent.glob("checkpoint-*") if (path / _STATE).is_file()]
    return max(complete, key=lambda path: int(path.name.split("-")[1]), default=None)


def _trainer(
    recipe: Recipe,
    student: Student,
    objective: SpladeObjective,
    rows: Dataset,
    folder: Path,
    save_every: int,
) -> SparseEncoderTrainer:
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
        logging_steps=1_000_000,
        seed=recipe.seed,
        data_seed=recipe.seed,
        disable_tqdm=True,
        report_to=[],
        router_mapping=routes if recipe.lookup else {},
        dataloader_drop_last=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    trainer = SparseEncoderTrainer(
        model=student.model,
        args=arguments,
        train_dataset=rows,
        loss=objective,
        optimizers=(_optimizer(recipe, student), None),
    )
    trainer.remove_callback(PrinterCallback)  # it prints to standard output
    trainer.remove_callback(SparseEncoderModelCardCallback)
    return trainer


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


class _Steps(TrainerCallback):  # type: ignore[misc]
    """Advance the objective, report, and save its state with each checkpoint."""

    def __init__(
        self,
        objective: SpladeObjective,
        recipe: Recipe,
        every: int,
        report: Callable[[Progress], None] | None,
        stop_after: int | None,
        start: float,
    ) -> None:
        self._objective, self._recipe = objective, recipe
        self._every, self._report = every, report
        self._left, self._start = stop_after, start

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:  # noqa: ANN401
        self._objective.advance()
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                control.should_training_stop = True
        last = state.global_step >= self._recipe.steps
        if self._report is not None and (state.global_step % self._every == 0 or last):
            query, document = self._objective.factors()
            self._report(
                Progress(
                    state.global_step,
                    self._recipe.steps,
                    self._objective.mean_loss(),
                    self._objective.terms[0],
                    self._objective.terms[1],
                    query,
                    document,
                    time.perf_counter() - self._start,
                )
            )
        return control

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        write_lines(folder / _STATE, [json.dumps(self._objective.state())])


def _finish(student: Student, recipe: Recipe, folder: Path, examples: int) -> None:
    """Write the model folder, and remove the checkpoints once it is complete."""
    saved = folder / CHECKPOINTS / "final"
    student.model.save_pretrained(str(saved), create_model_card=False)
    made = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(made, ignore_errors=True)
    origin = f"trained by the recipe {recipe.name} on {examples:,} examples from {recipe.base}"
    import_model(str(saved), made, ImportOptions(name=folder.name, origin=origin))
    write_lines(made / "training.json", [json.dumps(recipe.to_dict())])
    checkpoints = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(checkpoints, ignore_errors=True)
    folder.rename(checkpoints)
    made.rename(folder)
    shutil.rmtree(checkpoints, ignore_errors=True)


def estimate(recipe: Recipe, data: Iterable[str | Path]) -> dict[str, Any]:
    """Run two steps without writing anything, and return shapes, memory and time of a run.

    The logits are measured too: if most of them are positive or none is, training collapses, and a
    ``warning`` says so.

    Raises:
        DataError, ModelError: see `train`.
    """
    import resource

    refused: list[RowError] = []
    examples = list(read_examples(data, refused.append))
    if not examples:
        raise DataError(f"no row is usable; {len(refused)} rows were refused")
    set_seed(recipe.seed)
    student = Student(_student_model(recipe))
    objective = SpladeObjective(student, recipe)
    rows = list(grouped(examples, recipe.negatives, recipe.seed))[: recipe.batch_size]
    columns = [name for name in rows[0] if name != "label"]
    features = []
    for name in columns:
        task = {"task": "query" if name == "query" else "document"} if recipe.lookup else {}
        features.append(student.model.preprocess([row[name] for row in rows], **task))
    labels = torch.tensor([row["label"] for row in rows]) if "label" in rows[0] else None
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        sum(objective(features, labels).values()).backward()
        seconds.append(time.perf_counter() - start)
    logits = _logits(student, features[1])
    active = float((logits > 0).float().mean())
    found: dict[str, Any] = {
        "examples": len(examples),
        "refused": len(refused),
        "documents_of_a_step": len(rows) * (len(columns) - 1),
        "tokens_of_a_document": max(each["input_ids"].shape[1] for each in features[1:]),
        "parameters": sum(weight.numel() for weight in student.model.parameters()),
        "seconds_of_a_step": round(seconds[1] * recipe.accumulation, 3),
        "hours": round(seconds[1] * recipe.accumulation * recipe.steps / 3600, 2),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "logits_above_zero": round(active, 4),
    }
    if active > 0.5 or active < 1e-5:
        found["warning"] = (
            f"{active:.2%} of the logits are above zero: training may collapse; shift the logits of"
            " the base, or choose another base"
        )
    return found


def _logits(student: Student, features: Any) -> torch.Tensor:  # noqa: ANN401 - token ids
    with torch.no_grad():
        hidden, mask = student.states(features)
        rows = hidden[mask][:64]
        return nn.functional.linear(rows, student.decoder.weight, student.decoder.bias)


def settings_of(trained: Trained) -> dict[str, Any]:
    """Return a result as JSON values."""
    return {**asdict(trained), "folder": str(trained.folder)}
