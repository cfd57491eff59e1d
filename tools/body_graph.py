"""The ONNX graph of a BERT masked-language model up to its decoder, without weights.

Input: `input_ids` and `attention_mask`, int64 [batch, tokens]. Output: `hidden`, float32 [batch, tokens,
width], the hidden states after the head's transform: logits = hidden @ word_embeddings.T + decoder bias.
At padding positions `hidden` means nothing: whoever takes a maximum over positions leaves them out.

Every weight is an external initializer with the name, shape and layout of its tensor in the safetensors
file; the loader gives the values (`SessionOptions.add_external_initializers`). Only standard operators are
used: when a session is made, ONNX Runtime folds the transposes and fuses bias with GELU and scale with the
matrix product by itself, and forms with its own fused operators were measured to be no faster.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 20  # the first with Gelu; LayerNormalization came with 17
IR_VERSION = 9  # the one that opset 20 was released with

# A name that no file has: without the loader's values a session must fail, never read other bytes as weights.
NO_FILE = "values-come-from-model.safetensors"

Shapes = Mapping[str, Sequence[int]]


class Graph:
    """Nodes and initializers in the making; every call of `op` appends one node."""

    def __init__(self, shapes: Shapes) -> None:
        self.shapes = shapes
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:  # noqa: ANN401
        """Append a node and return the name of its output."""
        name = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def weight(self, name: str) -> str:
        """Declare the safetensors tensor `name` as an external initializer."""
        if name not in self.initializers:
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=self.shapes[name])
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=NO_FILE)
            self.initializers[name] = tensor
        return name

    def constant(self, name: str, value: np.ndarray) -> str:
        """Declare a small value that stays inside the graph."""
        self.initializers.setdefault(name, numpy_helper.from_array(value, name))
        return name


def make_body(config: Mapping[str, Any], shapes: Shapes) -> bytes:
    """Serialize the body of the model that `config` (its config.json) and `shapes` (its tensors) describe."""
    require_plain_bert(config)
    graph = Graph(shapes)
    mask = additive_mask(graph)
    states = embeddings(graph, config)
    for layer in range(config["num_hidden_layers"]):
        states = encoder_layer(graph, config, f"bert.encoder.layer.{layer}", states, mask)
    head = "cls.predictions.transform"
    states = graph.op("Gelu", linear(graph, states, f"{head}.dense"))
    layer_norm(graph, config, states, f"{head}.LayerNorm", output="hidden")
    return serialize(graph, config["hidden_size"])


def require_plain_bert(config: Mapping[str, Any]) -> None:
    """Refuse what this graph would compute wrongly."""
    expected = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    for key, value in expected.items():
        if config.get(key, value) != value:
            raise ValueError(f"config.json has {key} = {config[key]!r}; this graph is made for {value!r} only")


def additive_mask(graph: Graph) -> str:
    """0 where a token is, the lowest float32 where padding is: its softmax is exactly 0."""
    mask = graph.op("Unsqueeze", "attention_mask", graph.constant("mask_axes", np.array([1, 2], np.int64)))
    absent = graph.op("Sub", graph.constant("one", np.float32(1)), graph.op("Cast", mask, to=TensorProto.FLOAT))
    return graph.op("Mul", absent, graph.constant("lowest", np.finfo(np.float32).min))


def embeddings(graph: Graph, config: Mapping[str, Any]) -> str:
    """Word, position and type embeddings, normalised; every token is of type 0."""
    prefix = "bert.embeddings"
    first_type = graph.op(
        "Gather", graph.weight(f"{prefix}.token_type_embeddings.weight"), graph.constant("type", np.int64(0))
    )
    # Added before the slice: two constants, so ONNX Runtime adds them once, when the session is made.
    places = graph.op("Add", graph.weight(f"{prefix}.position_embeddings.weight"), first_type)
    tokens = graph.op("Shape", "input_ids", start=1, end=2)
    places = graph.op("Slice", places, graph.constant("begin", np.array([0], np.int64)), tokens)
    words = graph.op("Gather", graph.weight(f"{prefix}.word_embeddings.weight"), "input_ids")
    return layer_norm(graph, config, graph.op("Add", words, places), f"{prefix}.LayerNorm")


def encoder_layer(graph: Graph, config: Mapping[str, Any], prefix: str, states: str, mask: str) -> str:
    """Self-attention and feed-forward, each with its residual and normalisation after it."""
    context = self_attention(graph, config, f"{prefix}.attention.self", states, mask)
    context = linear(graph, context, f"{prefix}.attention.output.dense")
    states = layer_norm(graph, config, graph.op("Add", context, states), f"{prefix}.attention.output.LayerNorm")
    inner = graph.op("Gelu", linear(graph, states, f"{prefix}.intermediate.dense"))
    outer = linear(graph, inner, f"{prefix}.output.dense")
    return layer_norm(graph, config, graph.op("Add", outer, states), f"{prefix}.output.LayerNorm")


def self_attention(graph: Graph, config: Mapping[str, Any], prefix: str, states: str, mask: str) -> str:
    """Scaled dot-product attention over the unmasked tokens."""
    heads = config["num_attention_heads"]
    width = config["hidden_size"] // heads
    # A 0 in Reshape keeps the input's own size: batch and tokens stay free.
    split = graph.constant("split_heads", np.array([0, 0, heads, width], np.int64))
    join = graph.constant("join_heads", np.array([0, 0, heads * width], np.int64))

    def projected(name: str, order: list[int]) -> str:
        parts = graph.op("Reshape", linear(graph, states, f"{prefix}.{name}"), split)
        return graph.op("Transpose", parts, perm=order)

    products = graph.op("MatMul", projected("query", [0, 2, 1, 3]), projected("key", [0, 2, 3, 1]))
    products = graph.op("Mul", products, graph.constant("scale", np.float32(width**-0.5)))
    shares = graph.op("Softmax", graph.op("Add", products, mask), axis=-1)
    context = graph.op("MatMul", shares, projected("value", [0, 2, 1, 3]))
    return graph.op("Reshape", graph.op("Transpose", context, perm=[0, 2, 1, 3]), join)


def linear(graph: Graph, states: str, prefix: str) -> str:
    """The product states @ weight.T + bias, the weight in PyTorch's layout [out, in]."""
    transposed = graph.op("Transpose", graph.weight(f"{prefix}.weight"), perm=[1, 0])
    return graph.op("Add", graph.op("MatMul", states, transposed), graph.weight(f"{prefix}.bias"))


def layer_norm(graph: Graph, config: Mapping[str, Any], states: str, prefix: str, output: str | None = None) -> str:
    """Layer normalisation; checkpoints from TensorFlow call its weight and bias gamma and beta."""
    names = ("gamma", "beta") if f"{prefix}.gamma" in graph.shapes else ("weight", "bias")
    scale, bias = (graph.weight(f"{prefix}.{name}") for name in names)
    epsilon = config["layer_norm_eps"]
    return graph.op("LayerNormalization", states, scale, bias, output=output, axis=-1, epsilon=epsilon)


def serialize(graph: Graph, width: int) -> bytes:
    """The finished model, the same bytes each time."""
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["batch", "tokens", width])]
    made = helper.make_graph(graph.nodes, "body", inputs, outputs, initializer=graph.initializers.values())
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="lexpand"
    )
    return model.SerializeToString(deterministic=True)
