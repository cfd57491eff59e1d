"""Write a checkpoint as a model folder, which sentence-transformers can load too."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lexpand.data.streams import atomic_write
from lexpand.encode.contract import VERSION, Activation, Contract, Pooling, QueryMode
from lexpand.encode.json_files import read_json
from lexpand.encode.shape import (
    FULL,
    SLIDING,
    describe_architecture,
    layer_types,
    read_shape,
    rope_theta,
)
from lexpand.models.checkpoint import Checkpoint
from lexpand.models.layout import LOOKUP
from lexpand.models.tokenizer_files import SETTINGS

WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
POOLING = "1_SpladePooling"
TABLE = "query_0_SparseStaticEmbedding"
QUERIES = "query_encoder"

# The format of sentence-transformers 5.0. Versions 5.x and 6.x read it, whereas 5.0 to 5.3 do not
# read later formats.
_VERSION = "5.0.0"
_TYPES = {
    "": "sentence_transformers.sparse_encoder.models.MLMTransformer",
    POOLING: "sentence_transformers.sparse_encoder.models.SpladePooling",
    TABLE: "sentence_transformers.sparse_encoder.models.SparseStaticEmbedding",
    QUERIES: "sentence_transformers.sparse_encoder.models.MLMTransformer",
    f"{QUERIES}/{POOLING}": "sentence_transformers.sparse_encoder.models.SpladePooling",
}
_ROUTER = "sentence_transformers.models.Router"
_ACTIVATIONS = {"log1p(relu)": "relu", "log1p(log1p(relu))": "log1p_relu"}

_TOKENIZER_FILES = ("special_tokens_map.json",)


def write_folder(checkpoint: Checkpoint, folder: Path, name: str, source: str) -> None:
    """Write a model folder without graph and golden pairs into `folder`, which must be empty.

    Raises:
        OSError: a file cannot be written.
    """
    from safetensors.numpy import save_file

    save_file(checkpoint.tensors, folder / WEIGHTS, metadata={"format": "pt"})
    write_json(folder / "config.json", _config(checkpoint))
    # The library makes a file that only its owner can read.
    shutil.copymode(folder / "config.json", folder / WEIGHTS)
    _write_tokenizer(checkpoint, folder)
    files = sentence_transformers_files(
        checkpoint.max_tokens, checkpoint.pooling, checkpoint.activation, len(checkpoint.vocabulary)
    )
    if checkpoint.query_table is not None or checkpoint.queries is not None:
        files["modules.json"] = [{"idx": 0, "name": "0", "path": "", "type": _ROUTER}]
    for path, content in files.items():
        write_json(folder / path, content)
    if checkpoint.query_table is not None:
        _write_table(checkpoint, folder)
    if checkpoint.queries is not None:
        (folder / QUERIES).mkdir()
        write_folder(checkpoint.queries, folder / QUERIES, f"{name}, queries", source)
        _write_router(folder, {"query": [QUERIES, f"{QUERIES}/{POOLING}"]})
    write_contract(folder, _contract(checkpoint, folder, name, source))


def sentence_transformers_files(
    max_tokens: int, pooling: Pooling, activation: Activation, size: int
) -> dict[str, Any]:
    """Return the other files that sentence-transformers reads: JSON content by file name."""
    return {
        "modules.json": [
            {"idx": i, "name": str(i), "path": path, "type": _TYPES[path]}
            for i, path in enumerate(("", POOLING))
        ],
        "sentence_bert_config.json": {"max_seq_length": max_tokens, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "__version__": {"sentence_transformers": _VERSION},
            "default_prompt_name": None,
            "model_type": "SparseEncoder",
            "prompts": {"document": "", "query": ""},
            "similarity_fn_name": "dot",
        },
        f"{POOLING}/config.json": {
            "pooling_strategy": pooling,
            "activation_function": _ACTIVATIONS[activation],
            "word_embedding_dimension": size,
        },
    }


def write_json(path: Path, content: object) -> None:
    """Write indented JSON in UTF-8 atomically. Keys keep their order."""
    path.parent.mkdir(exist_ok=True)
    with atomic_write(path) as file:
        file.write(json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")


def write_contract(folder: Path, contract: Mapping[str, Any]) -> None:
    """Write contract.json atomically."""
    write_json(folder / "contract.json", contract)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_router(folder: Path, routes: Mapping[str, list[str]]) -> None:
    """Write a Router with these routes; others of queries and documents are the root's encoder."""
    structure = {"query": ["", POOLING], "document": ["", POOLING], **routes}
    router = {
        "types": {path: _TYPES[path] for route in structure.values() for path in route},
        "structure": structure,
        "parameters": {"default_route": "document", "allow_empty_key": True},
    }
    write_json(folder / "router_config.json", router)


def _write_table(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the query table, and a Router to it.

    Queries go to the table if they are looked up by default. Otherwise it has the route `LOOKUP`.
    """
    looked_up = checkpoint.query_mode is QueryMode.LOOKUP
    _write_router(folder, {"query" if looked_up else LOOKUP: [TABLE]})
    write_json(folder / TABLE / "config.json", {"frozen": False})
    _write_tokenizer(checkpoint, folder / TABLE)
    assert checkpoint.query_table is not None
    checkpoint.query_table.save(folder / TABLE / WEIGHTS)


def _config(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return config.json for the written tensors, with keys that transformers 4 and 5 both read."""
    config = {
        key: value
        for key, value in checkpoint.config.items()
        if key not in ("torch_dtype", "_name_or_path")
    }
    config |= {
        "architectures": [checkpoint.architecture.masked_lm],
        "dtype": "float32",
        "vocab_size": len(checkpoint.vocabulary),
        "tie_word_embeddings": checkpoint.head_weight == checkpoint.architecture.head.embeddings,
    }
    if checkpoint.config["model_type"] == "modernbert":
        config |= _modernbert_keys(checkpoint)
    return config


def _modernbert_keys(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return layers and rotary positions with the keys of transformers 4, which 5 reads too."""
    config = checkpoint.config
    types = layer_types(config, read_shape(config).layers)
    later = [i for i, kind in enumerate(types) if i and kind == types[0]]
    return {
        "global_attn_every_n_layers": later[0] if later else len(types),
        "global_rope_theta": rope_theta(config, FULL),
        "local_rope_theta": rope_theta(config, SLIDING),
        "decoder_bias": True,
    }


def _write_tokenizer(checkpoint: Checkpoint, folder: Path) -> None:
    """Write tokenizer.json, and its settings in a form that transformers 4 and 5 both read."""
    folder.mkdir(exist_ok=True)
    (folder / TOKENIZER).write_bytes(checkpoint.tokenizer_json)
    for name in _TOKENIZER_FILES:
        if (checkpoint.folder / name).is_file():
            (folder / name).write_bytes((checkpoint.folder / name).read_bytes())
    path = checkpoint.folder / SETTINGS
    settings = dict(read_json(path, dict)) if path.is_file() else {}
    if settings.get("tokenizer_class", "TokenizersBackend") == "TokenizersBackend":
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    if isinstance(settings.get("extra_special_tokens"), list):
        settings["additional_special_tokens"] = settings.pop("extra_special_tokens")
    # DistilBERT takes no token types.
    settings.setdefault("model_input_names", ["input_ids", "attention_mask"])
    write_json(folder / SETTINGS, settings | {"model_max_length": checkpoint.max_tokens})


def _contract(checkpoint: Checkpoint, folder: Path, name: str, source: str) -> dict[str, Any]:
    side = {"mode": QueryMode.ENCODER.value, "max_tokens": checkpoint.max_tokens}
    query: dict[str, Any] = dict(side)
    if checkpoint.query_table is not None:
        file = f"{TABLE}/{WEIGHTS}"
        query |= {
            "mode": checkpoint.query_mode.value,
            "table": {"file": file, "sha256": sha256_of(folder / file)},
        }
    if checkpoint.queries is not None:
        nested = Contract.load(folder / QUERIES)
        query |= {"max_tokens": checkpoint.queries.max_tokens}
        query |= {"encoder": {"folder": QUERIES, "hash": nested.hash}}
    return {
        "format": "lexpand-contract",
        "version": VERSION,
        "name": name,
        "vocabulary": {"size": len(checkpoint.vocabulary), "sha256": checkpoint.vocabulary.sha256},
        "tokenizer": {"file": TOKENIZER, "sha256": sha256_of(folder / TOKENIZER)},
        "architecture": describe_architecture(checkpoint.config),
        "weights": {"file": WEIGHTS, "sha256": sha256_of(folder / WEIGHTS)},
        "body": {"file": None, "sha256": None, "output": "hidden"},
        "head": {
            "weight": checkpoint.head_weight,
            "bias": checkpoint.head_bias,
            "pooling": checkpoint.pooling,
            "activation": checkpoint.activation,
        },
        "document": side,
        "query": query,
        "pruning": None,
        "license": checkpoint.license or "unknown",
        "origin": "; ".join(
            part for part in (f"imported from {source}", checkpoint.origin) if part
        ),
        "golden": [],
    }
