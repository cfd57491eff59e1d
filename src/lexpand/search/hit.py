"""Hits: the documents that a search returns, as people see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lexpand.data import Document, JsonValue
from lexpand.index import Match, Matches
from lexpand.search.notes import Note
from lexpand.search.snippet import shown_snippet


@dataclass(frozen=True, slots=True)
class PassageHit:
    """A passage of a document that was found.

    Attributes:
        text: the text of the passage.
        span: its first and end characters in `Document.full_text`.
    """

    text: str
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that was found.

    Attributes:
        rank: the rank, from 1.
        score: the score of the retriever. Scores are comparable only within one ranking, unless
            they are those of a single field.
        doc_id: the id of the document.
        title: the title of the document.
        text: the passage that was found: the best chunk if the document is in chunks, else the
            whole text.
        span: the first and end characters of the passage in `Document.full_text`, which is the
            title, one space and the text.
        metadata: the other fields of the document.
        terms: the terms that query and document share, each with its part of the score, largest
            first. For a hybrid, the terms of each retriever are scaled by its weight. For a
            reranked document, they are those of the first ranking.
        passages: the best passages of the document, with the passage ``text`` first. Empty unless
            several were requested.
        query: the text of the query.
    """

    rank: int
    score: float
    doc_id: str
    title: str
    text: str
    span: tuple[int, int]
    metadata: Mapping[str, JsonValue]
    terms: tuple[tuple[str, float], ...] = ()
    passages: tuple[PassageHit, ...] = ()
    query: str = field(default="", repr=False, compare=False)

    @property
    def snippet(self) -> str:
        """About 200 characters around the most words of the query, without Markdown marks.

        The snippet leaves out the title, unless the document has no other text. It is computed on
        access.
        """
        body = len(self.title) + 1 if self.title else 0
        first, end = self.span
        shown = self.text[body - first :] if first < body < end else self.text
        return shown_snippet(shown or self.title, self.query)

    def to_dict(self) -> dict[str, Any]:
        """Return the hit as JSON values."""
        facts = asdict(self)
        del facts["query"]
        return {**facts, "snippet": self.snippet}


class Hits(list[Hit]):
    """A list of hits, best first. It equals any list of equal hits.

    Attributes:
        query: the text of the query.
        notes: remarks on the ranking; empty if every step did what was requested.
    """

    def __init__(
        self, hits: Iterable[Hit] = (), query: str = "", notes: Sequence[Note] = ()
    ) -> None:
        super().__init__(hits)
        self.query = query
        self.notes = tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """Return the hits as JSON values."""
        return {
            "query": self.query,
            "hits": [hit.to_dict() for hit in self],
            "notes": [note.to_dict() for note in self.notes],
        }

    def __str__(self) -> str:
        lines = [
            f"{hit.rank}. {hit.title or hit.doc_id} ({hit.score:.3f}): {hit.snippet}"
            for hit in self
        ]
        return "\n".join([*lines, *map(str, self.notes)]) or "nothing found"


def make_hits(query: str, matches: Matches, documents: Mapping[str, Document]) -> list[Hit]:
    """Return ranked matches with the texts of their documents; missing documents are left out."""
    found = [match for match in matches if match.doc_id in documents]
    return [
        make_hit(rank, query, match, documents[match.doc_id]) for rank, match in enumerate(found, 1)
    ]


def make_hit(rank: int, query: str, match: Match, document: Document) -> Hit:
    """Return one match with the text of its document."""
    whole = document.full_text
    first = len(whole) - len(document.text)
    span = match.span or (first, len(whole))
    return Hit(
        rank,
        match.score,
        match.doc_id,
        document.title,
        whole[slice(*span)],
        span,
        document.metadata,
        query=query,
    )
