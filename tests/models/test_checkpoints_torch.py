"""Checkpoints of every architecture against sentence-transformers' own vectors; needs torch and sentence-transformers.

Their loading and saving is that of the installed version; `make test-all` runs these where they are
installed.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_makers import TEXTS, load, make_model, save_model, save_sparse_encoder, vectors

from lexpand import DocumentEncoding, Encoder, QueryEncoding
from lexpand.models import Choices, check_model, import_model

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")
pytest.importorskip("onnx")
# Warnings of torch, transformers and sentence-transformers, in several versions.
pytestmark = pytest.mark.filterwarnings("ignore")

ARCHITECTURES = ["bert", "distilbert", "roberta", "xlm-roberta", "modernbert"]


def assert_same(
    folder: Path, expected: np.ndarray, role: str = "document", texts: list[str] = TEXTS
) -> None:
    """Lexpand's vectors, and those of sentence-transformers on what Lexpand wrote."""
    from sentence_transformers import SparseEncoder

    encoder = Encoder.load(folder)
    found = encoder.encode_documents(texts) if role == "document" else encoder.encode_queries(texts)
    assert np.count_nonzero(expected) > 4
    assert np.abs(found.to_dense() - expected).max() < 1e-4
    again = SparseEncoder(str(folder), device="cpu", local_files_only=True)
    assert np.abs(vectors(again, texts, role) - expected).max() < 1e-5


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_plain_folder(tmp_path: Path, architecture: str) -> None:
    plain = save_model(tmp_path / "plain", architecture)
    done = import_model(plain, tmp_path / "made")
    assert done.optimized and done.reference == "torch" and done.difference is not None
    assert_same(tmp_path / "made", vectors(load(plain), TEXTS))
    assert check_model(tmp_path / "made").difference < 1e-4


@pytest.mark.parametrize(
    ("pooling", "activation"), [("max", "relu"), ("sum", "relu"), ("max", "log1p_relu")]
)
def test_what_sentence_transformers_saved(tmp_path: Path, pooling: str, activation: str) -> None:
    plain = save_model(tmp_path / "plain", "distilbert")
    saved = save_sparse_encoder(tmp_path / "saved", plain, pooling, activation)
    assert (saved / "modules.json").is_file()
    import_model(saved, tmp_path / "made")
    assert_same(tmp_path / "made", vectors(load(plain, pooling, activation), TEXTS))


def test_choices_stand_for_what_a_plain_folder_does_not_say(tmp_path: Path) -> None:
    plain = save_model(tmp_path / "plain", "bert")
    import_model(plain, tmp_path / "made", Choices(pooling="sum", activation="log1p(log1p(relu))"))
    assert_same(tmp_path / "made", vectors(load(plain, "sum", "log1p_relu"), TEXTS))


@pytest.mark.parametrize("architecture", ["bert", "modernbert", "roberta"])
def test_a_decoder_of_its_own(tmp_path: Path, architecture: str) -> None:
    plain = save_model(tmp_path / "plain", architecture, tie_word_embeddings=False)
    import_model(plain, tmp_path / "made")
    contract = json.loads((tmp_path / "made" / "contract.json").read_text())
    assert contract["head"]["weight"].endswith("decoder.weight")
    assert_same(tmp_path / "made", vectors(load(plain), TEXTS))


@pytest.mark.parametrize("architecture", ["bert", "xlm-roberta", "modernbert"])
def test_rows_that_no_token_has_are_cut(tmp_path: Path, architecture: str) -> None:
    size = len(make_model(architecture)[1])
    plain = save_model(tmp_path / "plain", architecture, vocab_size=size + 37)
    done = import_model(plain, tmp_path / "made")
    assert done.notes == (
        f"the model has {size + 37} rows and the tokenizer {size} tokens: 37 unused rows are cut",
    )
    expected = vectors(load(plain), TEXTS)
    assert expected.shape[1] == size + 37
    assert_same(tmp_path / "made", expected[:, :size])


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision_is_read(tmp_path: Path, kind: str) -> None:
    model, tokenizer = make_model("bert")
    model.to(getattr(torch, kind)).save_pretrained(tmp_path / "half")
    tokenizer.save_pretrained(tmp_path / "half")
    model.float().save_pretrained(tmp_path / "float")  # the same values, as float32
    tokenizer.save_pretrained(tmp_path / "float")
    import_model(tmp_path / "half", tmp_path / "made")
    assert_same(tmp_path / "made", vectors(load(tmp_path / "float"), TEXTS))


def test_bin_files_and_old_names(tmp_path: Path) -> None:
    """As checkpoints of 2021 have them: pickled, with gamma and beta, the decoder twice, and a pooler."""
    plain = save_model(tmp_path / "plain", "bert")
    model, _ = make_model("bert")
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state["bert.pooler.dense.weight"] = torch.full(
        (32, 32), torch.nan
    )  # not needed, so not looked at
    state["bert.embeddings.position_ids"] = torch.arange(64)[None]
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in state.items()
    }
    assert any(name.endswith("gamma") for name in renamed)
    torch.save(renamed, plain / "pytorch_model.bin")
    (plain / "model.safetensors").unlink()
    import_model(plain, tmp_path / "made")
    assert_same(tmp_path / "made", vectors(load(save_model(tmp_path / "again", "bert")), TEXTS))


def test_shards(tmp_path: Path) -> None:
    model, tokenizer = make_model("bert")
    model.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    tokenizer.save_pretrained(tmp_path / "shards")
    assert len(list((tmp_path / "shards").glob("model-*.safetensors"))) > 1
    import_model(tmp_path / "shards", tmp_path / "made")
    assert_same(tmp_path / "made", vectors(load(save_model(tmp_path / "plain", "bert")), TEXTS))


def test_a_router_with_a_table_for_queries(tmp_path: Path) -> None:
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


def test_a_router_with_another_encoder_for_queries(tmp_path: Path) -> None:
    """As sentence-transformers saves it; and what is written from two checkpoints is read by it."""
    from sentence_transformers import SparseEncoder
    from sentence_transformers.models import Router
    from sentence_transformers.sparse_encoder import models

    plain = save_model(tmp_path / "plain", "bert")
    model, tokenizer = make_model("bert")
    with torch.no_grad():
        model.cls.predictions.bias.add_(torch.randn_like(model.cls.predictions.bias) * 0.5)
    model.save_pretrained(tmp_path / "asking")
    tokenizer.save_pretrained(tmp_path / "asking")
    roles = {
        role: [
            models.MLMTransformer(str(tmp_path / name)),
            models.SpladePooling(pooling_strategy="max"),
        ]
        for role, name in (("query", "asking"), ("document", "plain"))
    }
    router = Router.for_query_document(
        query_modules=roles["query"], document_modules=roles["document"]
    )
    routed = SparseEncoder(modules=[router], device="cpu", similarity_fn_name="dot")
    routed.save_pretrained(str(tmp_path / "routed"))
    import_model(tmp_path / "routed", tmp_path / "made")
    import_model(plain, tmp_path / "joined", Choices(query_encoder=str(tmp_path / "asking")))
    for made in ("made", "joined"):
        for role in ("document", "query"):
            assert_same(tmp_path / made, vectors(routed, TEXTS, role), role)
        assert check_model(tmp_path / made).pairs == 8


def test_texts_past_the_limit_and_padding_in_the_text(tmp_path: Path) -> None:
    """RoBERTa counts positions by what is no padding; its token in a text is padding too."""
    texts = ["heart <pad> attack of the valve", "heart " * 60, "(a=b)"]
    plain = save_model(tmp_path / "plain", "roberta")
    import_model(plain, tmp_path / "made")
    assert_same(tmp_path / "made", vectors(load(plain), texts), texts=texts)


@pytest.mark.parametrize("activation", ["gelu_new", "relu"])
def test_other_activations_inside(tmp_path: Path, activation: str) -> None:
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


def test_a_device_that_there_is_not(tmp_path: Path) -> None:
    from lexpand.errors import ModelError

    import_model(save_model(tmp_path / "plain", "bert"), tmp_path / "made", optimize=False)
    with pytest.raises(ModelError, match=r"PyTorch cannot load .* on nowhere"):
        Encoder.load(tmp_path / "made", device="nowhere")
    with pytest.raises(
        ModelError,
        match="backend 'torch' and int8: 'onnx' has float32 and int8, 'torch' float32 and bfloat16",
    ):
        Encoder.load(
            tmp_path / "made",
            documents=DocumentEncoding(dtype="int8"),
            queries=QueryEncoding(dtype="int8"),
            device="torch",
        )


def test_a_graph_that_computes_something_else_is_refused(
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
