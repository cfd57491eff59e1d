"""Recipes: the packaged ones load, settings change them, and mistakes are named."""

import json
import runpy
from pathlib import Path

import pytest

pytest.importorskip("torch")

from lexpand.errors import DataError, SourceError
from lexpand.train.recipe import Recipe, recipe_names

DEFAULT_MODELS = Path(__file__).parents[2] / "tools" / "default"


@pytest.mark.parametrize("name", recipe_names())
def test_a_packaged_recipe_loads_and_says_what_it_takes(name: str) -> None:
    recipe = Recipe.load(name)
    assert recipe.name == name
    assert recipe.base
    assert name == "small" or "arXiv" in recipe.about


def test_settings_change_a_recipe() -> None:
    recipe = Recipe.load("small").with_settings(["steps=7", "base=my/model", "learning_rate=1"])
    assert (recipe.steps, recipe.base, recipe.learning_rate) == (7, "my/model", 1.0)
    assert Recipe.load("small").steps != 7


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("steps", "must be key=value, got 'steps'"),
        ("stepz=3", "a recipe has no key 'stepz'; its keys are about, accumulation"),
        ("steps=many", "steps must be a whole number, got 'many'"),
        ("steps=1e3", r"steps must be a whole number, got 1000\.0"),
        ("bf16=True", "bf16 must be true or false, got 'True'"),
        ("batch_size=1", "batch_size must be >= 2, got 1, which leaves a query no text"),
        ("learning_rate=-1", "learning_rate must be above 0, got -1"),
        ("learning_rate=nan", "learning_rate must be a finite number, got nan"),
        ("cached_texts=-1", "cached_texts must be >= 0, got -1"),
        ("seed=-1", "seed must be >= 0, got -1"),
        ("seed=4294967296", "seed must be at most 4294967295, got 4294967296"),
        ("warmup=5", "warmup must be from 0 to below 1, got 5"),
        ("temperature=0", "temperature must be above 0, got 0"),
        ("document_lambda=-1", "document_lambda must be >= 0, got -1"),
        ("steps=0", "steps must be >= 1, got 0"),
        ("lookup=1", "lookup must be true or false, got 1"),
        ("ramp=cubic", "ramp must be 'constant' or 'linear' or 'quadratic', got 'cubic'"),
        ("info_nce=0", "must have info_nce, margin_mse, kl or batch_kl above 0"),
        ("kl=1", "need negatives >= 1"),
        ("sampled_columns=9", "needs lookup = true"),
        ("activation=relu", "activation must be"),
        ("query_regularizer=l2", "must be 'flops' or 'l1', got 'l2'"),
        ("document_regularizer=l2", "must be 'flops' or 'l1' or 'df_flops', got 'l2'"),
        ("table_activation=softplus", "'softplus' needs lookup = true"),
        ("table_activation=exp", "table_activation must be 'relu' or 'softplus', got 'exp'"),
        ("table_init=zeros", "table_init must be 'ones' or 'idf', got 'zeros'"),
        ("banned_terms=the", "banned_terms must be a list of strings, got 'the'"),
        ("banned_terms=[1]", r"banned_terms must be a list of strings, got \[1\]"),
        ("logit_scale=0", "logit_scale must be above 0, got 0.0"),
        ("batch_kl=1", "batch_teacher and batch_kl need each other"),
        ("batch_teacher=self", "batch_teacher and batch_kl need each other"),
        ("encode_queries=true", "encode_queries needs lookup = true"),
        ("sparse_teacher=splade-tiny", "sparse_teacher needs a dense batch_teacher, got batch_t"),
        ("sparse_share=1", "sparse_share must be between 0 and 1, got 1.0"),
        ("lora_rank=-1", "lora_rank must be >= 0, got -1"),
        ("frozen_layers=-1", "frozen_layers must be >= 0, got -1"),
        ("postings=-1", "postings must be >= 0, got -1.0"),
        ("postings=2", "one of them must be 0, got postings = 2.0 and document_terms = "),
    ],
)
def test_a_wrong_setting_is_refused(setting: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Recipe.load("small").with_settings([setting])


def test_settings_complete_a_file(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text("batch_kl = 1", encoding="utf-8")
    with pytest.raises(DataError, match=r"r\.toml: batch_teacher and batch_kl need each other"):
        Recipe.load(path)
    assert Recipe.load(path, ["batch_teacher=minilm"]).batch_teacher == "minilm"
    with pytest.raises(DataError, match=r"r\.toml with --set: steps must be >= 1, got 0"):
        Recipe.load(path, ["batch_teacher=minilm", "steps=0"])
    with pytest.raises(DataError, match="--set: a recipe has no key 'stepz'"):
        Recipe.load(path, ["stepz=0"])


@pytest.mark.parametrize(
    ("model", "settings"), runpy.run_path(str(DEFAULT_MODELS / "train.py"))["SETTINGS"].items()
)
def test_the_recipe_of_a_packaged_model_is_complete_with_the_settings_of_its_script(
    model: str, settings: list[str]
) -> None:
    grafted = ["base=grafted"] if model == "lexpand-mini" else []
    recipe = Recipe.load(
        DEFAULT_MODELS / "lexpand.toml", [*settings, *grafted, "batch_teacher=minilm"]
    )
    assert recipe.base
    assert recipe.batch_kl > 0


def test_a_wrong_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no recipe 'smal': give a TOML file, or one of .*small"):
        Recipe.load("smal")
    path = tmp_path / "r.toml"
    path.write_text("steps = ", encoding="utf-8")
    with pytest.raises(DataError, match=r"r\.toml must be TOML"):
        Recipe.load(path)
    path.write_text("layers = 3", encoding="utf-8")
    with pytest.raises(DataError, match=r"r\.toml: a recipe has no key 'layers'"):
        Recipe.load(path)


@pytest.mark.parametrize(
    "setting",
    [
        'banned_terms=["the"]',
        "anti_zero=0.1",
        "mask_threshold=9",
        "document_regularizer=df_flops",
    ],
)
def test_what_needs_all_terms_refuses_a_sample_of_columns(setting: str) -> None:
    with pytest.raises(DataError, match="need all terms: set sampled_columns = 0"):
        Recipe.load("inference-free").with_settings([setting])
    assert Recipe.load("inference-free").with_settings([setting, "sampled_columns=0"])


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_the_same_after_json(name: str) -> None:
    recipe = Recipe.load(name).with_settings(['banned_terms=["the", "of"]', "sampled_columns=0"])
    again = json.loads(json.dumps(recipe.to_dict()))
    assert Recipe.load(name).with_settings(
        f"{key}={json.dumps(value)}" for key, value in again.items() if key != "about"
    ).to_dict() == {**again, "about": recipe.about}


def test_frozen_layers_and_low_rank_exclude_each_other() -> None:
    with pytest.raises(DataError, match="got frozen_layers = 2 and lora_rank = 4"):
        Recipe.load("small").with_settings(["frozen_layers=2", "lora_rank=4"])
