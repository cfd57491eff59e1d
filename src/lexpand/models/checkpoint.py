"""Read a checkpoint: its configuration, its tensors and its tokenizer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lexpand.data import Vocabulary
from lexpand.encode.architectures import Architecture, find_architecture
from lexpand.encode.contract import Activation, Pooling, QueryMode
from lexpand.encode.json_files import read_json
from lexpand.encode.query_table import QueryTable
from lexpand.encode.shape import read_shape, tensor_names
from lexpand.encode.tokens import parse_tokenizer, read_vocabulary
from lexpand.errors import ModelError
from lexpand.models.layout import Layout, read_layout
from lexpand.models.options import ImportOptions
from lexpand.models.query_tables import read_query_table
from lexpand.models.source import find_source
from lexpand.models.tensors import Tensors, read_tensors
from lexpand.models.tokenizer_files import SETTINGS, read_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A SPLADE checkpoint.

    Attributes:
        folder: the folder of the masked language model and its tokenizer.
        architecture: the tensor names, and the key names of config.json.
        config: the content of config.json.
        tensors: the tensors that the vectors depend on, float32, named as in transformers. The
            decoder is included only if it differs from the word embeddings.
        head_weight, head_bias: the tensor names of the decoder. The tensors are [vocabulary, width]
            and [vocabulary].
        tokenizer: the tokenizer.
        tokenizer_json: the content of tokenizer.json, with the overrides of tokenizer_config.json.
        vocabulary: the tokens of the tokenizer, with its special tokens.
        pooling, activation: those of the head.
        max_tokens: the longest text that is read, in tokens, special tokens included.
        query_table: the table for query lookup. None if queries are encoded.
        query_mode: the default way to encode queries.
        queries: the checkpoint of a separate query encoder. None if one encoder serves both roles.
        license: the license of the weights. Empty if the model card does not give one.
        origin: where the weights come from. Empty if the model card does not say.
        notes: changes that were made while reading, as messages.
    """

    folder: Path
    architecture: Architecture
    config: Mapping[str, Any]
    tensors: Tensors
    head_weight: str
    head_bias: str
    tokenizer: Tokenizer
    tokenizer_json: bytes
    vocabulary: Vocabulary
    pooling: Pooling
    activation: Activation
    max_tokens: int
    query_table: QueryTable | None
    query_mode: QueryMode
    queries: Checkpoint | None
    license: str
    origin: str
    notes: tuple[str, ...]


def read_checkpoint(folder: Path, choices: ImportOptions | None = None) -> Checkpoint:
    """Read the folder of a checkpoint.

    Raises:
        ModelError: the checkpoint cannot be used. The message gives the reason, the place and a
            remedy.
        MissingExtra: the weights are in ``.bin`` files, and torch is not installed.
    """
    choices = choices or ImportOptions()
    layout = read_layout(folder)
    checkpoint = _read(folder, layout, choices)
    if choices.query_encoder is not None:
        queries = read_checkpoint(find_source(choices.query_encoder))
    elif layout.queries is not None:
        queries = _read(folder, layout.queries, ImportOptions())
    else:
        return checkpoint
    _check_compatible(checkpoint, queries)
    return replace(checkpoint, queries=queries)


def _check_compatible(documents: Checkpoint, queries: Checkpoint) -> None:
    """Check that two encoders share a vocabulary, and that queries have no table too."""
    if queries.vocabulary.sha256 != documents.vocabulary.sha256:
        raise ModelError(
            f"the query encoder {queries.folder} must have the vocabulary of {documents.folder} "
            f"({len(documents.vocabulary)} terms), got another ({len(queries.vocabulary)} terms): "
            "give two encoders that were trained together"
        )
    if (
        documents.query_table is not None
        or queries.query_table is not None
        or queries.queries is not None
    ):
        raise ModelError(
            f"{documents.folder}: queries must go through one encoder or through one table, "
            "got more than one of them: leave one out"
        )


def _query_mode(
    folder: Path, table: QueryTable | None, chosen: QueryMode | None, stated: QueryMode | None
) -> QueryMode:
    """Return the mode that was chosen, or that the layout states, or else lookup in a table."""
    if table is None and chosen is QueryMode.LOOKUP:
        raise ModelError(
            f"{folder} must have a table of query weights for the query mode lookup: give one with"
            " --query"
        )
    default = QueryMode.ENCODER if table is None else QueryMode.LOOKUP
    return chosen or stated or default


def _read(folder: Path, layout: Layout, choices: ImportOptions) -> Checkpoint:
    config = read_json(layout.transformer / "config.json", dict)
    architecture = find_architecture(config)
    if not (layout.transformer / "tokenizer.json").is_file():
        raise ModelError(
            f"{layout.transformer} has no tokenizer.json: write it with transformers: "
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        )
    tokenizer_json, overridden = read_tokenizer(layout.transformer)
    tokenizer = parse_tokenizer(tokenizer_json, layout.transformer / "tokenizer.json")
    vocabulary = read_vocabulary(tokenizer)
    tensors = _canonical(read_tensors(layout.transformer), architecture)
    tensors, head_weight = _select(layout.transformer, tensors, config)
    notes = _trim_rows(layout.transformer, tensors, head_weight, architecture, len(vocabulary))
    _check_finite(layout.transformer, tensors)
    table = choices.query or layout.query_table
    query_table, table_notes = (None, ()) if table is None else read_query_table(table, vocabulary)
    license, origin = _read_card(folder)
    return Checkpoint(
        folder=layout.transformer,
        architecture=architecture,
        config=config,
        tensors=tensors,
        head_weight=head_weight,
        head_bias=architecture.head.bias,
        tokenizer=tokenizer,
        tokenizer_json=tokenizer_json,
        vocabulary=vocabulary,
        pooling=choices.pooling or layout.pooling,
        activation=choices.activation or layout.activation,
        max_tokens=_max_tokens(layout, config, choices.max_tokens),
        query_table=query_table,
        query_mode=_query_mode(folder, query_table, choices.query_mode, layout.query_mode),
        queries=None,
        license=choices.license or license,
        origin=choices.origin or origin,
        notes=(*overridden, *notes, *table_notes),
    )


def _canonical(tensors: Tensors, architecture: Architecture) -> Tensors:
    """Rename the tensors of old checkpoints to the names of today's transformers.

    Old checkpoints have ``gamma`` and ``beta``, and another name of the decoder's bias.
    """
    renamed = {}
    for name, array in tensors.items():
        new = re.sub(r"\.beta$", ".bias", re.sub(r"\.gamma$", ".weight", name))
        renamed[new] = array
    head = architecture.head
    if head.other_bias is not None and head.bias not in renamed and head.other_bias in renamed:
        renamed[head.bias] = renamed[head.other_bias]
    return renamed


def _select(folder: Path, tensors: Tensors, config: Mapping[str, Any]) -> tuple[Tensors, str]:
    """Return the tensors that the vectors depend on, and the tensor name of the decoder."""
    architecture, shape = find_architecture(config), read_shape(config)
    head = architecture.head
    required, optional = tensor_names(config)
    head_parts = (f"{head.transform}.weight", f"{head.norm}.weight")
    missing = [name for name in head_parts if name not in tensors]
    if missing:
        raise ModelError(
            f"{folder} has no masked-language-model head ({missing[0]} is missing), which SPLADE "
            f"needs to weight the vocabulary: give a checkpoint saved as {architecture.masked_lm}"
        )
    missing = [name for name in required if name not in tensors]
    if missing:
        raise ModelError(
            f"{folder} lacks the tensor {missing[0]} ({len(missing)} missing): "
            "copy the checkpoint again"
        )
    present = [name for name in optional if name in tensors]
    selected = {name: tensors[name] for name in [*required, *present]}
    embeddings = tensors[head.embeddings]
    if embeddings.ndim != 2 or embeddings.shape[1] != shape.width:
        raise ModelError(
            f"{folder}: {head.embeddings} must have a width of {shape.width}, as in config.json, "
            f"got the shape {embeddings.shape}: copy the checkpoint again"
        )
    if head.bias not in tensors and config.get("decoder_bias", True):
        raise ModelError(
            f"{folder} lacks the tensor {head.bias}, the bias of the decoder: copy the checkpoint "
            "again, or add a bias of zeros if the model was trained without one"
        )
    selected[head.bias] = tensors.get(head.bias, np.zeros(len(embeddings), np.float32))
    decoder = tensors.get(head.decoder)
    # A file may hold tied weights twice, because it cannot express that they are one tensor.
    if decoder is None or np.array_equal(decoder, embeddings):
        return selected, head.embeddings
    if config.get("tie_word_embeddings", True):
        # transformers 4 uses the embeddings for both, transformers 5 keeps the two apart.
        raise ModelError(
            f"{folder}: {head.decoder} must equal {head.embeddings}, because config.json ties them "
            "(tie_word_embeddings): set tie_word_embeddings to false if the decoder was trained, "
            "or remove that tensor"
        )
    selected[head.decoder] = decoder
    if head.other_bias is not None:
        # transformers 4 has one bias with two names. transformers 5 uses that of the decoder if the
        # decoder is untied.
        bias = tensors.get(head.other_bias, selected[head.bias])
        selected[head.bias] = selected[head.other_bias] = bias
    return selected, head.decoder


def _trim_rows(
    folder: Path, tensors: Tensors, head_weight: str, architecture: Architecture, tokens: int
) -> list[str]:
    """Remove the rows without a token, in place, and return a note about it."""
    head, rows = architecture.head, len(tensors[head_weight])
    if len(tensors[head.bias]) != rows:
        raise ModelError(
            f"{folder}: the bias of the decoder must have {rows} values, one for each row, "
            f"got {len(tensors[head.bias])}: copy the checkpoint again"
        )
    if tokens > min(rows, len(tensors[head.embeddings])):
        raise ModelError(
            f"{folder}: the model must have a row for each of the {tokens} tokens of the "
            f"tokenizer, got {rows} rows: give the tokenizer and the weights of one checkpoint"
        )
    if tokens == rows == len(tensors[head.embeddings]):
        return []
    for name in tensors.keys() & {head.embeddings, head_weight, head.bias, head.other_bias}:
        tensors[name] = np.ascontiguousarray(tensors[name][:tokens])
    return [
        f"the model has {rows:,} rows and the tokenizer {tokens:,} tokens: "
        f"{rows - tokens:,} unused rows are removed"
    ]


def _check_finite(folder: Path, tensors: Tensors) -> None:
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            bad = int(np.count_nonzero(~np.isfinite(array)))
            raise ModelError(
                f"{folder}: the values of tensor {name} must be finite, got {bad:,} that are NaN "
                "or infinite: copy the checkpoint again, or use another one"
            )


def _max_tokens(layout: Layout, config: Mapping[str, Any], requested: int | None) -> int:
    limit = read_shape(config).positions
    path = layout.transformer / SETTINGS
    settings = read_json(path, dict) if path.is_file() else {}
    recorded = [layout.max_tokens, settings.get("model_max_length")]
    default = min([limit, *(int(length) for length in recorded if length is not None)])
    if requested is None:
        return default
    if not 3 <= requested <= limit:
        raise ModelError(f"max_tokens must be from 3 to {limit} for this model, got {requested}")
    return requested


def _read_card(folder: Path) -> tuple[str, str]:
    """Return the license and the origin from the header of README.md (the model card)."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    header = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    fields = (
        dict(re.findall(r"^(license|base_model): *[\"']?([^\n\"']+)", header[1], re.MULTILINE))
        if header
        else {}
    )
    base = fields.get("base_model")
    return fields.get("license", "").strip(), f"made from {base.strip()}" if base else ""
