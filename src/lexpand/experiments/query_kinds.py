"""Kinds of queries, for breakdowns: their length, identifiers, and words that answers lack."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lexpand.collection import Collection
from lexpand.data import JudgedQueries
from lexpand.encode import Role
from lexpand.encode.words import WordAnalyzer
from lexpand.search.words import is_identifier

_SHORT, _MIDDLE, _LONG = "1 to 2 words", "3 to 5 words", "6 words or more"
IDENTIFIER = "has an identifier"
SPLIT = "has a word that the model splits"
NO_SHARED_WORD = "shares no word with an answer"

QUERY_KINDS = (_SHORT, _MIDDLE, _LONG, IDENTIFIER, SPLIT, NO_SHARED_WORD)
"""The kinds, in the order of reports."""

_WORD = re.compile(r"[^\W_]+")


def query_kinds(judged: JudgedQueries, kb: Collection | None = None) -> dict[str, list[str]]:
    """Return the kinds of each judged query, by query_id.

    Args:
        judged: the queries and the judgments.
        kb: the collection that was searched. Without it, only kinds that the text of the query
            decides are found.
    """
    found = {query.query_id: _of_text(query.text) for query in judged.judged}
    if kb is not None:
        for query in _with_split_words(judged, kb):
            found[query].append(SPLIT)
        for query in _without_shared_words(judged, kb):
            found[query].append(NO_SHARED_WORD)
    return found


def _of_text(text: str) -> list[str]:
    words = text.split()
    length = _SHORT if len(words) <= 2 else _MIDDLE if len(words) <= 5 else _LONG
    identifier = any(is_identifier(word.strip(".,;:!?()\"'").casefold()) for word in words)
    return [length, *([IDENTIFIER] if identifier else [])]


def _with_split_words(judged: JudgedQueries, kb: Collection) -> list[str]:
    """Return the queries with a word that the tokenizer breaks into several pieces."""
    words = {query.query_id: _WORD.findall(query.text) for query in judged.judged}
    distinct = sorted({word for each in words.values() for word in each})
    if not distinct:
        return []
    counts, _ = kb.encoder.count_tokens(distinct, Role.QUERY)
    # The most frequent count is that of one piece and the special tokens around it.
    (one,), _ = kb.encoder.count_tokens(["the"], Role.QUERY)
    split = {word for word, tokens in zip(distinct, counts, strict=True) if tokens > one}
    return [query for query, each in words.items() if split.intersection(each)]


def _without_shared_words(judged: JudgedQueries, kb: Collection) -> list[str]:
    """Return the queries of which no relevant document has a word, after stemming."""
    analyzer = kb.index.schema.words or WordAnalyzer()
    found = []
    for query in judged.judged:
        relevant = _relevant(judged.qrels.judgments[query.query_id])
        documents = kb.index.documents_by_id(relevant).values()
        words = set(analyzer.analyze(query.text))
        texts = (set(analyzer.analyze(document.full_text)) for document in documents)
        if relevant and not any(words & each for each in texts):
            found.append(query.query_id)
    return found


def _relevant(grades: Mapping[str, int]) -> Sequence[str]:
    return [document for document, grade in grades.items() if grade >= 1]
