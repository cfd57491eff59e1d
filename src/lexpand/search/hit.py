"""What a person sees of a document that was found."""

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
        text: the passage.
        span: its characters in `Document.full_text`: first and end.
    """

    text: str
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Hit:
    """A document found, or one of its passages.

    Attributes:
        rank: from 1.
        score: what the retriever says; only comparable within one ranking unless it is a single
            field's.
        doc_id: the document's id.
        title: its title.
        text: the passage that was found: the best chunk of a document in chunks, else the whole
            text.
        span: the characters of the passage in `Document.full_text` (title, one space, text): first
            and end.
        metadata: whatever else is known of the document.
        terms: the terms that query and document share, with what each adds to the score, largest
            first; of a hybrid and of what a reranker scored, with their shares in what was found
            first.
        passages: the best passages of the document, this one first, where more than one was asked
            for.
        query: the question.
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
        """About 200 characters of the passage, around most of the query's words, without marks of Markdown.

        The title is left out, unless the document is nothing else. Worked out when it is asked for.
        """
        body = len(self.title) + 1 if self.title else 0
        first, end = self.span
        shown = self.text[body - first :] if first < body < end else self.text
        return shown_snippet(shown or self.title, self.query)

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
        facts = asdict(self)
        del facts["query"]
        return {**facts, "snippet": self.snippet}


class Hits(list[Hit]):
    """Hits, best first; equal to any list of equal hits.

    Attributes:
        query: the question.
        notes: what there is to say of the ranking; none, where every step did what it was asked
            for.
    """

    def __init__(
        self, hits: Iterable[Hit] = (), query: str = "", notes: Sequence[Note] = ()
    ) -> None:
        super().__init__(hits)
        self.query = query
        self.notes = tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
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
    """Ranked matches with the texts of their documents; a document that is not there any more is left out."""
    found = [match for match in matches if match.doc_id in documents]
    return [
        make_hit(rank, query, match, documents[match.doc_id]) for rank, match in enumerate(found, 1)
    ]


def make_hit(rank: int, query: str, match: Match, document: Document) -> Hit:
    """One match with the text of its document."""
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
