"""Which inquiry explains which kind of retriever: `lexpand.search.kinds` has the list."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from lexpand.errors import DataError
from lexpand.explanation.inquiry import Inquiry
from lexpand.index.filters import Filter
from lexpand.search.asked import Asked
from lexpand.search.kinds import kind_of
from lexpand.search.retriever import LocalRetriever, Retriever


def inquiry_of(retriever: Retriever, asked: Asked, filter: Filter | None) -> Inquiry:
    """The inquiry of a question that was put to a retriever.

    Raises:
        DataError: the retriever is of a kind that cannot be explained.
    """
    kind = kind_of(retriever)
    if kind is None:
        raise DataError(
            f"a {type(retriever).__name__} cannot be explained: explain the retriever whose documents it ranks"
        )
    module, _, name = kind.inquiry.partition(":")
    return cast("Inquiry", getattr(import_module(module), name)(retriever, asked, filter))


def inquire(retriever: Retriever, query: str, filter: Filter | None = None) -> Inquiry:
    """What a retriever makes of a question, in one commit of its index.

    Raises:
        DataError: the retriever is of a kind that cannot be explained.
        FilterError: see `Index.search`.
    """
    if not isinstance(retriever, LocalRetriever):
        raise DataError(
            f"a {type(retriever).__name__} cannot be explained: explain the retriever whose documents it ranks"
        )
    reading = retriever.reading()
    return inquiry_of(reading, reading.ask(reading.searcher, [query]).resolved(filter=filter), filter)
