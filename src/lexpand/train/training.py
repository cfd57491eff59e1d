"""Train a model by a recipe, with the trainer of sentence-transformers."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import set_seed

from lexpand.data.pruning import Pruning
from lexpand.data.streams import partial_of, write_lines
from lexpand.encode.contract import Contract
from lexpand.errors import DataError, RowError, StorageError, TrainingError
from lexpand.models import find_base
from lexpand.train import devices
from lexpand.train.bank import make_banks
from lexpand.train.card import write_card
from lexpand.train.evaluating import TrainingEvaluation
from lexpand.train.examples import DataFile, Example, Examples, make_rows, read_training_data
from lexpand.train.loss import SpladeObjective
from lexpand.train.recipe import Recipe
from lexpand.train.run import STATE, TRAINED, Progress, RunCallback, latest_checkpoint, make_trainer
from lexpand.train.saving import check_new, save_model
from lexpand.train.store import rows_on_disk
from lexpand.train.student import Student, hush_libraries, make_student
from lexpand.train.teachers import make_batch_teachers

_ESTIMATED = 500
"""Queries of each bank of an estimate."""

_FASTER = 0.8
"""The share of the time of bfloat16 from which float32 is recommended."""

_LOGGERS = ("tensorboard", "wandb", "mlflow")


@dataclass(frozen=True, slots=True)
class Trained:
    """The result of a run.

    Attributes:
        folder: the model folder, which loads in Lexpand and in sentence-transformers.
        steps: optimizer steps of the whole training.
        examples: examples of the data.
        refused: rows that could not be used.
        seconds: of this run.
        evaluation: pairs of step and nDCG@10 on the evaluation collection. Step 0 is the base.
        kept_step: the step whose weights the model has; None if the run is not complete.
        last: a checkpoint of the last step, if the model has those of another one.
    """

    folder: Path
    steps: int
    examples: int
    refused: Sequence[RowError]
    seconds: float
    evaluation: Sequence[tuple[int, float]] = ()
    kept_step: int | None = None
    last: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        refused = [row.to_dict() for row in self.refused]
        last = None if self.last is None else str(self.last)
        return {**asdict(self), "folder": str(self.folder), "last": last, "refused": refused}


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
    evaluation: str | Path | None = None,
    evaluate_every: int = 200,
    log_to: Sequence[str] = (),
    license: str | None = None,
    on_step: Callable[[str], None] | None = None,
) -> Trained:
    """Train a model and write its folder; an interrupted run continues from its last checkpoint.

    Checkpoints are in the folder ``<out>.partial`` until the model is complete.

    Args:
        recipe: the settings.
        data: JSON lines files, folders of them, or BEIR folders; see `read_training_data`.
        out: the folder of the model.
        save_every: steps between checkpoints.
        report_every: steps between calls of ``on_progress``, and between points of the curve.
        on_progress: called with the state of the run.
        refused: rows that cannot be used are added to it.
        stop_after: end this run after so many steps, as an interruption would; None for all.
        evaluation: a collection in BEIR's layout; the model keeps the weights of the step with the
            best nDCG@10 on it. By default the last step is kept.
        evaluate_every: steps between evaluations.
        log_to: loggers of the Hugging Face Trainer: ``tensorboard`` (to ``<out>.logs``), ``wandb``,
            ``mlflow``.
        license: the license of the weights, for the contract and the model card.
        on_step: called with a line before and during what comes before the first step.

    Raises:
        DataError: the data have too few usable rows, or lack the teacher scores that the recipe
            needs, or a logger is not installed.
        ModelError: the base cannot be loaded or does not fit the recipe, or ``out`` is not empty.
        TrainingError: the loss is not finite, the vectors collapse, memory is short, or a
            checkpoint is of another recipe or other data.
        StorageError: the disk refuses.
    """
    start, folder = time.perf_counter(), Path(out)
    _check_devices()
    _check_loggers(log_to)
    check_new(folder)
    if evaluation is not None:
        check_new(_last_of(folder))
    if "tensorboard" in log_to:
        # The folder of checkpoints, where the trainer would write, is removed in the end.
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", f"{folder}.logs")
    refused = [] if refused is None else refused
    examples, files = _read(recipe, data, refused)
    if refused and on_step is not None and devices.is_first():
        on_step(f"{len(refused):,} rows cannot be used; they are listed at the end")
    measured = None if evaluation is None else TrainingEvaluation(evaluation)
    evaluates = {
        "evaluation": None if measured is None else measured.name,
        "evaluation_digest": None if measured is None else measured.digest,
        "evaluate_every": None if measured is None else evaluate_every,
    }
    with devices.first_before_others():
        checkpoint = _prepare(partial_of(folder), recipe, files, evaluates)
    _make_deterministic(recipe)
    student = _student(recipe, examples)
    with devices.first_before_others():
        objective = _objective(recipe, student, examples, partial_of(folder), on_step)
    # Each process of several devices writes its own: the file of another may be in use.
    name = f"rows-{devices.rank()}.arrow"
    rows = rows_on_disk(_rows(recipe, examples), partial_of(folder) / name)
    trainer = make_trainer(
        recipe,
        student,
        objective,
        rows,
        partial_of(folder),
        save_every,
        tuple(log_to),
        report_every,
    )
    callback = RunCallback(
        trainer, objective, report_every, on_progress, stop_after, measured, evaluate_every
    )
    trainer.add_callback(callback)
    steps = callback.run(checkpoint, recipe)
    done = steps >= recipe.steps
    has_last = done and devices.is_first() and callback.kept_step(recipe) != recipe.steps
    if has_last:
        _copy_last(folder)
    if done and devices.is_first():
        callback.load_best()
        _finish(recipe, student, folder, files, callback, measured, license)
    if has_last:
        partial_of(_last_of(folder)).rename(_last_of(folder))
    return Trained(
        folder,
        steps,
        len(examples),
        refused,
        time.perf_counter() - start,
        callback.evaluation,
        callback.kept_step(recipe) if done else None,
        _last_of(folder) if has_last else None,
    )


def estimate(
    recipe: Recipe,
    data: Iterable[str | Path],
    refused: list[RowError] | None = None,
    *,
    out: str | Path | None = None,
    evaluation: str | Path | None = None,
    log_to: Sequence[str] = (),
) -> dict[str, Any]:
    """Run two steps without writing anything, and return shapes, memory and time of a run.

    What a run with these arguments would refuse is refused. The logits are measured too: if most of
    them are positive or none is, training collapses, and a ``warning`` says so.

    Args:
        recipe: see `train`.
        data: see `train`.
        refused: rows that cannot be used are added to it.
        out: see `train`; None if it is not chosen yet.
        evaluation: see `train`.
        log_to: see `train`.

    Raises:
        DataError, ModelError: see `train`.
    """
    refused = [] if refused is None else refused
    _check_devices()
    _check_loggers(log_to)
    if out is not None:
        check_new(Path(out))
    if evaluation is not None:
        TrainingEvaluation(evaluation)
    hush_libraries()
    examples, _ = _read(recipe, data, refused)
    set_seed(recipe.seed)
    student = _student(recipe, examples)
    objective = _objective(recipe, student, examples, None, None, most=_ESTIMATED)
    rows = [row for row, _ in zip(_rows(recipe, examples), range(recipe.batch_size), strict=False)]
    columns = [name for name in rows[0] if name != "label"]
    features = []
    with student.reading(recipe.max_tokens):
        for name in columns:
            task = {"task": "query" if name == "query" else "document"} if student.routed else {}
            features.append(student.model.preprocess([row[name] for row in rows], **task))
    labels = torch.tensor([row["label"] for row in rows]) if "label" in rows[0] else None
    seconds = [_timed(objective, features, labels) for _ in range(2)]
    float32 = seconds[1]
    if recipe.bf16 and not torch.cuda.is_available():
        with student.in_float32():
            float32 = _timed(objective, features, labels)
    logits = _logits(student, features[1])
    active = float((logits > 0).float().mean())
    bank_seconds = sum(bank.seconds for bank, _ in objective.banks)
    found: dict[str, Any] = {
        "examples": len(examples),
        "refused": len(refused),
        "documents_of_a_step": len(rows) * (len(columns) - 1),
        "tokens_of_a_document": max(each["input_ids"].shape[1] for each in features[1:]),
        "parameters": sum(weight.numel() for weight in student.model.parameters()),
        "trained_parameters": sum(
            weight.numel() for weight in student.model.parameters() if weight.requires_grad
        ),
        "seconds_of_a_step": round(seconds[1] * recipe.accumulation, 3),
        **({"minutes_of_the_banks": round(bank_seconds / 60, 1)} if objective.banks else {}),
        "hours": round((seconds[1] * recipe.accumulation * recipe.steps + bank_seconds) / 3600, 2),
        "peak_memory_mb": _peak_memory_mb(),
        "logits_above_zero": round(active, 4),
        "logit_scale": round(float(logits.std()), 3),
    }
    if active > 0.5 or active < 1e-5:
        # The logits of the base, before the recipe moves them.
        plain = logits / recipe.logit_scale + recipe.logit_shift
        found["warning"] = (
            f"{active:.2%} of the logits are above zero: training may collapse. Set logit_shift to"
            f" about {float(plain.mean() + 3.5 * plain.std()):.1f}, or choose another base"
        )
    elif float32 < _FASTER * seconds[1]:
        found["warning"] = (
            f"float32 takes {float32:.2f} s a step here, because this CPU does not multiply"
            " bfloat16: set bf16 = false"
        )
    return found


def _timed(objective: SpladeObjective, features: Any, labels: torch.Tensor | None) -> float:  # noqa: ANN401
    """Return the seconds of a step."""
    start = time.perf_counter()
    sum(objective(features, labels).values()).backward()
    return time.perf_counter() - start


def _check_devices() -> None:
    """Refuse one process with several GPUs, of which it would use one.

    Raises:
        TrainingError: there are several.
    """
    found = torch.cuda.device_count()
    if devices.count() == 1 and found > 1:
        raise TrainingError(
            f"one process trains on one GPU, and this machine has {found}: start a process for"
            f" each with `torchrun --nproc-per-node {found} --no-python lexpand train ...`, or"
            " choose one with CUDA_VISIBLE_DEVICES=0"
        )


def _check_loggers(names: Sequence[str]) -> None:
    """Check that loggers are known and installed.

    Raises:
        DataError: one is not.
    """
    for name in names:
        if name not in _LOGGERS:
            raise DataError(f"log_to must be one of {', '.join(_LOGGERS)}, got {name!r}")
        if find_spec(name) is None:
            raise DataError(f"log_to {name!r} needs a package: pip install {name}")


def _read(
    recipe: Recipe, data: Iterable[str | Path], refused: list[RowError]
) -> tuple[Examples, list[DataFile]]:
    return read_training_data(
        data,
        batch_size=recipe.batch_size,
        distills=recipe.distills,
        seed=recipe.seed,
        refused=refused,
    )


def _rows(recipe: Recipe, examples: Sequence[Example]) -> Iterable[dict[str, Any]]:
    return make_rows(examples, recipe.negatives, recipe.seed, distills=recipe.distills)


def _make_deterministic(recipe: Recipe) -> None:
    hush_libraries()
    set_seed(recipe.seed)
    torch.use_deterministic_algorithms(mode=True, warn_only=True)


def _student(recipe: Recipe, examples: Sequence[Example]) -> Student:
    texts = (example.documents[0] for example in examples)
    model = make_student(recipe, recipe.base, texts)
    student = Student(
        model,
        recipe.cached_texts,
        bf16=recipe.bf16,
        triton=recipe.triton,
        softplus=recipe.table_activation == "softplus",
        position_terms=recipe.position_terms,
    )
    if recipe.frozen_layers:
        student.freeze(recipe.frozen_layers)
    if not recipe.dropout:
        student.drop_nothing()
    if recipe.lora_rank:
        student.add_low_rank(recipe.lora_rank)
    if recipe.gradient_checkpointing:
        body = student.body  # transformers 5 renames the method
        getattr(body, "activation_checkpointing_enable", body.gradient_checkpointing_enable)()
    return student


def _objective(
    recipe: Recipe,
    student: Student,
    examples: Sequence[Example],
    folder: Path | None,
    on_step: Callable[[str], None] | None,
    most: int | None = None,
) -> SpladeObjective:
    teachers = make_batch_teachers(recipe, student)
    queries = (example.query for example in examples)
    banks = make_banks(recipe, student, teachers, queries, folder, on_step, most)
    return SpladeObjective(student, recipe, teachers, banks)


def _prepare(
    folder: Path, recipe: Recipe, files: Sequence[DataFile], evaluates: Mapping[str, Any]
) -> Path | None:
    """Return the checkpoint to continue from; None for a new run."""
    record = folder / "recipe.json"
    settings = {**recipe.to_dict(), "data": [asdict(file) for file in files], **evaluates}
    if not record.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot make {folder}: {error.strerror or error}") from error
        write_lines(record, [json.dumps(settings)])
        return None
    recorded = json.loads(record.read_text(encoding="utf-8"))
    differing = [key for key, value in settings.items() if recorded.get(key) != value]
    checkpoint = latest_checkpoint(folder)
    if differing and checkpoint is None:  # nothing was reached yet that the change could spoil
        write_lines(record, [json.dumps(settings)])
    elif differing:
        raise TrainingError(
            f"{folder} has checkpoints of another recipe, other data or another evaluation:"
            f" {_difference(differing[0], recorded, settings)}; use the same, choose another --out,"
            f" or remove {folder}"
        )
    return checkpoint


def _difference(key: str, recorded: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Say what a setting must be and is; of data, which file has other rows."""
    if key == "evaluation_digest":
        return f"the collection {settings['evaluation']} must not change during a run"
    before, now = recorded.get(key), settings[key]
    if key == "data" and before and len(before) == len(now):
        for old, new in zip(before, now, strict=True):
            same_source = (old["name"], old["weight"]) == (new["name"], new["weight"])
            if same_source and old.get("digest") != new["digest"]:
                return f"the rows of {new['name']} must be those that the run began with"
    return f"{key} must be {before!r}, got {now!r}"


def _last_of(folder: Path) -> Path:
    """Return the folder of the last step, if the model has the weights of another one."""
    return folder.with_name(f"{folder.name}.last")


def _copy_last(folder: Path) -> None:
    """Copy the model of the last checkpoint, which another measure may prefer to the best step's.

    The checkpoint stays until the model is complete: a run that is killed continues from it.

    Raises:
        StorageError: the disk refuses.
    """
    checkpoint = latest_checkpoint(partial_of(folder))
    assert checkpoint is not None  # the trainer saves the last step
    target = partial_of(_last_of(folder))
    shutil.rmtree(target, ignore_errors=True)
    of_run = shutil.ignore_patterns("*.pt", "*.pth", "*.bin", "trainer_state.json", STATE, TRAINED)
    try:
        shutil.copytree(checkpoint, target, ignore=of_run)
    except OSError as error:
        raise StorageError(
            f"cannot write {target}: {error.strerror or error}; free the disk and run the same"
            " command again"
        ) from error


def _finish(
    recipe: Recipe,
    student: Student,
    folder: Path,
    files: Sequence[DataFile],
    callback: RunCallback,
    measured: TrainingEvaluation | None,
    license: str | None,
) -> None:
    """Write the model folder with its card, and remove the checkpoints."""
    student.settle()
    base = find_base(recipe.base)
    name, notice = recipe.base or "default", f"{recipe.base}, license as its publisher states"
    if (base / "contract.json").is_file():
        contract = Contract.load(base)
        name = contract.name
        notice = f"{name}, license {contract.license or 'not stated'}; {contract.origin}"
    facts = {
        "kind": "train",
        "recipe": {**recipe.to_dict(), "base": name},
        "data": [asdict(file) for file in files],
        "curve": callback.curve,
        "evaluation": callback.evaluation,
        "evaluated_on": None if measured is None else measured.name,
        "kept_step": callback.kept_step(recipe),
    }
    total = round(sum(file.examples * file.weight for file in files))
    save_model(
        lambda into: student.model.save_pretrained(str(into), create_model_card=False),
        folder,
        origin=f"trained by the recipe {recipe.name} on {total:,} examples from {name}",
        facts=facts,
        card=write_card(folder.name, facts, license=license, base_notice=notice.rstrip("; .")),
        license=license,
        pruning=Pruning(position=recipe.position_terms or None),
    )


def _peak_memory_mb() -> int | None:
    """Return the peak of the resident memory of this process in MB; None where it is unknown."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) // 1024


def _logits(student: Student, features: Any) -> torch.Tensor:  # noqa: ANN401 - token ids
    with torch.no_grad():
        hidden, mask = student.states(features)
        rows = hidden[mask][:64]
        return nn.functional.linear(rows, student.decoder.weight, student.decoder.bias)
