"""The model that is trained: a SparseEncoder of sentence-transformers, run without logits.

The modules are stock modules, so that what is saved loads in sentence-transformers. Only the
forward pass of training differs: the decoder of the language model is left to `splade_head`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Router, Transformer
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from lexpand.encode.query_table import QueryTable
from lexpand.errors import ModelError
from lexpand.models import find_base
from lexpand.models.exporting import float32_folder
from lexpand.models.layout import LOOKUP
from lexpand.train.head import Activation, splade_head, sum_head
from lexpand.train.low_rank import add_low_rank, merge_low_rank
from lexpand.train.recipe import Recipe

_ACTIVATIONS: dict[str, Activation] = {
    "relu": "log1p(relu)",
    "log1p_relu": "log1p(log1p(relu))",
}
_TOGETHER = 16
"""The queries that are encoded at a time."""

_SMALLEST = 1e-4
"""The smallest query weight of a table with softplus."""

_WITH_HEAD = ("ForMaskedLM", "ForPreTraining", "LMHeadModel")
"""The ends of the names of classes whose checkpoints have a masked-language-model head."""

_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}


def hush_libraries() -> None:
    """Turn off the progress bars and the notes of transformers, which are not ours to show."""
    disable_progress_bar()
    set_verbosity_error()


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
    model = load_model(base, recipe)
    has_table = isinstance(model[0], Router)
    if has_table and LOOKUP in model[0].sub_modules:
        # Queries are encoded by default. Training needs one route of queries, and drops the other.
        documents, table = (list(model[0].sub_modules[route]) for route in ("document", LOOKUP))
        routed = [Router.for_query_document(table, documents)]
        model = SparseEncoder(modules=routed if recipe.lookup else documents)
        has_table = recipe.lookup
    if has_table and not recipe.routes:
        raise ModelError(
            f"the recipe must have lookup = true for the base {base}, whose queries have modules of"
            " their own: set it, or choose another base"
        )
    documents = list(model[0].sub_modules["document"]) if has_table else list(model)
    _check_head(documents, recipe, base)
    _move_logits(documents[0].auto_model, recipe)
    if not recipe.routes or has_table:
        return model
    return SparseEncoder(
        modules=[Router.for_query_document(_query_modules(model, recipe, texts), documents)]
    )


def load_model(base: str | Path, recipe: Recipe) -> SparseEncoder:
    """Load a SparseEncoder, or make one of a masked language model.

    Args:
        base: the name of a packaged model, ``default`` or empty for the default one, a folder, or a
            Hub id.
        recipe: its activation and pooling are those of a language model that has none.

    Raises:
        ModelError: the model cannot be loaded.
    """
    base = find_base(base)
    try:
        if (base / "modules.json").is_file() and _is_sparse(base):
            with float32_folder(base) as folder:
                return SparseEncoder(str(folder))
        body = Transformer(str(base), transformer_task="fill-mask")
        _check_has_head(body, base)
        names = {value: key for key, value in _ACTIVATIONS.items()}
        activation: Any = names[cast("Activation", recipe.activation)]
        pooling: Any = recipe.pooling
        return SparseEncoder(modules=[body, SpladePooling(pooling, activation_function=activation)])
    except ModelError:
        raise
    # The loaders of transformers raise errors of many kinds.
    except Exception as error:
        raise ModelError(f"cannot load {base} as a masked language model: {error}") from error


def _check_has_head(body: Transformer, base: Path) -> None:
    """Refuse a checkpoint of the body alone, which transformers gives a head of random weights."""
    saved = getattr(body.auto_model.config, "architectures", None) or []
    if saved and not any(name.endswith(_WITH_HEAD) for name in saved):
        raise ModelError(
            f"{base} must have a masked-language-model head, got a checkpoint of {saved[0]}: fit"
            f" one with `lexpand model graft {base} GRAFTED --texts TEXTS`, and train from that"
        )


def _query_modules(model: SparseEncoder, recipe: Recipe, texts: Iterable[str]) -> list[Any]:
    """Return a new table of query weights, or the modules of a separate query encoder."""
    if not recipe.lookup:
        queries = load_model(recipe.query_base, recipe)
        if queries.tokenizer.get_vocab() != model.tokenizer.get_vocab():
            raise ModelError(
                f"the vocabulary of query_base {recipe.query_base} must be that of the base: choose"
                " another one"
            )
        modules = list(queries)
        _check_head(modules, recipe, recipe.query_base)
        modules[0].max_seq_length = min(recipe.query_max_tokens, modules[0].max_seq_length or 512)
        return modules
    table = SparseStaticEmbedding(
        model.tokenizer, _first_table(model.tokenizer, recipe, texts), frozen=False
    )
    table.max_seq_length = recipe.query_max_tokens
    return [table]


def _check_head(modules: Sequence[Any], recipe: Recipe, base: str | Path) -> None:
    """Check that a loaded model has the recipe's activation and pooling."""
    for module in modules:
        if isinstance(module, SpladePooling):
            found = {
                "activation": _ACTIVATIONS[module.activation_function],
                "pooling": module.pooling_strategy,
            }
            for name, value in found.items():
                if value != getattr(recipe, name):
                    raise ModelError(
                        f"{name} must be {value!r}, as in the base {base}, got"
                        f" {getattr(recipe, name)!r}"
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
        triton: compute the head by a Triton kernel, where the weights are on CUDA.
        softplus: the query weights are log(1 + e^x) of the table's parameters x, until `settle`.
        position_terms: the terms that a position of an encoded text gives at most; 0 for all.

    Raises:
        ModelError: its modules are not a masked language model with SPLADE pooling.

    Attributes:
        model: the SparseEncoder.
        table: the query weights of an inference-free model; None if queries are encoded.
        routed: whether queries and documents have modules of their own.
        body, decoder: the language model of documents, and its last layer.
        longest: the longest document of the model, in tokens.
    """

    def __init__(
        self,
        model: SparseEncoder,
        cached_texts: int = 0,
        *,
        bf16: bool = False,
        triton: bool = False,
        softplus: bool = False,
        position_terms: int = 0,
    ) -> None:
        super().__init__()
        self.model = model
        self.cached_texts = cached_texts
        routes: dict[str, Any] = {"document": list(model)}
        if isinstance(model[0], Router):
            routes = dict(model[0].sub_modules.items())
        query = list(routes.get("query", routes["document"]))
        self.table = query[0] if isinstance(query[0], SparseStaticEmbedding) else None
        self._side = _Side(list(routes["document"]), bf16, triton, position_terms)
        self._query_side = self._side
        if self.table is None and "query" in routes:
            self._query_side = _Side(query, bf16, triton, position_terms)
        self._softplus = softplus and self.table is not None
        if self.table is not None and softplus:
            with torch.no_grad():  # the inverse of softplus, so that no weight changes
                self.table.weight.copy_(self.table.weight.clamp_min(_SMALLEST).expm1().log())
        self.routed = isinstance(model[0], Router)
        self.body, self.decoder = self._side.body, self._side.decoder
        self.longest = int(self._side.transformer.max_seq_length or 512)

    @contextmanager
    def reading(self, tokens: int) -> Iterator[None]:
        """Cut documents to so many tokens while training; the length of the model stays."""
        body = self._side.transformer
        before, body.max_seq_length = body.max_seq_length, min(tokens, self.longest)
        try:
            yield
        finally:
            body.max_seq_length = before

    @contextmanager
    def in_float32(self) -> Iterator[None]:
        """Run the transformer in float32 for a while, whatever ``bf16`` is."""
        sides = (self._side, self._query_side)
        before = [side.bf16 for side in sides]
        for side in sides:
            side.bf16 = False
        try:
            yield
        finally:
            for side, kept in zip(sides, before, strict=True):
                side.bf16 = kept

    @property
    def terms(self) -> int:
        """The size of the vocabulary."""
        return int(self.decoder.weight.shape[0])

    def documents(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the weights [texts, terms] of documents."""
        return self._in_parts(self._side, features, None)

    def columns(self, features: Mapping[str, Tensor], columns: Tensor) -> Tensor:
        """Return the weights [texts, columns] of some terms of documents."""
        return self._in_parts(self._side, features, columns)

    def _in_parts(
        self, side: _Side, features: Mapping[str, Tensor], columns: Tensor | None
    ) -> Tensor:
        texts = len(features["input_ids"])
        size = self.cached_texts or texts
        if size >= texts:
            return side.weights(dict(features), columns)
        # A checkpoint keeps the weights of a part, and not its activations. It restores the state
        # of the random numbers, so that dropout is the same when the part is encoded again.
        parts = []
        for first in range(0, texts, size):
            part = {
                name: features[name][first : first + size] for name in _INPUTS & features.keys()
            }
            longest = int(part["attention_mask"].sum(dim=1).max())
            part = {name: rows[:, :longest] for name, rows in part.items()}
            parts.append(checkpoint(side.weights, part, columns, use_reentrant=False))
        return torch.cat(parts)

    def queries(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the weights [queries, terms]: from the table, or encoded. Never negative."""
        if self.table is None:
            return self._in_parts(self._query_side, features, None)
        ids, mask = features["input_ids"], features["attention_mask"]
        weights = self.table_weights()
        present = weights.new_zeros(len(ids), len(weights))
        return present.scatter_(1, ids, mask.to(weights.dtype)) * weights

    def encoded_queries(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the weights [queries, terms] of queries that the document encoder encodes.

        Queries of similar length are encoded together, because padding takes time too.

        Args:
            features: token ids as a table takes them, without special tokens.
        """
        ids, mask = features["input_ids"], features["attention_mask"]
        lengths = mask.sum(dim=1)
        order = lengths.argsort(stable=True)
        parts = []
        for rows in order.split(_TOGETHER):
            longest = int(lengths[rows].max())
            bare = {
                "input_ids": ids[rows, :longest],
                "attention_mask": mask[rows, :longest],
            }
            full = with_special(bare, self.model.tokenizer)
            parts.append(self._in_parts(self._side, full, None))
        return torch.cat(parts)[order.argsort()]

    def table_weights(self) -> Tensor:
        """Return the query weight of each term [terms], never negative.

        Raises:
            ModelError: queries are encoded.
        """
        if self.table is None:
            raise ModelError("the model must have a table of query weights, and encodes queries")
        weights: Tensor = self.table.weight
        return functional.softplus(weights) if self._softplus else weights.relu()

    def add_low_rank(self, rank: int) -> None:
        """Train changes of low rank instead of all weights, until `settle`.

        Raises:
            ModelError: the transformer has no linear layer.
        """
        for side in {id(each): each for each in (self._side, self._query_side)}.values():
            add_low_rank(side.body, rank)

    def freeze(self, layers: int) -> None:
        """Do not train the token embeddings and the first layers, here and in a query encoder.

        Args:
            layers: how many, counted from the input.

        Raises:
            ModelError: the transformer has fewer layers.
        """
        for side in {id(each): each for each in (self._side, self._query_side)}.values():
            stack = _layers(side.body)
            if len(stack) < layers:
                raise ModelError(
                    f"frozen_layers must be at most {len(stack)}, the layers of the base, got"
                    f" {layers}"
                )
            for module in (_embeddings(side.body), *stack[:layers]):
                module.requires_grad_(requires_grad=False)
                _without_dropout(module)

    def drop_nothing(self) -> None:
        """Turn the dropout of the base off."""
        for side in (self._side, self._query_side):
            _without_dropout(side.body)

    def settle(self) -> None:
        """Write the query weights and low-rank changes as saved models have them."""
        merge_low_rank(self.model)
        if self.table is not None:
            with torch.no_grad():
                self.table.weight.copy_(self.table_weights())
            self._softplus = False

    def states(self, features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the input of the decoder [texts, positions, width], and the mask of tokens."""
        return self._side.states(features)


def _layers(body: Any) -> nn.ModuleList:  # noqa: ANN401 - a model of transformers
    """Return the layers of a transformer, from the input up."""
    count = body.config.num_hidden_layers
    for module in body.base_model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return module
    raise ModelError("frozen_layers needs a transformer with a list of layers: set it to 0")


def _embeddings(body: Any) -> nn.Module:  # noqa: ANN401 - a model of transformers
    """Return the module that makes the input of the first layer."""
    tokens = body.get_input_embeddings()
    return next(
        module
        for module in body.base_model.children()
        if any(inside is tokens for inside in module.modules())
    )


def _without_dropout(module: nn.Module) -> None:
    """Turn the dropout of a module off, whatever mode it is in."""
    for inside in module.modules():
        if isinstance(inside, nn.Dropout):
            inside.p = 0.0
        if isinstance(getattr(inside, "attention_dropout", None), float):  # ModernBERT's
            inside.attention_dropout = 0.0


def with_special(features: Mapping[str, Tensor], tokenizer: Any) -> dict[str, Tensor]:  # noqa: ANN401
    """Return features with the tokens of start and end around each text.

    Args:
        features: token ids without special tokens, as a query table takes them.
        tokenizer: of transformers.
    """
    ids, mask = features["input_ids"], features["attention_mask"]
    lengths = mask.sum(dim=1, keepdim=True)
    start = ids.new_full((len(ids), 1), tokenizer.cls_token_id)
    padding = ids.new_full((len(ids), 1), tokenizer.pad_token_id)
    ids = torch.cat([start, ids, padding], dim=1)
    ids.scatter_(1, lengths + 1, tokenizer.sep_token_id)
    mask = functional.pad(mask, (2, 0), value=1)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}


class _Side:
    """A masked language model with its pooling: that of documents, or that of queries.

    It is not a module of torch, because the SparseEncoder owns the weights.
    """

    def __init__(
        self, modules: Sequence[Any], bf16: bool, triton: bool, position_terms: int
    ) -> None:
        self.transformer, pooling = modules[:2]
        if not isinstance(pooling, SpladePooling):
            raise ModelError("training needs SPLADE pooling: choose another base model")
        self.body: Any = self.transformer.auto_model
        self.decoder: Any = self.body.get_output_embeddings()
        if self.decoder is None:
            raise ModelError("the base has no language model head: choose a masked language model")
        self._activation = _ACTIVATIONS[pooling.activation_function]
        self._sums = pooling.pooling_strategy == "sum"
        self.bf16, self._triton = bf16, triton
        self._position_terms = position_terms
        if bf16 and not torch.cuda.is_available():
            # On a CPU the backward pass of fused attention in bfloat16 takes longer than all
            # products of the transformer (torch 2.15: 0.9 s of 3.4 s a step).
            self.body.set_attn_implementation("eager")

    def weights(self, features: Mapping[str, Tensor], columns: Tensor | None) -> Tensor:
        """Return the weights [texts, terms], or those of some terms [texts, columns]."""
        hidden, mask = self.states(features)
        decoder, bias = self.decoder.weight, self._bias()
        if columns is not None:
            decoder, bias = decoder[columns], bias[columns]
        if self._sums:
            return sum_head(hidden, mask, decoder, bias, self._activation)
        triton = self._triton and hidden.is_cuda
        most = self._position_terms
        return splade_head(
            hidden, mask, decoder, bias, self._activation, triton=triton, position_terms=most
        )[0]

    def states(self, features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the input of the decoder [texts, positions, width], and the mask of tokens."""
        inputs = {name: features[name] for name in _INPUTS & features.keys()}
        device = inputs["input_ids"].device.type
        with (
            _without_decoder(self.decoder),
            torch.autocast(device, torch.bfloat16, enabled=self.bf16),
        ):
            hidden = self.body(**inputs).logits
        # The head stays float32 after a transformer in bfloat16.
        return hidden.to(self.decoder.weight.dtype), features["attention_mask"].bool()

    def _bias(self) -> Tensor:
        bias = self.decoder.bias
        return self.decoder.weight.new_zeros(len(self.decoder.weight)) if bias is None else bias


@contextmanager
def _without_decoder(decoder: nn.Module) -> Iterator[None]:
    """Let the decoder return its input, so that the logits of the body are hidden states."""
    decoder.forward = lambda states: states
    try:
        yield
    finally:
        del decoder.forward
