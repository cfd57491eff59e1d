"""What config.json says of an encoder: its shape, and so the tensors that its checkpoint must have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lexpand.encode.architectures import BertNames, Config, find_architecture
from lexpand.errors import ModelError

ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu")
"""Activations of feed-forward layers that the graphs have."""

FULL, SLIDING = "full_attention", "sliding_attention"
"""Kinds of a ModernBERT layer."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What config.json says of an encoder, whatever the architecture calls it.

    Attributes:
        layers, heads, width: of the encoder; `width` is the hidden size.
        activation, head_activation: of feed-forward layers and of the head's transform.
        epsilon: of layer normalization.
        positions: the most tokens that it reads, special ones included.
        padding: the id from which positions are counted; None where they begin at 0.
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
    """What a transformer computes with its weights, as a contract records it: JSON that does not depend on defaults.

    Raises:
        ModelError: as `read_shape` does.
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
    """The encoder's shape.

    Raises:
        ModelError: a key is missing, or the model computes something that no graph here does.
    """
    architecture = find_architecture(config)
    layers, heads, width, act, epsilon = architecture.keys
    if config.get("is_decoder"):
        raise ModelError(
            "config.json has is_decoder true: a decoder reads a text in one direction, and SPLADE needs both; if the "
            "weights are an encoder's, set it to false"
        )
    positions_kind = config.get("position_embedding_type", "absolute")
    if positions_kind != "absolute":
        raise ModelError(
            f"config.json has position_embedding_type {positions_kind!r}: only 'absolute' is supported"
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
            f"config.json lacks the key {error}: it is no {architecture.masked_lm}'s"
        ) from None
    except (TypeError, ValueError) as error:
        raise ModelError(f"config.json: {error}") from None
    if min(shape.layers, shape.heads, shape.positions) < 1 or shape.width % shape.heads:
        raise ModelError(
            f"config.json: {shape.heads} heads over a width of {shape.width} cannot be"
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
            f"config.json has {key} {found!r}: activations that are supported are {', '.join(ACTIVATIONS)}"
        )
    return found


def tensor_names(config: Config) -> tuple[list[str], list[str]]:
    """Names of the tensors that the model must have, and of those that it may have; without decoder and its bias."""
    architecture, shape = find_architecture(config), read_shape(config)
    head = architecture.head
    if architecture.names is None:
        needed, optional = _modernbert_tensors(shape)
    else:
        needed, optional = _bert_tensors(architecture.names, shape), []
    needed += [head.words, f"{head.transform}.weight", f"{head.norm}.weight"]
    ending = [f"{head.transform}.bias", f"{head.norm}.bias"]
    return (
        (needed, [*optional, *ending])
        if architecture.names is None
        else ([*needed, *ending], optional)
    )


def _bert_tensors(names: BertNames, shape: Shape) -> list[str]:
    parts = ("query", "key", "value", "joined", "attention_norm", "inner", "outer", "outer_norm")
    prefixes = [
        f"{names.layer.format(i)}.{getattr(names, part)}"
        for i in range(shape.layers)
        for part in parts
    ]
    both = [f"{prefix}.{end}" for prefix in (names.norm, *prefixes) for end in ("weight", "bias")]
    return [f"{table}.weight" for table in (names.positions, names.types) if table] + both


def _modernbert_tensors(shape: Shape) -> tuple[list[str], list[str]]:
    prefixes = ["model.embeddings.norm", "model.final_norm"]
    for i in range(shape.layers):
        layer = f"model.layers.{i}"
        prefixes += (
            [f"{layer}.attn_norm"] if i else []
        )  # the first layer's input is normalized already
        prefixes += [
            f"{layer}.{part}" for part in ("attn.Wqkv", "attn.Wo", "mlp_norm", "mlp.Wi", "mlp.Wo")
        ]
    return [f"{prefix}.weight" for prefix in prefixes], [f"{prefix}.bias" for prefix in prefixes]


def layer_types(config: Config, layers: int) -> list[str]:
    """``full_attention`` or ``sliding_attention``, by layer, from the older or the newer form of config.json."""
    if config.get("layer_types") is not None:
        return [str(kind) for kind in config["layer_types"]]
    every = int(config.get("global_attn_every_n_layers", 3))
    return [SLIDING if i % every else FULL for i in range(layers)]


def rope_theta(config: Config, kind: str) -> float:
    """The base of rotary positions in layers of a kind, from the older or the newer form of config.json.

    Raises:
        ModelError: positions are scaled, which this graph does not do.
    """
    rope: dict[str, Any] = (config.get("rope_parameters") or {}).get(kind) or {}
    if config.get("rope_scaling") or rope.get("rope_type", "default") != "default":
        raise ModelError(
            f"config.json scales rotary positions ({rope or config['rope_scaling']}): not supported"
        )
    key, usual = ("global_rope_theta", 160000.0) if kind == FULL else ("local_rope_theta", 10000.0)
    return float(rope.get("rope_theta") or config.get(key) or usual)
