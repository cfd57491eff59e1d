"""Dense and late-interaction rerankers against NumPy references that encode one text at a time."""

import json
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from reranker_makers import Weights, pair_pieces, write_model

from lexpand.errors import ModelError
from lexpand.experiments import DenseReranker, LateInteractionReranker

pytest.importorskip("onnx")

QUERY = "how the printer"
TEXTS = [
    "turn the printer off",
    "",
    "invoices of the month " * 9,
    "プリンター",
    "leave: how, manager?" * 40,
]


def states(weights: Weights, text: str) -> np.ndarray:
    """Return the states of the tokens of one text, truncated as the model's tokenizer does it."""
    tokenizer = pair_pieces()
    tokenizer.enable_truncation(512)
    encoding = tokenizer.encode(text)
    return weights.hidden(encoding.ids, encoding.type_ids)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("output", ["hidden", "both"])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_dense_scores_equal_cosines_of_pooled_states(
    tmp_path: Path, output: str, pooling: str
) -> None:
    weights = Weights()
    model = DenseReranker.load(
        write_model(tmp_path / "model", weights, output=output), pooling=pooling, threads=1
    )
    pool = (lambda rows: rows[0]) if pooling == "cls" else (lambda rows: rows.mean(axis=0))
    query = pool(states(weights, QUERY))
    found = model.score(QUERY, TEXTS)
    assert found.dtype == np.float32
    expected = [cosine(query, pool(states(weights, text))) for text in TEXTS]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert model.score(QUERY, []).shape == (0,)
    assert model.score("", ["printer"]).shape == (1,)


def test_prefixes_precede_queries_and_documents(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", Weights(), output="hidden")
    plain = DenseReranker.load(folder)
    model = DenseReranker.load(folder, query_prefix="the ", document_prefix="month ")
    expected = plain.score("the " + QUERY, ["month " + text for text in TEXTS])
    np.testing.assert_allclose(model.score(QUERY, TEXTS), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "pooling"),
    [
        ({}, "mean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
        ({"embedding_dimension": 6, "pooling_mode": "cls"}, "cls"),
    ],
)
def test_the_default_pooling_is_that_of_the_folder(
    tmp_path: Path, settings: dict, pooling: str
) -> None:
    folder = write_model(tmp_path / "model", Weights(), output="hidden")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(settings))
    assert DenseReranker.load(folder).pooling == pooling
    assert DenseReranker.load(folder, pooling="cls").pooling == "cls"


def test_an_unknown_pooling_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", Weights(), output="hidden")
    with pytest.raises(ModelError, match="pooling must be one of cls, mean, got 'best'"):
        DenseReranker.load(folder, pooling="best")
    (folder / "1_Pooling").mkdir()
    modes = {"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(modes))
    with pytest.raises(ModelError, match="got 'pooling_mode_max_tokens and mean'"):
        DenseReranker.load(folder)


def test_late_interaction_scores_equal_sums_of_largest_cosines(tmp_path: Path) -> None:
    weights = Weights(types=False)
    model = LateInteractionReranker.load(
        write_model(tmp_path / "model", weights, output="hidden"), threads=1
    )
    query = states(weights, QUERY)
    expected = [
        sum(max(cosine(q, d) for d in states(weights, text)) for q in query) for text in TEXTS
    ]
    found = model.score(QUERY, TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert model.score(QUERY, []).shape == (0,)
    # [CLS] and [SEP] match themselves.
    np.testing.assert_allclose(model.score("", [""]), [2.0], atol=1e-5)


def test_kept_token_vectors_give_the_same_scores(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", Weights(types=False), output="hidden")
    fresh = LateInteractionReranker.load(folder, threads=1)
    keeping = LateInteractionReranker.load(folder, threads=1, kept_bytes=1_000_000)
    room = len(fresh._model.states(TEXTS[:1])[0])
    one_text = LateInteractionReranker.load(
        folder, threads=1, kept_bytes=2 * room * fresh._model.states([""])[0].shape[1]
    )
    texts = [*TEXTS, TEXTS[0]]
    expected = fresh.score(QUERY, texts)
    assert fresh.vector_bytes is None
    for model in (keeping, one_text):
        first = model.score(QUERY, texts)
        np.testing.assert_allclose(first, expected, atol=2e-3)
        with patch.object(model._model, "states", wraps=model._model.states) as encoded:
            np.testing.assert_array_equal(model.score(QUERY, texts), first)
        new = 0 if model is keeping else len(TEXTS) - 1
        assert [len(call.args[0]) for call in encoded.mock_calls] == [1, new]
        assert model.vector_bytes is not None and model.vector_bytes > 0


@pytest.mark.parametrize("kind", [DenseReranker, LateInteractionReranker])
def test_a_graph_without_states_is_refused(
    tmp_path: Path, kind: type[DenseReranker | LateInteractionReranker]
) -> None:
    message = r"must have one output of 3 dimensions, got logits \['n', 1\]"
    with pytest.raises(ModelError, match=message):
        kind.load(write_model(tmp_path / "model", Weights()))
