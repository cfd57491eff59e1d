"""Notes on queries that are truncated, unknown to the model, or without a word of any document."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexpand._native import split_words
from lexpand.encode import Encoder, Role
from lexpand.index import Searcher
from lexpand.search import Hits, Note, Reason, did_you_mean


def query_notes(searcher: Searcher, encoder: Encoder | None, hits: Hits) -> tuple[Note, ...]:
    """Return the notes on the query of a search.

    Args:
        searcher: the commit that is searched.
        encoder: the model; None if only the BM25 field is searched.
        hits: the hits, with the text of the query.
    """
    query = hits.query
    related = encoder is not None and bool(hits)
    details = [*_word_notes(searcher, query, related=related)]
    if encoder is not None:
        details += _model_notes(encoder, query)
    return tuple(Note(Reason.QUERY, detail=detail) for detail in details)


def _word_notes(searcher: Searcher, query: str, *, related: bool) -> Iterator[str]:
    if searcher.schema.words is None:
        return
    words = searcher.schema.words.analyze(query)
    if not words and split_words(query):
        yield "the query has only stop words, which BM25 leaves out"
    elif not words:
        yield "the query has no words"
    elif not searcher.inverse_word_frequencies(words).any():
        yield "no document has a word of the query" + (
            ": the hits have only related terms" if related else ""
        )
        yield from _suggestions(searcher, query)


def _suggestions(searcher: Searcher, query: str) -> Iterator[str]:
    suggestions = did_you_mean(searcher, query)
    if not suggestions:
        return
    best = query
    for word, near in suggestions.items():
        best = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", near[0].replace("\\", ""), best)
    others = [f"{word}: {', '.join(near)}" for word, near in suggestions.items() if len(near) > 1]
    yield f"did you mean {best!r}?" + (f" ({'; '.join(others)})" if others else "")


def _model_notes(encoder: Encoder, query: str) -> Iterator[str]:
    reading = encoder.reads(query, Role.QUERY)
    if reading.tokens_lost:
        read = reading.tokens - reading.tokens_lost
        yield f"the query has {reading.tokens:,} tokens, of which the model reads {read:,}"
    if reading.words and reading.unknown == reading.words:
        yield (
            "the model knows no word of the query: "
            "its vocabulary is for other texts or another language"
        )
    elif reading.unknown:
        unknown = f"{reading.unknown:,} of the {reading.words:,} words"
        yield f"the model does not know {unknown} of the query"
