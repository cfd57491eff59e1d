"""The models that are measured, as folders in the layout of sentence-transformers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from lexpand.encode.folder import find_folder
from lexpand.models import import_model

_OURS = ("onnx", "contract.json")
# The share of (position, term) pairs that are active with splade-tiny on abstracts. The biases of a
# random decoder are set to give the same share. Otherwise, half of the vocabulary would be active.
_ACTIVE = 1e-4


def tiny(root: Path) -> tuple[Path, Path]:
    """Return the folder of splade-tiny, and a copy for the peers without Lexpand's files."""
    ours = find_folder("default")
    return ours, _for_peers(ours, root / "tiny")


def mini(root: Path) -> tuple[Path, Path]:
    """Return the folders of a random BERT with six layers, 384 wide, for measuring speed.

    It has the tokenizer of splade-tiny. The first folder is for Lexpand, the second for the peers.
    """
    plain, ours = root / "mini-checkpoint", root / "mini-lexpand"
    if not (ours / "onnx" / "body_int8.onnx").exists():
        _write_random(plain, width=384, layers=6, heads=12)
        import_model(str(plain), ours, force=True)
    return ours, _for_peers(ours, root / "mini")


def _for_peers(ours: Path, copy: Path) -> Path:
    if not (copy / "config.json").exists():
        shutil.copytree(ours, copy, ignore=shutil.ignore_patterns(*_OURS), dirs_exist_ok=True)
    return copy


def _write_random(folder: Path, width: int, layers: int, heads: int) -> None:
    """Write a masked language model in the format of transformers, without transformers."""
    source, random = find_folder("default"), np.random.default_rng(0)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    config |= {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads}
    config |= {"intermediate_size": 4 * width, "architectures": ["BertForMaskedLM"]}

    def normal(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * 0.05).astype(np.float32)

    tensors: dict[str, np.ndarray] = {}

    def dense(name: str, out: int, into: int) -> None:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = (
            normal(out, into),
            np.zeros(out, np.float32),
        )

    def norm(name: str) -> None:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = (
            np.ones(width, np.float32),
            np.zeros(width, np.float32),
        )

    size = config["vocab_size"]
    rows = {
        "word": size,
        "position": config["max_position_embeddings"],
        "token_type": config["type_vocab_size"],
    }
    for name, count in rows.items():
        tensors[f"bert.embeddings.{name}_embeddings.weight"] = normal(count, width)
    norm("bert.embeddings.LayerNorm")
    for layer in range(layers):
        prefix = f"bert.encoder.layer.{layer}"
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            dense(f"{prefix}.attention.{name}", width, width)
        dense(f"{prefix}.intermediate.dense", 4 * width, width)
        dense(f"{prefix}.output.dense", width, 4 * width)
        norm(f"{prefix}.attention.output.LayerNorm")
        norm(f"{prefix}.output.LayerNorm")
    dense("cls.predictions.transform.dense", width, width)
    norm("cls.predictions.transform.LayerNorm")
    # A logit is a sum of `width` products with a normalized state. It is normally distributed, and
    # its standard deviation is the norm of the decoder's row.
    spread = np.linalg.norm(tensors["bert.embeddings.word_embeddings.weight"], axis=1)
    quantile = 3.719  # of the normal distribution, at 1 - _ACTIVE
    tensors["cls.predictions.bias"] = (-quantile * spread).astype(np.float32)

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(source / name, folder / name)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
