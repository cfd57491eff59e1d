"""BERT, DistilBERT, RoBERTa and XLM-R: learned positions, normalization after each layer."""

from __future__ import annotations

import numpy as np

from lexpand.encode.architectures import Architecture, BertNames
from lexpand.encode.shape import Shape
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


def make_bert(architecture: Architecture, shape: Shape, shapes: Shapes, int8: bool) -> bytes:
    """Serialize the body of a model of BERT's kind; `shapes` are those of its tensors."""
    names, head = architecture.names, architecture.head
    assert names is not None
    graph = Graph(shapes, int8)
    mask = additive_mask(graph)
    states = _embeddings(graph, names, head.words, shape)
    for layer in range(shape.layers):
        states = _layer(graph, names, names.layer.format(layer), shape, states, mask)
    states = activation(graph, shape.head_activation, linear(graph, states, head.transform))
    layer_norm(graph, states, head.norm, shape.epsilon, output="hidden")
    return serialize(graph, shape.width)


def _embeddings(graph: Graph, names: BertNames, words: str, shape: Shape) -> str:
    """Word, position and type embeddings, normalized; every token is of type 0."""
    places = f"{names.positions}.weight"
    if names.types is None:
        graph.weight(places)
    else:
        types = graph.weight(f"{names.types}.weight")
        first_type = graph.op("Gather", types, graph.constant("type", np.int64(0)))
        # Added before the slice: two constants, so ONNX Runtime adds them once, when the session is
        # made.
        places = graph.op("Add", graph.weight(places), first_type)
    places = (
        _first_places(graph, places)
        if shape.padding is None
        else _counted(graph, places, shape.padding)
    )
    embedded = graph.op("Gather", graph.weight(words), "input_ids")
    return layer_norm(graph, graph.op("Add", embedded, places), names.norm, shape.epsilon)


def _first_places(graph: Graph, places: str) -> str:
    tokens = graph.op("Shape", "input_ids", start=1, end=2)
    return graph.op("Slice", places, graph.constant("begin", np.array([0], np.int64)), tokens)


def _counted(graph: Graph, places: str, padding: int) -> str:
    """Positions as RoBERTa has them: tokens that are no padding are counted, from the padding's id on."""
    pad = graph.constant("padding", np.int64(padding))
    real = graph.op("Cast", graph.op("Not", graph.op("Equal", "input_ids", pad)), to=7)  # int64
    counts = graph.op("CumSum", real, graph.constant("along_tokens", np.int64(1)))
    return graph.op("Gather", places, graph.op("Add", graph.op("Mul", counts, real), pad))


def _layer(
    graph: Graph, names: BertNames, prefix: str, shape: Shape, states: str, mask: str
) -> str:
    """Self-attention and feed-forward, each with its residual and normalization after it."""
    context = _self_attention(graph, names, prefix, shape, states, mask)
    context = linear(graph, context, f"{prefix}.{names.joined}")
    added = graph.op("Add", context, states)
    states = layer_norm(graph, added, f"{prefix}.{names.attention_norm}", shape.epsilon)
    inner = activation(graph, shape.activation, linear(graph, states, f"{prefix}.{names.inner}"))
    outer = linear(graph, inner, f"{prefix}.{names.outer}")
    return layer_norm(
        graph, graph.op("Add", outer, states), f"{prefix}.{names.outer_norm}", shape.epsilon
    )


def _self_attention(
    graph: Graph, names: BertNames, prefix: str, shape: Shape, states: str, mask: str
) -> str:
    width = shape.width // shape.heads
    split = declare_heads(graph, shape.heads, width)

    def projected(name: str, order: list[int]) -> str:
        parts = graph.op("Reshape", linear(graph, states, f"{prefix}.{name}"), split)
        return graph.op("Transpose", parts, perm=order)

    query, key = projected(names.query, [0, 2, 1, 3]), projected(names.key, [0, 2, 3, 1])
    shares = attention_shares(graph, query, key, mask, width)
    return attended(graph, shares, projected(names.value, [0, 2, 1, 3]))
