"""Reading and importing checkpoints without torch, and the errors for unusable ones."""

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
    ImportOptions,
    check_model,
    find_base,
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
    """Run the tests as if torch were not installed."""
    monkeypatch.setattr(importing, "has_torch", lambda: False)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return write_bert(tmp_path / "plain")


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def add_modules(folder: Path, *kinds: str, pooling: Any = None, transformer: Any = None) -> None:
    """Add the module files of sentence-transformers to a masked language model."""
    paths = ["", "1_SpladePooling", "2_More"]
    write(
        folder / "modules.json",
        [{"idx": i, "path": paths[i], "type": f"some.{kind}"} for i, kind in enumerate(kinds)],
    )
    write(folder / "1_SpladePooling" / "config.json", pooling or {})
    if transformer is not None:
        write(folder / "sentence_bert_config.json", transformer)


def read_error(folder: Path, choices: ImportOptions | None = None) -> str:
    with pytest.raises(LexpandError) as error:
        read_checkpoint(folder, choices)
    return str(error.value)


# Reading


def test_the_graph_of_the_packaged_model_is_reproduced() -> None:
    """The bytes are those of the graph that was checked against PyTorch."""
    folder = find_folder("default")
    shapes = {name: array.shape for name, array in load_file(folder / "model.safetensors").items()}
    graph = make_graph(json.loads((folder / "config.json").read_text()), shapes)
    assert graph == (folder / "onnx" / "body.onnx").read_bytes()


def test_a_plain_folder_has_default_settings(plain: Path) -> None:
    found = read_checkpoint(plain)
    assert (found.pooling, found.activation, found.max_tokens) == ("max", "log1p(relu)", 32)
    assert (found.head_weight, found.head_bias) == (WORDS, "cls.predictions.bias")
    assert len(found.vocabulary) == SIZE and found.vocabulary.special == frozenset(range(5))
    assert found.query_table is None and found.notes == ()


@pytest.mark.parametrize("kind", ["MLMTransformer", "Transformer"])
def test_settings_are_read_from_modules_of_sentence_transformers(plain: Path, kind: str) -> None:
    settings = {"max_seq_length": 20, "do_lower_case": False, "transformer_task": "fill-mask"}
    head = {
        "pooling_strategy": "sum",
        "activation_function": "log1p_relu",
        "word_embedding_dimension": SIZE,
    }
    add_modules(plain, kind, "SpladePooling", pooling=head, transformer=settings)
    found = read_checkpoint(plain)
    assert (found.pooling, found.activation, found.max_tokens) == ("sum", "log1p(log1p(relu))", 20)


def test_choices_override_the_checkpoint(plain: Path) -> None:
    add_modules(plain, "MLMTransformer", "SpladePooling", pooling={"pooling_strategy": "sum"})
    found = read_checkpoint(
        plain, ImportOptions(pooling="max", activation="log1p(log1p(relu))", max_tokens=9)
    )
    assert (found.pooling, found.activation, found.max_tokens) == ("max", "log1p(log1p(relu))", 9)
    message = read_error(plain, ImportOptions(max_tokens=33))
    assert "max_tokens must be from 3 to 32 for this model, got 33" in message


def test_a_decoder_that_equals_the_embeddings_is_kept_once(tmp_path: Path, plain: Path) -> None:
    words = load_file(plain / "model.safetensors")[WORDS]
    untied = {"tie_word_embeddings": False}
    same = read_checkpoint(write_bert(tmp_path / "same", config=untied, **{DECODER: words}))
    assert same.head_weight == WORDS and DECODER not in same.tensors
    reversed_rows = {DECODER: words[::-1].copy()}
    other = read_checkpoint(write_bert(tmp_path / "other", config=untied, **reversed_rows))
    assert other.head_weight == DECODER
    assert (other.tensors[DECODER] == words[::-1]).all()


def test_a_separate_decoder_is_refused_if_config_ties_the_weights(
    tmp_path: Path, plain: Path
) -> None:
    words = load_file(plain / "model.safetensors")[WORDS]
    message = read_error(write_bert(tmp_path / "other", **{DECODER: words + 1}))
    assert "(tie_word_embeddings)" in message
    assert read_checkpoint(write_bert(tmp_path / "same", **{DECODER: words})).head_weight == WORDS


def test_unused_rows_are_removed(tmp_path: Path) -> None:
    found = read_checkpoint(write_bert(tmp_path / "padded", rows=SIZE + 5))
    assert found.notes == (
        f"the model has {SIZE + 5} rows and the tokenizer {SIZE} tokens: 5 unused rows are removed",
    )
    assert found.tensors[WORDS].shape == (SIZE, 8)
    assert found.tensors["cls.predictions.bias"].shape == (SIZE,)


def test_license_and_origin_are_read_from_the_model_card(plain: Path) -> None:
    (plain / "README.md").write_text(
        "---\nlanguage: en\nlicense: mit\nbase_model: owner/small\n---\n# A model\nlicense: x"
    )
    found = read_checkpoint(plain)
    assert (found.license, found.origin) == ("mit", "made from owner/small")
    assert read_checkpoint(plain, ImportOptions(license="Apache-2.0")).license == "Apache-2.0"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("idf.json", {"heart": 2.5, "attack": 1, "##s": 0.25, "[CLS]": 3.0, "elsewhere": 9}),
        ("query_token_weights.txt", "heart\t2.5\nattack\t1\n##s\t0.25\n[CLS]\t3.0\nelsewhere\t9\n"),
    ],
)
def test_a_table_of_query_weights_is_read(plain: Path, name: str, content: Any) -> None:
    write(plain / name, content)
    found = read_checkpoint(plain)
    assert found.query_table is not None
    named = {
        found.vocabulary.term(term): found.query_table.weights[term]
        for term in found.query_table.weights.nonzero()[0]
    }
    assert named == {"heart": 2.5, "attack": 1.0, "##s": 0.25}
    assert any("1 tokens that the tokenizer lacks: omitted" in note for note in found.notes)
    assert any("[CLS]" in note for note in found.notes)


def test_a_router_sends_queries_to_a_table_or_an_encoder(plain: Path, tmp_path: Path) -> None:
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
    shorter = {"weight": np.arange(8, dtype=np.float32)}  # fewer weights than tokens
    save_file(shorter, routed / ids["table"] / "model.safetensors")
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
    queries = read_checkpoint(routed).queries
    assert queries is not None and queries.activation == "log1p(log1p(relu))"
    assert queries.tensors[BIAS].tolist() == [1] * SIZE
    router["structure"]["query"] = ["other"]
    write(routed / "router_config.json", router)
    expected = "must have the modules MLMTransformer (or Transformer) and SpladePooling, got "
    assert f"{expected}MLMTransformer, which" in read_error(routed)


# Errors


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (
            {"model_type": "t5"},
            "model_type in config.json must be one of bert, distilbert, roberta, xlm-roberta, "
            "modernbert, got 't5'",
        ),
        (
            {"hidden_act": "swish"},
            "hidden_act in config.json must be one of gelu, gelu_new, gelu_pytorch_tanh, relu, "
            "got 'swish'",
        ),
        (
            {"position_embedding_type": "relative_key"},
            "position_embedding_type in config.json must be 'absolute', got 'relative_key'",
        ),
        (
            {"is_decoder": True},
            "is_decoder in config.json must be false, got true: a decoder reads text in one",
        ),
        ({"hidden_size": 16}, "must have a width of 16"),
        ({"hidden_size": 9}, "got 1 layers, 2 heads, 32 positions and a width of 9"),
        ({"num_hidden_layers": 2}, "lacks the tensor bert.encoder.layer.1."),
        ({"num_attention_heads": "many"}, "config.json"),
    ],
)
def test_an_unsupported_configuration_is_refused(
    tmp_path: Path, config: dict[str, Any], reason: str
) -> None:
    assert reason in read_error(write_bert(tmp_path / "plain", config=config))


def test_a_checkpoint_without_the_bias_of_the_decoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"lacks the tensor cls\.predictions\.bias, the bias of the decoder"
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
    imported = import_model(plain, tmp_path / "made", optimize=False)
    before, after = plain / "tokenizer.json", tmp_path / "made" / "tokenizer.json"
    original, written = (
        json.loads(path.read_text(encoding="utf-8"))["normalizer"] for path in (before, after)
    )
    assert written == original | changed
    assert found.tokenizer.normalizer.lowercase == written["lowercase"]
    notes = [note for note in imported.notes if "tokenizer_config.json has" in note]
    assert len(notes) == len(changed)
    if not changed:
        assert after.read_bytes() == before.read_bytes()


def test_a_missing_setting_of_the_class_is_its_default(plain: Path, tmp_path: Path) -> None:
    """BertTokenizer lower-cases unless it is told not to, whatever tokenizer.json has."""
    raw = json.loads((plain / "tokenizer.json").read_text(encoding="utf-8"))
    normalizer = raw["normalizer"] | {"lowercase": False, "strip_accents": False}
    write(plain / "tokenizer.json", raw | {"normalizer": normalizer})
    write(plain / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"})
    imported = import_model(plain, tmp_path / "made", optimize=False)
    made = json.loads((tmp_path / "made" / "tokenizer.json").read_text(encoding="utf-8"))
    assert made["normalizer"] == normalizer | {"lowercase": True, "strip_accents": None}
    assert imported.notes == (
        "tokenizer_config.json has no do_lower_case, which then is true for its tokenizer_class, "
        "but tokenizer.json has lowercase false: tokenizer_config.json takes precedence, as in "
        "transformers",
        "tokenizer_config.json has no strip_accents, which then is null for its tokenizer_class, "
        "but tokenizer.json has strip_accents false: tokenizer_config.json takes precedence, as in "
        "transformers",
    )


def test_a_tokenizer_without_a_post_processor_is_refused(plain: Path) -> None:
    raw = json.loads((plain / "tokenizer.json").read_text(encoding="utf-8"))
    write(plain / "tokenizer.json", raw | {"post_processor": None})
    with pytest.raises(ModelError, match="must have a post_processor, because BertTokenizer"):
        read_checkpoint(plain)


@pytest.mark.parametrize(
    "config", [{"layer_norm_eps": 1e-5}, {"hidden_act": "relu"}, {"num_attention_heads": 4}]
)
def test_the_hash_covers_the_settings_that_change_vectors(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    irrelevant = {"vocab_size": 7, "initializer_range": 1.0}
    hashes = set()
    for name, changes in (("a", {}), ("b", config), ("c", irrelevant)):
        source = write_bert(tmp_path / name, config=changes)
        hashes.add(import_model(source, tmp_path / f"made {name}", optimize=False).model.hash)
    assert len(hashes) == 2


def test_the_hash_covers_the_whole_tokenizer(plain: Path, tmp_path: Path) -> None:
    first = import_model(plain, tmp_path / "a", optimize=False).model
    raw = json.loads((plain / "tokenizer.json").read_text(encoding="utf-8"))
    raw["normalizer"]["clean_text"] = not raw["normalizer"]["clean_text"]
    write(plain / "tokenizer.json", raw)
    assert import_model(plain, tmp_path / "b", optimize=False).model.hash != first.hash


def test_missing_weights_or_config_are_refused(plain: Path) -> None:
    (plain / "model.safetensors").unlink()
    assert "neither model.safetensors nor pytorch_model.bin" in read_error(plain)
    (plain / "config.json").write_text("{")
    assert "config.json cannot be read" in read_error(plain)
    (plain / "config.json").unlink()
    assert "has no config.json" in read_error(plain)


def test_a_model_without_a_masked_language_model_head_is_refused(tmp_path: Path) -> None:
    without = {f"cls.predictions.transform.dense.{end}": None for end in ("weight", "bias")}
    message = read_error(write_bert(tmp_path / "plain", **without))
    assert "no masked-language-model head" in message and "BertForMaskedLM" in message


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tmp_path: Path) -> None:
    message = read_error(write_bert(tmp_path / "plain", rows=SIZE - 1))
    expected = f"a row for each of the {SIZE} tokens of the tokenizer, got {SIZE - 1} rows"
    assert expected in message


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    bad = np.zeros((8, 8), np.float32)
    bad[3, :2] = value
    name = "cls.predictions.transform.dense.weight"
    message = read_error(write_bert(tmp_path / "plain", **{name: bad}))
    assert f"tensor {name} must be finite, got 2 that are NaN or infinite" in message


def test_a_folder_without_tokenizer_json_is_refused(plain: Path) -> None:
    (plain / "tokenizer.json").unlink()
    assert "has no tokenizer.json: write it with transformers" in read_error(plain)


def test_damaged_weights_are_refused(plain: Path) -> None:
    (plain / "model.safetensors").write_bytes(b"nonsense" * 9)
    assert "model.safetensors" in read_error(plain)
    (plain / "model.safetensors").unlink()
    write(plain / "model.safetensors.index.json", {"weight_map": {"a": "model-1.safetensors"}})
    assert "lacks model-1.safetensors" in read_error(plain)
    write(plain / "model.safetensors.index.json", {"weight_map": {"a": "../model-1.safetensors"}})
    assert "must lie in the folder, got '../model-1.safetensors'" in read_error(plain)


def test_integer_tensors_are_skipped(tmp_path: Path) -> None:
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
        (["Transformer", "SpladePooling"], None, {}, "must be 'fill-mask', got None"),
        (["Transformer", "Pooling"], None, None, "got Transformer, Pooling, which is not"),
        (["MLMTransformer", "SpladePooling", "SparseAutoEncoder"], None, None, "SparseAutoEncoder"),
        (
            ["MLMTransformer", "SpladePooling"],
            {"pooling_strategy": "mean"},
            None,
            "must be one of max, sum, got 'mean'",
        ),
        (
            ["MLMTransformer", "SpladePooling"],
            {"activation_function": "exp"},
            None,
            "must be one of relu, log1p_relu, got 'exp'",
        ),
        (["MLMTransformer", "SpladePooling"], None, {"do_lower_case": True}, "do_lower_case"),
    ],
)
def test_unsupported_modules_are_refused(
    plain: Path, kinds: list[str], pooling: Any, transformer: Any, reason: str
) -> None:
    add_modules(plain, *kinds, pooling=pooling, transformer=transformer)
    assert reason in read_error(plain)


def test_prompts_are_refused(plain: Path) -> None:
    add_modules(plain, "MLMTransformer", "SpladePooling")
    write(
        plain / "config_sentence_transformers.json",
        {"prompts": {"query": "query: ", "document": ""}},
    )
    assert "must be empty, got one for query: prompts are not supported" in read_error(plain)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"elsewhere": 1.0}, "no weight for any token"),
        ({"heart": -1.0}, "must be finite and >= 0"),
        ({"heart": "much"}, "the weight of 'heart' must be a finite number, got 'much'"),
        ([1.0], "must hold a dict, got a list"),
    ],
)
def test_an_unusable_table_is_refused(plain: Path, content: Any, reason: str) -> None:
    write(plain / "idf.json", content)
    assert reason in read_error(plain)


def test_an_encoder_instead_of_a_table_is_refused(plain: Path, tmp_path: Path) -> None:
    other = write_bert(tmp_path / "query-encoder")
    message = read_error(plain, ImportOptions(query=other))
    assert f"must be a table of weights, got the encoder {other}: give it with" in message
    assert "no query table" in read_error(plain, ImportOptions(query=tmp_path / "nowhere"))


def test_a_source_is_a_folder_or_an_id_of_the_hub(
    tmp_path: Path, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_source(str(plain)) == plain
    with pytest.raises(
        ModelError, match="give the folder of a checkpoint, or an id of the Hugging Face Hub"
    ):
        find_source("no where")
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
    with pytest.raises(
        ModelError, match=r"no connection for splade-tinny.*packaged models are .*splade-tiny"
    ):
        find_base("splade-tinny")
    with pytest.raises(ModelError, match="no model 'splade-tinny'"):
        monkeypatch.setenv("LEXPAND_MODEL", "splade-tinny")
        find_base("")
    assert find_base("splade-tiny").name == "splade-tiny"
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(plain))
    assert find_source("naver/splade-v3") == plain
    assert find_source("bert-base-uncased") == find_base("bert-base-uncased") == plain


# Importing


def test_an_imported_model_can_be_checked_and_run(plain: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    done = import_model(plain, made, ImportOptions(license="MIT"))
    assert (done.optimized, done.reference, done.difference) == (True, "onnx", None)
    contract = Contract.load(made)
    assert (contract.name, contract.license) == ("made", "MIT")
    assert contract.origin == "imported from plain"
    assert contract.screening is not None and len(contract.golden) == 8
    assert check_model(made).difference < 1e-6
    assert len(Encoder.load(made).encode_documents(["heart attack"])) == 1
    int8 = Encoder.load(
        made, documents=DocumentEncoding(dtype="int8"), queries=QueryEncoding(dtype="int8")
    )
    assert len(int8.encode_documents(["heart attack"])) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="files have no mode")
def test_the_weights_can_be_read_by_all_who_can_read_the_other_files(
    plain: Path, tmp_path: Path
) -> None:
    import_model(plain, tmp_path / "dest", optimize=False)
    modes = {path.name: path.stat().st_mode for path in (tmp_path / "dest").iterdir()}
    assert modes["model.safetensors"] == modes["config.json"] == modes["contract.json"]


def test_an_import_of_an_import_is_the_same_model(plain: Path, tmp_path: Path) -> None:
    first, second = (
        import_model(source, tmp_path / name)
        for source, name in ((plain, "a"), (tmp_path / "a", "b"))
    )
    assert first.model.hash == second.model.hash
    graphs = [(tmp_path / name / "onnx" / "body.onnx").read_bytes() for name in "ab"]
    assert graphs[0] == graphs[1]


def test_a_table_makes_lookup_the_default_mode(plain: Path, tmp_path: Path) -> None:
    write(plain / "idf.json", {"heart": 2.5, "valve": 1.5})
    import_model(plain, tmp_path / "made")
    encoder = Encoder.load(tmp_path / "made")
    (weights,) = encoder.encode_queries(["Heart valve, heart!"]).as_dicts()
    assert {encoder.vocabulary.term(term): weight for term, weight in weights.items()} == {
        "heart": 2.5,
        "valve": 1.5,
    }
    again = read_checkpoint(tmp_path / "made")  # through the written Router
    assert again.query_table is not None and np.count_nonzero(again.query_table.weights) == 2


@pytest.fixture
def for_queries(tmp_path: Path) -> Path:
    """Another model with the same vocabulary."""
    random = np.random.default_rng(9)
    return write_bert(tmp_path / "queries", **{BIAS: random.normal(size=SIZE).astype(np.float32)})


def test_two_encoders_yield_the_vectors_of_each(
    plain: Path, for_queries: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    done = import_model(plain, made, ImportOptions(query_encoder=str(for_queries), name="two"))
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
        traces = [each.trace("reset the heart", role).positions for each in (both, encoder)]
        assert traces[0] == traces[1]
    by_queries, by_documents, by_both = (
        list(each.encode_queries(TEXTS).as_dicts())
        for each in (alone[Role.QUERY], alone[Role.DOCUMENT], both)
    )
    assert by_queries != by_documents
    assert by_both == by_queries
    one = Contract.load(tmp_path / Role.DOCUMENT)
    assert done.model.hash != one.hash, "another query encoder makes another model"


def test_two_encoders_can_be_imported_again(plain: Path, for_queries: Path, tmp_path: Path) -> None:
    """The second import goes through the written Router. The first one makes no graphs."""
    first = import_model(
        plain, tmp_path / "a", ImportOptions(query_encoder=str(for_queries)), optimize=False
    )
    again = import_model(tmp_path / "a", tmp_path / "b")
    assert again.model.hash == first.model.hash
    optimize_model(tmp_path / "a")
    a, b = (Encoder.load(tmp_path / name).encode_queries(TEXTS) for name in "ab")
    assert list(a.as_dicts()) == list(b.as_dicts()) and a.nnz > 0


def test_two_incompatible_encoders_are_refused(
    plain: Path, for_queries: Path, tmp_path: Path
) -> None:
    def import_error(**choices: Any) -> str:
        with pytest.raises(ModelError) as caught:
            import_model(plain, tmp_path / "made", ImportOptions(**choices))
        assert not (tmp_path / "made").exists()
        return str(caught.value)

    other = tmp_path / "other"
    shutil.copytree(for_queries, other)
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    words["hearth"] = words.pop("heart")
    write(other / "tokenizer.json", tokenizer)
    message = import_error(query_encoder=str(other))
    assert (
        f"the query encoder {other} must have the vocabulary of {plain} ({SIZE} terms)" in message
    )
    write(plain / "idf.json", {"heart": 2.5})
    message = import_error(query_encoder=str(for_queries))
    assert "must go through one encoder or through one table, got more than one" in message
    assert "none/such" in import_error(query_encoder="none/such")


def test_a_changed_query_encoder_is_refused(plain: Path, for_queries: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    import_model(plain, made, ImportOptions(query_encoder=str(for_queries)))
    contract = json.loads((made / "query_encoder" / "contract.json").read_text())
    write(made / "query_encoder" / "contract.json", contract | {"pruning": {"query": {"top": 1}}})
    with pytest.raises(
        ModelError, match=r"query_encoder differs from the query encoder in contract\.json"
    ):
        Encoder.load(made)
    contract = json.loads((made / "contract.json").read_text())
    contract["query"]["encoder"]["folder"] = "../queries"
    write(made / "contract.json", contract)
    with pytest.raises(ModelError, match=r"must lie in the folder, got '\.\./queries'"):
        Encoder.load(made)


@pytest.mark.parametrize("pooling", ["max", "sum"])
def test_safe_pruning_changes_no_vector(plain: Path, tmp_path: Path, pooling: Any) -> None:
    """The texts have enough tokens for the encoder to prune."""
    made = tmp_path / "made"
    import_model(plain, made, ImportOptions(pooling=pooling))
    texts = [f"open the heart valve {i} (reset password)" for i in range(120)]
    pruned = Encoder.load(made).encode_documents(texts)
    contract = json.loads((made / "contract.json").read_text())
    del contract["screening"]
    (made / "contract.json").write_text(json.dumps(contract))
    assert pruned.nnz > 1000
    assert pruned == Encoder.load(made).encode_documents(texts)


def test_a_folder_without_a_graph_must_be_optimized(plain: Path, tmp_path: Path) -> None:
    done = import_model(plain, tmp_path / "made", optimize=False)
    assert not done.optimized and done.reference is None
    for dtype in ("float32", "int8"):
        with pytest.raises(ModelError, match=rf"has no {dtype} graph: .*lexpand model optimize"):
            Encoder.load(
                tmp_path / "made",
                documents=DocumentEncoding(dtype=dtype),
                queries=QueryEncoding(dtype=dtype),
            )
    before = Contract.load(tmp_path / "made").hash
    assert optimize_model(tmp_path / "made").screening
    assert Contract.load(tmp_path / "made").hash == before
    assert Encoder.load(tmp_path / "made").encode(["heart"], Role.QUERY).vectors.nnz >= 0


def test_the_torch_backend_needs_torch(
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


def test_making_a_graph_needs_onnx(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_an_existing_folder_is_replaced_only_by_force(plain: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    import_model(plain, made)
    with pytest.raises(
        ModelError, match="exists: give another folder, or replace it with force=True"
    ):
        import_model(plain, made)
    import_model(plain, made, ImportOptions(name="other"), force=True)
    assert Contract.load(made).name == "other"
    with pytest.raises(ModelError, match="must be a model folder to be replaced"):
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
            import_model(plain, dest, ImportOptions(name="other"), force=force)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "plain"]
    assert Contract.load(made).name == "made"


@pytest.mark.parametrize("error", [ModelError, KeyboardInterrupt])
def test_an_interrupted_optimization_changes_nothing(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    made = tmp_path / "made"
    import_model(plain, made)
    files = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}

    def interrupted(folder: Path, *_: object) -> None:
        (folder / "onnx" / "screening.npy").write_bytes(b"half")
        raise KeyboardInterrupt

    if error is ModelError:
        monkeypatch.setattr(optimizing, "make_graph", lambda *_, int8=False: b"no graph")
    else:
        monkeypatch.setattr(optimizing, "write_screening", interrupted)
    with pytest.raises(error):
        optimize_model(made)
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == files
    assert check_model(made).pairs > 0


def test_a_check_finds_changed_weights_and_damaged_files(plain: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    import_model(plain, made)
    path = made / "contract.json"
    contract = json.loads(path.read_text())
    contract["golden"][4]["weights"][0] += 0.01
    path.write_text(json.dumps(contract))
    with pytest.raises(ModelError, match=r"the weight of term .* as in the contract, got "):
        check_model(made)
    (made / "onnx" / "body.onnx").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match=r"differs from the file that contract\.json records"):
        check_model(made)


def test_the_packaged_model_cannot_be_optimized() -> None:
    with pytest.raises(ModelError, match="is packaged with Lexpand"):
        optimize_model("default")
