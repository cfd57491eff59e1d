"""The graph of BERT, DistilBERT, RoBERTa and XLM-R: learned positions, post-normalization."""

from __future__ import annotations

import numpy as np

from lexpand.encode.architectures import Architecture, BertNames
from lexpand.encode.shape import Shape
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


def make_bert(architecture: Architecture, shape: Shape, shapes: Shapes, int8: bool) -> bytes:
    """Serialize the body of a BERT-like model; `shapes` are those of its tensors."""
    names, head = architecture.names, architecture.head
    assert names is not None
    graph = Graph(shapes, int8)
    mask = additive_mask(graph)
    states = _embeddings(graph, names, head.embeddings, shape)
    for layer in range(shape.layers):
        states = _layer(graph, names, names.layer.format(layer), shape, states, mask)
    states = activation(graph, shape.head_activation, linear(graph, states, head.transform))
    layer_norm(graph, states, head.norm, shape.epsilon, output="hidden")
    return serialize(graph, shape.width)


def _embeddings(graph: Graph, names: BertNames, words: str, shape: Shape) -> str:
    """Add word, position and type embeddings, and normalize them. Every token has type 0."""
    table = f"{names.positions}.weight"
    if names.types is None:
        graph.weight(table)
    else:
        types = graph.weight(f"{names.types}.weight")
        first_type = graph.op("Gather", types, graph.constant("type", np.int64(0)))
        # The addition comes before the slice. It adds two constants, so ONNX Runtime performs it
        # once, when the session is created.
        table = graph.op("Add", graph.weight(table), first_type)
    if shape.padding is None:
        positions = _first_positions(graph, table)
    else:
        positions = _roberta_positions(graph, table, shape.padding)
    embedded = graph.op("Gather", graph.weight(words), "input_ids")
    return layer_norm(graph, graph.op("Add", embedded, positions), names.norm, shape.epsilon)


def _first_positions(graph: Graph, table: str) -> str:
    tokens = graph.op("Shape", "input_ids", start=1, end=2)
    return graph.op("Slice", table, graph.constant("begin", np.array([0], np.int64)), tokens)


def _roberta_positions(graph: Graph, table: str, padding: int) -> str:
    """Select positions as RoBERTa does: tokens other than padding are numbered after its id."""
    pad = graph.constant("padding", np.int64(padding))
    real = graph.op("Cast", graph.op("Not", graph.op("Equal", "input_ids", pad)), to=7)  # int64
    counts = graph.op("CumSum", real, graph.constant("along_tokens", np.int64(1)))
    return graph.op("Gather", table, graph.op("Add", graph.op("Mul", counts, real), pad))


def _layer(
    graph: Graph, names: BertNames, prefix: str, shape: Shape, states: str, mask: str
) -> str:
    """Add self-attention and feed-forward, each followed by its residual and normalization."""
    context = _self_attention(graph, names, prefix, shape, states, mask)
    context = linear(graph, context, f"{prefix}.{names.attention_output}")
    residual = graph.op("Add", context, states)
    states = layer_norm(graph, residual, f"{prefix}.{names.attention_norm}", shape.epsilon)
    intermediate = linear(graph, states, f"{prefix}.{names.intermediate}")
    intermediate = activation(graph, shape.activation, intermediate)
    output = linear(graph, intermediate, f"{prefix}.{names.output}")
    residual = graph.op("Add", output, states)
    return layer_norm(graph, residual, f"{prefix}.{names.output_norm}", shape.epsilon)


def _self_attention(
    graph: Graph, names: BertNames, prefix: str, shape: Shape, states: str, mask: str
) -> str:
    width = shape.width // shape.heads
    split = declare_heads(graph, shape.heads, width)

    def projected(name: str, order: list[int]) -> str:
        parts = graph.op("Reshape", linear(graph, states, f"{prefix}.{name}"), split)
        return graph.op("Transpose", parts, perm=order)

    query, key = projected(names.query, [0, 2, 1, 3]), projected(names.key, [0, 2, 3, 1])
    weights = attention_weights(graph, query, key, mask, width)
    return attention_context(graph, weights, projected(names.value, [0, 2, 1, 3]))
