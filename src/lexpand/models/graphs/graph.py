"""A graph builder, and the parts that the architectures share.

Only standard operators are used, except for integer products. When a session is created, ONNX
Runtime folds the transposes, and fuses bias with GELU and scale with the matrix product. Graphs
with ONNX Runtime's own fused operators were measured to be no faster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from lexpand.encode.body import INT8, SCALE

OPSET = 20  # the first with Gelu; LayerNormalization came with 17
IR_VERSION = 9  # the one that opset 20 was released with

# The name of a file that does not exist. Without the values of the loader, a session must fail
# instead of reading other bytes as weights.
NO_FILE = "values-come-from-model.safetensors"

# The domain of ONNX Runtime's own operators. The standard has no product of quantized states and
# weights with a bias.
MICROSOFT = "com.microsoft"

Shapes = Mapping[str, Sequence[int]]


class Graph:
    """A builder of nodes and initializers. Every call of `op` appends one node.

    Args:
        shapes: the shapes of the tensors of the checkpoint, by name.
        int8: whether `linear` multiplies integers.
    """

    def __init__(self, shapes: Shapes, int8: bool = False) -> None:
        self.shapes = shapes
        self.int8 = int8
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:  # noqa: ANN401
        """Append a node with one output, and return its name. An input "" is omitted."""
        name = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def split(self, states: str, parts: int) -> list[str]:
        """Split the last axis into equal parts."""
        name = f"Split_{len(self.nodes)}"
        outputs = [f"{name}_{part}" for part in range(parts)]
        self.nodes.append(
            helper.make_node("Split", [states], outputs, name=name, axis=-1, num_outputs=parts)
        )
        return outputs

    def weight(self, name: str) -> str:
        """Declare the tensor `name` as an external initializer."""
        return self._external(name, TensorProto.FLOAT, self.shapes[name])

    def quantized_weight(self, name: str) -> tuple[str, str]:
        """Declare the weight and the scales that `encode.body.quantize` makes of a tensor.

        The tensor `name` is [out, in]. Its weight is int8 [in, out], its scales are float32 [out].
        """
        out, into = self.shapes[name]
        return (
            self._external(f"{name}{INT8}", TensorProto.INT8, (into, out)),
            self._external(f"{name}{SCALE}", TensorProto.FLOAT, (out,)),
        )

    def _external(self, name: str, kind: int, dims: Sequence[int]) -> str:
        if name not in self.initializers:
            tensor = TensorProto(name=name, data_type=kind, dims=dims)
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=NO_FILE)
            self.initializers[name] = tensor
        return name

    def constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        """Declare a small value that stays inside the graph."""
        self.initializers.setdefault(name, numpy_helper.from_array(np.asarray(value), name))
        return name


def additive_mask(graph: Graph) -> str:
    """Return the additive attention mask, [batch, 1, 1, tokens].

    It is 0 for tokens, and the lowest float32 for padding, whose softmax is then exactly 0.
    """
    mask = graph.op(
        "Unsqueeze", "attention_mask", graph.constant("mask_axes", np.array([1, 2], np.int64))
    )
    absent = graph.op(
        "Sub", graph.constant("one", np.float32(1)), graph.op("Cast", mask, to=TensorProto.FLOAT)
    )
    return graph.op("Mul", absent, graph.constant("lowest", np.finfo(np.float32).min))


def linear(graph: Graph, states: str, prefix: str) -> str:
    """Multiply states by a weight in PyTorch's layout [out, in], and add the bias if there is one.

    With int8, the states are quantized to 8 bits when the graph runs, with one scale for all texts
    of a batch.
    """
    has_bias = f"{prefix}.bias" in graph.shapes
    if graph.int8:
        weight, scale = graph.quantized_weight(f"{prefix}.weight")
        bias = graph.weight(f"{prefix}.bias") if has_bias else ""
        return graph.op("DynamicQuantizeMatMul", states, weight, scale, "", bias, domain=MICROSOFT)
    transposed = graph.op("Transpose", graph.weight(f"{prefix}.weight"), perm=[1, 0])
    product = graph.op("MatMul", states, transposed)
    return graph.op("Add", product, graph.weight(f"{prefix}.bias")) if has_bias else product


def layer_norm(
    graph: Graph, states: str, prefix: str, epsilon: float, output: str | None = None
) -> str:
    """Normalize states, with or without a bias.

    Checkpoints from TensorFlow call the tensors gamma and beta.
    """
    names = ("gamma", "beta") if f"{prefix}.gamma" in graph.shapes else ("weight", "bias")
    # The bias is optional. A missing weight raises a KeyError.
    inputs = [graph.weight(f"{prefix}.{names[0]}")]
    if f"{prefix}.{names[1]}" in graph.shapes:
        inputs.append(graph.weight(f"{prefix}.{names[1]}"))
    return graph.op("LayerNormalization", states, *inputs, output=output, axis=-1, epsilon=epsilon)


def activation(graph: Graph, kind: str, states: str) -> str:
    """Apply the activation of a feed-forward layer, given by its name in transformers."""
    if kind == "relu":
        return graph.op("Relu", states)
    if kind == "gelu":
        return graph.op("Gelu", states)
    return graph.op("Gelu", states, approximate="tanh")


def attention_weights(graph: Graph, query: str, key: str, mask: str, width: int) -> str:
    """Return the attention weights, [batch, heads, tokens, tokens]: softmax of scaled products.

    Args:
        graph: the graph to extend.
        query: [batch, heads, tokens, width].
        key: [batch, heads, width, tokens].
        mask: the additive mask, [batch, 1, 1 or tokens, tokens].
        width: the width of a head.
    """
    products = graph.op("MatMul", query, key)
    products = graph.op("Mul", products, graph.constant("scale", np.float32(width**-0.5)))
    return graph.op("Softmax", graph.op("Add", products, mask), axis=-1)


def attention_context(graph: Graph, weights: str, value: str) -> str:
    """Weight the values [batch, heads, tokens, width] and join the heads."""
    context = graph.op("Transpose", graph.op("MatMul", weights, value), perm=[0, 2, 1, 3])
    return graph.op("Reshape", context, "join_heads")


def declare_heads(graph: Graph, heads: int, width: int) -> str:
    """Declare the shapes that split and join heads, and return the name of the first."""
    # A 0 in Reshape keeps the size of the input, so batch and tokens stay dynamic.
    split = graph.constant("split_heads", np.array([0, 0, heads, width], np.int64))
    graph.constant("join_heads", np.array([0, 0, heads * width], np.int64))
    return split


def serialize(graph: Graph, width: int) -> bytes:
    """Serialize the model. The bytes are reproducible."""
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [
        helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["batch", "tokens", width])
    ]
    opsets = [helper.make_opsetid("", OPSET)]
    if graph.int8:
        opsets.append(helper.make_opsetid(MICROSOFT, 1))
    initializers = list(graph.initializers.values())
    body = helper.make_graph(graph.nodes, "body", inputs, outputs, initializer=initializers)
    model = helper.make_model(
        body, opset_imports=opsets, ir_version=IR_VERSION, producer_name="lexpand"
    )
    return bytes(model.SerializeToString(deterministic=True))
