"""A checkpoint read as it is: what it is, its tensors, its tokenizer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lexpand.data import Vocabulary
from lexpand.encode.architectures import Architecture, find_architecture
from lexpand.encode.contract import Activation, Pooling
from lexpand.encode.json_files import read_json
from lexpand.encode.query_table import QueryTable
from lexpand.encode.shape import read_shape, tensor_names
from lexpand.encode.tokens import parse_tokenizer, read_vocabulary
from lexpand.errors import ModelError
from lexpand.models.choices import Choices
from lexpand.models.layout import Layout, read_layout
from lexpand.models.query_tables import read_query_table
from lexpand.models.source import find_source
from lexpand.models.tensors import Tensors, read_tensors
from lexpand.models.tokenizer_files import read_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A SPLADE model as somebody saved it.

    Attributes:
        folder: of the masked language model and its tokenizer.
        architecture: names of tensors and of config.json's keys.
        config: config.json.
        tensors: float32, named as transformers names them; only those that the vectors need, and a
            decoder of its own only where it differs from the word embeddings.
        head_weight, head_bias: the decoder's tensors, [vocabulary, width] and [vocabulary].
        tokenizer: of the tokenizers library.
        tokenizer_json: what it was made of: the file's content, with what tokenizer_config.json
            overrides.
        vocabulary: its tokens; special ones are known.
        pooling, activation: of the head.
        max_tokens: the longest text read, in tokens, special ones included.
        query_table: for queries that are looked up; None where they are encoded.
        queries: the checkpoint of another encoder for queries; None where one does both.
        license, origin: of the weights; empty where nothing is said.
        notes: what was changed while reading, for people.
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
    queries: Checkpoint | None
    license: str
    origin: str
    notes: tuple[str, ...]


def read_checkpoint(folder: Path, choices: Choices | None = None) -> Checkpoint:
    """Read a checkpoint's folder.

    Raises:
        ModelError: it cannot be used; the message says what is wrong, where, and what to do.
        MissingExtra: its weights are in ``.bin`` files, and torch is not installed.
    """
    choices = choices or Choices()
    layout = read_layout(folder)
    checkpoint = _read(folder, layout, choices)
    if choices.query_encoder is not None:
        queries = read_checkpoint(find_source(choices.query_encoder))
    elif layout.queries is not None:
        queries = _read(folder, layout.queries, Choices())
    else:
        return checkpoint
    _refuse_unlike(checkpoint, queries)
    return replace(checkpoint, queries=queries)


def _refuse_unlike(documents: Checkpoint, queries: Checkpoint) -> None:
    """Vectors of queries and documents meet term by term."""
    if queries.vocabulary.sha256 != documents.vocabulary.sha256:
        raise ModelError(
            f"{queries.folder}, for queries, has another vocabulary ({len(queries.vocabulary)} terms) than "
            f"{documents.folder} ({len(documents.vocabulary)} terms): their vectors have nothing in common"
        )
    if (
        documents.query_table is not None
        or queries.query_table is not None
        or queries.queries is not None
    ):
        raise ModelError(
            f"{documents.folder}: queries go through one encoder, or through a table, not through both: leave one out"
        )


def _read(folder: Path, layout: Layout, choices: Choices) -> Checkpoint:
    config = read_json(layout.transformer / "config.json", dict)
    architecture = find_architecture(config)
    if not (layout.transformer / "tokenizer.json").is_file():
        raise ModelError(
            f"{layout.transformer} has no tokenizer.json: write it with transformers, "
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        )
    tokenizer_json, overridden = read_tokenizer(layout.transformer)
    tokenizer = parse_tokenizer(tokenizer_json, layout.transformer / "tokenizer.json")
    vocabulary = read_vocabulary(tokenizer)
    tensors = _canonical(read_tensors(layout.transformer), architecture)
    tensors, head_weight = _needed(layout.transformer, tensors, config)
    notes = _fit(layout.transformer, tensors, head_weight, architecture, len(vocabulary))
    _refuse_not_finite(layout.transformer, tensors)
    table = choices.query or layout.query_table
    query_table, more = (None, ()) if table is None else read_query_table(table, vocabulary)
    license, origin = _card(folder)
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
        queries=None,
        license=choices.license or license,
        origin=choices.origin or origin,
        notes=(*overridden, *notes, *more),
    )


def _canonical(tensors: Tensors, architecture: Architecture) -> Tensors:
    """Names as transformers has them today: old checkpoints have gamma and beta, and a second name for the bias."""
    renamed = {}
    for name, array in tensors.items():
        new = re.sub(r"\.beta$", ".bias", re.sub(r"\.gamma$", ".weight", name))
        renamed[new] = array
    head = architecture.head
    if head.other_bias is not None and head.bias not in renamed and head.other_bias in renamed:
        renamed[head.bias] = renamed[head.other_bias]
    return renamed


def _needed(folder: Path, tensors: Tensors, config: Mapping[str, Any]) -> tuple[Tensors, str]:
    """The tensors that the vectors need, and the name of the decoder's."""
    architecture, shape = find_architecture(config), read_shape(config)
    head = architecture.head
    needed, optional = tensor_names(config)
    parts = (f"{head.transform}.weight", f"{head.norm}.weight")
    lost = [name for name in parts if name not in tensors]
    if lost:
        raise ModelError(
            f"{folder} has no masked-language-model head ({lost[0]} is missing): SPLADE weighs the vocabulary with it; "
            f"give a checkpoint saved as {architecture.masked_lm}"
        )
    missing = [name for name in needed if name not in tensors]
    if missing:
        raise ModelError(
            f"{folder} lacks the tensor {missing[0]} ({len(missing)} missing): copy the checkpoint again"
        )
    kept = {
        name: tensors[name] for name in [*needed, *(name for name in optional if name in tensors)]
    }
    words = tensors[head.words]
    if words.ndim != 2 or words.shape[1] != shape.width:
        raise ModelError(
            f"{folder}: {head.words} has the shape {words.shape}, and config.json a width of {shape.width}"
        )
    if head.bias not in tensors and config.get("decoder_bias", True):
        raise ModelError(
            f"{folder} lacks the tensor {head.bias}, the decoder's bias: copy the checkpoint again, or save it with "
            "zeros there if the model was trained without one"
        )
    kept[head.bias] = tensors.get(head.bias, np.zeros(len(words), np.float32))
    decoder = tensors.get(head.decoder)
    # What a checkpoint carries twice because its file could not say "the same" is kept once.
    if decoder is None or np.array_equal(decoder, words):
        return kept, head.words
    if config.get("tie_word_embeddings", True):
        # transformers 4 takes the embeddings for both, 5 keeps two.
        raise ModelError(
            f"{folder}: config.json has decoder and embeddings as one (tie_word_embeddings), and {head.decoder} "
            f"differs from {head.words}: set it to false if the decoder was trained, or remove that tensor"
        )
    kept[head.decoder] = decoder
    if head.other_bias is not None:
        # transformers 4 has one bias under two names; 5 adds the decoder's where the decoder is one
        # of its own.
        kept[head.bias] = kept[head.other_bias] = tensors.get(head.other_bias, kept[head.bias])
    return kept, head.decoder


def _fit(
    folder: Path, tensors: Tensors, head_weight: str, architecture: Architecture, tokens: int
) -> list[str]:
    """Cut the rows that no token has; what was done, for people."""
    head, rows = architecture.head, len(tensors[head_weight])
    if len(tensors[head.bias]) != rows:
        raise ModelError(
            f"{folder}: a decoder of {rows} rows has a bias of {len(tensors[head.bias])}"
        )
    if tokens > min(rows, len(tensors[head.words])):
        raise ModelError(
            f"{folder}: the tokenizer has {tokens} tokens, and the model {rows} rows: "
            "one of them is another checkpoint's"
        )
    if tokens == rows == len(tensors[head.words]):
        return []
    for name in tensors.keys() & {head.words, head_weight, head.bias, head.other_bias}:
        tensors[name] = np.ascontiguousarray(tensors[name][:tokens])
    return [
        f"the model has {rows:,} rows and the tokenizer {tokens:,} tokens: {rows - tokens:,} unused rows are cut"
    ]


def _refuse_not_finite(folder: Path, tensors: Tensors) -> None:
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            bad = int(np.count_nonzero(~np.isfinite(array)))
            raise ModelError(
                f"{folder}: tensor {name} has {bad:,} values that are NaN or infinite: the weights are broken"
            )


def _max_tokens(layout: Layout, config: Mapping[str, Any], wanted: int | None) -> int:
    limit = read_shape(config).positions
    path = layout.transformer / "tokenizer_config.json"
    said = [
        layout.max_tokens,
        read_json(path, dict).get("model_max_length") if path.is_file() else None,
    ]
    own = min([limit, *(int(length) for length in said if length is not None)])
    if wanted is None:
        return own
    if not 3 <= wanted <= limit:
        raise ModelError(f"a length of {wanted} tokens: the model reads 3 to {limit}")
    return wanted


def _card(folder: Path) -> tuple[str, str]:
    """License and origin, of the header of README.md (the model card)."""
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
