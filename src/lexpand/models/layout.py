"""Read the layout of a checkpoint: plain Hugging Face, or modules of sentence-transformers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from lexpand.encode.contract import Activation, Pooling, QueryMode
from lexpand.encode.json_files import read_json
from lexpand.errors import ModelError

_POOLINGS: dict[str, Pooling] = {"max": "max", "sum": "sum"}
_ACTIVATIONS: dict[str, Activation] = {"relu": "log1p(relu)", "log1p_relu": "log1p(log1p(relu))"}

LOOKUP = "lookup"
"""The route to a query table in a Router whose queries are encoded by default."""

_Value = TypeVar("_Value")

# The names of one file in different versions of sentence-transformers.
_TRANSFORMER_CONFIGS = [
    f"sentence_{kind}_config.json" for kind in ("bert", "roberta", "distilbert", "xlm-roberta")
]

# Files with the weights of query tokens in OpenSearch's models.
_TABLES = ("idf.json", "query_token_weights.txt")


@dataclass(frozen=True, slots=True)
class Layout:
    """The parts of a checkpoint and their settings.

    Attributes:
        transformer: the folder of the masked language model and its tokenizer.
        pooling, activation: those of the head.
        max_tokens: the longest text that is read, in tokens. None if only the limit of the
            transformer applies.
        query_table: a file or folder with the weights of query tokens. None without one.
        query_mode: the default way to encode queries, where the layout says it.
        queries: the layout of a separate query encoder. None if one encoder serves both roles.
    """

    transformer: Path
    pooling: Pooling = "max"
    activation: Activation = "log1p(relu)"
    max_tokens: int | None = None
    query_table: Path | None = None
    query_mode: QueryMode | None = None
    queries: Layout | None = None


def read_layout(folder: Path) -> Layout:
    """Return the layout of the folder of a checkpoint.

    Raises:
        ModelError: a module of sentence-transformers is not supported. The message names it.
    """
    if not (folder / "modules.json").is_file():
        tables = [folder / name for name in _TABLES if (folder / name).is_file()]
        return Layout(folder, query_table=tables[0] if tables else None)
    _check_no_prompts(folder)
    try:
        modules = [
            (_class(module["type"]), folder / module["path"])
            for module in read_json(folder / "modules.json", list)
        ]
        if [kind for kind, _ in modules] in (["Router"], ["Asym"]):
            return _routed(folder, modules[0][1])
        return _encoder(folder, modules)
    except (KeyError, TypeError) as error:
        raise ModelError(
            f"{folder / 'modules.json'} is incomplete ({error!r}): copy the checkpoint again"
        ) from error


def _class(name: str) -> str:
    return str(name).rpartition(".")[2]


def _encoder(folder: Path, modules: list[tuple[str, Path]]) -> Layout:
    """Return the layout of an encoder: a transformer followed by SpladePooling."""
    kinds = [kind for kind, _ in modules]
    if (
        len(kinds) != 2
        or kinds[0] not in ("MLMTransformer", "Transformer")
        or kinds[1] != "SpladePooling"
    ):
        raise ModelError(
            f"{folder} must have the modules MLMTransformer (or Transformer) and SpladePooling, "
            f"got {', '.join(kinds)}, which is not supported"
        )
    transformer, config = modules[0][1], _transformer_config(modules[0][1])
    if kinds[0] == "Transformer" and config.get("transformer_task") != "fill-mask":
        task = config.get("transformer_task")
        raise ModelError(
            f"transformer_task in {transformer} must be 'fill-mask', got {task!r}: "
            "give a masked language model, whose head SPLADE needs"
        )
    if config.get("do_lower_case"):
        raise ModelError(
            f"do_lower_case in {transformer} must be false: "
            "let the normalizer of tokenizer.json lower-case texts"
        )
    head = modules[1][1]
    settings = read_json(head / "config.json", dict)
    pooling = settings.get("pooling_strategy", "max")
    function = settings.get("activation_function", "relu")
    length = config.get("max_seq_length")
    return Layout(
        transformer,
        _known(head, "pooling_strategy", pooling, _POOLINGS),
        _known(head, "activation_function", function, _ACTIVATIONS),
        None if length is None else int(length),
    )


def _known(folder: Path, key: str, value: str, known: dict[str, _Value]) -> _Value:
    if value not in known:
        raise ModelError(
            f"{key} in {folder / 'config.json'} must be one of {', '.join(known)}, got {value!r}, "
            "which is not supported"
        )
    return known[value]


def _transformer_config(folder: Path) -> dict[str, Any]:
    found = [folder / name for name in _TRANSFORMER_CONFIGS if (folder / name).is_file()]
    return dict(read_json(found[0], dict)) if found else {}


def _routed(folder: Path, router: Path) -> Layout:
    """Return the layout of a Router.

    Documents have an encoder. Queries have the same encoder, another one, or a table. With the same
    encoder, there may be a table at the route `LOOKUP`.
    """
    names = [name for name in ("router_config.json", "config.json") if (router / name).is_file()]
    if not names:
        raise ModelError(f"{router} has no router_config.json: copy the checkpoint again")
    config = read_json(router / names[0], dict)
    routes: dict[str, list[tuple[str, Path]]] = {
        route: [(_class(config["types"][module]), router / module) for module in modules]
        for route, modules in config["structure"].items()
    }
    if not {"query", "document"} <= set(routes):
        raise ModelError(
            f"the Router of {folder} must have the routes 'query' and 'document', "
            f"got {', '.join(routes)}: copy the checkpoint again"
        )
    layout = _encoder(folder, routes["document"])
    if routes["query"] == routes["document"]:
        table = _table(routes.get(LOOKUP, []))
        mode = None if table is None else QueryMode.ENCODER
        return replace(layout, query_table=table, query_mode=mode)
    table = _table(routes["query"])
    if table is not None:
        return replace(layout, query_table=table)
    return replace(layout, queries=_encoder(folder, routes["query"]))


def _table(route: list[tuple[str, Path]]) -> Path | None:
    """Return the folder of the query table that a route consists of; None if it is another one."""
    if [kind for kind, _ in route] != ["SparseStaticEmbedding"]:
        return None
    return route[0][1]


def _check_no_prompts(folder: Path) -> None:
    path = folder / "config_sentence_transformers.json"
    prompts = read_json(path, dict).get("prompts") or {} if path.is_file() else {}
    used = [name for name, prompt in prompts.items() if prompt]
    if used:
        raise ModelError(
            f"the prompts in {path} must be empty, got one for {', '.join(used)}: "
            "prompts are not supported"
        )
