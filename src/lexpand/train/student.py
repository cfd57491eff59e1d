"""The model that is trained: a SparseEncoder of sentence-transformers, run without logits.

The modules are stock modules, so that what is saved loads in sentence-transformers. Only the
forward pass of training differs: the decoder of the language model is left to `splade_head`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Router, Transformer
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling
from torch import Tensor, nn

from lexpand.errors import ModelError
from lexpand.train.head import Activation, head_of_columns, splade_head

_ACTIVATIONS: dict[str, Activation] = {
    "relu": "log1p(relu)",
    "log1p_relu": "log1p(log1p(relu))",
}


def make_student(
    base: str | Path,
    *,
    lookup: bool = False,
    activation: Activation = "log1p(relu)",
    max_tokens: int = 256,
    query_max_tokens: int = 64,
) -> SparseEncoder:
    """Create a SparseEncoder from a masked language model, or load one.

    Args:
        base: a folder or a Hub id: a masked language model, or a SparseEncoder.
        lookup: whether queries are looked up in a table of weights (inference-free). A base without
            a table gets one with the weight 1 for every token.
        activation: of the head of a new SparseEncoder.
        max_tokens: the longest document, in tokens.
        query_max_tokens: the longest query of the table.

    Raises:
        ModelError: the base cannot be loaded, or it is not a masked language model.
    """
    try:
        if (Path(base) / "modules.json").is_file() and _is_sparse(Path(base)):
            model = SparseEncoder(str(base))
        else:
            body = Transformer(str(base), transformer_task="fill-mask", max_seq_length=max_tokens)
            names = {value: key for key, value in _ACTIVATIONS.items()}
            model = SparseEncoder(
                modules=[body, SpladePooling("max", activation_function=names[activation])]
            )
    # The loaders of transformers raise errors of many kinds.
    except Exception as error:
        raise ModelError(f"cannot load {base} as a masked language model: {error}") from error
    documents = model[0].sub_modules["document"] if isinstance(model[0], Router) else list(model)
    documents[0].max_seq_length = max_tokens
    if lookup and not isinstance(model[0], Router):
        tokenizer = model.tokenizer
        table = SparseStaticEmbedding(
            tokenizer, torch.ones(len(tokenizer.get_vocab())), frozen=False
        )
        table.max_seq_length = query_max_tokens
        router = Router.for_query_document([table], list(model.children()))
        model = SparseEncoder(modules=[router])
    return model


def _is_sparse(folder: Path) -> bool:
    text = (folder / "modules.json").read_text(encoding="utf-8")
    return "SpladePooling" in text or "Router" in text


class Student(nn.Module):
    """The forward passes of training over the modules of a SparseEncoder.

    Args:
        model: the SparseEncoder.

    Raises:
        ModelError: its modules are not a masked language model with SPLADE pooling by maximum.

    Attributes:
        model: the SparseEncoder.
        table: the query weights of an inference-free model; None if queries are encoded.
    """

    def __init__(self, model: SparseEncoder) -> None:
        super().__init__()
        self.model = model
        routes: dict[str, Any] = {"document": list(model)}
        if isinstance(model[0], Router):
            routes = dict(model[0].sub_modules.items())
        query = list(routes.get("query", routes["document"]))
        self.table = query[0] if isinstance(query[0], SparseStaticEmbedding) else None
        body, pooling = list(routes["document"])[:2]
        if not isinstance(pooling, SpladePooling) or pooling.pooling_strategy != "max":
            raise ModelError("training needs SPLADE pooling by maximum: choose another base model")
        self.body: Any = body.auto_model
        self.activation = _ACTIVATIONS[pooling.activation_function]
        self.decoder: Any = self.body.get_output_embeddings()
        if self.decoder is None:
            raise ModelError("the base has no language model head: choose a masked language model")

    @property
    def terms(self) -> int:
        """The size of the vocabulary."""
        return int(self.decoder.weight.shape[0])

    def documents(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the weights [texts, terms] of documents, or of queries that are encoded."""
        hidden, mask = self.states(features)
        weights, _ = splade_head(hidden, mask, self.decoder.weight, self._bias(), self.activation)
        return weights

    def columns(self, features: Mapping[str, Tensor], columns: Tensor) -> Tensor:
        """Return the weights [texts, columns] of some terms of documents."""
        hidden, mask = self.states(features)
        return head_of_columns(
            hidden, mask, self.decoder.weight, self._bias(), columns, self.activation
        )

    def queries(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the weights [queries, terms]: from the table, or encoded. Never negative."""
        if self.table is None:
            return self.documents(features)
        weights: Tensor = self.table(dict(features))["sentence_embedding"]
        return weights.relu()

    def states(self, features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the input of the decoder [texts, positions, width], and the mask of tokens."""
        inputs = {
            name: features[name]
            for name in ("input_ids", "attention_mask", "token_type_ids")
            if name in features
        }
        with _without_decoder(self.decoder):
            hidden = self.body(**inputs).logits
        return hidden, features["attention_mask"].bool()

    def _bias(self) -> Tensor:
        bias = self.decoder.bias
        return self.decoder.weight.new_zeros(self.terms) if bias is None else bias


@contextmanager
def _without_decoder(decoder: nn.Module) -> Iterator[None]:
    """Let the decoder return its input, so that the logits of the body are hidden states."""
    decoder.forward = lambda states: states
    try:
        yield
    finally:
        del decoder.forward
