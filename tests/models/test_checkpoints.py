"""Checkpoints without torch: what is found out about them, and what cannot be used, each with its reason."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_makers import TEXTS, word_pieces, write_bert
from safetensors.numpy import load_file, save_file

from lexpand import DocumentEncoding, Encoder, QueryEncoding, Role
from lexpand.encode import Contract
from lexpand.encode.folder import find_folder
from lexpand.errors import LexpandError, MissingExtra, ModelError
from lexpand.models import (
    Choices,
    check_model,
    find_source,
    import_model,
    importing,
    optimize_model,
    optimizing,
    read_checkpoint,
)
from lexpand.models.graphs import make_graph

WORDS = "bert.embeddings.word_embeddings.weight"
DECODER = "cls.predictions.decoder.weight"
BIAS = "cls.predictions.bias"
SIZE = word_pieces().get_vocab_size()


@pytest.fixture(autouse=True)
def _without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same whether torch is installed or not."""
    monkeypatch.setattr(importing, "has_torch", lambda: False)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return write_bert(tmp_path / "plain")


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def add_modules(folder: Path, *kinds: str, pooling: Any = None, transformer: Any = None) -> None:
    """What sentence-transformers puts beside a masked language model."""
    paths = ["", "1_SpladePooling", "2_More"]
    write(
        folder / "modules.json",
        [{"idx": i, "path": paths[i], "type": f"some.{kind}"} for i, kind in enumerate(kinds)],
    )
    write(folder / "1_SpladePooling" / "config.json", pooling or {})
    if transformer is not None:
        write(folder / "sentence_bert_config.json", transformer)


def refused(folder: Path, choices: Choices | None = None) -> str:
    with pytest.raises(LexpandError) as error:
        read_checkpoint(folder, choices)
    return str(error.value)


# What is found out


def test_the_graph_of_the_packaged_model() -> None:
    """Byte for byte the one that was checked against PyTorch."""
    folder = find_folder("default")
    shapes = {name: array.shape for name, array in load_file(folder / "model.safetensors").items()}
    made = make_graph(json.loads((folder / "config.json").read_text()), shapes)
    assert made == (folder / "onnx" / "body.onnx").read_bytes()


def test_a_plain_folder(plain: Path) -> None:
    found = read_checkpoint(plain)
    assert (found.pooling, found.activation, found.max_tokens) == ("max", "log1p(relu)", 32)
    assert (found.head_weight, found.head_bias) == (WORDS, "cls.predictions.bias")
    assert len(found.vocabulary) == SIZE and found.vocabulary.special == frozenset(range(5))
    assert found.query_table is None and found.notes == ()


@pytest.mark.parametrize("kind", ["MLMTransformer", "Transformer"])
def test_modules_of_sentence_transformers(plain: Path, kind: str) -> None:
    said = {"max_seq_length": 20, "do_lower_case": False, "transformer_task": "fill-mask"}
    head = {
        "pooling_strategy": "sum",
        "activation_function": "log1p_relu",
        "word_embedding_dimension": SIZE,
    }
    add_modules(plain, kind, "SpladePooling", pooling=head, transformer=said)
    found = read_checkpoint(plain)
    assert (found.pooling, found.activation, found.max_tokens) == ("sum", "log1p(log1p(relu))", 20)


def test_choices_come_first(plain: Path) -> None:
    add_modules(plain, "MLMTransformer", "SpladePooling", pooling={"pooling_strategy": "sum"})
    found = read_checkpoint(
        plain, Choices(pooling="max", activation="log1p(log1p(relu))", max_tokens=9)
    )
    assert (found.pooling, found.activation, found.max_tokens) == ("max", "log1p(log1p(relu))", 9)
    assert "a length of 33 tokens: the model reads 3 to 32" in refused(
        plain, Choices(max_tokens=33)
    )


def test_a_decoder_that_is_the_embeddings_is_kept_once(tmp_path: Path, plain: Path) -> None:
    words = load_file(plain / "model.safetensors")[WORDS]
    untied = {"tie_word_embeddings": False}
    same = read_checkpoint(write_bert(tmp_path / "same", config=untied, **{DECODER: words}))
    assert same.head_weight == WORDS and DECODER not in same.tensors
    other = read_checkpoint(
        write_bert(tmp_path / "other", config=untied, **{DECODER: words[::-1].copy()})
    )
    assert other.head_weight == DECODER
    assert (other.tensors[DECODER] == words[::-1]).all()


def test_two_decoders_where_config_says_one(tmp_path: Path, plain: Path) -> None:
    words = load_file(plain / "model.safetensors")[WORDS]
    assert "(tie_word_embeddings)" in refused(
        write_bert(tmp_path / "other", **{DECODER: words + 1})
    )
    assert read_checkpoint(write_bert(tmp_path / "same", **{DECODER: words})).head_weight == WORDS


def test_unused_rows_are_cut(tmp_path: Path) -> None:
    found = read_checkpoint(write_bert(tmp_path / "padded", rows=SIZE + 5))
    assert found.notes == (
        f"the model has {SIZE + 5} rows and the tokenizer {SIZE} tokens: 5 unused rows are cut",
    )
    assert found.tensors[WORDS].shape == (SIZE, 8)
    assert found.tensors["cls.predictions.bias"].shape == (SIZE,)


def test_the_card_says_license_and_origin(plain: Path) -> None:
    (plain / "README.md").write_text(
        "---\nlanguage: en\nlicense: mit\nbase_model: owner/small\n---\n# A model\nlicense: x"
    )
    found = read_checkpoint(plain)
    assert (found.license, found.origin) == ("mit", "made from owner/small")
    assert read_checkpoint(plain, Choices(license="Apache-2.0")).license == "Apache-2.0"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("idf.json", {"heart": 2.5, "attack": 1, "##s": 0.25, "[CLS]": 3.0, "elsewhere": 9}),
        ("query_token_weights.txt", "heart\t2.5\nattack\t1\n##s\t0.25\n[CLS]\t3.0\nelsewhere\t9\n"),
    ],
)
def test_tables_of_query_weights(plain: Path, name: str, content: Any) -> None:
    write(plain / name, content)
    found = read_checkpoint(plain)
    assert found.query_table is not None
    named = {
        found.vocabulary.term(term): found.query_table.weights[term]
        for term in found.query_table.weights.nonzero()[0]
    }
    assert named == {"heart": 2.5, "attack": 1.0, "##s": 0.25}
    assert any("1 tokens that the tokenizer has not" in note for note in found.notes)
    assert any("[CLS]" in note for note in found.notes)


def test_a_router_with_a_table(plain: Path, tmp_path: Path) -> None:
    routed = tmp_path / "routed"
    routed.mkdir()
    plain.rename(routed / "document_0_MLMTransformer")
    write(
        routed / "modules.json",
        [{"idx": 0, "path": "", "type": "sentence_transformers.models.Router"}],
    )
    ids = {
        "table": "query_0_SparseStaticEmbedding",
        "body": "document_0_MLMTransformer",
        "head": "document_1_SpladePooling",
    }
    types = {
        ids["table"]: "a.SparseStaticEmbedding",
        ids["body"]: "a.MLMTransformer",
        ids["head"]: "a.SpladePooling",
    }
    router = {
        "types": types,
        "structure": {"query": [ids["table"]], "document": [ids["body"], ids["head"]]},
    }
    write(routed / "router_config.json", router)
    write(
        routed / ids["head"] / "config.json",
        {"pooling_strategy": "max", "activation_function": "log1p_relu"},
    )
    (routed / ids["table"]).mkdir()
    save_file(
        {"weight": np.arange(8, dtype=np.float32)}, routed / ids["table"] / "model.safetensors"
    )  # ends early
    found = read_checkpoint(routed)
    assert found.activation == "log1p(log1p(relu))"
    assert found.query_table is not None
    assert found.query_table.weights[:9].tolist() == [0, 0, 0, 0, 0, 5, 6, 7, 0]
    router["structure"]["query"] = [ids["body"], ids["head"]]
    write(routed / "router_config.json", router)
    assert read_checkpoint(routed).query_table is None
    router["types"]["other"] = "a.MLMTransformer"
    router["structure"]["query"] = ["other", ids["head"]]
    write(routed / "router_config.json", router)
    write_bert(routed / "other", **{BIAS: np.ones(SIZE, np.float32)})
    of_queries = read_checkpoint(routed).queries
    assert of_queries is not None and of_queries.activation == "log1p(log1p(relu))"
    assert of_queries.tensors[BIAS].tolist() == [1] * SIZE
    router["structure"]["query"] = ["other"]
    write(routed / "router_config.json", router)
    assert "has the modules MLMTransformer: only" in refused(routed)


# What cannot be used


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (
            {"model_type": "t5"},
            "model_type 't5': architectures that can be imported are bert, distilbert, roberta",
        ),
        ({"hidden_act": "swish"}, "hidden_act 'swish'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key'"),
        ({"is_decoder": True}, "is_decoder true: a decoder reads a text in one direction"),
        ({"hidden_size": 16}, "a width of 16"),
        ({"hidden_size": 9}, "2 heads over a width of 9"),
        ({"num_hidden_layers": 2}, "lacks the tensor bert.encoder.layer.1."),
        ({"num_attention_heads": "many"}, "config.json"),
    ],
)
def test_configurations(tmp_path: Path, config: dict[str, Any], reason: str) -> None:
    assert reason in refused(write_bert(tmp_path / "plain", config=config))


def test_a_checkpoint_without_the_decoders_bias(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"lacks the tensor cls\.predictions\.bias, the decoder's bias"
    ):
        read_checkpoint(write_bert(tmp_path / "plain", **{BIAS: None}))


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({"do_lower_case": False}, {"lowercase": False}),
        ({"do_lower_case": True, "tokenize_chinese_chars": True, "strip_accents": False}, {}),
        (
            {"strip_accents": None, "tokenize_chinese_chars": False},
            {"strip_accents": None, "handle_chinese_chars": False},
        ),
        ({"do_lower_case": False, "tokenizer_class": "PreTrainedTokenizerFast"}, {}),
    ],
)
def test_tokenizer_config_overrides_the_normalizer(
    plain: Path, tmp_path: Path, settings: dict[str, Any], changed: dict[str, Any]
) -> None:
    path = plain / "tokenizer_config.json"
    write(path, json.loads(path.read_text()) | settings)
    found = read_checkpoint(plain)
    before = json.loads((plain / "tokenizer.json").read_text(encoding="utf-8"))["normalizer"]
    imported = import_model(plain, tmp_path / "made", optimize=False)
    written = json.loads((tmp_path / "made" / "tokenizer.json").read_text(encoding="utf-8"))[
        "normalizer"
    ]
    assert written == before | changed
    assert found.tokenizer.normalizer.lowercase == written["lowercase"]
    assert len([note for note in imported.notes if "tokenizer_config.json has" in note]) == len(
        changed
    )
    if not changed:
        assert (tmp_path / "made" / "tokenizer.json").read_bytes() == (
            plain / "tokenizer.json"
        ).read_bytes()


def test_a_missing_post_processor(plain: Path) -> None:
    raw = json.loads((plain / "tokenizer.json").read_text(encoding="utf-8"))
    write(plain / "tokenizer.json", raw | {"post_processor": None})
    with pytest.raises(ModelError, match="has no post_processor, and BertTokenizer"):
        read_checkpoint(plain)


@pytest.mark.parametrize(
    "config", [{"layer_norm_eps": 1e-5}, {"hidden_act": "relu"}, {"num_attention_heads": 4}]
)
def test_imports_that_compute_otherwise_have_other_hashes(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    hashes = {
        import_model(
            write_bert(tmp_path / name, config=changes), tmp_path / f"made {name}", optimize=False
        ).model.hash
        for name, changes in (
            ("a", {}),
            ("b", config),
            ("c", {"vocab_size": 7, "initializer_range": 1.0}),
        )
    }
    assert len(hashes) == 2


def test_the_whole_tokenizer_is_part_of_the_hash(plain: Path, tmp_path: Path) -> None:
    first = import_model(plain, tmp_path / "a", optimize=False).model
    raw = json.loads((plain / "tokenizer.json").read_text(encoding="utf-8"))
    raw["normalizer"]["handle_chinese_chars"] = not raw["normalizer"]["handle_chinese_chars"]
    write(plain / "tokenizer.json", raw)
    assert import_model(plain, tmp_path / "b", optimize=False).model.hash != first.hash


def test_no_config_and_no_weights(plain: Path) -> None:
    (plain / "model.safetensors").unlink()
    assert "neither model.safetensors nor pytorch_model.bin" in refused(plain)
    (plain / "config.json").write_text("{")
    assert "config.json cannot be read" in refused(plain)
    (plain / "config.json").unlink()
    assert "has no config.json" in refused(plain)


def test_no_masked_language_model_head(tmp_path: Path) -> None:
    without = {f"cls.predictions.transform.dense.{end}": None for end in ("weight", "bias")}
    message = refused(write_bert(tmp_path / "plain", **without))
    assert "no masked-language-model head" in message and "BertForMaskedLM" in message


def test_a_tokenizer_of_another_model(tmp_path: Path) -> None:
    message = refused(write_bert(tmp_path / "plain", rows=SIZE - 1))
    assert f"the tokenizer has {SIZE} tokens, and the model {SIZE - 1} rows" in message


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(tmp_path: Path, value: float) -> None:
    bad = np.zeros((8, 8), np.float32)
    bad[3, :2] = value
    name = "cls.predictions.transform.dense.weight"
    assert f"tensor {name} has 2 values that are NaN or infinite" in refused(
        write_bert(tmp_path / "plain", **{name: bad})
    )


def test_no_tokenizer(plain: Path) -> None:
    (plain / "tokenizer.json").unlink()
    assert "has no tokenizer.json: write it with transformers" in refused(plain)


def test_damaged_weights(plain: Path) -> None:
    (plain / "model.safetensors").write_bytes(b"nonsense" * 9)
    assert "model.safetensors" in refused(plain)
    (plain / "model.safetensors").unlink()
    write(plain / "model.safetensors.index.json", {"weight_map": {"a": "model-1.safetensors"}})
    assert "lacks model-1.safetensors" in refused(plain)
    write(plain / "model.safetensors.index.json", {"weight_map": {"a": "../model-1.safetensors"}})
    assert "names a file outside the folder" in refused(plain)


def test_integers_are_no_weights(tmp_path: Path) -> None:
    positions = np.arange(32)[None]
    found = read_checkpoint(
        write_bert(tmp_path / "plain", **{"bert.embeddings.position_ids": positions})
    )
    assert "bert.embeddings.position_ids" not in found.tensors


def test_pickled_weights_need_torch(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (plain / "model.safetensors").rename(plain / "pytorch_model.bin")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        MissingExtra, match=r"pytorch_model.bin.* needs torch: pip install 'lexpand\[torch\]'"
    ):
        read_checkpoint(plain)


@pytest.mark.parametrize(
    ("kinds", "pooling", "transformer", "reason"),
    [
        (["Transformer", "SpladePooling"], None, {}, "transformer_task is None"),
        (["Transformer", "Pooling"], None, None, "the modules Transformer, Pooling"),
        (["MLMTransformer", "SpladePooling", "SparseAutoEncoder"], None, None, "SparseAutoEncoder"),
        (
            ["MLMTransformer", "SpladePooling"],
            {"pooling_strategy": "mean"},
            None,
            "pooling_strategy 'mean'",
        ),
        (
            ["MLMTransformer", "SpladePooling"],
            {"activation_function": "exp"},
            None,
            "must be one of relu, log1p_relu",
        ),
        (["MLMTransformer", "SpladePooling"], None, {"do_lower_case": True}, "do_lower_case"),
    ],
)
def test_modules_that_are_not_supported(
    plain: Path, kinds: list[str], pooling: Any, transformer: Any, reason: str
) -> None:
    add_modules(plain, *kinds, pooling=pooling, transformer=transformer)
    assert reason in refused(plain)


def test_prompts_are_not_supported(plain: Path) -> None:
    add_modules(plain, "MLMTransformer", "SpladePooling")
    write(
        plain / "config_sentence_transformers.json",
        {"prompts": {"query": "query: ", "document": ""}},
    )
    assert "puts a prompt before texts (query)" in refused(plain)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"elsewhere": 1.0}, "no weight for any token"),
        ({"heart": -1.0}, "must be finite and >= 0"),
        ({"heart": "much"}, "the weight of 'heart' is 'much'"),
        ([1.0], "holds a list"),
    ],
)
def test_tables_that_cannot_be_used(plain: Path, content: Any, reason: str) -> None:
    write(plain / "idf.json", content)
    assert reason in refused(plain)


def test_an_encoder_is_no_table(plain: Path, tmp_path: Path) -> None:
    other = write_bert(tmp_path / "query-encoder")
    assert "is an encoder: a model folder has one encoder" in refused(plain, Choices(query=other))
    assert "no query table" in refused(plain, Choices(query=tmp_path / "nowhere"))


def test_sources(tmp_path: Path, plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_source(str(plain)) == plain
    with pytest.raises(
        ModelError, match="give a checkpoint's folder, or an id of the Hugging Face Hub"
    ):
        find_source("nowhere")
    with pytest.raises(ModelError, match="is a file"):
        find_source(str(plain / "config.json"))

    def offline(hub_id: str, **_: Any) -> str:
        raise OSError(f"no connection for {hub_id}\nmore")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(
        ModelError,
        match=r"no connection for naver/splade-v3.*hf download naver/splade-v3 --local-dir",
    ):
        find_source("naver/splade-v3")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(plain))
    assert find_source("naver/splade-v3") == plain


# What is written


def test_an_imported_model(plain: Path, tmp_path: Path) -> None:
    done = import_model(plain, tmp_path / "made", Choices(license="MIT"))
    assert (done.optimized, done.reference, done.difference) == (True, "onnx", None)
    contract = Contract.load(tmp_path / "made")
    assert (contract.name, contract.license, contract.origin) == (
        "made",
        "MIT",
        "imported from plain",
    )
    assert contract.screening is not None and len(contract.golden) == 8
    assert check_model(tmp_path / "made").difference < 1e-6
    assert len(Encoder.load(tmp_path / "made").encode_documents(["heart attack"])) == 1
    assert (
        len(
            Encoder.load(
                tmp_path / "made",
                documents=DocumentEncoding(dtype="int8"),
                queries=QueryEncoding(dtype="int8"),
            ).encode_documents(["heart attack"])
        )
        == 1
    )


def test_imports_agree_and_an_import_of_an_import_is_the_same_model(
    plain: Path, tmp_path: Path
) -> None:
    first, second = (
        import_model(source, tmp_path / name)
        for source, name in ((plain, "a"), (tmp_path / "a", "b"))
    )
    assert first.model.hash == second.model.hash
    assert (tmp_path / "a/onnx/body.onnx").read_bytes() == (
        tmp_path / "b/onnx/body.onnx"
    ).read_bytes()


def test_a_table_makes_lookup_the_mode(plain: Path, tmp_path: Path) -> None:
    write(plain / "idf.json", {"heart": 2.5, "valve": 1.5})
    import_model(plain, tmp_path / "made")
    encoder = Encoder.load(tmp_path / "made")
    (weights,) = encoder.encode_queries(["Heart valve, heart!"]).as_dicts()
    assert {encoder.vocabulary.term(term): weight for term, weight in weights.items()} == {
        "heart": 2.5,
        "valve": 1.5,
    }
    again = read_checkpoint(tmp_path / "made")  # through the router that was written
    assert again.query_table is not None and np.count_nonzero(again.query_table.weights) == 2


@pytest.fixture
def for_queries(tmp_path: Path) -> Path:
    """Another model over the same vocabulary."""
    random = np.random.default_rng(9)
    return write_bert(tmp_path / "queries", **{BIAS: random.normal(size=SIZE).astype(np.float32)})


def test_two_encoders(plain: Path, for_queries: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    done = import_model(plain, made, Choices(query_encoder=str(for_queries), name="two"))
    assert done.optimized and check_model(made).pairs == 8
    alone = {}
    for role, source in ((Role.DOCUMENT, plain), (Role.QUERY, for_queries)):
        import_model(source, tmp_path / role)
        alone[role] = Encoder.load(tmp_path / role)
    both = Encoder.load(made)
    for role, encoder in alone.items():
        found, expected = both.encode(TEXTS, role), encoder.encode(TEXTS, role)
        assert list(found.vectors.as_dicts()) == list(expected.vectors.as_dicts()), role
        assert found.vectors.model == done.model
        assert (
            both.trace("reset the heart", role).positions
            == encoder.trace("reset the heart", role).positions
        )
    assert list(alone[Role.QUERY].encode_queries(TEXTS).as_dicts()) != list(
        alone[Role.DOCUMENT].encode_queries(TEXTS).as_dicts()
    )
    assert list(both.encode_queries(TEXTS).as_dicts()) == list(
        alone[Role.QUERY].encode_queries(TEXTS).as_dicts()
    )
    one = Contract.load(tmp_path / Role.DOCUMENT)
    assert done.model.hash != one.hash, "other queries are another model"


def test_an_import_of_two_encoders_again(plain: Path, for_queries: Path, tmp_path: Path) -> None:
    """Through the router that was written; without graphs at first."""
    first = import_model(
        plain, tmp_path / "a", Choices(query_encoder=str(for_queries)), optimize=False
    )
    again = import_model(tmp_path / "a", tmp_path / "b")
    assert again.model.hash == first.model.hash
    optimize_model(tmp_path / "a")
    a, b = (Encoder.load(tmp_path / name).encode_queries(TEXTS) for name in "ab")
    assert list(a.as_dicts()) == list(b.as_dicts()) and a.nnz > 0


def test_two_encoders_that_do_not_go_together(
    plain: Path, for_queries: Path, tmp_path: Path
) -> None:
    def refused(**choices: Any) -> str:
        with pytest.raises(ModelError) as caught:
            import_model(plain, tmp_path / "made", Choices(**choices))
        assert not (tmp_path / "made").exists()
        return str(caught.value)

    other = tmp_path / "other"
    shutil.copytree(for_queries, other)
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    words["hearth"] = words.pop("heart")
    write(other / "tokenizer.json", tokenizer)
    assert f"{other}, for queries, has another vocabulary ({SIZE} terms)" in refused(
        query_encoder=str(other)
    )
    write(plain / "idf.json", {"heart": 2.5})
    assert "through one encoder, or through a table, not through both" in refused(
        query_encoder=str(for_queries)
    )
    assert "none/such" in refused(query_encoder="none/such")


def test_a_query_encoder_that_was_changed(plain: Path, for_queries: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    import_model(plain, made, Choices(query_encoder=str(for_queries)))
    contract = json.loads((made / "query_encoder" / "contract.json").read_text())
    write(made / "query_encoder" / "contract.json", contract | {"pruning": {"query": {"top": 1}}})
    with pytest.raises(ModelError, match=r"query_encoder differs from the one in contract\.json"):
        Encoder.load(made)
    contract = json.loads((made / "contract.json").read_text())
    contract["query"]["encoder"]["folder"] = "../queries"
    write(made / "contract.json", contract)
    with pytest.raises(ModelError, match=r"names a file outside the folder: \.\./queries"):
        Encoder.load(made)


@pytest.mark.parametrize("pooling", ["max", "sum"])
def test_the_basis_changes_no_vector(plain: Path, tmp_path: Path, pooling: Any) -> None:
    """More tokens at once than the encoder screens from."""
    made = tmp_path / "made"
    import_model(plain, made, Choices(pooling=pooling))
    texts = [f"open the heart valve {i} (reset password)" for i in range(120)]
    screened = Encoder.load(made).encode_documents(texts)
    contract = json.loads((made / "contract.json").read_text())
    del contract["screening"]
    (made / "contract.json").write_text(json.dumps(contract))
    assert screened.nnz > 1000
    assert screened == Encoder.load(made).encode_documents(texts)


def test_without_a_graph(plain: Path, tmp_path: Path) -> None:
    done = import_model(plain, tmp_path / "made", optimize=False)
    assert not done.optimized and done.reference is None
    for dtype in ("float32", "int8"):
        with pytest.raises(
            ModelError, match=rf"no {dtype} graph to run yet: .*lexpand model optimize"
        ):
            Encoder.load(
                tmp_path / "made",
                documents=DocumentEncoding(dtype=dtype),
                queries=QueryEncoding(dtype=dtype),
            )
    before = Contract.load(tmp_path / "made").hash
    assert optimize_model(tmp_path / "made").screening
    assert Contract.load(tmp_path / "made").hash == before
    assert Encoder.load(tmp_path / "made").encode(["heart"], Role.QUERY).vectors.nnz >= 0


def test_the_torch_backend_without_torch(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_model(plain, tmp_path / "made")
    monkeypatch.setitem(sys.modules, "torch", None)
    for device in ("torch", "cuda", "cpu"):
        with pytest.raises(
            MissingExtra, match=r"the backend 'torch' needs torch: pip install 'lexpand\[torch\]'"
        ):
            Encoder.load(tmp_path / "made", device=device)
    assert Encoder.load(tmp_path / "made", device="onnx").encode_queries(["heart"]).nnz >= 0


def test_without_onnx(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import_model(plain, tmp_path / "made", optimize=False)
    for name in [
        name for name in sys.modules if name == "onnx" or name.startswith("lexpand.models.graphs.")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        MissingExtra, match=r"making a model's graph needs onnx: pip install 'lexpand\[onnx\]'"
    ):
        optimize_model(tmp_path / "made")


def test_what_exists_is_not_replaced(plain: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    import_model(plain, made)
    with pytest.raises(ModelError, match="exists: give another folder, or --force"):
        import_model(plain, made)
    import_model(plain, made, Choices(name="other"), force=True)
    assert Contract.load(made).name == "other"
    with pytest.raises(ModelError, match="is no model folder of Lexpand, and is not replaced"):
        import_model(plain, plain, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "plain"]


def test_an_interrupted_import_leaves_nothing(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "made"
    import_model(plain, made)

    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importing, "optimize_model", interrupted)
    for dest, force in ((tmp_path / "new", False), (made, True)):
        with pytest.raises(KeyboardInterrupt):
            import_model(plain, dest, Choices(name="other"), force=force)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "plain"]
    assert Contract.load(made).name == "made"


@pytest.mark.parametrize("ended_by", [ModelError, KeyboardInterrupt])
def test_an_optimizing_that_ends_early_changes_nothing(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended_by: type[BaseException]
) -> None:
    made = tmp_path / "made"
    import_model(plain, made)
    files = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}

    def interrupted(folder: Path, *_: object) -> None:
        (folder / "onnx" / "screening.npy").write_bytes(b"half")
        raise KeyboardInterrupt

    if ended_by is ModelError:
        monkeypatch.setattr(optimizing, "make_graph", lambda *_, int8=False: b"no graph")
    else:
        monkeypatch.setattr(optimizing, "write_screening", interrupted)
    with pytest.raises(ended_by):
        optimize_model(made)
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == files
    assert check_model(made).pairs > 0


def test_a_check_finds_what_differs(plain: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    import_model(plain, made)
    path = made / "contract.json"
    contract = json.loads(path.read_text())
    contract["golden"][4]["weights"][0] += 0.01
    path.write_text(json.dumps(contract))
    with pytest.raises(ModelError, match=r"weighs .* here, and .* in the contract"):
        check_model(made)
    (made / "onnx" / "body.onnx").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match=r"differs from the one in contract\.json"):
        check_model(made)


def test_the_packaged_model_stays_as_it_is() -> None:
    with pytest.raises(ModelError, match="is packaged with Lexpand"):
        optimize_model("default")
