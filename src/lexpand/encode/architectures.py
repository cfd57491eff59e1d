"""Supported transformer architectures and the tensor names of their checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lexpand.errors import ModelError

Config = Mapping[str, Any]
"""A checkpoint's config.json."""


@dataclass(frozen=True, slots=True)
class Head:
    """Tensor names of the masked-language-model head.

    A prefix is completed with ``.weight`` or ``.bias``.

    Attributes:
        embeddings: the word embeddings [vocabulary, width]. The decoder shares them unless it is
            untied.
        transform, norm: prefixes of the layers before the decoder.
        decoder: the matrix of an untied decoder.
        bias: the bias of the decoder, float32 [vocabulary].
        other_bias: an alternative name of the bias.
    """

    embeddings: str
    transform: str
    norm: str
    decoder: str
    bias: str
    other_bias: str | None = None


@dataclass(frozen=True, slots=True)
class BertNames:
    """Tensor name prefixes of a BERT-like encoder (post-normalization, learned positions).

    ``{}`` in `layer` is the number of the layer. The attributes after `layer` are relative to it.
    """

    positions: str
    types: str | None
    norm: str
    layer: str
    query: str
    key: str
    value: str
    attention_output: str
    attention_norm: str
    intermediate: str
    output: str
    output_norm: str


_BERT_LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
    "output_norm": "output.LayerNorm",
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
    attention_output="attention.out_lin",
    attention_norm="sa_layer_norm",
    intermediate="ffn.lin1",
    output="ffn.lin2",
    output_norm="output_layer_norm",
)

_ROBERTA_HEAD = Head(
    embeddings="roberta.embeddings.word_embeddings.weight",
    transform="lm_head.dense",
    norm="lm_head.layer_norm",
    decoder="lm_head.decoder.weight",
    bias="lm_head.bias",
    other_bias="lm_head.decoder.bias",
)


@dataclass(frozen=True, slots=True)
class Architecture:
    """A Hugging Face ``model_type``.

    Attributes:
        masked_lm: the masked-language-model class in transformers.
        head: tensor names of the head.
        names: tensor names of a BERT-like encoder. None for ModernBERT.
        keys: the keys in config.json for the number of layers, the number of heads, the width, the
            activation and epsilon.
        counts_from_padding: whether positions start after the id of the padding token, as in
            RoBERTa.
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
            embeddings="bert.embeddings.word_embeddings.weight",
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
            embeddings="distilbert.embeddings.word_embeddings.weight",
            transform="vocab_transform",
            norm="vocab_layer_norm",
            decoder="vocab_projector.weight",
            bias="vocab_projector.bias",
        ),
        _DISTILBERT_NAMES,
        ("n_layers", "n_heads", "dim", "activation", "layer_norm_eps"),
    ),
    "roberta": Architecture(
        "RobertaForMaskedLM", _ROBERTA_HEAD, _bert_names("roberta"), _KEYS, True
    ),
    "xlm-roberta": Architecture(
        "XLMRobertaForMaskedLM", _ROBERTA_HEAD, _bert_names("roberta"), _KEYS, True
    ),
    "modernbert": Architecture(
        "ModernBertForMaskedLM",
        Head(
            embeddings="model.embeddings.tok_embeddings.weight",
            transform="head.dense",
            norm="head.norm",
            decoder="decoder.weight",
            bias="decoder.bias",
        ),
        None,
        (
            "num_hidden_layers",
            "num_attention_heads",
            "hidden_size",
            "hidden_activation",
            "norm_eps",
        ),
    ),
}


def find_architecture(config: Config) -> Architecture:
    """Return the architecture that config.json names.

    Raises:
        ModelError: the architecture is not supported.
    """
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ModelError(
            f"model_type in config.json must be one of {known}, got {kind!r}: "
            "import a checkpoint of a supported architecture"
        )
    return ARCHITECTURES[kind]
