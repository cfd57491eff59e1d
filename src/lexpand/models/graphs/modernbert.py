"""ModernBERT: rotary positions, normalization before each layer, attention that is local in most of them."""

from __future__ import annotations

import numpy as np

from lexpand.encode.architectures import Architecture, Config
from lexpand.encode.shape import FULL, SLIDING, Shape, layer_types, rope_theta
from lexpand.models.graphs.graph import (
    Graph,
    Shapes,
    activation,
    additive_mask,
    attended,
    attention_shares,
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
    turns = {
        kind: _rotation(graph, kind, rope_theta(config, kind), width)
        for kind in dict.fromkeys(kinds)
    }
    words = graph.op("Gather", graph.weight(head.words), "input_ids")
    states = layer_norm(graph, words, "model.embeddings.norm", shape.epsilon)
    for i, kind in enumerate(kinds):
        states = _layer(graph, shape, i, states, masks[kind], turns[kind])
    states = layer_norm(graph, states, "model.final_norm", shape.epsilon)
    states = activation(graph, shape.head_activation, linear(graph, states, head.transform))
    layer_norm(graph, states, head.norm, shape.epsilon, output="hidden")
    return serialize(graph, shape.width)


def _places(graph: Graph) -> str:
    """0, 1, 2, ... int64 [tokens]."""
    tokens = graph.op("Squeeze", graph.op("Shape", "input_ids", start=1, end=2))
    return graph.op(
        "Range", graph.constant("zero", np.int64(0)), tokens, graph.constant("step", np.int64(1))
    )


def _local_mask(graph: Graph, mask: str, reach: int) -> str:
    """The mask, and the lowest float32 for tokens farther apart than `reach`; [batch, 1, tokens, tokens]."""
    places = _places(graph)
    rows = graph.op("Unsqueeze", places, graph.constant("last_axis", np.array([1], np.int64)))
    apart = graph.op("Abs", graph.op("Sub", rows, places))
    far = graph.op(
        "Cast", graph.op("Greater", apart, graph.constant("reach", np.int64(reach))), to=_FLOAT
    )
    # The lower of both, not their sum: twice the lowest float32 is -inf, and a row of -inf has no
    # softmax.
    return graph.op(
        "Min", mask, graph.op("Mul", far, graph.constant("lowest", np.finfo(np.float32).min))
    )


def _rotation(graph: Graph, kind: str, theta: float, width: int) -> tuple[str, str]:
    """Cosines and sines of the rotary positions, float32 [tokens, 1, width]."""
    powers = np.arange(0, width, 2, dtype=np.float32) / np.float32(width)
    frequencies = (1.0 / np.power(np.float32(theta), powers)).astype(np.float32)
    places = graph.op("Cast", _places(graph), to=_FLOAT)
    places = graph.op("Unsqueeze", places, graph.constant("inner_axes", np.array([1, 2], np.int64)))
    angles = graph.op("Mul", places, graph.constant(f"frequencies_{kind}", np.tile(frequencies, 2)))
    return graph.op("Cos", angles), graph.op("Sin", angles)


def _layer(
    graph: Graph, shape: Shape, number: int, states: str, mask: str, turn: tuple[str, str]
) -> str:
    prefix = f"model.layers.{number}"
    width = shape.width // shape.heads
    # The first layer's input is normalized already.
    normed = layer_norm(graph, states, f"{prefix}.attn_norm", shape.epsilon) if number else states
    parts = [
        graph.op("Reshape", part, "split_heads")
        for part in graph.split(linear(graph, normed, f"{prefix}.attn.Wqkv"), 3)
    ]
    query = graph.op("Transpose", _turned(graph, parts[0], turn), perm=[0, 2, 1, 3])
    key = graph.op("Transpose", _turned(graph, parts[1], turn), perm=[0, 2, 3, 1])
    value = graph.op("Transpose", parts[2], perm=[0, 2, 1, 3])
    context = attended(graph, attention_shares(graph, query, key, mask, width), value)
    states = graph.op("Add", states, linear(graph, context, f"{prefix}.attn.Wo"))
    normed = layer_norm(graph, states, f"{prefix}.mlp_norm", shape.epsilon)
    inner, gate = graph.split(linear(graph, normed, f"{prefix}.mlp.Wi"), 2)
    gated = graph.op("Mul", activation(graph, shape.activation, inner), gate)
    return graph.op("Add", states, linear(graph, gated, f"{prefix}.mlp.Wo"))


def _turned(graph: Graph, states: str, turn: tuple[str, str]) -> str:
    """Rotary positions applied to [batch, tokens, heads, width]."""
    cosine, sine = turn
    left, right = graph.split(states, 2)
    rotated = graph.op("Concat", graph.op("Neg", right), left, axis=-1)
    return graph.op("Add", graph.op("Mul", states, cosine), graph.op("Mul", rotated, sine))
