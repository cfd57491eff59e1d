"""Make small rerankers with random weights and their reference implementation."""

import json
import string
from pathlib import Path
from typing import Any

import numpy as np

WORDS = ["account", "printer", "turn", "invoice", "month", "leave", "manager", "the", "of", "how"]
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WIDTH = 6


def pair_pieces() -> Any:
    """Return a BERT-like tokenizer: ``[CLS] query [SEP] text [SEP]``, with types 0 and 1."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokens = [
        *_SPECIAL,
        *WORDS,
        *string.ascii_lowercase,
        *(f"##{letter}" for letter in string.ascii_lowercase),
    ]
    tokenizer = Tokenizer(
        models.WordPiece({token: i for i, token in enumerate(tokens)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(_SPECIAL)
    return tokenizer


class Weights:
    """The weights and the reference implementation of a model that adds up embeddings.

    It adds the embeddings of tokens, positions and types, so the order and the side of a token
    matter.
    """

    def __init__(self, types: bool = True, labels: int = 1) -> None:
        random = np.random.default_rng(5)
        size = pair_pieces().get_vocab_size()
        self.types = types
        self.tokens, self.places, self.kinds = (
            random.normal(size=(rows, WIDTH)).astype(np.float32) for rows in (size, 512, 2)
        )
        self.head = random.normal(size=(WIDTH, labels)).astype(np.float32)

    def hidden(self, ids: list[int], types: list[int]) -> np.ndarray:
        """Return the hidden states of one input, float64 [tokens, WIDTH]."""
        kinds = self.kinds[types] if self.types else 0
        return np.tanh(np.float64(self.tokens[ids]) + self.places[: len(ids)] + kinds)

    def logit(self, ids: list[int], types: list[int]) -> float:
        """Return the first logit of one input, from the mean of its states."""
        return float((self.hidden(ids, types).mean(axis=0) @ self.head)[0])


def write_model(
    folder: Path,
    weights: Weights,
    name: str = "onnx/model.onnx",
    output: str = "logits",
    **config: Any,
) -> Path:
    """Write a folder with a tokenizer and a graph.

    The output of the graph is ``logits`` [texts, labels], ``hidden`` (the states), ``both``, or
    ``pair`` (the mean and the logits).
    """
    folder.mkdir(parents=True, exist_ok=True)
    pair_pieces().save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(
        json.dumps({"max_position_embeddings": 512, "model_type": "bert"} | config)
    )
    (folder / name).parent.mkdir(exist_ok=True)
    write_graph(folder / name, weights, output)
    return folder


def write_graph(path: Path, weights: Weights, output: str) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    inputs = ["input_ids", "attention_mask", *(["token_type_ids"] if weights.types else [])]
    nodes = [
        helper.make_node("Gather", ["tokens", "input_ids"], ["embedded"]),
        helper.make_node("Shape", ["input_ids"], ["count"], start=1, end=2),
        helper.make_node("Slice", ["places", "zero", "count"], ["placed"]),
        helper.make_node("Add", ["embedded", "placed"], ["plain"]),
    ]
    if weights.types:
        nodes.append(helper.make_node("Gather", ["kinds", "token_type_ids"], ["typed"]))
        nodes.append(helper.make_node("Add", ["plain", "typed"], ["summed"]))
    else:
        nodes.append(helper.make_node("Identity", ["plain"], ["summed"]))
    nodes += [
        helper.make_node("Tanh", ["summed"], ["last_hidden_state"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["last_hidden_state", "column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "one"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["mask", "one"], ["tokens_of"], keepdims=1),
        helper.make_node("Div", ["sum", "tokens_of"], ["mean"]),
        helper.make_node("MatMul", ["mean", "head"], ["logits"]),
    ]
    arrays = {
        "tokens": weights.tokens,
        "places": weights.places,
        "kinds": weights.kinds,
        "head": weights.head,
    }
    arrays |= {"zero": np.array([0]), "one": np.array([1]), "last": np.array([2])}
    outputs = {
        "logits": ["n", weights.head.shape[1]],
        "last_hidden_state": ["n", "m", WIDTH],
        "mean": ["n", WIDTH],
    }
    kinds = {
        "logits": ["logits"],
        "hidden": ["last_hidden_state"],
        "both": ["logits", "last_hidden_state"],
    }
    chosen = (kinds | {"pair": ["mean", "logits"]})[output]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(each, TensorProto.INT64, ["n", "m"]) for each in inputs],
        [helper.make_tensor_value_info(each, TensorProto.FLOAT, outputs[each]) for each in chosen],
        [
            numpy_helper.from_array(array, each)
            for each, array in arrays.items()
            if each != "kinds" or weights.types
        ],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
        str(path),
    )
