"""Graphs in ONNX, without weights, of the architectures that Lexpand runs: token ids to what the decoder takes.

Input: `input_ids` and `attention_mask`, int64 [batch, tokens]. Output: `hidden`, float32 [batch,
tokens, width], the hidden states after the head's transform: logits = hidden @ decoder.T + bias. At
padding positions `hidden` means nothing: whoever takes a maximum over positions leaves them out.

Every weight is an external initializer with the name, shape and layout of its tensor in the
safetensors file; the loader gives the values (`SessionOptions.add_external_initializers`).
"""

from __future__ import annotations

from lexpand.encode.architectures import Config, find_architecture
from lexpand.encode.shape import read_shape
from lexpand.errors import MissingExtra, ModelError


def make_graph(config: Config, shapes: dict[str, tuple[int, ...]], *, int8: bool = False) -> bytes:
    """The graph of the model that config.json describes.

    Args:
        config: config.json.
        shapes: of the tensors, by name.
        int8: with products of 8-bit integers in the place of float32 ones, where weights and states
            meet.

    Raises:
        ModelError: a tensor is missing, or the model computes something that no graph here does.
        MissingExtra: the package onnx is not installed.
    """
    try:
        from lexpand.models.graphs.bert import make_bert
        from lexpand.models.graphs.modernbert import make_modernbert
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise MissingExtra("onnx", "onnx", "making a model's graph") from None
    architecture, shape = find_architecture(config), read_shape(config)
    try:
        if architecture.names is None:
            return make_modernbert(architecture, config, shape, shapes, int8)
        return make_bert(architecture, shape, shapes, int8)
    except KeyError as error:
        raise ModelError(
            f"the weights have no tensor {error}: this is no {architecture.masked_lm}"
        ) from None
