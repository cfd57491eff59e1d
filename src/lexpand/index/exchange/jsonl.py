"""Anserini's JsonVectorCollection, with one JSON object per line.

A line is ``{"id": ..., "contents": text, "vector": {term: weight}}``. Documents with metadata also
have an object ``metadata``. A passage file also has ``doc_id`` and ``span``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from lexpand.data import Document, Fields, Vocabulary
from lexpand.data.readers.fields import to_document
from lexpand.data.readers.jsonl import read_rows
from lexpand.data.readers.rows import Row
from lexpand.data.streams import write_lines
from lexpand.data.vector_checks import VOCABULARY_LIMIT
from lexpand.errors import DataError, RowError, SourceError
from lexpand.index.exchange.rows import FileRow, RowBatch
from lexpand.index.exchange.source import Source, check_scale, checked_weights, chunked

_PASSAGE_FIELDS = ("doc_id", "span")

_Read = tuple[Document, dict[str, float]]


def write(
    path: Path, batches: Iterable[RowBatch], vocabulary: Vocabulary, scale: float | None
) -> int:
    """Write a line per row, atomically.

    Args:
        path: the target; ``.gz`` and ``.zst`` files are compressed.
        batches: the rows.
        vocabulary: the terms.
        scale: the factor for weights, which are then rounded to integers; None for floats. Weights
            that round to 0 are left out.

    Returns:
        The number of weights that were left out.

    Raises:
        StorageError: the disk is full, read-only or failing.
    """
    dropped = 0

    def lines() -> Iterator[str]:
        nonlocal dropped
        for rows, vectors in batches:
            for row, weights in zip(rows, vectors.as_dicts(), strict=True):
                vector = {
                    vocabulary.term(term): _format_weight(weight, scale)
                    for term, weight in weights.items()
                }
                kept = {term: weight for term, weight in vector.items() if scale is None or weight}
                dropped += len(vector) - len(kept)
                yield json.dumps({**_fields(row), "vector": kept}, ensure_ascii=False)

    write_lines(path, lines())
    return dropped


def open_source(path: Path, scale: float | None) -> Source:
    """Open a file. It is read once for the vocabulary, which is sorted by code points.

    Raises:
        SourceError: the file cannot be opened, is damaged, or has no terms or too many.
        DataError: the scale is invalid.
    """
    divisor = check_scale(scale)
    vocabulary = _vocabulary(path, divisor)
    return Source(
        vocabulary,
        None,
        None,
        lambda on_bad_row: chunked(_by_term(path, divisor, vocabulary), vocabulary, on_bad_row),
    )


def _fields(row: FileRow) -> dict[str, Any]:
    fields: dict[str, Any] = {"id": row.row_id, "contents": row.contents}
    if row.metadata:
        fields["metadata"] = row.metadata
    if row.doc_id is not None:
        fields |= {"doc_id": row.doc_id, "span": row.span}
    return fields


def _format_weight(weight: float, scale: float | None) -> float:
    return weight if scale is None else round(weight * scale)


def _vocabulary(path: Path, scale: float) -> Vocabulary:
    tokens: set[str] = set()
    for read in _rows(path, scale):
        if not isinstance(read, RowError):
            tokens.update(read[1])
        if len(tokens) > VOCABULARY_LIMIT:
            raise SourceError(
                f"{path} must have at most {VOCABULARY_LIMIT} distinct terms,"
                " the limit of a vocabulary"
            )
    if not tokens:
        raise SourceError(
            f"{path} has no row with a term: it must have lines of {{id, contents, vector}}"
        )
    return Vocabulary(sorted(tokens))


def _by_term(
    path: Path, scale: float, vocabulary: Vocabulary
) -> Iterator[tuple[Document, dict[int, float]] | RowError]:
    for read in _rows(path, scale):
        if isinstance(read, RowError):
            yield read
        else:
            document, weights = read
            yield (
                document,
                {cast("int", vocabulary.id(token)): weight for token, weight in weights.items()},
            )


def _rows(path: Path, scale: float) -> Iterator[_Read | RowError]:
    for row in read_rows(path):
        if isinstance(row, RowError):
            yield row
            continue
        try:
            yield _read(row, scale)
        except RowError as error:
            yield error
        except DataError as error:
            yield RowError(row.place, str(error))


def _read(row: Row, scale: float) -> _Read:
    rest = {name: value for name, value in row.values.items() if name != "vector"}
    if not rest.keys() & {"contents", "text", "content", "body"}:
        rest["contents"] = ""
    inner = rest.get("metadata")
    if isinstance(inner, Mapping):
        # A passage file names the document of each row. The metadata of that document may have
        # fields of the same names, which come first.
        rest = {
            name: value
            for name, value in rest.items()
            if name not in _PASSAGE_FIELDS or name not in inner
        }
    document = to_document(
        Row(row.place, rest), Fields(doc_id="id") if rest.get("id") is not None else Fields()
    )
    vector = row.values.get("vector")
    if not isinstance(vector, Mapping):
        what = "null or missing" if vector is None else f"of type {type(vector).__name__}"
        reason = f"'vector' must be an object of weights by term, but is {what}"
        raise RowError(row.place, reason, document.doc_id)
    try:
        for token in vector:
            token.encode()
        return document, checked_weights(vector, scale)
    except (DataError, UnicodeEncodeError) as error:
        raise RowError(row.place, str(error), document.doc_id) from error
