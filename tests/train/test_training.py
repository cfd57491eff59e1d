"""Training runs: their models load everywhere, they resume exactly, and failures are named."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")
pytest.importorskip("datasets")
pytestmark = pytest.mark.filterwarnings("default")

from safetensors.torch import load_file  # noqa: E402
from sentence_transformers import SparseEncoder  # noqa: E402

from lexpand import Encoder, Role  # noqa: E402
from lexpand.data.pruning import Pruning  # noqa: E402
from lexpand.data.streams import partial_of  # noqa: E402
from lexpand.encode.contract import Contract  # noqa: E402
from lexpand.encode.folder import find_folder  # noqa: E402
from lexpand.errors import DataError, ModelError, StorageError, TrainingError  # noqa: E402
from lexpand.models import check_model, import_model  # noqa: E402
from lexpand.train import run, saving, training  # noqa: E402
from lexpand.train.recipe import Recipe  # noqa: E402
from lexpand.train.run import STATE, Progress  # noqa: E402
from lexpand.train.student import Student, make_student  # noqa: E402
from lexpand.train.training import estimate, train  # noqa: E402

ENCODED = ["steps=6", "batch_size=4", "negatives=1", "max_tokens=32", "learning_rate=1e-3"]
LOOKUP = [
    "steps=6",
    "batch_size=4",
    "max_tokens=32",
    "lookup=true",
    "sampled_columns=256",
    "query_terms=0",
]


@pytest.fixture(scope="module", autouse=True)
def _threads() -> Iterator[None]:
    """Sums depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(mode=False)


@pytest.fixture(scope="module")
def models(_threads: None, data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model for each way to encode queries, trained without interruption."""
    made = {}
    for name, settings in (("encoder", ENCODED), ("lookup", LOOKUP)):
        made[name] = tmp_path_factory.mktemp("models") / name
        train(Recipe.load("small").with_settings(settings), [data], made[name], save_every=2)
    return made


@pytest.mark.parametrize("mode", ["encoder", "lookup"])
def test_a_trained_model_loads_in_both_libraries(models: dict[str, Path], mode: str) -> None:
    ours = Encoder.load(models[mode])
    theirs = SparseEncoder(str(models[mode]))
    texts = ["How to fix the printer, part 3.", "the account of the phone"]
    for role, encode in (
        (Role.DOCUMENT, theirs.encode_document),
        (Role.QUERY, theirs.encode_query),
    ):
        expected = encode(texts).to_dense().numpy()
        found = ours.encode(texts, role).vectors.to_dense()
        assert (expected > 0).sum() > 3
        assert np.abs(found - expected).max() < 1e-4
    contract = json.loads((models[mode] / "contract.json").read_text(encoding="utf-8"))
    assert contract["golden"]
    assert (models[mode] / "onnx" / "body.onnx").is_file()
    assert not partial_of(models[mode]).exists()
    recorded = json.loads((models[mode] / "training.json").read_text(encoding="utf-8"))
    assert recorded["recipe"]["steps"] == 6
    assert recorded["recipe"]["base"] == "splade-tiny"
    assert [point["step"] for point in recorded["curve"]] == [6]
    card = (models[mode] / "README.md").read_text(encoding="utf-8")
    assert "| pairs.jsonl | 32 | 1 | 0 |" in card
    assert "Apache-2.0" in card


@pytest.mark.parametrize("mode", ["encoder", "lookup"])
@pytest.mark.parametrize("stop", [1, 3, 4])
def test_an_interrupted_run_continues_to_the_same_model(
    models: dict[str, Path], data: Path, tmp_path: Path, mode: str, stop: int
) -> None:
    recipe = Recipe.load("small").with_settings(ENCODED if mode == "encoder" else LOOKUP)
    first = train(recipe, [data], tmp_path / "m", save_every=2, stop_after=stop)
    assert first.steps == stop
    assert not (tmp_path / "m" / "contract.json").exists()
    steps: list[Progress] = []
    done = train(
        recipe, [data], tmp_path / "m", save_every=2, report_every=1, on_progress=steps.append
    )
    assert done.steps == 6
    assert steps[0].step == stop // 2 * 2 + 1
    for name in ("model.safetensors", "query_0_SparseStaticEmbedding/model.safetensors"):
        if (models[mode] / name).exists():
            found, expected = tmp_path / "m" / name, models[mode] / name
            assert found.read_bytes() == expected.read_bytes()


def test_training_changes_the_model(models: dict[str, Path]) -> None:
    """The checks of equal models could pass if nothing was trained."""
    base, trained = Encoder.load(), Encoder.load(models["encoder"])
    texts = ["How to fix the printer, part 3."]
    before, after = (
        each.encode(texts, Role.DOCUMENT).vectors.to_dense() for each in (base, trained)
    )
    assert np.abs(before - after).max() > 0.01
    table = Encoder.load(models["lookup"]).encode_queries(["printer help", "how to"]).weights
    assert len(set(table.tolist())) > 1


def test_progress_has_loss_terms_and_factors(data: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    recipe = Recipe.load("small").with_settings(ENCODED)
    train(recipe, [data], tmp_path / "m", report_every=2, on_progress=seen.append)
    assert [each.step for each in seen] == [2, 4, 6]
    assert all(each.loss > 0 and each.document_terms > 5 for each in seen)
    assert all(each.document_lambda > 0 and each.query_lambda > 0 for each in seen)


def test_a_checkpoint_of_another_recipe_is_refused(data: Path, tmp_path: Path) -> None:
    recipe = Recipe.load("small").with_settings(ENCODED)
    train(recipe, [data], tmp_path / "m", save_every=2, stop_after=2)
    with pytest.raises(TrainingError, match="another evaluation: negatives must be 1, got 2"):
        train(recipe.with_settings(["negatives=2"]), [data], tmp_path / "m")


def test_an_incomplete_checkpoint_is_not_used(data: Path, tmp_path: Path) -> None:
    recipe = Recipe.load("small").with_settings(ENCODED)
    train(recipe, [data], tmp_path / "m", save_every=2, stop_after=5)
    last = partial_of(tmp_path / "m") / "checkpoint-4"
    (last / STATE).unlink()
    steps: list[Progress] = []
    train(recipe, [data], tmp_path / "m", report_every=1, on_progress=steps.append)
    assert steps[0].step == 3


def test_a_full_disk_keeps_the_last_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe.load("small").with_settings(ENCODED)
    train(recipe, [data], tmp_path / "m", save_every=2, stop_after=2)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run, "write_lines", full)
    with pytest.raises(StorageError, match="No space left on device; the last complete checkpoint"):
        train(recipe, [data], tmp_path / "m", save_every=2)
    monkeypatch.undo()
    assert train(recipe, [data], tmp_path / "m", save_every=2).steps == 6


def test_distillation_learns_from_scores(data: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]
    scored = tmp_path / "scored.jsonl"
    with scored.open("w", encoding="utf-8") as file:
        for i, row in enumerate(rows):
            other = rows[(i + 1) % len(rows)]["positive"]
            file.write(json.dumps({**row, "negatives": [other], "scores": [9.0, 1.0]}) + "\n")
    recipe = Recipe.load("small").with_settings([*ENCODED, "info_nce=0", "margin_mse=0.1", "kl=1"])
    assert train(recipe, [scored], tmp_path / "m").steps == 6


def test_an_estimate_writes_nothing(data: Path, tmp_path: Path) -> None:
    shutil.copy(data, tmp_path)
    found = estimate(Recipe.load("small").with_settings(ENCODED), [tmp_path])
    assert found["documents_of_a_step"] == 8
    assert found["parameters"] == 4_416_698
    assert found["seconds_of_a_step"] > 0
    assert "warning" not in found
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.jsonl"]


@pytest.mark.parametrize(("float32", "warns"), [(1.0, True), (1.9, False)])
def test_an_estimate_says_that_bfloat16_is_slow_here(
    data: Path, monkeypatch: pytest.MonkeyPatch, float32: float, warns: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    seconds = iter([9.0, 2.0, float32])
    monkeypatch.setattr(training, "_timed", lambda *_: next(seconds))
    found = estimate(Recipe.load("small").with_settings([*ENCODED, "bf16=true"]), [data])
    assert found["seconds_of_a_step"] == 2.0
    assert ("set bf16 = false" in found.get("warning", "")) is warns


def weights_of(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_a_run_killed_before_the_model_is_written_takes_no_more_steps(
    models: dict[str, Path], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, out = Recipe.load("small").with_settings(ENCODED), tmp_path / "m"

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(saving, "import_model", killed)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, [data], out, save_every=4)
    assert not out.exists()
    monkeypatch.undo()
    steps: list[Progress] = []
    assert train(recipe, [data], out, save_every=4, on_progress=steps.append).steps == 6
    assert steps == []
    assert weights_of(out) == weights_of(models["encoder"])


def test_other_data_do_not_continue_a_run(data: Path, tmp_path: Path) -> None:
    recipe, out = Recipe.load("small").with_settings(ENCODED), tmp_path / "m"
    train(recipe, [data], out, save_every=2, stop_after=2)
    with pytest.raises(TrainingError, match="another evaluation: data must be"):
        train(recipe, [f"{data}:2"], out)


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collection")
    words = ["printer", "invoice", "holiday", "account", "password", "crash", "phone", "screen"]
    lines = {
        "corpus.jsonl": [{"_id": word, "text": f"All about the {word}."} for word in words],
        "queries.jsonl": [{"_id": word, "text": f"{word} broken"} for word in words],
    }
    for name, rows in lines.items():
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "qrels").mkdir()
    table = "query-id\tcorpus-id\tscore\n" + "".join(f"{word}\t{word}\t1\n" for word in words)
    (folder / "qrels" / "test.tsv").write_text(table)
    return folder


def test_the_best_step_is_kept_also_after_an_interruption(
    data: Path, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The measure is replaced, so that the third evaluation is the best one."""
    recipe = Recipe.load("small").with_settings(ENCODED)
    values = {0: 0.3, 1: 0.1, 2: 0.2, 3: 0.9, 4: 0.5, 5: 0.9, 6: 0.4}
    measured = run.TrainingEvaluation.measure

    def measure(self: object, student: object, **_: object) -> float:
        assert 0.0 < measured(self, student) <= 1.0  # type: ignore[arg-type]
        return values[objective.step]

    made = training.SpladeObjective

    def keep(*args: object) -> object:
        nonlocal objective
        objective = made(*args)  # type: ignore[arg-type]
        return objective

    objective: object = None
    monkeypatch.setattr(training, "SpladeObjective", keep)
    monkeypatch.setattr(run.TrainingEvaluation, "measure", measure)
    options = {"evaluation": collection, "evaluate_every": 1, "save_every": 2}
    for name, stop in (("whole", None), ("stopped", 5)):
        done = train(recipe, [data], tmp_path / name, stop_after=stop, **options)  # type: ignore[arg-type]
    assert done.kept_step is None
    done = train(recipe, [data], tmp_path / "stopped", **options)  # type: ignore[arg-type]
    assert (done.kept_step, list(done.evaluation)) == (3, sorted(values.items()))
    assert weights_of(tmp_path / "whole") == weights_of(tmp_path / "stopped")
    three = recipe.with_settings(["steps=3", "warmup=0"])
    train(three, [data], tmp_path / "three")
    last = train(recipe.with_settings(["warmup=0"]), [data], tmp_path / "last")
    assert last.kept_step == 6
    assert weights_of(tmp_path / "whole") != weights_of(tmp_path / "last")
    card = (tmp_path / "whole" / "README.md").read_text(encoding="utf-8")
    assert "step 3 was kept" in card
    assert done.last == tmp_path / "stopped.last"
    assert last.last is None
    import_model(done.last, tmp_path / "imported")
    assert Contract.load(tmp_path / "imported").max_tokens[Role.DOCUMENT] == 512  # not 32
    found = load_file(tmp_path / "imported" / "model.safetensors")
    word = "bert.embeddings.word_embeddings.weight"
    kept = load_file(done.folder / "model.safetensors")[word]
    assert not torch.equal(found[word], kept)
    assert not list(done.last.glob("*.pt*"))
    shutil.rmtree(done.folder)
    with pytest.raises(ModelError, match=r"stopped\.last is not empty"):  # it may be wanted
        train(recipe, [data], tmp_path / "stopped", **options)  # type: ignore[arg-type]


def test_a_run_killed_while_the_best_step_is_written_keeps_its_last_checkpoint(
    data: Path, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = iter([0.1, 0.9, 0.2, 0.3])
    monkeypatch.setattr(run.TrainingEvaluation, "measure", lambda *_, **__: next(values))
    recipe = Recipe.load("small").with_settings([*ENCODED, "steps=3", "document_terms=0"])
    recipe = recipe.with_settings(["query_terms=0"])
    options = {"evaluation": collection, "evaluate_every": 1}
    with monkeypatch.context() as broken:
        broken.setattr(training, "save_model", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(recipe, [data], tmp_path / "m", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "m.last").exists()
    steps: list[Progress] = []
    done = train(recipe, [data], tmp_path / "m", on_progress=steps.append, **options)  # type: ignore[arg-type]
    assert (steps, done.kept_step, done.last) == ([], 1, tmp_path / "m.last")
    assert (done.last / "model.safetensors").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "m.last"]


def test_a_step_before_the_budget_is_in_force_is_not_the_best(
    data: Path, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is better because it has more terms."""
    falling = iter([0.1, 0.9, 0.8, 0.5, 0.7])
    monkeypatch.setattr(run.TrainingEvaluation, "measure", lambda *_, **__: next(falling))
    recipe = Recipe.load("small").with_settings([*ENCODED, "steps=4", "budget_steps=3"])
    options = {"evaluation": collection, "evaluate_every": 1}
    done = train(recipe, [data], tmp_path / "m", **options)  # type: ignore[arg-type]
    assert [step for step, _ in done.evaluation] == [0, 1, 2, 3, 4]
    assert done.kept_step == 4


def test_another_evaluation_does_not_continue_a_run(
    data: Path, collection: Path, tmp_path: Path
) -> None:
    recipe = Recipe.load("small").with_settings(ENCODED)
    train(recipe, [data], tmp_path / "m", save_every=2, stop_after=2)
    with pytest.raises(TrainingError, match=r"evaluation must be None, got '.*collection"):
        train(recipe, [data], tmp_path / "m", evaluation=collection)


def test_an_evaluation_changes_no_step(
    models: dict[str, Path], data: Path, collection: Path, tmp_path: Path
) -> None:
    recipe = Recipe.load("small").with_settings(LOOKUP)
    done = train(recipe, [data], tmp_path / "m", evaluation=collection, evaluate_every=6)
    assert [step for step, _ in done.evaluation] == [0, 6]
    assert weights_of(tmp_path / "m") == weights_of(models["lookup"])


def test_a_collapse_stops_the_run_and_names_the_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_PATIENCE", 3)
    settings = ["steps=60", "document_terms=0", "document_lambda=1e4", "ramp=constant"]
    recipe = Recipe.load("small").with_settings([*ENCODED, *settings, "learning_rate=0.05"])
    with pytest.raises(TrainingError, match=r"collapsed: documents have no terms .*checkpoint-"):
        train(recipe, [data], tmp_path / "m", save_every=1)


@pytest.mark.parametrize(
    "settings",
    [
        ["neighbors=true"],
        ["cached_texts=3"],
        ["gradient_checkpointing=true"],
        ["frozen_layers=1", "dropout=false"],
        ["frozen_layers=1", "gradient_checkpointing=true"],
        ["lora_rank=4", "gradient_checkpointing=true"],
        ["lora_rank=2", "query_base=BASE"],
        ["postings=0.5", "document_terms=0"],
        ["bf16=true"],
        ["batch_teacher=self", "batch_kl=1", "batch_temperature=5"],
        ["document_regularizer=df_flops", "banned_terms=['the', 'to']"],
        ["lookup=true", "table_init=idf", "query_terms=0", "batch_teacher=self", "batch_kl=1"],
        ["table_activation=softplus", "lookup=true", "query_terms=0", "table_learning_rate=0.1"],
    ],
    ids=lambda settings: settings[0],
)
def test_each_kind_of_run_resumes_to_the_same_model(
    data: Path, tmp_path: Path, settings: list[str]
) -> None:
    settings = [each.replace("BASE", str(find_folder("default"))) for each in settings]
    recipe = Recipe.load("small").with_settings([*ENCODED, *settings, "steps=4"])
    for stop in (None, 3):
        out = tmp_path / f"stopped-{stop}"
        train(recipe, [data], out, save_every=2, stop_after=stop)
    train(recipe, [data], out, save_every=2)
    assert weights_of(tmp_path / "stopped-None") == weights_of(out)


def test_a_checkpoint_has_the_query_weights_themselves(data: Path, tmp_path: Path) -> None:
    settings = [*LOOKUP, "table_activation=softplus", "table_init=idf"]
    recipe = Recipe.load("small").with_settings(settings)
    train(recipe, [data], tmp_path / "m", save_every=2, stop_after=2)
    checkpoint = partial_of(tmp_path / "m") / "checkpoint-2"
    (table,) = load_file(checkpoint / "query_0_SparseStaticEmbedding/model.safetensors").values()
    assert float(table.min()) > 0 > float(load_file(checkpoint / run.TRAINED)[RAW].min())


RAW = "0.sub_modules.query.0.weight"


def test_low_rank_changes_are_merged_into_the_model(data: Path, tmp_path: Path) -> None:
    recipe = Recipe.load("small").with_settings([*ENCODED, "lora_rank=3"])
    train(recipe, [data], tmp_path / "m", save_every=2, stop_after=4)
    checkpoint = partial_of(tmp_path / "m") / "checkpoint-4"
    import_model(checkpoint, tmp_path / "early")  # a whole model
    assert Contract.load(tmp_path / "early").golden
    done = train(recipe, [data], tmp_path / "m", save_every=2)
    before = {
        name.replace("gamma", "weight").replace("beta", "bias"): weight
        for name, weight in load_file(find_folder("default") / "model.safetensors").items()
    }
    after = load_file(done.folder / "model.safetensors")
    assert after.keys() <= before.keys()
    for name, weight in after.items():
        changed = weight - before[name]
        if name.startswith("bert.encoder") and name.endswith("weight") and weight.ndim == 2:
            singular = torch.linalg.svdvals(changed.double())
            assert float(singular[2]) > 1e-5, name
            assert float(singular[3:].max()) < 1e-6, name
        elif name.startswith("bert.e"):  # embeddings, biases and norms
            assert not changed.any(), name
        else:
            assert changed.any(), name
    assert estimate(recipe, [data])["trained_parameters"] < 100_000


def test_a_process_with_several_gpus_is_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(TrainingError, match="has 2: start a process for each with `torchrun"):
        train(Recipe.load("small"), [data], tmp_path / "m")


def test_two_processes_train_as_one_with_two_batches_a_step(data: Path, tmp_path: Path) -> None:
    """Gradients and the terms that the autopilot sees are the means of the processes."""
    base = tmp_path / "base"
    shutil.copytree(find_folder("default"), base)
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    without = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (base / "config.json").write_text(json.dumps(config | without), encoding="utf-8")
    settings = [*ENCODED, f"base={base}", "steps=4", "document_terms=60", "budget_steps=1"]
    one = Recipe.load("small").with_settings([*settings, "accumulation=2"])
    train(one, [data], tmp_path / "one", save_every=2)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--no-python", str(Path(sys.executable).parent / "lexpand"), "train", "small"]
    command += ["--data", str(data), "--out", str(tmp_path / "two"), "--json"]
    command += ["--save-every", "2"]
    command += [part for each in settings for part in ("--set", each)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=240
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["steps"] == 4  # the first process alone prints
    weights, facts = [], []
    for name in ("one", "two"):
        weights.append(load_file(tmp_path / name / "model.safetensors"))
        facts.append(json.loads((tmp_path / name / "training.json").read_text(encoding="utf-8")))
    before = load_file(base / "model.safetensors")
    for name, expected in weights[0].items():
        assert torch.allclose(weights[1][name], expected, atol=2e-5), name
    word = "bert.embeddings.word_embeddings.weight"
    assert float((weights[0][word] - before[word]).abs().max()) > 1e-3
    (expected,), (found,) = (each["curve"] for each in facts)
    assert found["document_lambda"] == pytest.approx(expected["document_lambda"], rel=1e-3)
    assert found["document_terms"] == pytest.approx(expected["document_terms"], rel=1e-3)


def test_two_query_modes_of_one_training(data: Path, tmp_path: Path) -> None:
    """The table and the encoder of queries are both trained, and both load."""
    settings = [*LOOKUP, "encode_queries=true", "learning_rate=1e-3", "query_terms=20"]
    steps: list[Progress] = []
    train(
        Recipe.load("small").with_settings(settings),
        [data],
        tmp_path / "m",
        on_progress=steps.append,
        report_every=1,
    )
    assert steps[-1].query_terms > 1
    encoder = Encoder.load(tmp_path / "m")
    text = "how to fix the printer"
    looked_up, encoded = (encoder.encode_queries([text], mode=m) for m in ("lookup", "encoder"))
    assert 0 < looked_up.nnz <= 5
    assert encoded.nnz > looked_up.nnz
    assert np.array_equal(encoded.terms, encoder.encode_documents([text]).terms)


def test_a_logger_that_is_not_there_is_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="must be one of tensorboard, wandb, mlflow, got 'excel'"):
        train(Recipe.load("small"), [data], tmp_path / "m", log_to=["excel"])
    monkeypatch.setattr(training, "find_spec", lambda _: None)
    with pytest.raises(DataError, match="log_to 'wandb' needs a package: pip install wandb"):
        train(Recipe.load("small"), [data], tmp_path / "m", log_to=["wandb"])


def test_a_log_is_written(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "")  # restored after the test
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR")
    recipe = Recipe.load("small").with_settings(ENCODED)
    train(recipe, [data], tmp_path / "m", log_to=["tensorboard"])
    assert list((tmp_path / "m.logs").rglob("events.out.*"))


def assert_same_vectors(folder: Path) -> None:
    ours, theirs = Encoder.load(folder), SparseEncoder(str(folder))
    texts = ["How to fix the printer, part 3.", "the account of the phone"]
    for role, encode in (
        (Role.DOCUMENT, theirs.encode_document),
        (Role.QUERY, theirs.encode_query),
    ):
        expected = encode(texts).to_dense().numpy()
        assert (expected > 0).sum() > 3
        assert np.abs(ours.encode(texts, role).vectors.to_dense() - expected).max() < 1e-3


def test_a_separate_query_encoder_is_trained(data: Path, tmp_path: Path) -> None:
    """A plain masked language model with fewer layers encodes the queries."""
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

    from lexpand.encode.folder import find_folder

    small = tmp_path / "small"
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        vocab_size=30522,
    )
    model = BertForMaskedLM(config)
    model.cls.predictions.bias.data.fill_(-0.1)
    model.save_pretrained(small)
    AutoTokenizer.from_pretrained(find_folder("default")).save_pretrained(small)
    recipe = Recipe.load("small").with_settings([*ENCODED, f"query_base={small}", "steps=2"])
    done = train(recipe, [data], tmp_path / "m")
    assert_same_vectors(done.folder)
    with pytest.raises(DataError, match="query_base must be empty with lookup = true"):
        recipe.with_settings(["lookup=true"])


def test_a_model_with_few_terms_a_position_is_trained(data: Path, tmp_path: Path) -> None:
    """The model gives what its training gave: the limit is in the contract."""
    texts = ["heart disease and smoking in older people", "reset my login"]
    recipe = Recipe.load("small").with_settings([*ENCODED, "position_terms=3", "steps=2"])
    done = train(recipe, [data], tmp_path / "m")
    assert Contract.load(done.folder).pruning == {role: Pruning(position=3) for role in Role}
    check_model(done.folder)
    encoder = Encoder.load(done.folder)
    found = encoder.encode(texts, Role.DOCUMENT)
    places = list(zip(found.vectors.owners.tolist(), found.positions.tolist(), strict=True))
    assert max(map(places.count, places)) == 3
    student = Student(make_student(recipe, done.folder), position_terms=3).eval()
    features = dict(student.model.preprocess(texts))
    with torch.no_grad():
        expected = student.documents(features).numpy()
    assert np.abs(found.vectors.to_dense() - expected).max() < 1e-4
    unlimited = SparseEncoder(str(done.folder), device="cpu").encode_document(texts)
    assert int((unlimited.to_dense() > 0).sum()) > found.vectors.nnz
    with pytest.raises(DataError, match="position_terms needs pooling = 'max'"):
        recipe.with_settings(["pooling=sum"])
    with pytest.raises(DataError, match=r"position_terms, .* need all terms"):
        recipe.with_settings(["lookup=true", "sampled_columns=64"])


def test_a_model_with_sum_pooling_is_trained(data: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    from lexpand.encode.folder import find_folder

    base = tmp_path / "base"
    AutoModelForMaskedLM.from_pretrained(find_folder("default")).save_pretrained(base)
    AutoTokenizer.from_pretrained(find_folder("default")).save_pretrained(base)
    recipe = Recipe.load("small").with_settings([*ENCODED, "pooling=sum", "steps=2"])
    done = train(recipe.with_settings([f"base={base}"]), [data], tmp_path / "m")
    assert_same_vectors(done.folder)
    with pytest.raises(ModelError, match="pooling must be 'max', as in the base"):
        train(recipe, [data], tmp_path / "other")


def test_the_curve_is_the_same_after_an_interruption(data: Path, tmp_path: Path) -> None:
    """A point is the mean loss since the last one, which the checkpoint lies between."""
    recipe = Recipe.load("small").with_settings(ENCODED)
    curves = []
    for name, stop in (("whole", None), ("stopped", 3)):
        if stop is not None:
            train(recipe, [data], tmp_path / name, save_every=2, report_every=3, stop_after=stop)
        train(recipe, [data], tmp_path / name, save_every=2, report_every=3)
        facts = json.loads((tmp_path / name / "training.json").read_text(encoding="utf-8"))
        curves.append(facts["curve"])
    assert [point["step"] for point in curves[0]] == [3, 6]
    assert curves[0] == curves[1]
