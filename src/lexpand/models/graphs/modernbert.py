"""The graph of ModernBERT: rotary positions, pre-normalization, local attention in most layers."""

from __future__ import annotations

import numpy as np

from lexpand.encode.architectures import Architecture, Config
from lexpand.encode.shape import FULL, SLIDING, Shape, layer_types, rope_theta
from lexpand.models.graphs.graph import (
    Graph,
    Shapes,
    activation,
    additive_mask,
    attention_context,
    attention_weights,
    declare_heads,
    layer_norm,
    linear,
    serialize,
)

_FLOAT = 1  # TensorProto's number of float32


def make_modernbert(
    architecture: Architecture, config: Config, shape: Shape, shapes: Shapes, int8: bool
) -> bytes:
    """Serialize the body of a ModernBERT; `shapes` are those of its tensors."""
    graph, head = Graph(shapes, int8), architecture.head
    kinds = layer_types(config, shape.layers)
    width = shape.width // shape.heads
    declare_heads(graph, shape.heads, width)
    mask = additive_mask(graph)
    masks = {FULL: mask, SLIDING: _local_mask(graph, mask, int(config["local_attention"]) // 2)}
    rotations = {
        kind: _rotation(graph, kind, rope_theta(config, kind), width)
        for kind in dict.fromkeys(kinds)
    }
    words = graph.op("Gather", graph.weight(head.embeddings), "input_ids")
    states = layer_norm(graph, words, "model.embeddings.norm", shape.epsilon)
    for i, kind in enumerate(kinds):
        states = _layer(graph, shape, i, states, masks[kind], rotations[kind])
    states = layer_norm(graph, states, "model.final_norm", shape.epsilon)
    states = activation(graph, shape.head_activation, linear(graph, states, head.transform))
    layer_norm(graph, states, head.norm, shape.epsilon, output="hidden")
    return serialize(graph, shape.width)


def _positions(graph: Graph) -> str:
    """Return the positions 0, 1, 2, ..., int64 [tokens]."""
    tokens = graph.op("Squeeze", graph.op("Shape", "input_ids", start=1, end=2))
    return graph.op(
        "Range", graph.constant("zero", np.int64(0)), tokens, graph.constant("step", np.int64(1))
    )


def _local_mask(graph: Graph, mask: str, reach: int) -> str:
    """Extend a mask to tokens farther apart than `reach`, [batch, 1, tokens, tokens]."""
    positions = _positions(graph)
    rows = graph.op("Unsqueeze", positions, graph.constant("last_axis", np.array([1], np.int64)))
    distance = graph.op("Abs", graph.op("Sub", rows, positions))
    far = graph.op("Greater", distance, graph.constant("reach", np.int64(reach)))
    far = graph.op("Cast", far, to=_FLOAT)
    lowest = graph.constant("lowest", np.finfo(np.float32).min)
    # The minimum of both masks, not their sum: twice the lowest float32 is -inf, and the softmax of
    # a row of -inf is NaN.
    return graph.op("Min", mask, graph.op("Mul", far, lowest))


def _rotation(graph: Graph, kind: str, theta: float, width: int) -> tuple[str, str]:
    """Return the cosines and sines of rotary positions, float32 [tokens, 1, width] each."""
    powers = np.arange(0, width, 2, dtype=np.float32) / np.float32(width)
    frequencies = (1.0 / np.power(np.float32(theta), powers)).astype(np.float32)
    positions = graph.op("Cast", _positions(graph), to=_FLOAT)
    inner_axes = graph.constant("inner_axes", np.array([1, 2], np.int64))
    positions = graph.op("Unsqueeze", positions, inner_axes)
    tiled = graph.constant(f"frequencies_{kind}", np.tile(frequencies, 2))
    angles = graph.op("Mul", positions, tiled)
    return graph.op("Cos", angles), graph.op("Sin", angles)


def _layer(
    graph: Graph, shape: Shape, number: int, states: str, mask: str, rotation: tuple[str, str]
) -> str:
    prefix = f"model.layers.{number}"
    width = shape.width // shape.heads
    # The input of the first layer is normalized already.
    normed = layer_norm(graph, states, f"{prefix}.attn_norm", shape.epsilon) if number else states
    parts = [
        graph.op("Reshape", part, "split_heads")
        for part in graph.split(linear(graph, normed, f"{prefix}.attn.Wqkv"), 3)
    ]
    query = graph.op("Transpose", _rotated(graph, parts[0], rotation), perm=[0, 2, 1, 3])
    key = graph.op("Transpose", _rotated(graph, parts[1], rotation), perm=[0, 2, 3, 1])
    value = graph.op("Transpose", parts[2], perm=[0, 2, 1, 3])
    weights = attention_weights(graph, query, key, mask, width)
    context = attention_context(graph, weights, value)
    states = graph.op("Add", states, linear(graph, context, f"{prefix}.attn.Wo"))
    normed = layer_norm(graph, states, f"{prefix}.mlp_norm", shape.epsilon)
    inner, gate = graph.split(linear(graph, normed, f"{prefix}.mlp.Wi"), 2)
    gated = graph.op("Mul", activation(graph, shape.activation, inner), gate)
    return graph.op("Add", states, linear(graph, gated, f"{prefix}.mlp.Wo"))


def _rotated(graph: Graph, states: str, rotation: tuple[str, str]) -> str:
    """Apply rotary positions to states [batch, tokens, heads, width]."""
    cosine, sine = rotation
    left, right = graph.split(states, 2)
    rotated = graph.op("Concat", graph.op("Neg", right), left, axis=-1)
    return graph.op("Add", graph.op("Mul", states, cosine), graph.op("Mul", rotated, sine))
