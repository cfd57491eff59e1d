"""Which architectures are read, and how their checkpoints name their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lexpand.errors import ModelError

Config = Mapping[str, Any]
"""A checkpoint's config.json."""


@dataclass(frozen=True, slots=True)
class Head:
    """Names of the masked-language-model head's tensors; ``.weight`` and ``.bias`` are added to prefixes.

    Attributes:
        words: the embedding matrix [vocabulary, width], which the decoder shares unless it is
            untied.
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
    """Prefixes of tensors in an encoder of BERT's kind: post-normalized, with learned positions.

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
    "roberta": Architecture(
        "RobertaForMaskedLM", _ROBERTA_HEAD, _bert_names("roberta"), _KEYS, True
    ),
    "xlm-roberta": Architecture(
        "XLMRobertaForMaskedLM", _ROBERTA_HEAD, _bert_names("roberta"), _KEYS, True
    ),
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
    """The architecture that config.json names.

    Raises:
        ModelError: it is none of those that are read.
    """
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ModelError(
            f"config.json has model_type {kind!r}: architectures that can be imported are {known}"
        )
    return ARCHITECTURES[kind]
