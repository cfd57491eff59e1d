"""The cross-encoder on ONNX Runtime against a reference in NumPy that scores one pair at a time."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from reranker_makers import Weights, pair_pieces, write_model

from lexpand.errors import MissingExtra, ModelError
from lexpand.search import CrossEncoder

pytest.importorskip("onnx")

TEXTS = [
    "turn the printer off",
    "",
    "invoices of the month " * 9,
    "プリンター",
    "the",
    "leave: how, manager?" * 40,
]


def expected(weights: Weights, query: str, texts: list[str], limit: int = 512) -> np.ndarray:
    tokenizer = pair_pieces()
    tokenizer.enable_truncation(limit, strategy="longest_first")
    encodings = [tokenizer.encode(query, text) for text in texts]
    return np.array([weights.logit(encoding.ids, encoding.type_ids) for encoding in encodings])


@pytest.mark.parametrize("types", [True, False])
@pytest.mark.parametrize(
    "query", ["how the printer", "", "the of", "☃☃", "не печатает", "turn the account " * 3334]
)
def test_scores_equal_those_of_single_pairs(tmp_path: Path, types: bool, query: str) -> None:
    weights = Weights(types)
    model = CrossEncoder.load(write_model(tmp_path / "model", weights), threads=1)
    scores = model.score(query, TEXTS * 3)
    assert (scores.dtype, scores.shape) == (np.float32, (18,))
    np.testing.assert_allclose(scores, expected(weights, query, TEXTS * 3), atol=1e-5)
    assert len(np.unique(np.round(scores, 4))) > 2


def test_no_texts_have_no_scores(tmp_path: Path) -> None:
    model = CrossEncoder.load(write_model(tmp_path / "model", Weights()))
    assert model.score("x", []).shape == (0,)


def test_a_pair_is_cut_at_the_end_of_the_longer_one(tmp_path: Path) -> None:
    weights = Weights()
    model = CrossEncoder.load(write_model(tmp_path / "model", weights), max_tokens=16)
    assert model.max_tokens == 16
    found = model.score("the printer", ["turn of leave " * 30])
    np.testing.assert_allclose(
        found, expected(weights, "the printer", ["turn of leave " * 30], 16), atol=1e-5
    )
    # 16 less three special tokens and the query's two.
    np.testing.assert_allclose(
        found, expected(weights, "the printer", ["turn of leave " * 3 + "turn of"]), atol=1e-5
    )


def test_a_text_of_megabytes_is_read_from_its_beginning(tmp_path: Path) -> None:
    weights = Weights()
    model = CrossEncoder.load(write_model(tmp_path / "model", weights))
    text = "turn of leave " * 700_000
    np.testing.assert_allclose(
        model.score("the", [text]), expected(weights, "the", ["turn of leave " * 600]), atol=1e-5
    )


@pytest.mark.parametrize(
    ("name", "requested"),
    [
        ("onnx/model.onnx", ""),
        ("model.onnx", ""),
        ("onnx/model_quantized.onnx", ""),
        ("onnx/model_O3.onnx", "onnx/model_O3.onnx"),
        ("graph.onnx", "graph.onnx"),
    ],
)
def test_a_graph_is_found_at_the_usual_paths(tmp_path: Path, name: str, requested: str) -> None:
    folder = write_model(tmp_path / "model", Weights(), name)
    assert CrossEncoder.load(folder / requested).score("the", ["printer"]).shape == (1,)


def test_the_usual_graph_precedes_other_graphs(tmp_path: Path) -> None:
    weights = Weights()
    folder = write_model(tmp_path / "model", weights)
    (folder / "onnx" / "other.onnx").write_bytes(b"no graph")
    np.testing.assert_allclose(
        CrossEncoder.load(folder).score("the", TEXTS), expected(weights, "the", TEXTS), atol=1e-5
    )


@pytest.mark.parametrize("output", ["both", "pair"])
def test_the_output_named_logits_is_used(tmp_path: Path, output: str) -> None:
    weights = Weights()
    model = CrossEncoder.load(write_model(tmp_path / "model", weights, output=output))
    np.testing.assert_allclose(
        model.score("the", TEXTS), expected(weights, "the", TEXTS), atol=1e-5
    )


@pytest.mark.parametrize(
    ("stated", "limit"),
    [
        ({}, 512),
        ({"max_position_embeddings": 64}, 64),
        ({"max_position_embeddings": 514, "model_type": "roberta"}, 512),
        ({"model_max_length": 1e30, "max_position_embeddings": 64}, 64),
        ({"model_max_length": 128}, 128),
        ({"max_position_embeddings": None}, 512),
    ],
)
def test_the_maximum_length_is_the_one_that_the_folder_states(
    tmp_path: Path, stated: dict, limit: int
) -> None:
    folder = write_model(tmp_path / "model", Weights(), **stated)
    if "model_max_length" in stated:
        (folder / "tokenizer_config.json").write_text(
            json.dumps({"model_max_length": stated["model_max_length"]})
        )
    assert CrossEncoder.load(folder).max_tokens == limit
    for requested in (7, limit + 1):
        message = f"max_tokens must be from 8 to {limit} for .*, got {requested}"
        with pytest.raises(ModelError, match=message):
            CrossEncoder.load(folder, max_tokens=requested)


def test_an_invalid_folder_is_refused(tmp_path: Path) -> None:
    message = "no model at 'nowhere': give the path of a model folder or an ONNX file"
    with pytest.raises(ModelError, match=message):
        CrossEncoder.load("nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"has no tokenizer\.json"):
        CrossEncoder.load(tmp_path / "empty")
    folder = write_model(tmp_path / "model", Weights())
    graph = folder / "onnx" / "model.onnx"
    with pytest.raises(ModelError, match="backend must be 'onnx' or 'torch', got 'jax'"):
        CrossEncoder.load(folder, backend="jax")  # type: ignore[arg-type]
    graph.write_bytes(b"no graph")
    with pytest.raises(ModelError, match=r"ONNX Runtime cannot load .*model\.onnx"):
        CrossEncoder.load(folder)
    graph.unlink()
    with pytest.raises(ModelError, match=r"no ONNX file: export one .* backend='torch'"):
        CrossEncoder.load(folder)
    for name in ("a.onnx", "onnx/b.onnx"):
        (folder / name).write_bytes(b"")
    with pytest.raises(
        ModelError, match=r"several graphs \(a\.onnx, onnx/b\.onnx\): give the path of one"
    ):
        CrossEncoder.load(folder)
    (folder / "config.json").write_text("[]")
    with pytest.raises(ModelError, match="must hold a JSON object, got a list"):
        CrossEncoder.load(folder)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be used"):
        CrossEncoder.load(folder)


def test_a_graph_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="must have one label, got 3: a reranker has one score"):
        CrossEncoder.load(write_model(tmp_path / "labels", Weights(labels=3)))
    message = r"must have one output of 2 dimensions, got last_hidden_state \['n', 'm', 6\]"
    with pytest.raises(ModelError, match=message):
        CrossEncoder.load(write_model(tmp_path / "hidden", Weights(), output="hidden"))


def test_the_torch_backend_needs_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model(tmp_path / "model", Weights())
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"needs torch: pip install 'lexpand\[torch\]'"):
        CrossEncoder.load(folder, backend="torch")
