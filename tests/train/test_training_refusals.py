"""What a training run refuses, and what its messages say to do."""

import json
import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")
pytest.importorskip("datasets")
pytestmark = pytest.mark.filterwarnings("default")

from lexpand.data.streams import partial_of  # noqa: E402
from lexpand.encode.folder import find_folder  # noqa: E402
from lexpand.errors import DataError, ModelError, SourceError, TrainingError  # noqa: E402
from lexpand.train import run  # noqa: E402
from lexpand.train.recipe import Recipe  # noqa: E402
from lexpand.train.training import estimate, train  # noqa: E402

ENCODED = ["steps=6", "batch_size=4", "negatives=1", "max_tokens=32", "learning_rate=1e-3"]


def test_other_folders_are_left_alone(data: Path, tmp_path: Path) -> None:
    recipe = Recipe.load("small").with_settings(ENCODED)
    with pytest.raises(ModelError, match="holds a model: choose another folder"):
        train(recipe, [data], find_folder("splade-tiny"))
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ModelError, match="is not empty: choose another folder"):
        train(recipe, [data], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_data_that_do_not_fit_the_recipe_are_refused(data: Path, tmp_path: Path) -> None:
    one = tmp_path / "one.jsonl"
    one.write_text('{"query": "q", "positive": "p"}\n{"query": "q"}\n', encoding="utf-8")
    recipe = Recipe.load("small").with_settings(ENCODED)
    with pytest.raises(DataError, match="at least 4 usable examples, got 1; 1 rows were refused"):
        train(recipe, [one], tmp_path / "m")
    distilled = recipe.with_settings(["info_nce=0", "margin_mse=1"])
    with pytest.raises(DataError, match="needs teacher scores, and none of 32 rows has `scores`"):
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
    batch = (partial_of(tmp_path / "m") / run.BAD_BATCH).read_text(encoding="utf-8")
    rows = [json.loads(line) for line in batch.splitlines()]
    assert len(rows) == 4
    assert all("help" in row["query"] and len(row["documents"]) == 2 for row in rows)


def test_after_a_loss_that_is_not_finite_the_settings_may_change(
    data: Path, tmp_path: Path
) -> None:
    """In the same folder, before the first checkpoint. Absurd weights are no checkpoint."""
    good = Recipe.load("small").with_settings(ENCODED)
    bad = good.with_settings(["learning_rate=1e30", "warmup=0"])
    with pytest.raises(TrainingError, match="so the same command may have other settings"):
        train(bad, [data], tmp_path / "m")
    assert train(good, [data], tmp_path / "m").steps == 6
    with pytest.raises(TrainingError, match="is damaged too: start again with another --out"):
        train(bad, [data], tmp_path / "n", save_every=1)


def test_a_run_that_fails_names_a_checkpoint_that_another_run_starts_from(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe.load("small").with_settings(ENCODED)
    train(recipe, [data], tmp_path / "m", save_every=2, stop_after=2)

    monkeypatch.setattr("lexpand.train.loss.info_nce", lambda *_, **__: torch.tensor(torch.nan))
    with pytest.raises(TrainingError, match="another --out, and --set base=") as caught:
        train(recipe, [data], tmp_path / "m", save_every=2)
    monkeypatch.undo()
    base = re.search(r"--set base=(\S+) starts", str(caught.value))
    assert base is not None
    from_it = recipe.with_settings([f"base={base[1]}", "steps=1"])
    assert train(from_it, [data], tmp_path / "o").steps == 1


def test_a_run_does_not_continue_with_other_rows(data: Path, tmp_path: Path) -> None:
    recipe = Recipe.load("small").with_settings(ENCODED)
    train(recipe, [data], tmp_path / "m", save_every=2, stop_after=2)
    edited = tmp_path / data.name
    edited.write_text(data.read_text(encoding="utf-8").replace("help", "aid"), encoding="utf-8")
    message = r"the rows of pairs\.jsonl must be those that the run began with; use the same"
    with pytest.raises(TrainingError, match=message):
        train(recipe, [edited], tmp_path / "m", save_every=2)
    with pytest.raises(TrainingError, match="data must be "):
        train(recipe, [f"{data}:2"], tmp_path / "m", save_every=2)
    assert train(recipe, [data], tmp_path / "m", save_every=2).steps == 6


def test_a_run_does_not_continue_with_another_evaluation(data: Path, tmp_path: Path) -> None:
    recipe = Recipe.load("small").with_settings(ENCODED)
    collection = tmp_path / "collection"
    (collection / "qrels").mkdir(parents=True)
    (collection / "queries.jsonl").write_text('{"_id": "q", "text": "printer"}\n', "utf-8")
    (collection / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n", "utf-8")
    corpus = collection / "corpus.jsonl"
    corpus.write_text('{"_id": "d", "title": "", "text": "the printer"}\n', "utf-8")
    train(recipe, [data], tmp_path / "m", save_every=2, stop_after=2, evaluation=collection)
    corpus.write_text('{"_id": "d", "title": "", "text": "the screen"}\n', "utf-8")
    with pytest.raises(TrainingError, match="the collection collection must not change during"):
        train(recipe, [data], tmp_path / "m", save_every=2, evaluation=collection)


def test_a_base_without_a_head_is_refused(data: Path, tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    shape = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 1}
    BertModel(BertConfig(**shape, num_hidden_layers=1)).save_pretrained(tmp_path / "body")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "body" / name).write_bytes((find_folder("splade-tiny") / name).read_bytes())
    recipe = Recipe.load("small").with_settings([*ENCODED, f"base={tmp_path / 'body'}"])
    with pytest.raises(ModelError, match="must have a masked-language-model head, got a check"):
        estimate(recipe, [data])


def test_positives_that_are_all_one_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "same.jsonl"
    path.write_text('{"query": "q", "positive": "p"}\n' * 8, encoding="utf-8")
    recipe = Recipe.load("small").with_settings([*ENCODED, "negatives=0"])
    with pytest.raises(DataError, match="the positives of all 8 examples are one text, 'p'"):
        train(recipe, [path], tmp_path / "m")


def test_an_estimate_refuses_what_a_run_refuses(data: Path, tmp_path: Path) -> None:
    recipe = Recipe.load("small").with_settings(ENCODED)
    with pytest.raises(ModelError, match="holds a model"):
        estimate(recipe, [data], out=find_folder("splade-tiny"))
    with pytest.raises(DataError, match="log_to must be one of"):
        estimate(recipe, [data], log_to=["excel"])
    with pytest.raises((SourceError, DataError)):
        estimate(recipe, [data], evaluation=tmp_path / "none")


def test_the_logit_shift_that_an_estimate_proposes_is_that_of_the_base(data: Path) -> None:
    """Whatever shift the recipe has already."""
    recipe = Recipe.load("small").with_settings(ENCODED)
    proposed = []
    for setting in ("logit_shift=-30", "logit_shift=30", "logit_scale=1000"):
        found = estimate(recipe.with_settings([setting]), [data])
        proposed.append(re.search(r"logit_shift to about (-?[\d.]+)", found.get("warning", "")))
    shifts = [float(each[1]) for each in proposed if each is not None]
    assert len(shifts) >= 2
    assert max(shifts) - min(shifts) < 0.2
