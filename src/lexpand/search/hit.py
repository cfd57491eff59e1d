"""What a person sees of a document that was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lexpand.data import JsonValue
from lexpand.index import Index, Match
from lexpand.search.snippet import make_snippet


@dataclass(frozen=True, slots=True)
class Hit:
    """A document found.

    Attributes:
        rank: from 1.
        score: what the retriever says; only comparable within one ranking unless it is a single field's.
        doc_id: the document's id.
        title: its title.
        snippet: the passage of its text that has most of the query's words.
        metadata: whatever else is known of it.
    """

    rank: int
    score: float
    doc_id: str
    title: str
    snippet: str
    metadata: Mapping[str, JsonValue]


def make_hits(index: Index, query: str, matches: Sequence[Match]) -> list[Hit]:
    """Ranked matches with their documents' titles and passages."""
    documents = index.documents([match.row for match in matches])
    hits = []
    for rank, match in enumerate(matches, 1):
        document = documents[match.row]
        text = document.text if match.span is None else document.full_text[slice(*match.span)]
        snippet = make_snippet(text, query)
        hits.append(Hit(rank, match.score, match.doc_id, document.title, snippet, document.metadata))
    return hits
