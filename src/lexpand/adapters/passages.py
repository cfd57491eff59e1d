"""Hits in the form that the adapters pass on: the full text that was found, and its metadata."""

from __future__ import annotations

from dataclasses import dataclass

from lexpand.data import Document, JsonValue
from lexpand.index.filters import Filter
from lexpand.search import Retriever


@dataclass(frozen=True, slots=True)
class Passage:
    """A hit with its text.

    Attributes:
        document: the document that was found.
        score: see `Hit.score`.
        span: the characters of the best chunk in `Document.full_text`; None in an index without
            chunks.
    """

    document: Document
    score: float
    span: tuple[int, int] | None

    @property
    def text(self) -> str:
        """The best chunk of a document.

        In an index without chunks: its text, or its title if it has no text.
        """
        if self.span is not None:
            return self.document.full_text[slice(*self.span)]
        return self.document.text or self.document.title

    @property
    def metadata(self) -> dict[str, JsonValue]:
        """The metadata of the document, with ``doc_id``, ``title`` and, for a chunk, ``span``.

        They replace fields of the same names in the document's metadata.
        """
        known: dict[str, JsonValue] = {"doc_id": self.document.doc_id, "title": self.document.title}
        if self.span is not None:
            known["span"] = list(self.span)
        return {**self.document.metadata, **known}


def find_passages(retriever: Retriever, query: str, k: int, filter: Filter | None) -> list[Passage]:
    """Return the best ``k`` documents for a query, best first; see `Retriever.rank`."""
    reading = retriever.reading()
    (matches,) = reading.rank([query], k, filter=filter)
    documents = reading.documents_of(matches)
    return [
        Passage(documents[match.doc_id], match.score, match.span)
        for match in matches
        if match.doc_id in documents
    ]
