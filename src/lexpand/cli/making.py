"""An index for documents to go into: opened, or made as the command line wishes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from lexpand.cli.options import PRUNING_RULES
from lexpand.encode import (
    Chunks,
    Dtype,
    Encoder,
    Long,
    LongDocuments,
    Pruning,
    Rules,
    VectorCache,
    WordAnalyzer,
    parse_pruning,
)
from lexpand.encode.dtypes import check_same_dtype, dtype_record, recorded_dtype
from lexpand.encode.rules.record import check_same_rules, recorded_rules
from lexpand.encode.titles import SETTING, check_same_title_weight, recorded_title_weight
from lexpand.errors import IndexStateError, ModelError
from lexpand.index import Index

CommitEvery = Annotated[int, typer.Option("--commit-every", min=1, help="Documents between two commits.")]
MaxLength = Annotated[
    int | None,
    typer.Option("--max-length", help="Read at most this many tokens of a document.", show_default="the model's limit"),
]
Words = Annotated[
    str | None,
    typer.Option(
        "--words",
        metavar="LANGUAGE",
        help="Language of the words that are indexed beside the vectors, for --pipeline bm25 and hybrid; 'none' for no "
        "words.",
        show_default="english",
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME=TYPE",
        help="Metadata field that filters ask for often, with its type: integer, number, keyword or boolean. "
        "May be given several times.",
        show_default="none",
    ),
]


LongPolicy = Annotated[
    Long | None,
    typer.Option(
        "--long",
        help="What becomes of documents longer than that: truncate them, encode them in chunks, or refuse them as rows "
        "that cannot be used.",
        show_default="truncate",
    ),
]
ChunksAs = Annotated[
    Chunks | None,
    typer.Option(
        "--chunks",
        help="What chunks become: units of the index, the best of which finds the document, or one vector with the "
        "largest weights (max).",
        show_default="units",
    ),
]
Overlap = Annotated[
    int | None,
    typer.Option(
        "--overlap", min=0, help="Tokens that a chunk may share with the one before.", show_default="an eighth of it"
    ),
]
TitleWeight = Annotated[
    float | None,
    typer.Option(
        "--title-weight",
        min=0,
        metavar="W",
        help="Add the vector of a document's title to its own, times W: 0.2 is good where titles say what documents "
        "are about. Not with --long chunk.",
        show_default="0",
    ),
]
Prune = Annotated[
    str | None,
    typer.Option(
        "--prune",
        metavar="RULES",
        help="Keep fewer terms of a document: " + PRUNING_RULES,
        show_default="keep all",
    ),
]

RulesFile = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        metavar="FILE",
        help="Edit vectors by the rules of this file (docs/rules.md): terms banned, capped, boosted, added, pinned.",
        show_default="those that the index records",
    ),
]
CacheFile = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="FILE",
        help="Keep vectors in FILE and take from it those of texts that this model has encoded before.",
        show_default="none",
    ),
]


class LongWishes(NamedTuple):
    """What the command line says of long documents; None where it says nothing."""

    policy: Long | None
    chunks: Chunks | None
    overlap: int | None

    def over(self, recorded: LongDocuments) -> LongDocuments:
        """What is recorded, with what was said in its place."""
        overlap = recorded.overlap if self.overlap is None else self.overlap
        long = LongDocuments(self.policy or recorded.policy, self.chunks or recorded.chunks, overlap)
        if long.policy is not Long.CHUNK and (self.chunks or self.overlap is not None):
            raise typer.BadParameter("--chunks and --overlap are for --long chunk")
        return long


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line says of the index; None where it says nothing."""

    model: str | None
    max_length: int | None
    words: str | None
    columns: list[str] | None
    long: LongWishes
    title_weight: float | None
    prune: str | None
    cache: Path | None
    rules: Path | None
    dtype: Dtype | None


@contextmanager
def open_or_create(path: Path, wishes: Wishes, threads: int | None) -> Iterator[tuple[Index, Encoder]]:
    """The index and the encoder of its documents."""
    with ExitStack() as open_files:
        cache = None if wishes.cache is None else open_files.enter_context(VectorCache(wishes.cache))
        yield open_files.enter_context(_open_or_create(path, wishes, threads, cache))


@contextmanager
def _open_or_create(
    path: Path, wishes: Wishes, threads: int | None, cache: VectorCache | None
) -> Iterator[tuple[Index, Encoder]]:
    if not Index.exists(path):
        encoder = Encoder.load(
            wishes.model or "default",
            threads=threads,
            max_tokens=wishes.max_length,
            document_pruning=wishes.prune,
            rules=wishes.rules,
            long=wishes.long.over(LongDocuments()),
            title_weight=wishes.title_weight or 0.0,
            cache=cache,
            dtype=wishes.dtype or Dtype.FLOAT32,
        )
        analyzer = None if wishes.words == "none" else WordAnalyzer(wishes.words or "english")
        with Index.create(path, encoder.space, words=analyzer, columns=_columns(wishes.columns)) as index:
            yield index, encoder
        return
    with Index.open(path) as index:
        length = _same_length(index, wishes.max_length)
        _same_schema(index, wishes)
        location = wishes.model or index.space.location or "default"
        settings: Mapping[str, Any] = index.space.document_settings
        # Before the model is loaded: another dtype may want an extra, only to be refused then.
        if wishes.dtype is not None:
            check_same_dtype(index.path, settings, dtype_record(wishes.dtype))
        if wishes.title_weight is not None:
            check_same_title_weight(index.path, settings, {SETTING: wishes.title_weight})
        encoder = Encoder.load(
            location,
            threads=threads,
            max_tokens=length,
            document_pruning=Pruning.from_dict(settings.get("pruning")),
            rules=recorded_rules(settings) if wishes.rules is None else Rules.load(wishes.rules),
            long=LongDocuments.from_dict(settings.get("long")),
            title_weight=recorded_title_weight(settings),
            cache=cache,
            dtype=recorded_dtype(settings),
        )
        _same_settings(index, wishes, encoder)
        yield index, encoder


def _columns(given: list[str] | None) -> dict[str, str]:
    columns = {}
    for column in given or ():
        name, separator, column_type = column.rpartition("=")
        if not separator:
            raise typer.BadParameter(f"{column!r} is no NAME=TYPE", param_hint="'--column'")
        columns[name] = column_type
    return columns


def _same_length(index: Index, max_length: int | None) -> int | None:
    """The length at which the index's documents are cut; another wish is refused."""
    length = index.space.document_max_tokens
    if max_length not in (None, length):
        raise ModelError(
            f"{index.path} was made with --max-length {length}, not {max_length}: "
            "leave the option out, or make a new index"
        )
    return length


def _same_settings(index: Index, wishes: Wishes, encoder: Encoder) -> None:
    """How documents are encoded is fixed when an index is made; another wish is refused."""
    recorded: Mapping[str, Any] = index.space.document_settings
    check_same_rules(index.path, recorded, encoder.space.document_settings)
    rules = recorded.get("pruning") or {}
    wished = rules if wishes.prune is None else parse_pruning(wishes.prune, encoder.vocabulary).to_dict()
    if wishes.long.over(encoder.long) != encoder.long or wished != rules:
        made_with = {name: recorded[name] for name in ("long", "pruning") if name in recorded}
        raise IndexStateError(
            f"{index.path} was made with other --long, --chunks, --overlap or --prune ({made_with or 'none'}): "
            "leave the options out, or make a new index"
        )


def _same_schema(index: Index, wishes: Wishes) -> None:
    """Words and columns are fixed when an index is made; another wish is refused."""
    has = index.schema.words
    language = "none" if has is None else has.language
    columns = {name: column_type.value for name, column_type in index.schema.columns.items()}
    wrong = wishes.words not in (None, language) or (wishes.columns and _columns(wishes.columns) != columns)
    if wrong:
        listed = " ".join(f"--column {name}={column_type}" for name, column_type in columns.items())
        raise IndexStateError(
            f"{index.path} was made with --words {language} {listed or 'and no columns'}: "
            "leave the options out, or make a new index"
        )
