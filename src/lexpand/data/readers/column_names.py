"""Find the columns of a table by the names that people give them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lexpand.data.readers.fields import listed
from lexpand.errors import SourceError

QUESTION = ("query", "question", "search", "text", "query_text")
QUERY_ID = ("query_id", "queryid", "qid")
DOCUMENT = (
    "doc_id",
    "docid",
    "document_id",
    "corpus_id",
    "docno",
    "document",
    "doc",
    "url",
    "id",
)
GRADE = ("grade", "relevance", "rating", "score", "label", "judgment", "judgement")
TAGS = ("tags", "tag")
"""The known names of a column, in order of precedence; `folded` names are compared.

``id`` is the last name of a document, because it may also be that of a row or of a query.
"""

_SEPARATORS = re.compile(r"[\s_-]+")


def folded(name: str) -> str:
    """Return a name in lower case, with one underscore for spaces, hyphens and underscores."""
    return _SEPARATORS.sub("_", name.strip()).casefold()


def find_column(source: str, columns: Iterable[str], names: Sequence[str]) -> str | None:
    """Return the column with the first of the known names; None if there is none.

    Args:
        source: the name of the table, for the message.
        columns: the columns of the table.
        names: known names, folded.

    Raises:
        SourceError: two columns have the same known name.
    """
    columns = list(columns)
    for name in names:
        matching = [column for column in columns if folded(column) == name]
        if len(matching) > 1:
            shown = " and ".join(map(repr, matching[:2]))
            raise SourceError(f"{source}: columns {shown} both mean {name!r}: rename one")
        if matching:
            return matching[0]
    return None


def need_column(source: str, columns: Sequence[str], names: Sequence[str], what: str) -> str:
    """Return the column with the first of the known names.

    Args:
        source: the name of the table, for the message.
        columns: the columns of the table.
        names: known names, folded.
        what: what the column holds, e.g. ``the document``.

    Raises:
        SourceError: there is no such column, or two have the same known name.
    """
    column = find_column(source, columns, names)
    if column is None:
        raise SourceError(
            f"{source} must have a column for {what} (it has: {listed(columns)}): "
            f"name it {names[0]}; {', '.join(names[1:])} are known too"
        )
    return column
