"""The document encoding: one value that an index records and an encoder uses."""

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
    """The arithmetic of the transformer; the head always computes in float32."""

    FLOAT32 = "float32"
    INT8 = "int8"
    """8-bit integer products on ONNX Runtime. Weights also depend on the other texts of a batch."""

    BFLOAT16 = "bfloat16"
    """bfloat16 on PyTorch."""

    @property
    def tolerance(self) -> float:
        """The largest difference of a weight when its text is encoded in another batch.

        The difference is relative for weights above 1. Measured on abstracts of SciFact:

        - float32, 200 abstracts: none. Batches of other shapes add in another order.
        - int8: at most 0.204, and below 0.046 for nine of ten weights. A batch has one scale.
        - bfloat16, 60 abstracts on a CPU: at most 0.042. GPUs were not measured.
        """
        return {Dtype.FLOAT32: 1e-4, Dtype.INT8: 0.25, Dtype.BFLOAT16: 0.1}[self]


def parse_dtype(dtype: Dtype | str) -> Dtype:
    """Return the dtype with a name.

    Raises:
        ModelError: the name is unknown.
    """
    if dtype not in list(Dtype):
        raise ModelError(f"dtype must be one of {', '.join(Dtype)}, got {str(dtype)!r}")
    return Dtype(dtype)


class Long(StrEnum):
    """The policy for a document that is longer than the model reads."""

    TRUNCATE = "truncate"
    CHUNK = "chunk"
    REFUSE = "refuse"


class Chunks(StrEnum):
    """The storage of the chunks of a document."""

    PASSAGES = "passages"
    """One vector per chunk; a document has the score of its best chunk."""

    MAX = "max"
    """One vector with the largest weight of each term over all chunks."""


@dataclass(frozen=True, slots=True)
class LongDocuments:
    """The policy for long documents.

    Attributes:
        policy: whether long documents are truncated, encoded in chunks, or refused.
        chunks: how chunks are stored, if the policy is `Long.CHUNK`.
        overlap: the tokens that a chunk may share with the previous one, at most a quarter of
            what the model reads; None for an eighth.

    Raises:
        DataError: a value is unknown, or the overlap is not an integer >= 0.
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
                f"long documents: overlap must be an integer >= 0, got {self.overlap!r}"
            )

    def __str__(self) -> str:
        if self.policy is not Long.CHUNK:
            return str(self.policy)
        overlap = "an eighth" if self.overlap is None else self.overlap
        return f"chunk ({self.chunks}, overlap {overlap})"

    def overlap_in(self, max_tokens: int) -> int:
        """Return the overlap of chunks of a length, in tokens.

        Raises:
            DataError: the overlap is more than a quarter of the length.
        """
        overlap = max_tokens // 8 if self.overlap is None else self.overlap
        if overlap > max_tokens // 4:
            raise DataError(
                f"overlap must be <= {max_tokens // 4} tokens for chunks of {max_tokens}, "
                f"got {overlap}"
            )
        return overlap


# Limits of title_weight. They keep its products with weights within float32; otherwise documents
# would be refused one by one.
_SMALLEST_TITLE, _LARGEST_TITLE = 0.001, 1000


@dataclass(frozen=True, slots=True)
class DocumentEncoding:
    """The settings with which documents are encoded.

    All documents of one index are encoded in the same way. Otherwise their scores would not be
    comparable.

    Attributes:
        max_tokens: the length at which documents are truncated, in tokens; None for the limit of
            the model, or if unknown.
        long: the policy for longer documents, also by its name.
        pruning: pruning rules, applied after those of the model's contract. The encoder resolves
            a string in the form of `parse_pruning`, because it has the vocabulary.
        title_weight: a factor, 0 or 0.001 to 1,000. The vector of the title, times this factor, is
            added to the vector of a document with title and text. It must be 0 for chunks, which
            all start with the title.
        dtype: the arithmetic of the transformer.
        rules: the edits of vectors (docs/rules.md) as `lexpand.encode.Rules` records them; empty
            if there are none.
        rules_hash: SHA-256 over the rules for documents; empty if there are none.

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
                "title_weight must be 0 for long documents in chunks, which all start with the "
                f"title, got {self.title_weight:g}"
            )

    def resolved(self, vocabulary: Vocabulary) -> DocumentEncoding:
        """Return a copy whose pruning rules are parsed with a vocabulary.

        Raises:
            DataError: see `parse_pruning`.
        """
        return replace(self, pruning=parse_pruning(self.pruning, vocabulary))

    def with_rules(self, record: Mapping[str, str]) -> DocumentEncoding:
        """Return a copy with the rules of `lexpand.encode.Rules.record`; empty for no rules."""
        return replace(self, rules=record.get("rules", ""), rules_hash=record.get("rules_hash", ""))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings that differ from the defaults, as JSON. An index records them."""
        default = DocumentEncoding()
        settings = asdict(self) | {"pruning": _pruning_dict(self.pruning)}
        return {
            name: value
            for name, value in settings.items()
            if getattr(self, name) != getattr(default, name)
        }

    @classmethod
    def from_dict(cls, recorded: Mapping[str, Any]) -> DocumentEncoding:
        """Make the encoding from the result of `to_dict`.

        Raises:
            DataError, ModelError: a key is unknown, or a value is outside its range.
        """
        unknown = set(recorded) - {each.name for each in fields(cls)}
        if unknown:
            raise DataError(
                f"the encoding of documents has the key {min(unknown)!r}, "
                "which this Lexpand does not know"
            )
        values = dict(recorded)
        if "long" in values:
            values["long"] = LongDocuments(**values["long"])
        if "pruning" in values:
            values["pruning"] = Pruning.from_dict(values["pruning"])
        return cls(**values)

    def check_same(self, index: str | Path, offered: DocumentEncoding) -> None:
        """Check that documents for an index are encoded as this encoding of the index records.

        Args:
            index: the name of the index, for the message.
            offered: the encoding of the new documents. An unknown length counts as equal.

        Raises:
            IndexStateError: the encodings differ. The message has the settings with both values,
                and a remedy.
        """
        differing = [
            f"{name} {_shown(own)}, got {_shown(other)}"
            for name, own, other in self._compared(offered)
            if own != other
        ]
        if differing:
            raise IndexStateError(
                f"{index} holds documents encoded with {'; '.join(differing)}: leave the setting"
                " out, since `lexpand.open` and the command line encode as the index records, or"
                " encode them again with `lexpand reencode`"
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
    """Return a weight of titles as a float if it is valid.

    Raises:
        DataError: the weight is neither 0 nor a number from 0.001 to 1,000.
    """
    number = isinstance(weight, Real) and not isinstance(weight, bool)
    if not number or (weight != 0 and not _SMALLEST_TITLE <= weight <= _LARGEST_TITLE):  # type: ignore[operator]
        raise DataError(
            f"title_weight must be 0, or a number from {_SMALLEST_TITLE} to {_LARGEST_TITLE:,}, "
            f"got {weight!r}"
        )
    return float(weight)  # type: ignore[arg-type]


def _pruning_dict(pruning: Pruning | str) -> dict[str, Any]:
    if isinstance(pruning, str):
        raise DataError(
            f"pruning must be resolved before it is recorded, got {pruning!r}: "
            "call DocumentEncoding.resolved"
        )
    return pruning.to_dict()


def _shown(value: object) -> str:
    if isinstance(value, Pruning):
        return str(value.to_dict()) if value else "none"
    return (
        "none" if value in (None, "") else f"{value:g}" if isinstance(value, float) else str(value)
    )
