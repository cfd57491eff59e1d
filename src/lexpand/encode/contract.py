"""contract.json: what makes the vectors of a model what they are, and texts to check them by.

docs/model-folder.md specifies it.
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
    """What a text is encoded as."""

    DOCUMENT = "document"
    QUERY = "query"


def parse_role(role: Role | str) -> Role:
    """A role by its name.

    Raises:
        DataError: there is none of this name.
    """
    try:
        return Role(role)
    except ValueError:
        raise DataError(f"role must be one of {', '.join(Role)}, got {role!r}") from None


class QueryMode(StrEnum):
    """How a query becomes a vector."""

    ENCODER = "encoder"
    """By the model, as a document does."""

    LOOKUP = "lookup"
    """By a table of one weight a term, without the model (`QueryTable`)."""


@dataclass(frozen=True, slots=True)
class Golden:
    """A text and the vector that the model gives it in float32."""

    role: Role
    text: str
    terms: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Screening:
    """A basis for the head's screening: the file of a matrix T float32 [width, width] (.npy), and dimensions kept."""

    file: str
    sha256: str
    kept: int


@dataclass(frozen=True, slots=True)
class File:
    """A file of the folder."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class QueryEncoder:
    """A model folder within the folder, which encodes its queries; and that one's hash."""

    folder: str
    hash: str


@dataclass(frozen=True, slots=True)
class Contract:
    """What a model folder promises; `load` reads it.

    Attributes:
        name: how people call the model.
        vocabulary_size: terms there are.
        tokenizer: tokenizer.json, all of it: how texts are normalized and cut decides the vectors
            too.
        architecture: what the transformer computes with its weights, such as heads and epsilon,
            from config.json; `describe_architecture` gives it.
        hash: SHA-256 over what decides the vectors: vocabulary, tokenizer, architecture, weights,
            head, modes, query table or encoder and pruning. Two models with one hash give the same
            vectors; name, lengths, license, screening and the body's file have no part.
        body: the graph of the transformer; None in a folder of which none was made yet.
        body_int8: the graph that multiplies integers; None in folders that have none.
        max_tokens: the longest text read, by role, in tokens, special ones included.
        query_mode: how queries are encoded where nobody says otherwise.
        query_table: the weights of `QueryMode.LOOKUP`; None where the folder has none.
        query_encoder: what encodes queries in the place of the documents' encoder; None where that
            does both.
        pruning: the rules of each role; a role without any has a `Pruning` that keeps every term.
    """

    name: str
    vocabulary_size: int
    vocabulary_sha256: str
    tokenizer: File
    architecture: Mapping[str, Any]
    weights_file: str
    weights_sha256: str
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
        """Name and hash."""
        return ModelId(self.name, self.hash)

    @classmethod
    def load(cls, folder: Path) -> Contract:
        """Read ``contract.json`` of a model folder.

        Raises:
            ModelError: it is missing, no contract, of a newer version, or incomplete; the message
                names the key.
        """
        path = folder / "contract.json"
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ModelError(
                f"{folder} has no contract.json: it is no model folder of Lexpand"
            ) from None
        except (OSError, ValueError) as error:
            raise ModelError(f"{path} cannot be read: {error}") from error
        if not isinstance(raw, dict) or raw.get("format") != "lexpand-contract":
            raise ModelError(f"{path} is no contract: its format must be 'lexpand-contract'")
        version = raw.get("version")
        if version == 1:
            raise ModelError(
                f"{path} must have version {VERSION}, got 1: made before the first release: import the model again"
            )
        if version != VERSION:
            raise ModelError(
                f"{path} must have version {VERSION}, got {version!r}: upgrade Lexpand"
            )
        try:
            return cls._parse(raw)
        except KeyError as error:
            raise ModelError(f"{path} lacks the key {error}") from None
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
        raise ValueError(f"{key} is {value!r}: it must be one of {', '.join(known)}")
    return value


def _architecture(raw: object) -> Mapping[str, Any]:
    if not isinstance(raw, dict) or "model_type" not in raw:
        raise ValueError(f"architecture is {raw!r}: it must be an object with a model_type")
    return raw


def _screening(raw: dict[str, Any] | None) -> Screening | None:
    return None if raw is None else Screening(raw["file"], raw["sha256"], int(raw["kept"]))


def _query_mode(raw: dict[str, Any]) -> QueryMode:
    _one_of("document.mode", raw["document"]["mode"], QueryMode.ENCODER)
    mode = QueryMode(_one_of("query.mode", raw["query"]["mode"], *QueryMode))
    if mode is QueryMode.LOOKUP and raw["query"].get("table") is None:
        raise ValueError(
            "query.mode is 'lookup', but query.table, the file of the weights, is not there"
        )
    return mode


def _query_table(raw: dict[str, Any] | None) -> File | None:
    return None if raw is None else File(raw["file"], raw["sha256"])


def _query_encoder(raw: dict[str, Any] | None) -> QueryEncoder | None:
    return None if raw is None else QueryEncoder(raw["folder"], raw["hash"])


def _pruning(raw: Any) -> dict[Role, Pruning]:  # noqa: ANN401 - JSON
    if raw is not None and (not isinstance(raw, dict) or set(raw) - set(Role)):
        raise ValueError(
            f"pruning is {raw!r}: it must be null, or an object of rules for 'document' and 'query'"
        )
    return {role: Pruning.from_dict((raw or {}).get(role)) for role in Role}


def _golden(pair: dict[str, Any]) -> Golden:
    return Golden(Role(pair["role"]), pair["text"], tuple(pair["terms"]), tuple(pair["weights"]))


def _hash(raw: dict[str, Any]) -> str:
    """SHA-256 over canonical JSON of the parts that decide the vectors."""
    decides = {
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
        decides["query_table"] = table.sha256
    encoder = _query_encoder(raw["query"].get("encoder"))
    if encoder is not None:
        decides["query_encoder"] = encoder.hash
    text = json.dumps(decides, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
