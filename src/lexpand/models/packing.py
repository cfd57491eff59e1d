"""Pack a model folder into 8 bits a weight.

The packed model is another model than the one it was made from, because its weights are rounded.
`exporting` writes them as float32 again.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from lexpand.data import Pruning, SparseVectors
from lexpand.data.pruning import parse_pruning
from lexpand.encode.contract import Contract, QueryMode, Role
from lexpand.encode.encoder import Encoder
from lexpand.encode.encoding import BY_RULE
from lexpand.encode.folder import ModelFolder, find_folder
from lexpand.encode.json_files import read_json
from lexpand.encode.packed import PACKED, pack
from lexpand.errors import MissingExtra, ModelError
from lexpand.models.checkpoint import read_checkpoint
from lexpand.models.exporting import check_free, float32_file
from lexpand.models.importing import import_model
from lexpand.models.options import ImportOptions
from lexpand.models.staging import staging
from lexpand.models.writing import WEIGHTS, sha256_of, write_contract

_MADE_NEW = ("contract.json", "onnx", WEIGHTS, PACKED)


def pack_model(
    source: str | Path,
    dest: str | Path,
    *,
    name: str | None = None,
    pruning: Pruning | str | None = None,
    query_pruning: Pruning | str | None = None,
    query_mode: QueryMode | None = None,
) -> Contract:
    """Write a model folder whose weights are those of another one, rounded to 8 bits.

    Args:
        source: the model: ``default`` or the path of a model folder.
        dest: the new folder.
        name: of the new model; by default that of the source.
        pruning: rules for documents in the contract of the new model, also in the form of
            `parse_pruning`; by default those of the source.
        query_pruning: the same for queries.
        query_mode: the default way to encode queries; by default that of the source.

    Raises:
        ModelError: the source is packed already or has a separate query encoder, or has no table
            for ``lookup``, or ``dest`` exists.
        MissingExtra: the package onnx is not installed.
        StorageError: the disk refuses.
    """
    folder = ModelFolder(find_folder(source))
    contract, dest = folder.contract, Path(dest)
    check_free(dest)
    if find_spec("onnx") is None:  # the graph is made again, and without it nothing runs
        raise MissingExtra("onnx", "onnx", "packing a model")
    if contract.packed is not None:
        raise ModelError(f"{folder.path} is packed already: use it as it is")
    if contract.query_encoder is not None:
        raise ModelError(
            f"{folder.path} has a separate query encoder, which cannot be packed: use it as it is"
        )
    # An import gives tensors the names of today, so it must read them first.
    content = pack(read_checkpoint(folder.path, ImportOptions()).tensors)
    with staging(dest) as scratch:
        plain = scratch / "plain"
        shutil.copytree(folder.path, plain)
        for made_new in _MADE_NEW:
            _remove(plain / made_new)
        (plain / WEIGHTS).write_bytes(float32_file(content))
        table = contract.query_table
        options = ImportOptions(
            name=name or contract.name,
            license=contract.license,
            origin=contract.origin,
            query=None if table is None else folder.path / table.file,
            query_mode=query_mode or contract.query_mode,
        )
        made = scratch / "made"
        import_model(plain, made, options)
        raw = read_json(made / "contract.json", dict)
        if (made / WEIGHTS).read_bytes() != (plain / WEIGHTS).read_bytes():
            raise ModelError(f"{folder.path} changes when it is imported, so it cannot be packed")
        rules = {Role.DOCUMENT: pruning, Role.QUERY: query_pruning}
        raw |= pruned_contract(made, _rules(folder, rules))
        (made / PACKED).write_bytes(content)
        (made / WEIGHTS).unlink()
        raw["origin"] = f"{contract.origin}; weights rounded to 8 bits"
        raw["weights"]["packed"] = {"file": PACKED, "sha256": sha256_of(made / PACKED)}
        write_contract(made, raw)
        made.rename(dest)
    return Contract.load(dest)


def _rules(
    folder: ModelFolder, given: Mapping[Role, Pruning | str | None]
) -> dict[str, Any] | None:
    """Return the pruning rules of the new contract, as JSON: those given, or else its own."""
    raw: dict[str, Any] | None = read_json(folder.path / "contract.json", dict)["pruning"]
    chosen = {
        str(role): parse_pruning(rules, folder.tokens.vocabulary).to_dict()
        for role, rules in given.items()
        if rules is not None
    }
    return {**(raw or {}), **chosen} if chosen else raw


def pruned_contract(folder: Path, rules: dict[str, Any] | None) -> dict[str, Any]:
    """Return what rules change in the contract of a model that has none: ``pruning``, ``golden``.

    Args:
        folder: the model.
        rules: the pruning rules of each role, as JSON; None for none.
    """
    golden = read_json(folder / "contract.json", dict)["golden"]
    if rules:
        encoder = Encoder.load(folder)
        golden = [_pruned(pair, encoder, rules) for pair in golden]
    return {"pruning": rules, "golden": golden}


def _pruned(pair: dict[str, Any], encoder: Encoder, rules: dict[str, Any]) -> dict[str, Any]:
    """Return a golden pair, which an import makes without pruning, as the rules leave it."""
    pruning = Pruning.from_dict(rules.get(pair["role"]))
    terms = np.array(pair["terms"], np.uint32)
    vectors = SparseVectors(
        np.array([0, len(terms)]),
        terms,
        np.array(pair["weights"], np.float32),
        len(encoder.vocabulary),
    )
    positions = None
    if pair["role"] == Role.QUERY and encoder.query_mode is QueryMode.LOOKUP:
        pruning = replace(pruning, position=None)  # each position gives one term
    if pruning.position is not None:
        # A golden pair has no positions. A term that only the other runtime finds is of none.
        found = encoder.trace(pair["text"], pair["role"]).positions
        positions = np.array([found.get(int(term), BY_RULE) for term in terms], np.uint32)
    kept = pruning.kept(vectors, positions).tolist()
    return pair | {
        key: [value for value, stays in zip(pair[key], kept, strict=True) if stays]
        for key in ("terms", "weights")
    }


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
