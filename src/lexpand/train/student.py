"""The model that is trained: a SparseEncoder of sentence-transformers, run without logits.

The modules are stock modules, so that what is saved loads in sentence-transformers. Only the
forward pass of training differs: the decoder of the language model is left to `splade_head`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Router, Transformer
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lexpand.encode.query_table import QueryTable
from lexpand.errors import ModelError
from lexpand.train.head import Activation, head_of_columns, splade_head
from lexpand.train.recipe import Recipe

_ACTIVATIONS: dict[str, Activation] = {
    "relu": "log1p(relu)",
    "log1p_relu": "log1p(log1p(relu))",
}
_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}


def make_student(recipe: Recipe, base: str | Path, texts: Iterable[str] = ()) -> SparseEncoder:
    """Create a SparseEncoder from a masked language model, or load one.

    A base without a table of query weights gets one if the recipe has ``lookup``.

    Args:
        recipe: its settings of the model: lookup, table_init, activation, logit_shift, logit_scale
            and the lengths.
        base: a folder or a Hub id: a masked language model, or a SparseEncoder.
        texts: the documents whose tokens are counted for the table's ``idf``.

    Raises:
        ModelError: the base cannot be loaded, is not a masked language model, or does not have the
            recipe's activation or kind of queries.
    """
    try:
        if (Path(base) / "modules.json").is_file() and _is_sparse(Path(base)):
            model = SparseEncoder(str(base))
        else:
            body = Transformer(str(base), transformer_task="fill-mask")
            names = {value: key for key, value in _ACTIVATIONS.items()}
            activation: Any = names[cast("Activation", recipe.activation)]
            model = SparseEncoder(
                modules=[body, SpladePooling("max", activation_function=activation)]
            )
    # The loaders of transformers raise errors of many kinds.
    except Exception as error:
        raise ModelError(f"cannot load {base} as a masked language model: {error}") from error
    has_table = isinstance(model[0], Router)
    if has_table and not recipe.lookup:
        raise ModelError(
            f"the recipe must have lookup = true for the base {base}, which looks queries up in a"
            " table: set it, or choose another base"
        )
    documents = model[0].sub_modules["document"] if has_table else list(model)
    _check_activation(documents, recipe, base)
    _move_logits(documents[0].auto_model, recipe)
    if recipe.lookup and not has_table:
        table = SparseStaticEmbedding(
            model.tokenizer, _first_table(model.tokenizer, recipe, texts), frozen=False
        )
        table.max_seq_length = recipe.query_max_tokens
        router = Router.for_query_document([table], list(model.children()))
        model = SparseEncoder(modules=[router])
    return model


def _check_activation(documents: Any, recipe: Recipe, base: str | Path) -> None:  # noqa: ANN401
    for module in documents:
        if isinstance(module, SpladePooling):
            found = _ACTIVATIONS[module.activation_function]
            if found != recipe.activation:
                raise ModelError(
                    f"activation must be {found!r}, as in the base {base}, got"
                    f" {recipe.activation!r}"
                )


def _first_table(tokenizer: Any, recipe: Recipe, texts: Iterable[str]) -> Tensor:  # noqa: ANN401
    """Return the first weights of a query table; special tokens have 0 with ``idf``."""
    terms = len(tokenizer.get_vocab())
    if recipe.table_init == "ones":
        return torch.ones(terms)
    counts, documents = torch.zeros(terms), 0
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False, truncation=True, max_length=512).input_ids
        counts[sorted(set(ids))] += 1
        documents += 1
    weights = torch.tensor(QueryTable.idf(counts.numpy(), documents).weights)
    weights[tokenizer.all_special_ids] = 0
    return weights


def _move_logits(body: Any, recipe: Recipe) -> None:  # noqa: ANN401
    """Fold logit_scale and logit_shift into the bias and the last LayerNorm of the head."""
    shift, scale = recipe.logit_shift, recipe.logit_scale
    if shift == 0 and scale == 1:
        return
    decoder = body.get_output_embeddings()
    inside = set(body.base_model.modules())
    norms = [m for m in body.modules() if isinstance(m, nn.LayerNorm) and m not in inside]
    if decoder.bias is None or not norms:
        raise ModelError(
            "logit_shift and logit_scale need a head with a LayerNorm and a bias: leave them out"
        )
    with torch.no_grad():
        for weight in norms[-1].parameters():
            weight.mul_(scale)
        decoder.bias.sub_(shift).mul_(scale)


def _is_sparse(folder: Path) -> bool:
    text = (folder / "modules.json").read_text(encoding="utf-8")
    return "SpladePooling" in text or "Router" in text


class Student(nn.Module):
    """The forward passes of training over the modules of a SparseEncoder.

    Args:
        model: the SparseEncoder.
        cached_texts: texts that are encoded at a time, and again in the backward pass (gradient
            caching, Gao et al. 2021, arXiv 2101.06983); 0 for all at once.
        bf16: run the transformer in bfloat16. Weights and the head stay float32.

    Raises:
        ModelError: its modules are not a masked language model with SPLADE pooling by maximum.

    Attributes:
        model: the SparseEncoder.
        table: the query weights of an inference-free model; None if queries are encoded.
        longest: the longest text of the model, in tokens.
    """

    def __init__(self, model: SparseEncoder, cached_texts: int = 0, *, bf16: bool = False) -> None:
        super().__init__()
        self.model = model
        self.cached_texts, self.bf16 = cached_texts, bf16
        routes: dict[str, Any] = {"document": list(model)}
        if isinstance(model[0], Router):
            routes = dict(model[0].sub_modules.items())
        query = list(routes.get("query", routes["document"]))
        self.table = query[0] if isinstance(query[0], SparseStaticEmbedding) else None
        body, pooling = list(routes["document"])[:2]
        if not isinstance(pooling, SpladePooling) or pooling.pooling_strategy != "max":
            raise ModelError("training needs SPLADE pooling by maximum: choose another base model")
        self.longest = int(body.max_seq_length or 512)
        self._transformer = [body]  # in a list, so that it is not a second submodule
        self.body: Any = body.auto_model
        self.activation = _ACTIVATIONS[pooling.activation_function]
        self.decoder: Any = self.body.get_output_embeddings()
        if self.decoder is None:
            raise ModelError("the base has no language model head: choose a masked language model")

    @contextmanager
    def reading(self, tokens: int) -> Iterator[None]:
        """Cut documents to so many tokens while training; the length of the model stays."""
        (body,) = self._transformer
        before, body.max_seq_length = body.max_seq_length, min(tokens, self.longest)
        try:
            yield
        finally:
            body.max_seq_length = before

    @property
    def terms(self) -> int:
        """The size of the vocabulary."""
        return int(self.decoder.weight.shape[0])

    def documents(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the weights [texts, terms] of documents, or of queries that are encoded."""
        return self._in_parts(features, None)

    def columns(self, features: Mapping[str, Tensor], columns: Tensor) -> Tensor:
        """Return the weights [texts, columns] of some terms of documents."""
        return self._in_parts(features, columns)

    def _in_parts(self, features: Mapping[str, Tensor], columns: Tensor | None) -> Tensor:
        texts = len(features["input_ids"])
        size = self.cached_texts or texts
        if size >= texts:
            return self._weights(dict(features), columns)
        # A checkpoint keeps the weights of a part, and not its activations. It restores the state
        # of the random numbers, so that dropout is the same when the part is encoded again.
        parts = []
        for first in range(0, texts, size):
            part = {
                name: features[name][first : first + size] for name in _INPUTS & features.keys()
            }
            longest = int(part["attention_mask"].sum(dim=1).max())
            part = {name: rows[:, :longest] for name, rows in part.items()}
            parts.append(checkpoint(self._weights, part, columns, use_reentrant=False))
        return torch.cat(parts)

    def _weights(self, features: dict[str, Tensor], columns: Tensor | None) -> Tensor:
        hidden, mask = self.states(features)
        decoder, bias = self.decoder.weight, self._bias()
        hidden = hidden.to(decoder.dtype)
        if columns is not None:
            return head_of_columns(hidden, mask, decoder, bias, columns, self.activation)
        weights, _ = splade_head(hidden, mask, decoder, bias, self.activation)
        return weights

    def queries(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the weights [queries, terms]: from the table, or encoded. Never negative."""
        if self.table is None:
            return self.documents(features)
        weights: Tensor = self.table(dict(features))["sentence_embedding"]
        return weights.relu()

    def states(self, features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the input of the decoder [texts, positions, width], and the mask of tokens."""
        inputs = {name: features[name] for name in _INPUTS & features.keys()}
        device = inputs["input_ids"].device.type
        with (
            _without_decoder(self.decoder),
            torch.autocast(device, torch.bfloat16, enabled=self.bf16),
        ):
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
