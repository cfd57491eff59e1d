"""Which architectures are read, and how their checkpoints name their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lexpand.errors import ModelError

Config = Mapping[str, Any]
"""A checkpoint's config.json."""

ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu")
"""Activations of feed-forward layers that the graphs have."""


@dataclass(frozen=True, slots=True)
class Head:
    """Names of the masked-language-model head's tensors; ``.weight`` and ``.bias`` are added to prefixes.

    Attributes:
        words: the embedding matrix [vocabulary, width], which the decoder shares unless it is untied.
        transform, norm: prefixes of the layers before the decoder.
        decoder: the decoder's own matrix, for checkpoints that carry one.
        bias: the decoder's bias, float32 [vocabulary].
        other_bias: another name of the same.
    """

    words: str
    transform: str
    norm: str
    decoder: str
    bias: str
    other_bias: str | None = None


@dataclass(frozen=True, slots=True)
class BertNames:
    """Prefixes of tensors in an encoder of BERT's kind: post-normalised, with learned positions.

    ``{}`` in `layer` is the layer's number; the attributes below it are added to it.
    """

    positions: str
    types: str | None
    norm: str
    layer: str
    query: str
    key: str
    value: str
    joined: str
    attention_norm: str
    inner: str
    outer: str
    outer_norm: str


_BERT_LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "joined": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "inner": "intermediate.dense",
    "outer": "output.dense",
    "outer_norm": "output.LayerNorm",
}


def _bert_names(root: str) -> BertNames:
    embeddings = f"{root}.embeddings"
    return BertNames(
        positions=f"{embeddings}.position_embeddings",
        types=f"{embeddings}.token_type_embeddings",
        norm=f"{embeddings}.LayerNorm",
        layer=f"{root}.encoder.layer.{{}}",
        **_BERT_LAYER,
    )


_DISTILBERT_NAMES = BertNames(
    positions="distilbert.embeddings.position_embeddings",
    types=None,
    norm="distilbert.embeddings.LayerNorm",
    layer="distilbert.transformer.layer.{}",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    joined="attention.out_lin",
    attention_norm="sa_layer_norm",
    inner="ffn.lin1",
    outer="ffn.lin2",
    outer_norm="output_layer_norm",
)

_ROBERTA_HEAD = Head(
    words="roberta.embeddings.word_embeddings.weight",
    transform="lm_head.dense",
    norm="lm_head.layer_norm",
    decoder="lm_head.decoder.weight",
    bias="lm_head.bias",
    other_bias="lm_head.decoder.bias",
)


@dataclass(frozen=True, slots=True)
class Architecture:
    """One ``model_type`` of Hugging Face.

    Attributes:
        masked_lm: its class in transformers.
        head: names of the head's tensors.
        names: of the encoder's, for those of BERT's kind; None for ModernBERT.
        keys: what config.json calls layers, heads, width, inner activation and epsilon.
        counts_from_padding: positions are counted from the padding token's id on, as in RoBERTa.
    """

    masked_lm: str
    head: Head
    names: BertNames | None
    keys: tuple[str, str, str, str, str]
    counts_from_padding: bool = False


_KEYS = ("num_hidden_layers", "num_attention_heads", "hidden_size", "hidden_act", "layer_norm_eps")

ARCHITECTURES = {
    "bert": Architecture(
        "BertForMaskedLM",
        Head(
            words="bert.embeddings.word_embeddings.weight",
            transform="cls.predictions.transform.dense",
            norm="cls.predictions.transform.LayerNorm",
            decoder="cls.predictions.decoder.weight",
            bias="cls.predictions.bias",
            other_bias="cls.predictions.decoder.bias",
        ),
        _bert_names("bert"),
        _KEYS,
    ),
    "distilbert": Architecture(
        "DistilBertForMaskedLM",
        Head(
            words="distilbert.embeddings.word_embeddings.weight",
            transform="vocab_transform",
            norm="vocab_layer_norm",
            decoder="vocab_projector.weight",
            bias="vocab_projector.bias",
        ),
        _DISTILBERT_NAMES,
        ("n_layers", "n_heads", "dim", "activation", "layer_norm_eps"),
    ),
    "roberta": Architecture("RobertaForMaskedLM", _ROBERTA_HEAD, _bert_names("roberta"), _KEYS, True),
    "xlm-roberta": Architecture("XLMRobertaForMaskedLM", _ROBERTA_HEAD, _bert_names("roberta"), _KEYS, True),
    "modernbert": Architecture(
        "ModernBertForMaskedLM",
        Head(
            words="model.embeddings.tok_embeddings.weight",
            transform="head.dense",
            norm="head.norm",
            decoder="decoder.weight",
            bias="decoder.bias",
        ),
        None,
        ("num_hidden_layers", "num_attention_heads", "hidden_size", "hidden_activation", "norm_eps"),
    ),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What config.json says of an encoder, whatever the architecture calls it.

    Attributes:
        layers, heads, width: of the encoder; `width` is the hidden size.
        activation, head_activation: of feed-forward layers and of the head's transform.
        epsilon: of layer normalisation.
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


def find_architecture(config: Config) -> Architecture:
    """The architecture that config.json names.

    Raises:
        ModelError: it is none of those that are read.
    """
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ModelError(f"config.json has model_type {kind!r}: architectures that can be imported are {known}")
    return ARCHITECTURES[kind]


def read_shape(config: Config) -> Shape:
    """The encoder's shape.

    Raises:
        ModelError: a key is missing, or the model computes something that no graph here does.
    """
    architecture = find_architecture(config)
    layers, heads, width, act, epsilon = architecture.keys
    positions_kind = config.get("position_embedding_type", "absolute")
    if positions_kind != "absolute":
        raise ModelError(f"config.json has position_embedding_type {positions_kind!r}: only 'absolute' is supported")
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
        raise ModelError(f"config.json lacks the key {error}: it is no {architecture.masked_lm}'s") from None
    except (TypeError, ValueError) as error:
        raise ModelError(f"config.json: {error}") from None
    if min(shape.layers, shape.heads, shape.positions) < 1 or shape.width % shape.heads:
        raise ModelError(f"config.json: {shape.heads} heads over a width of {shape.width} cannot be")
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
    return (needed, [*optional, *ending]) if architecture.names is None else ([*needed, *ending], optional)


def _bert_tensors(names: BertNames, shape: Shape) -> list[str]:
    parts = ("query", "key", "value", "joined", "attention_norm", "inner", "outer", "outer_norm")
    prefixes = [f"{names.layer.format(i)}.{getattr(names, part)}" for i in range(shape.layers) for part in parts]
    both = [f"{prefix}.{end}" for prefix in (names.norm, *prefixes) for end in ("weight", "bias")]
    return [f"{table}.weight" for table in (names.positions, names.types) if table] + both


def _modernbert_tensors(shape: Shape) -> tuple[list[str], list[str]]:
    prefixes = ["model.embeddings.norm", "model.final_norm"]
    for i in range(shape.layers):
        layer = f"model.layers.{i}"
        prefixes += [f"{layer}.attn_norm"] if i else []  # the first layer's input is normalised already
        prefixes += [f"{layer}.{part}" for part in ("attn.Wqkv", "attn.Wo", "mlp_norm", "mlp.Wi", "mlp.Wo")]
    return [f"{prefix}.weight" for prefix in prefixes], [f"{prefix}.bias" for prefix in prefixes]
