"""Parquet by pyarrow, with a row per document or passage.

The columns are ``id`` string, ``terms`` list<uint32>, ``weights`` list<float32>, ``contents``
string and ``metadata`` string (JSON). A passage file also has ``doc_id`` string and ``span``
list<uint32>.

The schema metadata contains the vocabulary (``lexpand.vocabulary``, a JSON list of tokens), the
model (``lexpand.model``, the JSON list [name, hash]) and how documents were encoded
(``lexpand.documents``, a JSON object).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lexpand.data import Document, JsonValue, ModelId, VectorSpace, Vocabulary
from lexpand.data.readers.parquet import read_rows
from lexpand.data.readers.rows import Row
from lexpand.data.streams import atomic_write
from lexpand.errors import DataError, MissingExtra, RowError, SourceError, VectorError
from lexpand.index.exchange.rows import FileRow, RowBatch
from lexpand.index.exchange.source import Source, checked_weights, chunked, encoding_of

_VOCABULARY, _MODEL, _SETTINGS = b"lexpand.vocabulary", b"lexpand.model", b"lexpand.documents"

_Read = tuple[Document, dict[int, float]]


def write(
    path: Path, batches: Iterable[RowBatch], space: VectorSpace, *, in_passages: bool = False
) -> None:
    """Write the file atomically, with a row group per batch.

    Raises:
        MissingExtra: pyarrow is not installed.
        StorageError: the disk is full, read-only or failing.
    """
    pyarrow = _pyarrow("writing")
    tokens = json.dumps(list(space.vocabulary.tokens), ensure_ascii=False)
    schema = pyarrow.schema(
        _columns(pyarrow, in_passages),
        metadata={
            _VOCABULARY: tokens,
            _MODEL: json.dumps(space.model),
            _SETTINGS: json.dumps(space.encoding.to_dict(), ensure_ascii=False),
        },
    )
    with atomic_write(path) as file, pyarrow.parquet.ParquetWriter(file, schema) as writer:
        for rows, vectors in batches:
            starts = pyarrow.array(vectors.indptr, pyarrow.int32())
            lists = [
                pyarrow.ListArray.from_arrays(starts, values)
                for values in (vectors.terms, vectors.weights)
            ]
            values = {"id": [row.row_id for row in rows], **_texts(rows)}
            arrays = {
                name: pyarrow.array(each, schema.field(name).type) for name, each in values.items()
            }
            arrays |= dict(zip(("terms", "weights"), lists, strict=True))
            writer.write_batch(
                pyarrow.record_batch([arrays[name] for name in schema.names], schema=schema)
            )


def _columns(pyarrow: Any, in_passages: bool) -> list[tuple[str, Any]]:  # noqa: ANN401 - pyarrow has no types
    text, numbers = pyarrow.string(), pyarrow.list_(pyarrow.uint32())
    columns = [("id", text), ("terms", numbers), ("weights", pyarrow.list_(pyarrow.float32()))]
    columns += [("contents", text), ("metadata", text)]
    return [*columns, ("doc_id", text), ("span", numbers)] if in_passages else columns


def _texts(rows: list[FileRow]) -> dict[str, list[Any]]:
    """Return the text columns of the rows, next to ids and vectors."""
    columns: dict[str, list[Any]] = {
        "contents": [row.contents for row in rows],
        "metadata": [row.metadata_json for row in rows],
    }
    if any(row.doc_id is not None for row in rows):
        columns |= {"doc_id": [row.doc_id for row in rows], "span": [row.span for row in rows]}
    return columns


def open_source(path: Path, vocabulary: Vocabulary | None) -> Source:
    """Open a file of any program.

    Args:
        path: the file.
        vocabulary: the vocabulary to use if the file has none.

    Raises:
        MissingExtra: pyarrow is not installed.
        SourceError: the file is missing, not a Parquet file, damaged, or without a vocabulary.
    """
    metadata = _metadata(path)
    try:
        tokens = json.loads(metadata[_VOCABULARY]) if _VOCABULARY in metadata else None
        model = ModelId(*json.loads(metadata[_MODEL])) if _MODEL in metadata else None
        settings = json.loads(metadata[_SETTINGS]) if _SETTINGS in metadata else None
        terms = vocabulary if tokens is None else Vocabulary(tokens)
    except (ValueError, TypeError, DataError) as error:
        raise SourceError(
            f"{path}: the metadata of its schema are invalid ({error}): write the file again"
        ) from error
    if terms is None:
        raise SourceError(
            f"{path} has no vocabulary ({_VOCABULARY.decode()}):"
            " import it into an existing index, which has one"
        )
    encoding = encoding_of(settings, path)
    return Source(
        terms, model, encoding, lambda on_bad_row: chunked(_rows(path, terms), terms, on_bad_row)
    )


def _pyarrow(doing: str) -> Any:  # noqa: ANN401 - pyarrow has no types
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("pyarrow", "parquet", f"{doing} Parquet files") from None
    return pyarrow


def _metadata(path: Path) -> Mapping[bytes, bytes]:
    pyarrow = _pyarrow("reading")
    try:
        return pyarrow.parquet.read_schema(path).metadata or {}
    except (pyarrow.ArrowException, OSError) as error:
        raise SourceError(f"{path} is not a Parquet file, or is damaged: {error}") from error


def _rows(path: Path, vocabulary: Vocabulary) -> Iterator[_Read | RowError]:
    return (
        row if isinstance(row, RowError) else _read_row(row, vocabulary) for row in read_rows(path)
    )


def _read_row(row: Row, vocabulary: Vocabulary) -> _Read | RowError:
    doc_id = row.values.get("id")
    try:
        text = row.values.get("contents") or ""
        document = Document(doc_id, text, "", _metadata_of(row), row.place)  # type: ignore[arg-type]
    except DataError as error:
        return RowError(row.place, str(error))
    try:
        return document, _vector(row.values.get("terms"), row.values.get("weights"), vocabulary)
    except DataError as error:
        return RowError(row.place, str(error), document.doc_id)


def _metadata_of(row: Row) -> dict[str, JsonValue]:
    """Return the metadata of a row; for a passage with the ``doc_id`` and ``span`` of the row.

    Raises:
        DataError: the column ``metadata`` is not a JSON object.
    """
    value = row.values.get("metadata")
    try:
        metadata = {} if value is None else json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise DataError(f"'metadata' must be a JSON object: {error}") from None
    if not isinstance(metadata, Mapping):
        raise DataError(f"'metadata' must be a JSON object, got {type(metadata).__name__}")
    passage = {
        name: row.values[name] for name in ("doc_id", "span") if row.values.get(name) is not None
    }
    return {**passage, **metadata}


def _vector(terms: object, weights: object, vocabulary: Vocabulary) -> dict[int, float]:
    if not isinstance(terms, list) or not isinstance(weights, list) or len(terms) != len(weights):
        raise VectorError("'terms' and 'weights' must be lists of the same length")
    for term in terms:
        if not isinstance(term, int) or not 0 <= term < len(vocabulary):
            raise VectorError(
                f"terms must be below the size of the vocabulary, {len(vocabulary)}, got {term!r}"
            )
    row = dict(zip(terms, weights, strict=True))
    if len(row) < len(terms):
        repeated = next(term for i, term in enumerate(terms) if term in terms[:i])
        raise VectorError(f"the term {repeated} occurs twice: give each term one weight")
    by_token = checked_weights({vocabulary.term(term): weight for term, weight in row.items()}, 1.0)
    return dict(zip(row, by_token.values(), strict=True))
