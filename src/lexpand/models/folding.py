"""Fold a vocabulary: the forms of a word that differ in case or in a space become one term.

A cased vocabulary has "Login", "login" and "LOGIN", and a byte-level one has each of them again
with the space before it. An inverted index sees as many different words. After folding, the
tokenizer lower-cases texts (and drops spaces, if it is byte-level), and each folded term has the
rows that its first form had in the embeddings and in the decoder. The first form has the smallest
id, and tokenizers give the small ids to the most frequent tokens. Training starts there.

That cased vocabularies harm SPLADE is shown by Geng and Yang 2026 (arXiv 2607.00004), who move to
another vocabulary. Folding keeps the pieces of the base.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexpand.encode.contract import Contract
from lexpand.encode.json_files import read_json
from lexpand.encode.query_table import QueryTable
from lexpand.encode.tokens import parse_tokenizer, read_vocabulary
from lexpand.errors import DataError, ModelError
from lexpand.models.checkpoint import Checkpoint
from lexpand.models.importing import ImportResult, import_changed, read_changeable
from lexpand.models.source import find_base
from lexpand.models.tokenizer_files import OVERRIDES, SETTINGS
from lexpand.models.writing import write_json

_SPECIAL = {
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "pad_token": ("[PAD]", "<pad>"),
    "unk_token": ("[UNK]", "<unk>"),
    "mask_token": ("[MASK]", "<mask>"),
}
"""The special tokens that tokenizer_config.json may leave to a class, by BERT's and RoBERTa's."""

_SPACE = "\u0120"
"""The character that stands for the byte of a space in a byte-level vocabulary."""

_OF_CLASSES = (*OVERRIDES, "add_prefix_space")
"""The settings by which a class changes tokenizer.json while loading."""


@dataclass(frozen=True, slots=True)
class FoldResult:
    """The result of folding a vocabulary.

    Attributes:
        imported: the new model folder.
        before, after: the number of terms of the base, and of the new model.
    """

    imported: ImportResult
    before: int
    after: int


def fold_vocabulary(
    model: str | Path,
    dest: str | Path,
    *,
    name: str | None = None,
    force: bool = False,
    optimize: bool = True,
    on_step: Callable[[str], None] | None = None,
) -> FoldResult:
    """Write a copy of a masked language model or SPLADE model with a folded vocabulary.

    A separate query encoder and a query table get the same terms. The folder has stock modules of
    sentence-transformers.

    Args:
        model: the name of a packaged model, a folder, or an id of the Hugging Face Hub. Its
            tokenizer must be WordPiece or byte-level BPE.
        dest: the new folder. It appears under this name when it is complete.
        name: the name of the model. None takes the name of `dest`.
        force: replace `dest` if it is a model folder.
        optimize: make the graph too, if the package onnx is installed.
        on_step: called before each step.

    Raises:
        DataError: no two terms differ in case or in a space alone.
        ModelError: the model is not supported, or `dest` exists.
        StorageError: a file cannot be written.
    """
    folder, dest = find_base(model), Path(dest).expanduser().absolute()
    checkpoint = read_changeable(folder, "fold its vocabulary")
    source = _name(model, folder)
    folded = _fold(checkpoint, source)
    before, after = len(checkpoint.vocabulary), len(folded.vocabulary)
    imported = import_changed(
        folded,
        source,
        dest,
        name=name,
        change=f"vocabulary folded from {before:,} to {after:,} terms",
        force=force,
        optimize=optimize,
        on_step=on_step,
        revise=_make_generic,
    )
    return FoldResult(imported, before, after)


def _name(model: str | Path, folder: Path) -> str:
    """Return the name of the base; the folder of a download is named after a commit."""
    if (folder / "contract.json").is_file():
        return Contract.load(folder).name
    return folder.resolve().name if Path(model).expanduser().is_dir() else str(model)


def _fold(checkpoint: Checkpoint, name: str) -> Checkpoint:
    """Return a checkpoint whose terms are the folded ones, for both of its encoders."""
    raw = json.loads(checkpoint.tokenizer_json)
    tokens = checkpoint.vocabulary.tokens
    fold, kept = _folding(raw, name), _kept(raw)
    names = [token if token in kept else fold(token) for token in tokens]
    terms = dict.fromkeys(names)  # in the order of their first forms
    if len(terms) == len(tokens):
        raise DataError(
            f"the vocabulary of {name} must have terms that differ only in case or in a space, and"
            f" none of its {len(tokens):,} do: train from it as it is"
        )
    ids = {term: place for place, term in enumerate(terms)}
    forms = np.array([ids[term] for term in names])
    first = np.unique(forms, return_index=True)[1]
    content = json.dumps(_tokenizer(raw, ids, fold), ensure_ascii=False, indent=2).encode()
    tokenizer = parse_tokenizer(content, checkpoint.folder / "tokenizer.json")
    vocabulary = read_vocabulary(tokenizer)
    if vocabulary.tokens != tuple(terms):
        raise ModelError(
            f"the folded tokenizer of {name} must have {len(terms):,} terms, got"
            f" {len(vocabulary):,} others: its tokenizer.json is not supported"
        )
    head, tensors = checkpoint.architecture.head, dict(checkpoint.tensors)
    for tensor in tensors.keys() & {
        head.embeddings,
        checkpoint.head_weight,
        head.bias,
        head.other_bias,
    }:
        tensors[tensor] = np.ascontiguousarray(tensors[tensor][first])
    table, queries = checkpoint.query_table, checkpoint.queries
    return replace(
        checkpoint,
        tensors=tensors,
        config=_config(checkpoint, forms),
        tokenizer=tokenizer,
        tokenizer_json=content,
        vocabulary=vocabulary,
        query_table=None if table is None else _largest(table, forms),
        queries=None if queries is None else _fold(queries, name),
    )


def _kept(raw: dict[str, Any]) -> set[str]:
    """Return the tokens that other parts of tokenizer.json name; they are not folded."""
    kept = {token["content"] for token in raw.get("added_tokens") or ()}
    kept.update(_special_tokens(raw.get("post_processor") or {}))
    named = (raw["model"].get("unk_token"), (raw.get("padding") or {}).get("pad_token"))
    return kept.union(token for token in named if token is not None)


def _special_tokens(post_processor: dict[str, Any]) -> Iterator[str]:
    """Yield the tokens that a post-processor adds."""
    for key in ("sep", "cls"):
        if key in post_processor:
            yield post_processor[key][0]
    if post_processor.get("type") == "TemplateProcessing":
        for token in post_processor["special_tokens"].values():
            yield from token["tokens"]
    for each in post_processor.get("processors", ()):
        yield from _special_tokens(each)


def _folding(raw: dict[str, Any], name: str) -> Callable[[str], str]:
    """Return the function that folds a token, and check that the tokenizer is supported."""
    kind = raw["model"]["type"]
    if kind == "WordPiece":
        return _folding_pieces(raw["model"].get("continuing_subword_prefix") or "##")
    if kind == "BPE" and any(part["type"] == "ByteLevel" for part in _parts(raw)):
        return _folding_bytes()
    raise ModelError(
        f"the tokenizer of {name} must be WordPiece or byte-level BPE to fold its vocabulary, got"
        f" {kind}, which is not supported"
    )


def _parts(raw: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Return the parts of the pre-tokenizer."""
    found = raw.get("pre_tokenizer") or {"type": ""}
    parts: Iterable[dict[str, Any]] = found.get("pretokenizers", (found,))
    return parts


def _folding_pieces(prefix: str) -> Callable[[str], str]:
    lower = _lower()

    def fold(token: str) -> str:
        rest = token.removeprefix(prefix)
        folded = lower(rest)
        return token if not folded else token[: len(token) - len(rest)] + folded

    return fold


def _folding_bytes() -> Callable[[str], str]:
    """Return a function that folds a token whose characters stand for bytes."""
    from tokenizers import decoders, pre_tokenizers

    lower, to_text = _lower(), decoders.ByteLevel()
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)

    def fold(token: str) -> str:
        token = token.lstrip(_SPACE) or token
        text = to_text.decode([token])
        if "\ufffd" in text:  # a part of a character
            return token
        return "".join(part for part, _ in to_bytes.pre_tokenize_str(lower(text)))

    return cache(fold)


def _lower() -> Callable[[str], str]:
    """Return the function that lower-cases as the tokenizer will."""
    from tokenizers import normalizers

    return normalizers.Lowercase().normalize_str


def _tokenizer(
    raw: dict[str, Any], ids: dict[str, int], fold: Callable[[str], str]
) -> dict[str, Any]:
    """Return tokenizer.json with the folded vocabulary."""
    model = raw["model"] | {"vocab": ids}
    pre_tokenizer = raw.get("pre_tokenizer")
    if "merges" in model:
        model["merges"] = _merges(model["merges"], ids, fold)
        # A word that is a term is read as it, although merges of other forms come in between.
        model["ignore_merges"] = True
        # Words of texts reach the model without their spaces.
        parts = [{"type": "WhitespaceSplit"}, *(_without_space(part) for part in _parts(raw))]
        pre_tokenizer = {"type": "Sequence", "pretokenizers": parts}
    changed = raw | {
        "model": model,
        "pre_tokenizer": pre_tokenizer,
        "normalizer": _normalizer(raw.get("normalizer")),
        "added_tokens": [
            token | {"id": ids[token["content"]]} for token in raw.get("added_tokens") or ()
        ],
        "post_processor": _post_processor(raw.get("post_processor"), ids),
    }
    padding = changed.get("padding")
    if padding and padding["pad_token"] in ids:
        changed["padding"] = padding | {"pad_id": ids[padding["pad_token"]]}
    return changed


def _without_space(part: dict[str, Any]) -> dict[str, Any]:
    """Return a part of a pre-tokenizer that adds no space before the first word."""
    return part | {"add_prefix_space": False} if part["type"] == "ByteLevel" else part


def _merges(
    merges: Sequence[str | Sequence[str]], ids: dict[str, int], fold: Callable[[str], str]
) -> list[list[str]]:
    """Return the merges of folded tokens: those of lower case in their order, and then the others.

    Merges of a space with a word have nothing left to merge. A letter whose bytes were merged in
    upper case alone is merged in lower case, in the end.
    """
    lower: dict[tuple[str, str], None] = {}
    others: dict[tuple[str, str], None] = {}
    for merge in merges:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        pair = (fold(left), fold(right))
        if pair[0] + pair[1] in ids and pair[0] + pair[1] == fold(left + right):
            same = pair[0] == left.lstrip(_SPACE) and pair[1] == right
            (lower if same else others)[pair] = None
    folded = lower | others
    made = {left + right for left, right in folded}
    for term in ids:
        if term not in made and term[:-1] in ids and term[-1] in ids:
            folded[term[:-1], term[-1]] = None
    return [list(pair) for pair in folded]


def _normalizer(before: dict[str, Any] | None) -> dict[str, Any]:
    """Return a normalizer that also lower-cases."""
    if before is not None and before["type"] == "BertNormalizer":
        # Without a setting of its own, it would strip accents because it lower-cases.
        accents = before.get("strip_accents")
        accents = bool(before.get("lowercase")) if accents is None else accents
        return before | {"lowercase": True, "strip_accents": accents}
    lower = {"type": "Lowercase"}
    if before is None:
        return lower
    parts = before["normalizers"] if before["type"] == "Sequence" else [before]
    return {"type": "Sequence", "normalizers": [*parts, lower]}


def _post_processor(before: dict[str, Any] | None, ids: dict[str, int]) -> dict[str, Any] | None:
    """Return the post-processor with the new ids of special tokens."""
    if before is None:
        return None
    changed = dict(before)
    for key in {"sep", "cls"} & changed.keys():
        changed[key] = [changed[key][0], ids[changed[key][0]]]
    if changed["type"] == "TemplateProcessing":
        changed["special_tokens"] = {
            key: token | {"ids": [ids[each] for each in token["tokens"]]}
            for key, token in changed["special_tokens"].items()
        }
    if changed["type"] == "Sequence":
        changed["processors"] = [_post_processor(each, ids) for each in changed["processors"]]
    return changed


def _config(checkpoint: Checkpoint, forms: NDArray[np.int64]) -> dict[str, Any]:
    """Return config.json with the new ids of special tokens."""
    config = dict(checkpoint.config)
    for key, value in config.items():
        if key.endswith("_token_id"):
            listed = value if isinstance(value, list) else [value]
            changed = [
                int(forms[id]) if isinstance(id, int) and 0 <= id < len(forms) else id
                for id in listed
            ]
            config[key] = changed if isinstance(value, list) else changed[0]
    padding = checkpoint.config.get("pad_token_id")
    if checkpoint.architecture.counts_from_padding and config.get("pad_token_id") != padding:
        raise ModelError(
            f"the padding token of {checkpoint.folder} must come before tokens that can be folded,"
            " because positions are counted from its id: this model is not supported"
        )
    return config


def _largest(table: QueryTable, forms: NDArray[np.int64]) -> QueryTable:
    """Return the largest weight of the forms of each term."""
    weights = np.zeros(int(forms.max()) + 1, np.float32)
    np.maximum.at(weights, forms, table.weights)
    return QueryTable(weights)


def _make_generic(folder: Path) -> None:
    """Let transformers take tokenizer.json as it is, in all tokenizers of a written folder.

    The classes of BERT and RoBERTa change the normalizer or the pre-tokenizer while loading.
    """
    for path in folder.rglob(SETTINGS):
        settings = dict(read_json(path, dict))
        content = {
            token["content"]
            for token in read_json(path.with_name("tokenizer.json"), dict)["added_tokens"]
        }
        for key, usual in _SPECIAL.items():
            found = [token for token in usual if token in content]
            if found:
                settings.setdefault(key, found[0])
        settings = {key: value for key, value in settings.items() if key not in _OF_CLASSES}
        settings.pop("added_tokens_decoder", None)  # it has the old ids
        write_json(path, settings | {"tokenizer_class": "PreTrainedTokenizerFast"})
