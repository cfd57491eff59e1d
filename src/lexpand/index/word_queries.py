"""What may be asked of the words: a text, or words that have their weights already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TypeAlias

from lexpand.data.documents import check_text
from lexpand.encode import WordAnalyzer
from lexpand.errors import DataError

WordQuery: TypeAlias = str | Mapping[str, float]
"""A text; or words as the index's analyzer gives them, each with its weight: how often it counts as asked for."""

# Sums of products with inverse document frequencies stay finite in a float64.
_LARGEST = 1e30


def weighted_words(
    queries: Sequence[WordQuery], analyzer: WordAnalyzer
) -> list[Mapping[str, float]]:
    """Of each query its words with their weights; those of a text are counted.

    Raises:
        DataError: queries is one query, or a weight is no number from 0 to 1e30, or a word is no
            string that UTF-8 holds.
    """
    if isinstance(queries, str):
        raise DataError(f"queries is the string {queries!r}: it must be a list of queries")
    if isinstance(queries, Mapping):
        raise DataError(
            "queries is a mapping of words to weights, which is one query: it must be a list of queries"
        )
    return [
        _checked(query) if isinstance(query, Mapping) else analyzer.query_weights(query)
        for query in queries
    ]


def _checked(query: Mapping[str, float]) -> Mapping[str, float]:
    for word, weight in query.items():
        number = isinstance(weight, Real) and not isinstance(weight, bool)
        if not isinstance(word, str) or not number or not 0 <= weight <= _LARGEST:
            raise DataError(
                f"the word {word!r} with the weight {weight!r}: a string, and a number from 0 to 1e30"
            )
        check_text(word, f"the word {word!r}")
    return {word: float(weight) for word, weight in query.items()}
