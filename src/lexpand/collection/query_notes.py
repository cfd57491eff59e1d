"""What a person should know of how a query was read: cut, unreadable, or without a word that any document has."""

from __future__ import annotations

from collections.abc import Iterator

from lexpand._native import split_words
from lexpand.encode import Encoder, Role
from lexpand.index import Searcher
from lexpand.search import Note, Reason


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
    words = searcher.schema.words.analyse(query)
    if not words:
        if alone and split_words(query):
            yield "the query has only stop words, which BM25 leaves out"
    elif not searcher.inverse_word_frequencies(words).any():
        yield "no document has a word of the query" + ("" if alone else ": what was found is related at most")


def _of_model(encoder: Encoder, query: str) -> Iterator[str]:
    reading = encoder.reads(query, Role.QUERY)
    if reading.tokens_lost:
        read = reading.tokens - reading.tokens_lost
        yield f"the query has {reading.tokens:,} tokens, of which the model reads {read:,}"
    if reading.words and reading.unknown == reading.words:
        yield "the model knows no word of the query: its vocabulary is for other texts or another language"
    elif reading.unknown:
        yield f"the model does not know {reading.unknown:,} of the {reading.words:,} words of the query"
