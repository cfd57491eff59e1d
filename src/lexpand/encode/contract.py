"""Read contract.json, which records what determines a model's vectors, and golden pairs.

docs/model-folder.md specifies the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, cast

from lexpand.data import ModelId
from lexpand.data.pruning import Pruning
from lexpand.errors import DataError, ModelError

VERSION = 2

Pooling = Literal["max", "sum"]
Activation = Literal["log1p(relu)", "log1p(log1p(relu))"]


class Role(StrEnum):
    """The role of a text: document or query."""

    DOCUMENT = "document"
    QUERY = "query"


def parse_role(role: Role | str) -> Role:
    """Return the role with this name.

    Raises:
        DataError: the name is unknown.
    """
    try:
        return Role(role)
    except ValueError:
        raise DataError(f"role must be one of {', '.join(Role)}, got {role!r}") from None


class QueryMode(StrEnum):
    """The way in which queries are encoded."""

    ENCODER = "encoder"
    """The model encodes a query as it encodes a document."""

    LOOKUP = "lookup"
    """A table has one weight for each term (`QueryTable`). The model does not run."""


@dataclass(frozen=True, slots=True)
class Golden:
    """A golden pair: a text and its float32 vector."""

    role: Role
    text: str
    terms: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Screening:
    """The basis for safe pruning of the head.

    Attributes:
        file: a .npy file with a matrix T, float32 [width, width], and below it a typical hidden
            state, which older files lack.
        sha256: its checksum.
        kept: the number of dimensions in the 8-bit product.
    """

    file: str
    sha256: str
    kept: int


@dataclass(frozen=True, slots=True)
class File:
    """A file of the model folder and its checksum."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class QueryEncoder:
    """The nested model folder that encodes queries, and the hash of its contract."""

    folder: str
    hash: str


@dataclass(frozen=True, slots=True)
class Contract:
    """The content of contract.json; `load` reads it.

    Attributes:
        name: the name of the model.
        vocabulary_size: the number of terms.
        vocabulary_sha256: the checksum of the tokens.
        tokenizer: tokenizer.json. All of it determines the vectors, not only the tokens.
        architecture: what the transformer computes with its weights, such as the number of heads
            and epsilon. `describe_architecture` derives it from config.json.
        weights_file, weights_sha256: the safetensors file and its checksum.
        packed: the file that has the weights in 8 bits instead. None if the folder has the former.
        body: the graph of the transformer. None if it has not been made yet.
        body_int8: the graph with 8-bit integer products. None if the folder has none.
        body_output: the name of the output of the graphs.
        head_weight, head_bias: the tensor names of the decoder.
        pooling, activation: those of the head.
        screening: the basis for safe pruning of the head. None if the folder has none.
        max_tokens: the longest text that is read, by role, in tokens, special tokens included.
        query_mode: the default way to encode queries.
        query_table: the weights for `QueryMode.LOOKUP`. None if the folder has none.
        query_encoder: a separate encoder for queries. None if one encoder serves both roles.
        pruning: the rules of each role. A role without rules has a `Pruning` that keeps every term.
        license: the license of the weights.
        origin: where the weights come from.
        golden: the golden pairs.
        hash: the SHA-256 of what determines the vectors: vocabulary, tokenizer, architecture,
            weights, head, modes, query table or encoder, and pruning. Models with the same hash
            yield the same vectors. The hash does not cover the name, the lengths, the license, the
            basis for safe pruning or the graphs.
    """

    name: str
    vocabulary_size: int
    vocabulary_sha256: str
    tokenizer: File
    architecture: Mapping[str, Any]
    weights_file: str
    weights_sha256: str
    packed: File | None
    body: File | None
    body_int8: File | None
    body_output: str
    head_weight: str
    head_bias: str
    pooling: Pooling
    activation: Activation
    screening: Screening | None
    max_tokens: Mapping[Role, int]
    query_mode: QueryMode
    query_table: File | None
    query_encoder: QueryEncoder | None
    pruning: Mapping[Role, Pruning]
    license: str
    origin: str
    golden: tuple[Golden, ...]
    hash: str

    @property
    def model(self) -> ModelId:
        """The name and the hash."""
        return ModelId(self.name, self.hash)

    @classmethod
    def load(cls, folder: Path) -> Contract:
        """Read ``contract.json`` of a model folder.

        Raises:
            ModelError: the file is missing, is not a contract, has another version, or lacks a key
                or has a bad value. The message names the key.
        """
        path = folder / "contract.json"
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ModelError(
                f"{folder} has no contract.json, so it is not a model folder of Lexpand: "
                "give a model folder, or make one with `lexpand model import`"
            ) from None
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{path} cannot be read: {error}: copy the model folder again, or import it again"
            ) from error
        if not isinstance(raw, dict) or raw.get("format") != "lexpand-contract":
            raise ModelError(
                f"{path} is not a contract: its format must be 'lexpand-contract'; "
                "copy the model folder again"
            )
        version = raw.get("version")
        if version == 1:
            raise ModelError(
                f"{path} must have version {VERSION}, got 1, from before the first release: "
                "import the model again"
            )
        if version != VERSION:
            raise ModelError(
                f"{path} must have version {VERSION}, got {version!r}: upgrade Lexpand"
            )
        try:
            return cls._parse(raw)
        except KeyError as error:
            raise ModelError(f"{path} lacks the key {error}: copy the model folder again") from None
        except (TypeError, ValueError, DataError) as error:
            raise ModelError(f"{path}: {error}") from None

    @classmethod
    def _parse(cls, raw: dict[str, Any]) -> Contract:
        head, body = raw["head"], raw["body"]
        return cls(
            name=str(raw["name"]),
            vocabulary_size=int(raw["vocabulary"]["size"]),
            vocabulary_sha256=raw["vocabulary"]["sha256"],
            tokenizer=File(raw["tokenizer"]["file"], raw["tokenizer"]["sha256"]),
            architecture=_architecture(raw["architecture"]),
            weights_file=raw["weights"]["file"],
            weights_sha256=raw["weights"]["sha256"],
            packed=File(raw["weights"]["packed"]["file"], raw["weights"]["packed"]["sha256"])
            if raw["weights"].get("packed")
            else None,
            body=None if body["file"] is None else File(body["file"], body["sha256"]),
            body_int8=File(body["int8"]["file"], body["int8"]["sha256"])
            if body.get("int8")
            else None,
            body_output=body["output"],
            head_weight=head["weight"],
            head_bias=head["bias"],
            pooling=cast(Pooling, _one_of("head.pooling", head["pooling"], "max", "sum")),
            activation=cast(
                Activation,
                _one_of("head.activation", head["activation"], "log1p(relu)", "log1p(log1p(relu))"),
            ),
            screening=_screening(raw.get("screening")),
            max_tokens={role: int(raw[role]["max_tokens"]) for role in Role},
            query_mode=_query_mode(raw),
            query_table=_query_table(raw["query"].get("table")),
            query_encoder=_query_encoder(raw["query"].get("encoder")),
            pruning=_pruning(raw["pruning"]),
            license=str(raw["license"]),
            origin=str(raw["origin"]),
            golden=tuple(_golden(pair) for pair in raw["golden"]),
            hash=_hash(raw),
        )


def _one_of(key: str, value: str, *known: str) -> str:
    if value not in known:
        raise ValueError(f"{key} must be one of {', '.join(known)}, got {value!r}")
    return value


def _architecture(raw: object) -> Mapping[str, Any]:
    if not isinstance(raw, dict) or "model_type" not in raw:
        raise ValueError(f"architecture must be an object with a model_type, got {raw!r}")
    return raw


def _screening(raw: dict[str, Any] | None) -> Screening | None:
    return None if raw is None else Screening(raw["file"], raw["sha256"], int(raw["kept"]))


def _query_mode(raw: dict[str, Any]) -> QueryMode:
    _one_of("document.mode", raw["document"]["mode"], QueryMode.ENCODER)
    mode = QueryMode(_one_of("query.mode", raw["query"]["mode"], *QueryMode))
    if mode is QueryMode.LOOKUP and raw["query"].get("table") is None:
        raise ValueError(
            "query.table must name the file of the query weights if query.mode is 'lookup'"
        )
    return mode


def _query_table(raw: dict[str, Any] | None) -> File | None:
    return None if raw is None else File(raw["file"], raw["sha256"])


def _query_encoder(raw: dict[str, Any] | None) -> QueryEncoder | None:
    return None if raw is None else QueryEncoder(raw["folder"], raw["hash"])


def _pruning(raw: Any) -> dict[Role, Pruning]:  # noqa: ANN401 - JSON
    if raw is not None and (not isinstance(raw, dict) or set(raw) - set(Role)):
        raise ValueError(
            f"pruning must be null, or an object of rules for 'document' and 'query', got {raw!r}"
        )
    return {role: Pruning.from_dict((raw or {}).get(role)) for role in Role}


def _golden(pair: dict[str, Any]) -> Golden:
    return Golden(Role(pair["role"]), pair["text"], tuple(pair["terms"]), tuple(pair["weights"]))


def _hash(raw: dict[str, Any]) -> str:
    """Return the SHA-256 of canonical JSON of the parts that determine the vectors."""
    parts = {
        "version": raw["version"],
        "vocabulary": raw["vocabulary"],
        "tokenizer": raw["tokenizer"]["sha256"],
        "architecture": raw["architecture"],
        "weights": raw["weights"]["sha256"],
        "head": raw["head"],
        "modes": {role: raw[role]["mode"] for role in Role},
        "pruning": raw["pruning"],
    }
    table = _query_table(raw["query"].get("table"))
    if table is not None:
        parts["query_table"] = table.sha256
    encoder = _query_encoder(raw["query"].get("encoder"))
    if encoder is not None:
        parts["query_encoder"] = encoder.hash
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
