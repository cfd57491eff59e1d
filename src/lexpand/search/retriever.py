"""Questions in words to documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lexpand.data import JsonValue, Query, Run, ScoredDocument
from lexpand.encode import Encoder, Pruning, QueryMode
from lexpand.index import BM25, Index, Match
from lexpand.index.filters import Filter
from lexpand.search.snippet import make_snippet


@dataclass(frozen=True, slots=True)
class Hit:
    """A document found.

    Attributes:
        rank: from 1.
        score: the sum over shared terms of query weight times document weight.
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


class Retriever:
    """Answers questions from one index with the encoder that its documents were encoded with.

    Args:
        index: the documents.
        encoder: the model.

    Raises:
        ContractMismatch: the index holds another model's vectors.
    """

    def __init__(self, index: Index, encoder: Encoder) -> None:
        index.check_model(encoder.space.model)
        self.index = index
        self.encoder = encoder

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        model: str | Path | None = None,
        threads: int | None = None,
        query_mode: QueryMode | str | None = None,
        query_pruning: Pruning | str | None = None,
    ) -> Retriever:
        """Open an index and load the model that it names.

        Args:
            path: the index's folder.
            model: where the model is, if it has moved since.
            threads: that the encoder may use.
            query_mode: see `Encoder.load`.
            query_pruning: see `Encoder.load`.

        Raises:
            NotAnIndex, NewerFormat, CorruptIndex: see `Index.open`.
            ModelError: the model cannot be loaded, or is not the index's.
        """
        index = Index.open(path)
        try:
            location = model or index.space.location or "default"
            encoder = Encoder.load(
                location,
                threads=threads,
                max_tokens=index.space.document_max_tokens,
                query_mode=query_mode,
                query_pruning=query_pruning,
            )
            return cls(index, encoder)
        except BaseException:
            index.close()
            raise

    def close(self) -> None:
        """Close the index."""
        self.index.close()

    def __enter__(self) -> Retriever:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        filter: Filter | None = None,
        effort: float = 1.0,
        group_by: str | None = None,
    ) -> list[Hit]:
        """The best ``k`` documents for a question, best first; see `Index.search`."""
        vectors = self.encoder.encode_queries([query])
        (matches,) = self.index.search(vectors, k, filter=filter, effort=effort, group_by=group_by)
        return self._hits(query, matches)

    def search_words(
        self,
        query: str,
        k: int = 10,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        bm25: BM25 = BM25(),  # noqa: B008 - frozen
    ) -> list[Hit]:
        """The same by BM25 over the documents' words; see `Index.search_words`."""
        (matches,) = self.index.search_words([query], k, filter=filter, group_by=group_by, bm25=bm25)
        return self._hits(query, matches)

    def _hits(self, query: str, matches: Sequence[Match]) -> list[Hit]:
        documents = self.index.documents([match.row for match in matches])
        hits = []
        for rank, match in enumerate(matches, 1):
            document = documents[match.row]
            text = document.text if match.span is None else document.full_text[slice(*match.span)]
            snippet = make_snippet(text, query)
            hits.append(Hit(rank, match.score, match.doc_id, document.title, snippet, document.metadata))
        return hits

    def run(self, queries: Sequence[Query], k: int = 1000, *, threads: int = 1) -> Run:
        """The rankings of many queries, without texts; for evaluation."""
        vectors = self.encoder.encode_queries([query.text for query in queries])
        found = self.index.search(vectors, k, threads=threads)
        return Run(
            {
                query.query_id: [ScoredDocument(match.doc_id, match.score) for match in matches]
                for query, matches in zip(queries, found, strict=True)
            }
        )
