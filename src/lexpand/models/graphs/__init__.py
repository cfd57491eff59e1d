"""ONNX graphs without weights, from token ids to the input of the decoder.

The inputs are `input_ids` and `attention_mask`, int64 [batch, tokens]. The output is `hidden`,
float32 [batch, tokens, width]: the hidden states after the transform of the head, so that
logits = hidden @ decoder.T + bias. At padding positions `hidden` is meaningless, and pooling must
ignore it.

Every weight is an external initializer with the name, shape and layout of its tensor in the
safetensors file. The loader provides the values (`SessionOptions.add_external_initializers`).
"""

from __future__ import annotations

from lexpand.encode.architectures import Config, find_architecture
from lexpand.encode.shape import read_shape
from lexpand.errors import MissingExtra, ModelError


def make_graph(config: Config, shapes: dict[str, tuple[int, ...]], *, int8: bool = False) -> bytes:
    """Return the serialized graph of the model that config.json describes.

    Args:
        config: the content of config.json.
        shapes: the shapes of the tensors, by name.
        int8: multiply weights and states as 8-bit integers instead of float32.

    Raises:
        ModelError: a tensor is missing, or the model has a feature that the graphs do not support.
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
            f"the weights lack the tensor {error}, which {architecture.masked_lm} has: "
            "copy the checkpoint again"
        ) from None
