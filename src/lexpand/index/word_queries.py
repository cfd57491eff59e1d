"""Queries of the lexical field: a text, or words with weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import TypeAlias

from lexpand.data.documents import check_text, shown
from lexpand.encode import WordAnalyzer
from lexpand.errors import DataError

WordQuery: TypeAlias = str | Mapping[str, float]
"""A text, or a mapping of words to weights.

The words are those of the index's analyzer. A weight stands for the frequency of the word.
"""

# Up to this weight, sums of products with IDFs stay finite in float64.
_LARGEST = 1e30


def weighted_words(
    queries: Sequence[WordQuery], analyzer: WordAnalyzer
) -> list[Mapping[str, float]]:
    """Return the weight of each word of each query; the words of a text are counted.

    Raises:
        DataError: ``queries`` is a single query, a weight is not a number from 0 to 1e30, or a word
            is not a string that UTF-8 can encode.
    """
    if isinstance(queries, str):
        raise DataError(
            f"queries must be a list of queries, got the string {queries!r}:"
            " put a single query in a list"
        )
    if isinstance(queries, Mapping):
        raise DataError(
            "queries must be a list of queries, got one mapping of words to weights:"
            " put a single query in a list"
        )
    if not isinstance(queries, Iterable):
        raise DataError(
            f"queries must be a list of queries, got {shown(queries)}: put a single query in a list"
        )
    return [
        _checked(query)
        if isinstance(query, Mapping)
        else analyzer.query_weights(check_text(query, "a query"))
        for query in queries
    ]


def _checked(query: Mapping[str, float]) -> Mapping[str, float]:
    for word, weight in query.items():
        number = isinstance(weight, Real) and not isinstance(weight, bool)
        if not isinstance(word, str) or not number or not 0 <= weight <= _LARGEST:
            raise DataError(
                "a query must map strings to numbers from 0 to 1e30,"
                f" got the word {word!r} with the weight {weight!r}"
            )
        check_text(word, f"the word {word!r}")
    return {word: float(weight) for word, weight in query.items()}
