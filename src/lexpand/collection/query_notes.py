"""What a person should know of how a query was read: cut, unreadable, or without a word that any document has."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexpand._native import split_words
from lexpand.encode import Encoder, Role
from lexpand.index import Searcher
from lexpand.search import Note, Reason, did_you_mean


def query_notes(searcher: Searcher, encoder: Encoder | None, query: str) -> tuple[Note, ...]:
    """Notes on one query.

    Args:
        searcher: the commit that is searched.
        encoder: the model that reads the query; None where only words are searched.
        query: the question.
    """
    found = [*_of_words(searcher, query, alone=encoder is None)]
    if encoder is not None:
        found += _of_model(encoder, query)
    return tuple(Note(Reason.QUERY, detail=detail) for detail in found)


def _of_words(searcher: Searcher, query: str, *, alone: bool) -> Iterator[str]:
    if searcher.schema.words is None:
        return
    words = searcher.schema.words.analyze(query)
    if not words and split_words(query):
        yield "the query has only stop words, which BM25 leaves out"
    elif not words:
        yield "the query has no words"
    elif not searcher.inverse_word_frequencies(words).any():
        yield "no document has a word of the query" + (
            "" if alone else ": what was found has related terms alone"
        )
        yield from _suggestions(searcher, query)


def _suggestions(searcher: Searcher, query: str) -> Iterator[str]:
    meant = did_you_mean(searcher, query)
    if not meant:
        return
    best = query
    for word, near in meant.items():
        best = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", near[0].replace("\\", ""), best)
    others = [f"{word}: {', '.join(near)}" for word, near in meant.items() if len(near) > 1]
    yield f"did you mean {best!r}?" + (f" ({'; '.join(others)})" if others else "")


def _of_model(encoder: Encoder, query: str) -> Iterator[str]:
    reading = encoder.reads(query, Role.QUERY)
    if reading.tokens_lost:
        read = reading.tokens - reading.tokens_lost
        yield f"the query has {reading.tokens:,} tokens, of which the model reads {read:,}"
    if reading.words and reading.unknown == reading.words:
        yield "the model knows no word of the query: its vocabulary is for other texts or another language"
    elif reading.unknown:
        yield f"the model does not know {reading.unknown:,} of the {reading.words:,} words of the query"
