"""Check whether a source has ids; without ids, documents get the hash of their content."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from lexpand.data.readers.fields import DOC_ID, Fields, has_id
from lexpand.data.readers.reading import Reading
from lexpand.data.readers.rows import Row
from lexpand.errors import LexpandError, RowError

# The first rows that are searched for an id.
_ROWS = 64


def without_ids(
    name: str, rows: Iterator[Row | RowError], reading: Reading
) -> tuple[bool, Iterator[Row | RowError]]:
    """Search the first rows of a source for an id.

    If one row has an id, the source has ids, and a row without an id is invalid. A named id field
    must be in every row.

    Args:
        name: the name of the source, for the note.
        rows: the rows. They are read up to the first id, at most 64.
        reading: the options. A source without ids is noted.

    Returns:
        Whether the source has no ids, and an iterator over all rows.
    """
    if reading.fields.doc_id is not None:
        return False, rows
    first, error = _until_id(rows, reading.fields)
    lacking = any(isinstance(row, Row) for row in first) and not _has_id(first[-1], reading.fields)
    if lacking:
        reading.on_note(
            f"{name} has no ids ({', '.join(DOC_ID)}): "
            "the id of a document is the hash of its content; "
            "name the field of the id with fields (--id-field on the command line)"
        )
    return lacking, itertools.chain(first, rows if error is None else _raising(error))


def _until_id(
    rows: Iterator[Row | RowError], fields: Fields
) -> tuple[list[Row | RowError], LexpandError | None]:
    """Return the rows up to the first with an id, and the error if the source fails before."""
    first: list[Row | RowError] = []
    try:
        for row in itertools.islice(rows, _ROWS):
            first.append(row)
            if _has_id(row, fields):
                break
    except LexpandError as error:
        return first, error
    return first, None


def _has_id(row: Row | RowError, fields: Fields) -> bool:
    return isinstance(row, Row) and has_id(row.values, fields)


def _raising(error: LexpandError) -> Iterable[Row | RowError]:
    raise error
    yield  # makes this a generator, which raises when it is read
