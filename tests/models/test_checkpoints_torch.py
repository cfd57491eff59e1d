"""Checkpoints of every architecture against the vectors of sentence-transformers.

The tests need torch and sentence-transformers, and load and save with the installed versions.
`make test-all` runs them in an environment that has both.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_makers import TEXTS, load, make_model, save_model, save_sparse_encoder, vectors

from lexpand import DocumentEncoding, Encoder, QueryEncoding
from lexpand.models import ImportOptions, check_model, import_model

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")
pytest.importorskip("onnx")
# Ignore the warnings of torch, transformers and sentence-transformers, which differ by version.
pytestmark = pytest.mark.filterwarnings("ignore")

ARCHITECTURES = ["bert", "distilbert", "roberta", "xlm-roberta", "modernbert"]


def assert_same(
    folder: Path, expected: np.ndarray, role: str = "document", texts: list[str] = TEXTS
) -> None:
    """Check Lexpand's vectors, and those of sentence-transformers with the folder it wrote."""
    from sentence_transformers import SparseEncoder

    encoder = Encoder.load(folder)
    found = encoder.encode_documents(texts) if role == "document" else encoder.encode_queries(texts)
    assert np.count_nonzero(expected) > 4
    assert np.abs(found.to_dense() - expected).max() < 1e-4
    again = SparseEncoder(str(folder), device="cpu", local_files_only=True)
    assert np.abs(vectors(again, texts, role) - expected).max() < 1e-5


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_is_imported(tmp_path: Path, architecture: str) -> None:
    plain = save_model(tmp_path / "plain", architecture)
    done = import_model(plain, tmp_path / "made")
    assert done.optimized and done.reference == "torch" and done.difference is not None
    assert_same(tmp_path / "made", vectors(load(plain), TEXTS))
    assert check_model(tmp_path / "made").difference < 1e-4


@pytest.mark.parametrize(
    ("pooling", "activation"), [("max", "relu"), ("sum", "relu"), ("max", "log1p_relu")]
)
def test_a_model_saved_by_sentence_transformers_is_imported(
    tmp_path: Path, pooling: str, activation: str
) -> None:
    plain = save_model(tmp_path / "plain", "distilbert")
    saved = save_sparse_encoder(tmp_path / "saved", plain, pooling, activation)
    assert (saved / "modules.json").is_file()
    import_model(saved, tmp_path / "made")
    assert_same(tmp_path / "made", vectors(load(plain, pooling, activation), TEXTS))


def test_choices_set_the_pooling_and_activation_of_a_plain_folder(tmp_path: Path) -> None:
    plain = save_model(tmp_path / "plain", "bert")
    import_model(
        plain, tmp_path / "made", ImportOptions(pooling="sum", activation="log1p(log1p(relu))")
    )
    assert_same(tmp_path / "made", vectors(load(plain, "sum", "log1p_relu"), TEXTS))


@pytest.mark.parametrize("architecture", ["bert", "modernbert", "roberta"])
def test_an_untied_decoder_is_imported(tmp_path: Path, architecture: str) -> None:
    plain = save_model(tmp_path / "plain", architecture, tie_word_embeddings=False)
    import_model(plain, tmp_path / "made")
    contract = json.loads((tmp_path / "made" / "contract.json").read_text())
    assert contract["head"]["weight"].endswith("decoder.weight")
    assert_same(tmp_path / "made", vectors(load(plain), TEXTS))


@pytest.mark.parametrize("architecture", ["bert", "xlm-roberta", "modernbert"])
def test_rows_without_a_token_are_removed(tmp_path: Path, architecture: str) -> None:
    size = len(make_model(architecture)[1])
    plain = save_model(tmp_path / "plain", architecture, vocab_size=size + 37)
    done = import_model(plain, tmp_path / "made")
    assert done.notes == (
        f"the model has {size + 37} rows and the tokenizer {size} tokens: "
        "37 unused rows are removed",
    )
    expected = vectors(load(plain), TEXTS)
    assert expected.shape[1] == size + 37
    assert_same(tmp_path / "made", expected[:, :size])


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision_is_imported(tmp_path: Path, kind: str) -> None:
    model, tokenizer = make_model("bert")
    model.to(getattr(torch, kind)).save_pretrained(tmp_path / "half")
    tokenizer.save_pretrained(tmp_path / "half")
    model.float().save_pretrained(tmp_path / "float")  # the same values, as float32
    tokenizer.save_pretrained(tmp_path / "float")
    import_model(tmp_path / "half", tmp_path / "made")
    assert_same(tmp_path / "made", vectors(load(tmp_path / "float"), TEXTS))


def old_name(name: str) -> str:
    name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
    return name.replace("LayerNorm.bias", "LayerNorm.beta")


def test_bin_files_and_old_names_are_imported(tmp_path: Path) -> None:
    """Checkpoints of 2021 are pickled, with gamma and beta, a second decoder and a pooler."""
    plain = save_model(tmp_path / "plain", "bert")
    model, _ = make_model("bert")
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    # The pooler is not needed, so its values are not checked.
    state["bert.pooler.dense.weight"] = torch.full((32, 32), torch.nan)
    state["bert.embeddings.position_ids"] = torch.arange(64)[None]
    renamed = {old_name(name): tensor for name, tensor in state.items()}
    assert any(name.endswith("gamma") for name in renamed)
    torch.save(renamed, plain / "pytorch_model.bin")
    (plain / "model.safetensors").unlink()
    import_model(plain, tmp_path / "made")
    assert_same(tmp_path / "made", vectors(load(save_model(tmp_path / "again", "bert")), TEXTS))


def test_shards_are_imported(tmp_path: Path) -> None:
    model, tokenizer = make_model("bert")
    model.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    tokenizer.save_pretrained(tmp_path / "shards")
    assert len(list((tmp_path / "shards").glob("model-*.safetensors"))) > 1
    import_model(tmp_path / "shards", tmp_path / "made")
    assert_same(tmp_path / "made", vectors(load(save_model(tmp_path / "plain", "bert")), TEXTS))


def test_a_router_with_a_query_table_is_imported(tmp_path: Path) -> None:
    from sentence_transformers import SparseEncoder
    from sentence_transformers.models import Router
    from sentence_transformers.sparse_encoder import models

    plain = save_model(tmp_path / "plain", "distilbert")
    transformer = models.MLMTransformer(str(plain))
    weights = torch.rand(len(transformer.tokenizer))
    weights[:5] = 0  # special tokens
    table = models.SparseStaticEmbedding(transformer.tokenizer, weight=weights)
    pooling = models.SpladePooling(pooling_strategy="max", activation_function="log1p_relu")
    router = Router.for_query_document(
        query_modules=[table], document_modules=[transformer, pooling]
    )
    routed = SparseEncoder(modules=[router], device="cpu", similarity_fn_name="dot")
    routed.save_pretrained(str(tmp_path / "routed"))
    import_model(tmp_path / "routed", tmp_path / "made")
    assert_same(tmp_path / "made", vectors(routed, TEXTS), "document")
    assert_same(tmp_path / "made", vectors(routed, TEXTS, "query"), "query")
    assert check_model(tmp_path / "made").pairs == 8


def test_a_router_with_a_query_encoder_is_imported(tmp_path: Path) -> None:
    """sentence-transformers also reads the folder that Lexpand writes from two checkpoints."""
    from sentence_transformers import SparseEncoder
    from sentence_transformers.models import Router
    from sentence_transformers.sparse_encoder import models

    plain = save_model(tmp_path / "plain", "bert")
    model, tokenizer = make_model("bert")
    with torch.no_grad():
        model.cls.predictions.bias.add_(torch.randn_like(model.cls.predictions.bias) * 0.5)
    model.save_pretrained(tmp_path / "queries")
    tokenizer.save_pretrained(tmp_path / "queries")
    roles = {
        role: [
            models.MLMTransformer(str(tmp_path / name)),
            models.SpladePooling(pooling_strategy="max"),
        ]
        for role, name in (("query", "queries"), ("document", "plain"))
    }
    query, document = roles["query"], roles["document"]
    router = Router.for_query_document(query_modules=query, document_modules=document)
    routed = SparseEncoder(modules=[router], device="cpu", similarity_fn_name="dot")
    routed.save_pretrained(str(tmp_path / "routed"))
    import_model(tmp_path / "routed", tmp_path / "made")
    import_model(plain, tmp_path / "joined", ImportOptions(query_encoder=str(tmp_path / "queries")))
    for made in ("made", "joined"):
        for role in ("document", "query"):
            assert_same(tmp_path / made, vectors(routed, TEXTS, role), role)
        assert check_model(tmp_path / made).pairs == 8


def test_padding_tokens_and_long_texts_are_encoded_as_in_roberta(tmp_path: Path) -> None:
    """RoBERTa gives no position to padding. A padding token in the text is padding too."""
    texts = ["heart <pad> attack of the valve", "heart " * 60, "(a=b)"]
    plain = save_model(tmp_path / "plain", "roberta")
    import_model(plain, tmp_path / "made")
    assert_same(tmp_path / "made", vectors(load(plain), texts), texts=texts)


@pytest.mark.parametrize("activation", ["gelu_new", "relu"])
def test_other_hidden_activations_are_imported(tmp_path: Path, activation: str) -> None:
    plain = save_model(tmp_path / "plain", "bert", hidden_act=activation)
    import_model(plain, tmp_path / "made")
    assert_same(tmp_path / "made", vectors(load(plain), TEXTS))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_torch_backend_needs_no_graph(tmp_path: Path, architecture: str) -> None:
    plain = save_model(tmp_path / "plain", architecture)
    done = import_model(plain, tmp_path / "made", optimize=False)
    assert (done.optimized, done.reference) == (False, "torch")
    assert check_model(tmp_path / "made").difference < 1e-4
    encoder = Encoder.load(tmp_path / "made", device="cpu")
    expected = vectors(load(plain), TEXTS)
    assert np.abs(encoder.encode_documents(TEXTS).to_dense() - expected).max() < 1e-4
    coarse = Encoder.load(
        tmp_path / "made",
        documents=DocumentEncoding(dtype="bfloat16"),
        queries=QueryEncoding(dtype="bfloat16"),
        device="cpu",
    )
    difference = np.abs(coarse.encode_documents(TEXTS).to_dense() - expected).max()
    assert 1e-5 < difference < 0.3


def test_an_unknown_device_or_an_unsupported_dtype_is_refused(tmp_path: Path) -> None:
    from lexpand.errors import ModelError

    import_model(save_model(tmp_path / "plain", "bert"), tmp_path / "made", optimize=False)
    with pytest.raises(ModelError, match=r"PyTorch cannot load .* on nowhere"):
        Encoder.load(tmp_path / "made", device="nowhere")
    with pytest.raises(
        ModelError,
        match="the backend for int8 must be 'onnx', got 'torch': 'onnx' supports float32 and int8",
    ):
        Encoder.load(
            tmp_path / "made",
            documents=DocumentEncoding(dtype="int8"),
            queries=QueryEncoding(dtype="int8"),
            device="torch",
        )


def test_a_graph_with_other_vectors_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lexpand.errors import ModelError
    from lexpand.models import optimizing
    from lexpand.models.graphs import make_graph

    def wrong(
        config: dict[str, Any], shapes: dict[str, tuple[int, ...]], *, int8: bool = False
    ) -> bytes:
        return make_graph(config | {"hidden_act": "relu"}, shapes, int8=int8)

    plain = save_model(tmp_path / "plain", "bert")
    monkeypatch.setattr(optimizing, "make_graph", wrong)
    with pytest.raises(ModelError, match="the graph does not compute what the checkpoint does"):
        import_model(plain, tmp_path / "made")
    assert [path.name for path in tmp_path.iterdir()] == ["plain"]
