"""The shape of an encoder, from config.json, and the tensors that its checkpoint must have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lexpand.encode.architectures import BertNames, Config, find_architecture
from lexpand.errors import ModelError

ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu")
"""The activations of feed-forward layers that the graphs support."""

FULL, SLIDING = "full_attention", "sliding_attention"
"""The kinds of layers of ModernBERT."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of an encoder, independent of the key names of its architecture.

    Attributes:
        layers: the number of layers.
        heads: the number of attention heads.
        width: the hidden size.
        activation: the activation of feed-forward layers.
        head_activation: the activation of the transform in the head.
        epsilon: the epsilon of layer normalization.
        positions: the longest text, in tokens, special tokens included.
        padding: the id of the padding token, after which positions start. None if they start at 0.
    """

    layers: int
    heads: int
    width: int
    activation: str
    head_activation: str
    epsilon: float
    positions: int
    padding: int | None


def describe_architecture(config: Config) -> dict[str, Any]:
    """Return what a transformer computes with its weights, as JSON for the contract.

    All values are explicit, so the result does not depend on the defaults of config.json.

    Raises:
        ModelError: see `read_shape`.
    """
    shape = read_shape(config)
    described: dict[str, Any] = {
        "model_type": config["model_type"],
        "layers": shape.layers,
        "heads": shape.heads,
        "width": shape.width,
        "activation": shape.activation,
        "head_activation": shape.head_activation,
        "epsilon": shape.epsilon,
        "padding": shape.padding,
    }
    if config["model_type"] == "modernbert":
        described["layer_types"] = layer_types(config, shape.layers)
        described["rope_theta"] = {kind: rope_theta(config, kind) for kind in (FULL, SLIDING)}
        described["local_attention"] = int(config.get("local_attention", 128))
    return described


def read_shape(config: Config) -> Shape:
    """Return the shape of an encoder.

    Raises:
        ModelError: a key is missing, a value is invalid, or the model has a feature that the graphs
            do not support.
    """
    architecture = find_architecture(config)
    layers, heads, width, act, epsilon = architecture.keys
    if config.get("is_decoder"):
        raise ModelError(
            "is_decoder in config.json must be false, got true: a decoder reads text in one "
            "direction, but SPLADE needs both; set it to false if the weights belong to an encoder"
        )
    positions_kind = config.get("position_embedding_type", "absolute")
    if positions_kind != "absolute":
        raise ModelError(
            "position_embedding_type in config.json must be 'absolute', "
            f"got {positions_kind!r}, which is not supported"
        )
    try:
        padding = int(config["pad_token_id"]) if architecture.counts_from_padding else None
        positions = int(config["max_position_embeddings"])
        shape = Shape(
            layers=int(config[layers]),
            heads=int(config[heads]),
            width=int(config[width]),
            activation=_activation(config, act),
            head_activation=_head_activation(config, act),
            epsilon=float(config.get(epsilon, 1e-5 if architecture.names is None else 1e-12)),
            positions=positions if padding is None else positions - padding - 1,
            padding=padding,
        )
    except KeyError as error:
        raise ModelError(
            f"config.json lacks the key {error}, which {architecture.masked_lm} has: "
            "copy the checkpoint again"
        ) from None
    except (TypeError, ValueError) as error:
        raise ModelError(f"config.json: {error}") from None
    if min(shape.layers, shape.heads, shape.positions) < 1 or shape.width % shape.heads:
        raise ModelError(
            "config.json must have at least one layer, head and position, and a width that the "
            f"number of heads divides, got {shape.layers} layers, {shape.heads} heads, "
            f"{shape.positions} positions and a width of {shape.width}: copy the checkpoint again"
        )
    return shape


def _head_activation(config: Config, key: str) -> str:
    kind = config["model_type"]
    if kind == "modernbert":
        return _activation(config, "classifier_activation")
    return "gelu" if kind in ("roberta", "xlm-roberta") else _activation(config, key)


def _activation(config: Config, key: str) -> str:
    found = str(config.get(key, "gelu"))
    if found not in ACTIVATIONS:
        raise ModelError(
            f"{key} in config.json must be one of {', '.join(ACTIVATIONS)}, got {found!r}, "
            "which is not supported"
        )
    return found


def tensor_names(config: Config) -> tuple[list[str], list[str]]:
    """Return the names of the required and of the optional tensors.

    The tensors of the decoder are not among them.
    """
    architecture, shape = find_architecture(config), read_shape(config)
    head = architecture.head
    if architecture.names is None:
        required, optional = _modernbert_tensors(shape)
    else:
        required, optional = _bert_tensors(architecture.names, shape), []
    required += [head.embeddings, f"{head.transform}.weight", f"{head.norm}.weight"]
    head_biases = [f"{head.transform}.bias", f"{head.norm}.bias"]
    if architecture.names is None:
        return required, [*optional, *head_biases]
    return [*required, *head_biases], optional


def _bert_tensors(names: BertNames, shape: Shape) -> list[str]:
    parts = (
        names.query,
        names.key,
        names.value,
        names.attention_output,
        names.attention_norm,
        names.intermediate,
        names.output,
        names.output_norm,
    )
    layers = [names.layer.format(i) for i in range(shape.layers)]
    prefixes = [f"{layer}.{part}" for layer in layers for part in parts]
    both = [f"{prefix}.{end}" for prefix in (names.norm, *prefixes) for end in ("weight", "bias")]
    return [f"{table}.weight" for table in (names.positions, names.types) if table] + both


def _modernbert_tensors(shape: Shape) -> tuple[list[str], list[str]]:
    prefixes = ["model.embeddings.norm", "model.final_norm"]
    for i in range(shape.layers):
        layer = f"model.layers.{i}"
        if i:  # the input of the first layer is normalized already
            prefixes.append(f"{layer}.attn_norm")
        prefixes += [
            f"{layer}.{part}" for part in ("attn.Wqkv", "attn.Wo", "mlp_norm", "mlp.Wi", "mlp.Wo")
        ]
    return [f"{prefix}.weight" for prefix in prefixes], [f"{prefix}.bias" for prefix in prefixes]


def layer_types(config: Config, layers: int) -> list[str]:
    """Return the kind of each layer of ModernBERT: ``full_attention`` or ``sliding_attention``.

    Both the older and the newer form of config.json are supported.
    """
    if config.get("layer_types") is not None:
        return [str(kind) for kind in config["layer_types"]]
    every = int(config.get("global_attn_every_n_layers", 3))
    return [SLIDING if i % every else FULL for i in range(layers)]


def rope_theta(config: Config, kind: str) -> float:
    """Return the base of rotary positions in layers of a kind.

    Both the older and the newer form of config.json are supported.

    Raises:
        ModelError: positions are scaled, which the graph does not support.
    """
    rope: dict[str, Any] = (config.get("rope_parameters") or {}).get(kind) or {}
    if config.get("rope_scaling") or rope.get("rope_type", "default") != "default":
        raise ModelError(
            "rotary positions in config.json must not be scaled, "
            f"got {rope or config['rope_scaling']}, which is not supported"
        )
    key, default = (
        ("global_rope_theta", 160000.0) if kind == FULL else ("local_rope_theta", 10000.0)
    )
    return float(rope.get("rope_theta") or config.get(key) or default)
