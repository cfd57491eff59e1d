"""Sources without ids: does any row have one, or is the hash of its content the id of each?"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from lexpand.data.readers.fields import DOC_ID, Fields, has_id
from lexpand.data.readers.reading import Reading
from lexpand.data.readers.rows import Row
from lexpand.errors import LexpandError, RowError

# Rows without an id that are read before the source counts as one without ids.
_ROWS = 64


def without_ids(
    name: str, rows: Iterator[Row | RowError], reading: Reading
) -> tuple[bool, Iterator[Row | RowError]]:
    """Look at the first rows of a source for an id.

    One row that has an id is enough: the source has ids, and a row without one is a mistake. A
    field of the id that is named must be in every row.

    Args:
        name: the source, for the note.
        rows: its rows; as many are read as it takes to find an id, at most 64.
        reading: which fields are ids; a source without ids is noted.

    Returns:
        Whether the source has no ids, and its rows from the first on.
    """
    if reading.fields.doc_id is not None:
        return False, rows
    begun, error = _until_id(rows, reading.fields)
    lacking = any(isinstance(row, Row) for row in begun) and not _has_id(begun[-1], reading.fields)
    if lacking:
        reading.on_note(
            f"{name} has no ids ({', '.join(DOC_ID)}): the id of a document is the hash of its content; "
            "name a field of the id with fields / --id-field"
        )
    return lacking, itertools.chain(begun, rows if error is None else _raising(error))


def _until_id(
    rows: Iterator[Row | RowError], fields: Fields
) -> tuple[list[Row | RowError], LexpandError | None]:
    """The rows up to the first with an id, and the error that ended the source before."""
    begun: list[Row | RowError] = []
    try:
        for row in itertools.islice(rows, _ROWS):
            begun.append(row)
            if _has_id(row, fields):
                break
    except LexpandError as error:
        return begun, error
    return begun, None


def _has_id(row: Row | RowError, fields: Fields) -> bool:
    return isinstance(row, Row) and has_id(row.values, fields)


def _raising(error: LexpandError) -> Iterable[Row | RowError]:
    raise error
    yield  # a generator: the error comes when it is read
