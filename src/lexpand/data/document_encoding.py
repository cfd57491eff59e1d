"""How documents were encoded: one value that an index records and an encoder takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from numbers import Real
from pathlib import Path
from typing import Any

from lexpand.data.pruning import Pruning, parse_pruning
from lexpand.data.vocabulary import Vocabulary
from lexpand.errors import DataError, IndexStateError, ModelError


class Dtype(StrEnum):
    """The arithmetic of the transformer; the head always adds up in float32."""

    FLOAT32 = "float32"
    INT8 = "int8"
    """Products of 8-bit integers, on ONNX Runtime. Weights depend on the texts of a batch, too."""

    BFLOAT16 = "bfloat16"
    """On PyTorch."""

    @property
    def noise(self) -> float:
        """By how much a weight may differ when its text is encoded again among others; of weights above 1, relative.

        Batches of other shapes add float32 in another order: no difference in 200 abstracts of
        SciFact. int8 has one scale for a batch: at most 0.204, nine of ten weights by less than
        0.046. bfloat16, on a CPU, 60 abstracts: at most 0.042; a GPU was not measured.
        """
        return {Dtype.FLOAT32: 1e-4, Dtype.INT8: 0.25, Dtype.BFLOAT16: 0.1}[self]


def parse_dtype(dtype: Dtype | str) -> Dtype:
    """A dtype by its name.

    Raises:
        ModelError: there is none of this name.
    """
    if dtype not in list(Dtype):
        raise ModelError(f"dtype must be one of {', '.join(Dtype)}, got {str(dtype)!r}")
    return Dtype(dtype)


class Long(StrEnum):
    """What becomes of a document that is longer than the model reads."""

    TRUNCATE = "truncate"
    CHUNK = "chunk"
    REFUSE = "refuse"


class Chunks(StrEnum):
    """What a document's chunks become."""

    PASSAGES = "passages"
    """Vectors of their own; the document is found by its best chunk."""

    MAX = "max"
    """One vector: of each term, the largest weight of any chunk."""


@dataclass(frozen=True, slots=True)
class LongDocuments:
    """The policy for long documents.

    Attributes:
        policy: cut them, encode them in chunks, or refuse them.
        chunks: with `Long.CHUNK`, what chunks become.
        overlap: tokens that a chunk may share with the one before it, at most a quarter of what the
            model reads; None for an eighth.

    Raises:
        DataError: a value is none of these, or the overlap is negative.
    """

    policy: Long = Long.TRUNCATE
    chunks: Chunks = Chunks.PASSAGES
    overlap: int | None = None

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "policy", Long(self.policy))
            object.__setattr__(self, "chunks", Chunks(self.chunks))
        except ValueError as error:
            raise DataError(
                f"long documents: {error}: give truncate, chunk or refuse, and passages or max"
            ) from None
        overlap = 0 if self.overlap is None else self.overlap
        if isinstance(overlap, bool) or not isinstance(overlap, int) or overlap < 0:
            raise DataError(
                f"long documents: an overlap of {self.overlap!r} tokens: it must be an integer from 0"
            )

    def __str__(self) -> str:
        if self.policy is not Long.CHUNK:
            return str(self.policy)
        return f"chunk ({self.chunks}, overlap {'an eighth' if self.overlap is None else self.overlap})"

    def overlap_in(self, max_tokens: int) -> int:
        """The overlap of chunks of this length.

        Raises:
            DataError: it is more than a quarter of it, which leaves a chunk too little of its own.
        """
        overlap = max_tokens // 8 if self.overlap is None else self.overlap
        if overlap > max_tokens // 4:
            raise DataError(
                f"an overlap of {overlap} tokens for chunks of {max_tokens}: give at most {max_tokens // 4}"
            )
        return overlap


# Products with weights of a model stay far from the ends of a float32, where documents would be
# refused one by one.
_SMALLEST_TITLE, _LARGEST_TITLE = 0.001, 1000


@dataclass(frozen=True, slots=True)
class DocumentEncoding:
    """How documents are encoded. All documents of one index are encoded alike, or their scores compare nothing.

    Attributes:
        max_tokens: where documents are cut, in tokens; None for the model's own limit, or where
            nobody knows.
        long: what becomes of documents that are longer; a policy by its name is taken too.
        pruning: rules that vectors are pruned by, after those of the model's contract; a text as
            `parse_pruning` takes it is resolved by the encoder, which has the vocabulary.
        title_weight: times this, the vector of the title alone is added to that of a document with
            title and text; 0, or 0.001 to 1,000. Not with chunks, which have the title before each.
        dtype: the arithmetic of the transformer.
        rules: the edits of vectors (docs/rules.md) as `lexpand.encode.Rules` records them; empty
            for none.
        rules_hash: SHA-256 over those of them that are for documents; empty where there are none.

    Raises:
        DataError: a value is outside its range.
        ModelError: the dtype is unknown.
    """

    max_tokens: int | None = None
    long: LongDocuments = LongDocuments()
    pruning: Pruning | str = Pruning()
    title_weight: float = 0.0
    dtype: Dtype = Dtype.FLOAT32
    rules: str = field(default="", repr=False)
    rules_hash: str = ""

    def __post_init__(self) -> None:
        long = self.long if isinstance(self.long, LongDocuments) else LongDocuments(self.long)
        object.__setattr__(self, "long", long)
        object.__setattr__(self, "dtype", parse_dtype(self.dtype))
        object.__setattr__(self, "title_weight", check_title_weight(self.title_weight))
        if self.title_weight and long.policy is Long.CHUNK:
            raise DataError(
                "title_weight must be 0 for long documents in chunks, which have the title before each"
            )

    def resolved(self, vocabulary: Vocabulary) -> DocumentEncoding:
        """The same with the text of pruning rules read; tokens that they ban are those of a vocabulary.

        Raises:
            DataError: see `parse_pruning`.
        """
        return replace(self, pruning=parse_pruning(self.pruning, vocabulary))

    def with_rules(self, record: Mapping[str, str]) -> DocumentEncoding:
        """The same with other rules, as `lexpand.encode.Rules.record` records them; empty for none."""
        return replace(self, rules=record.get("rules", ""), rules_hash=record.get("rules_hash", ""))

    def to_dict(self) -> dict[str, Any]:
        """What an index records, as JSON has it; what is left out is the default."""
        plain, written = DocumentEncoding(), asdict(self) | {"pruning": _pruning_dict(self.pruning)}
        return {
            name: value
            for name, value in written.items()
            if getattr(self, name) != getattr(plain, name)
        }

    @classmethod
    def from_dict(cls, recorded: Mapping[str, Any]) -> DocumentEncoding:
        """What `to_dict` gave.

        Raises:
            DataError, ModelError: a key is unknown, or a value is outside its range.
        """
        unknown = set(recorded) - {each.name for each in fields(cls)}
        if unknown:
            raise DataError(
                f"the encoding of documents has the key {min(unknown)!r}, which this Lexpand does not know"
            )
        values = dict(recorded)
        if "long" in values:
            values["long"] = LongDocuments(**values["long"])
        if "pruning" in values:
            values["pruning"] = Pruning.from_dict(values["pruning"])
        return cls(**values)

    def check_same(self, index: str | Path, offered: DocumentEncoding) -> None:
        """Raise if documents that are offered to an index were encoded in another way.

        Args:
            index: what the message calls the index, whose encoding this is.
            offered: how the offered documents are encoded; a length that nobody knows is taken for
                the same.

        Raises:
            IndexStateError: they differ; the message names what differs, both values, and what to
                do.
        """
        differing = [
            f"{name} {_shown(mine)}, got {_shown(theirs)}"
            for name, mine, theirs in self._compared(offered)
            if mine != theirs
        ]
        if differing:
            raise IndexStateError(
                f"{index} holds documents encoded with {'; '.join(differing)}: leave the setting out, since"
                " `lexpand.open` and the command line encode as the index records, or make a new index"
            )

    def _compared(self, other: DocumentEncoding) -> list[tuple[str, object, object]]:
        names = ("long", "pruning", "title_weight", "dtype")
        pairs: list[tuple[str, object, object]] = [
            (name, getattr(self, name), getattr(other, name)) for name in names
        ]
        pairs.append(("rules", self.rules_hash[:12] or None, other.rules_hash[:12] or None))
        if None not in (self.max_tokens, other.max_tokens):
            pairs.append(("max_tokens", self.max_tokens, other.max_tokens))
        return pairs


def check_title_weight(weight: object) -> float:
    """The weight of titles, if it is a legal one.

    Raises:
        DataError: it is neither 0 nor a number from 0.001 to 1,000.
    """
    number = isinstance(weight, Real) and not isinstance(weight, bool)
    if not number or (weight != 0 and not _SMALLEST_TITLE <= weight <= _LARGEST_TITLE):  # type: ignore[operator]
        raise DataError(
            f"title_weight must be 0, or a number from {_SMALLEST_TITLE} to {_LARGEST_TITLE:,}, got {weight!r}"
        )
    return float(weight)  # type: ignore[arg-type]


def _pruning_dict(pruning: Pruning | str) -> dict[str, Any]:
    if isinstance(pruning, str):
        raise DataError(
            f"the pruning {pruning!r} must be resolved before it is recorded: see DocumentEncoding.resolved"
        )
    return pruning.to_dict()


def _shown(value: object) -> str:
    if isinstance(value, Pruning):
        return str(value.to_dict()) if value else "none"
    return (
        "none" if value in (None, "") else f"{value:g}" if isinstance(value, float) else str(value)
    )
