"""What may be asked of the words: a text, or words that have their weights already."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from lexpand.encode import WordAnalyzer
from lexpand.errors import DataError

WordQuery: TypeAlias = str | Mapping[str, float]
"""A text; or words as the index's analyzer gives them, each with its weight: how often it counts as asked for."""


def weighted_words(queries: Sequence[WordQuery], analyzer: WordAnalyzer) -> list[Mapping[str, float]]:
    """Of each query its words with their weights; those of a text are counted.

    Raises:
        DataError: queries is one string, or a weight is no number, not finite or negative.
    """
    if isinstance(queries, str):
        raise DataError(f"queries is the string {queries!r}: it must be a list of queries")
    return [_checked(query) if isinstance(query, Mapping) else Counter(analyzer.analyse(query)) for query in queries]


def _checked(query: Mapping[str, float]) -> Mapping[str, float]:
    for word, weight in query.items():
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not isinstance(word, str) or not number or not 0 <= weight < math.inf:
            raise DataError(f"the word {word!r} with the weight {weight!r}: a string, and a finite number from 0")
    return query
