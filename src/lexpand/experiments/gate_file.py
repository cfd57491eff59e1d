"""Gate files: golden questions, and the state in which they last passed (docs/gate.md)."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lexpand.data.documents import check_id, check_text
from lexpand.data.streams import atomic_write
from lexpand.errors import DataError, NewerFormat, SourceError

VERSION = 1
"""The version of both files."""

WITHIN = 10
"""The default rank within which a document must be found."""

_KEYS = {"query", "expect", "reject", "within"}


@dataclass(frozen=True, slots=True)
class Question:
    """A question with documents that must, or must not, be found.

    Attributes:
        query: the text of the query.
        expect: ids of documents that must be among the first ``within``.
        reject: ids of documents that must not be among them.
        within: the rank.
        line: the line of the query in the file, from 1; 0 if it is unknown.

    Raises:
        DataError: a value is invalid, or neither list has an id.
    """

    query: str
    expect: tuple[str, ...] = ()
    reject: tuple[str, ...] = ()
    within: int = WITHIN
    line: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        check_text(self.query, "query")
        for name in ("expect", "reject"):
            ids = getattr(self, name)
            if isinstance(ids, str) or not isinstance(ids, Sequence):
                raise DataError(f"{name} must be a list of document ids, got {ids!r}")
            object.__setattr__(self, name, tuple(check_id(each, name) for each in ids))
        if not self.query.strip():
            raise DataError("query must have words, got an empty text")
        if not self.expect and not self.reject:
            raise DataError(f"the question {self.query!r} must have an id in expect or reject")
        both = sorted(set(self.expect) & set(self.reject))
        if both:
            raise DataError(f"the question {self.query!r} both expects and rejects {both[0]!r}")
        if isinstance(self.within, bool) or not isinstance(self.within, int) or self.within < 1:
            raise DataError(f"within must be an integer >= 1, got {self.within!r}")


@dataclass(frozen=True, slots=True)
class GateFile:
    """The golden questions of an index.

    Attributes:
        path: the file.
        questions: the questions.
        fingerprint: of the documents (`Index.fingerprint`); empty if they may change.
    """

    path: Path
    questions: tuple[Question, ...]
    fingerprint: str = ""

    @classmethod
    def load(cls, path: str | Path) -> GateFile:
        """Read a gate file.

        Raises:
            SourceError: the file is missing, or is not TOML.
            NewerFormat: a newer version of Lexpand wrote it.
            DataError: a key is unknown, or a value is invalid.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
            raw = tomllib.loads(text)
        except FileNotFoundError:
            raise SourceError(f"{path} does not exist: make one with `lexpand gate init`") from None
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror or error}") from None
        except ValueError as error:
            raise SourceError(f"{path} must be TOML in UTF-8: {error}") from None
        _check_version(path, raw)
        unknown = sorted(set(raw) - {"version", "corpus", "question"})
        if unknown:
            raise DataError(f"{path}: a gate file has no key {unknown[0]!r}")
        questions = raw.get("question", [])
        if not isinstance(questions, list) or not questions:
            raise DataError(f"{path} must have at least one [[question]], got none")
        read = tuple(
            _question(path, number, each, text) for number, each in enumerate(questions, 1)
        )
        _check_unique(path, read)
        return cls(path, read, _fingerprint(path, raw.get("corpus", {})))

    def to_toml(self) -> str:
        """Return the text of a file that `load` reads."""
        lines = [f"version = {VERSION}"]
        if self.fingerprint:
            lines += [
                "",
                "# Remove this table if documents may change.",
                "[corpus]",
                f"fingerprint = {_quoted(self.fingerprint)}",
            ]
        for each in self.questions:
            lines += ["", "[[question]]", f"query = {_quoted(each.query)}"]
            for name in ("expect", "reject"):
                if ids := getattr(each, name):
                    lines.append(f"{name} = [{', '.join(map(_quoted, ids))}]")
            lines.append(f"within = {each.within}")
        return "\n".join(lines) + "\n"

    def save(self) -> None:
        """Write the file atomically.

        Raises:
            StorageError: the file cannot be written.
        """
        with atomic_write(self.path) as file:
            file.write(self.to_toml().encode())

    @property
    def state_path(self) -> Path:
        """The path of the state next to the file: ``gate.toml`` has ``gate.state.json``."""
        return self.path.with_suffix(".state.json")


@dataclass(frozen=True, slots=True)
class Hit:
    """A document of a recorded ranking.

    Attributes:
        doc_id: the document.
        rank: its rank, from 1; None if it was not found.
        terms: the share of each term in the best score of the query.
    """

    doc_id: str
    rank: int | None
    terms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class State:
    """The rankings of a gate's questions when they last passed.

    Attributes:
        facts: of the index, the model and the pipeline, for people.
        hits: the recorded documents of each query: the first ones, and those of the question.
    """

    facts: Mapping[str, Any]
    hits: Mapping[str, tuple[Hit, ...]]

    @classmethod
    def load(cls, path: Path) -> State | None:
        """Read a state; None if there is no file.

        Raises:
            SourceError: the file is damaged.
            NewerFormat: a newer version of Lexpand wrote it.
        """
        if not path.exists():
            return None
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(raw, dict):
                raise TypeError("it must be a JSON object")
            _check_version(path, raw)
            hits = {
                query: tuple(Hit(each["doc_id"], each["rank"], each["terms"]) for each in found)
                for query, found in raw["questions"].items()
            }
            return cls(raw["facts"], hits)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SourceError(
                f"{path} is damaged ({error}): make it again with `lexpand gate accept`"
            ) from None

    def save(self, path: Path) -> None:
        """Write the state atomically.

        Raises:
            StorageError: the file cannot be written.
        """
        questions = {
            query: [{"doc_id": hit.doc_id, "rank": hit.rank, "terms": hit.terms} for hit in hits]
            for query, hits in self.hits.items()
        }
        raw = {"version": VERSION, "facts": self.facts, "questions": questions}
        with atomic_write(path) as file:
            file.write(json.dumps(raw, indent=1, ensure_ascii=False).encode() + b"\n")


def _question(path: Path, number: int, raw: object, text: str) -> Question:
    where = f"{path}, question {number}"
    if not isinstance(raw, Mapping):
        raise DataError(f"{where} must be a table, got {raw!r}")
    unknown = sorted(set(raw) - _KEYS)
    if unknown or "query" not in raw:
        what = f"no key {unknown[0]!r}" if unknown else "a query"
        raise DataError(f"{where}: a question has {what}; its keys are {', '.join(sorted(_KEYS))}")
    try:
        return Question(**raw, line=_line_of(text, number))
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def _check_unique(path: Path, questions: Sequence[Question]) -> None:
    seen: set[str] = set()
    for each in questions:
        if each.query in seen:
            raise DataError(
                f"{path}: each query must be in one question, got {each.query!r} twice: put the ids"
                " into one list"
            )
        seen.add(each.query)


def _line_of(text: str, number: int) -> int:
    """Return the line of the ``number``-th ``[[question]]``, from 1."""
    found = [
        place for place, line in enumerate(text.splitlines(), 1) if line.strip() == "[[question]]"
    ]
    return found[number - 1] if number <= len(found) else 0


def _fingerprint(path: Path, raw: object) -> str:
    if not isinstance(raw, Mapping) or set(raw) - {"fingerprint"}:
        raise DataError(f"{path}: [corpus] must have only a fingerprint, got {raw!r}")
    found = raw.get("fingerprint", "")
    if not isinstance(found, str):
        raise DataError(f"{path}: fingerprint must be a text, got {found!r}")
    return found


def _check_version(path: Path, raw: Mapping[str, Any]) -> None:
    version = raw.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise DataError(f"{path} must have version = {VERSION}, got {version!r}")
    if version > VERSION:
        raise NewerFormat(
            f"{path} has version {version}, and this Lexpand reads up to {VERSION}: upgrade Lexpand"
        )


def _quoted(text: str) -> str:
    """Return a basic string of TOML, which JSON's strings are apart from DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
