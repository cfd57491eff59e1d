"""Training runs: their models load everywhere, they resume exactly, and failures are named."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")
pytest.importorskip("datasets")
pytestmark = pytest.mark.filterwarnings("default")

from sentence_transformers import SparseEncoder  # noqa: E402

from lexpand import Encoder, Role  # noqa: E402
from lexpand.errors import DataError, ModelError, StorageError, TrainingError  # noqa: E402
from lexpand.train import training  # noqa: E402
from lexpand.train.recipe import Recipe  # noqa: E402
from lexpand.train.training import CHECKPOINTS, Progress, estimate, train  # noqa: E402

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
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    words = ["printer", "invoice", "holiday", "account", "password", "crash", "phone", "screen"]
    rows = [
        {"query": f"{word} help {i}", "positive": f"How to fix the {word}, part {i}."}
        for i in range(4)
        for word in words
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


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
    assert not (models[mode] / CHECKPOINTS).exists()
    recorded = json.loads((models[mode] / "training.json").read_text(encoding="utf-8"))
    assert recorded["steps"] == 6


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
    with pytest.raises(TrainingError, match="another recipe: negatives must be 1, got 2"):
        train(recipe.replace(negatives=2), [data], tmp_path / "m")


def test_an_incomplete_checkpoint_is_not_used(data: Path, tmp_path: Path) -> None:
    recipe = Recipe.load("small").with_settings(ENCODED)
    train(recipe, [data], tmp_path / "m", save_every=2, stop_after=5)
    last = tmp_path / "m" / CHECKPOINTS / "checkpoint-4"
    (last / "lexpand.json").unlink()
    steps: list[Progress] = []
    train(recipe, [data], tmp_path / "m", report_every=1, on_progress=steps.append)
    assert steps[0].step == 3


def test_other_folders_are_left_alone(models: dict[str, Path], data: Path, tmp_path: Path) -> None:
    recipe = Recipe.load("small").with_settings(ENCODED)
    with pytest.raises(ModelError, match="holds a trained model: choose another folder"):
        train(recipe, [data], models["encoder"])
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ModelError, match="is not empty: choose another folder"):
        train(recipe, [data], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_data_that_do_not_fit_the_recipe_are_refused(data: Path, tmp_path: Path) -> None:
    one = tmp_path / "one.jsonl"
    one.write_text('{"query": "q", "positive": "p"}\n{"query": "q"}\n', encoding="utf-8")
    recipe = Recipe.load("small").with_settings(ENCODED)
    with pytest.raises(DataError, match="two usable examples, got 1; 1 rows were refused"):
        train(recipe, [one], tmp_path / "m")
    distilled = recipe.replace(info_nce=0.0, margin_mse=1.0)
    with pytest.raises(DataError, match="needs teacher scores, and no row has `scores`"):
        train(distilled, [data], tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_base_that_is_no_model_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    recipe = Recipe.load("small").with_settings([*ENCODED, f"base={tmp_path / 'base'}"])
    with pytest.raises(ModelError, match="as a masked language model"):
        train(recipe, [data], tmp_path / "m")


def test_a_loss_that_is_not_finite_stops_the_run(data: Path, tmp_path: Path) -> None:
    recipe = Recipe.load("small").with_settings([*ENCODED, "learning_rate=1e30", "warmup=0"])
    with pytest.raises(TrainingError, match=r"must be finite, but .* is (nan|inf) at step"):
        train(recipe, [data], tmp_path / "m")


def test_a_full_disk_keeps_the_last_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe.load("small").with_settings(ENCODED)
    train(recipe, [data], tmp_path / "m", save_every=2, stop_after=2)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training, "write_lines", full)
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
