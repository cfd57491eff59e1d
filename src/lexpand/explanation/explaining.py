"""Explain the score of a document, with the inquiry that fits the kind of retriever."""

from __future__ import annotations

from lexpand.errors import DataError
from lexpand.explanation.hybrid import HybridInquiry
from lexpand.explanation.inquiry import Inquiry
from lexpand.explanation.results import Explanation
from lexpand.explanation.vectors import VectorInquiry
from lexpand.explanation.words import WordInquiry
from lexpand.index.filters import Filter
from lexpand.search import HybridRetriever, Retriever, SparseRetriever, WordRetriever
from lexpand.search.hybrid import PreparedHybrid
from lexpand.search.prepared import PreparedQueries
from lexpand.search.retriever import LocalRetriever
from lexpand.search.sparse import PreparedVectors
from lexpand.search.words import PreparedWords


def explain(
    retriever: Retriever, query: str, doc_id: str, *, filter: Filter | None = None
) -> Explanation:
    """Explain the score that a retriever gives a document.

    If the document has chunks, its best chunk is explained. The text is encoded again to find the
    words that produced the terms of the model.

    Args:
        retriever: the retriever.
        query: the text of the query.
        doc_id: the document; it need not be among the hits.
        filter: the filter of the search. Feedback and fusion depend on the documents that it lets
            through.

    Raises:
        UnknownDocument: the index has no such document.
        DataError: the retriever is of a kind that cannot be explained.
        FilterError: see `Index.search`.
    """
    return inquire(retriever, query, filter).explanation(doc_id)


def inquire(retriever: Retriever, query: str, filter: Filter | None = None) -> Inquiry:
    """Return the inquiry that explains a query, over one commit of the retriever's index.

    Raises:
        DataError: the retriever is of a kind that cannot be explained.
        FilterError: see `Index.search`.
    """
    if not isinstance(retriever, LocalRetriever):
        raise _not_explained(retriever)
    reading = retriever.reading()
    return _inquiry_of(
        reading, reading.ask(reading.searcher, [query]).resolved(filter=filter), filter
    )


def _inquiry_of(retriever: Retriever, asked: PreparedQueries, filter: Filter | None) -> Inquiry:
    # Each kind of `lexpand.search.kinds` has its inquiry here.
    if isinstance(retriever, SparseRetriever) and isinstance(asked, PreparedVectors):
        return VectorInquiry(retriever, asked, filter)
    if isinstance(retriever, WordRetriever) and isinstance(asked, PreparedWords):
        return WordInquiry(retriever, asked, filter)
    if isinstance(retriever, HybridRetriever) and isinstance(asked, PreparedHybrid):
        parts = [
            _inquiry_of(part, part_asked, filter)
            for part, part_asked in zip(retriever.local, asked.parts, strict=True)
        ]
        return HybridInquiry(retriever, asked, filter, parts)
    raise _not_explained(retriever)


def _not_explained(retriever: Retriever) -> DataError:
    return DataError(
        f"a {type(retriever).__name__} cannot be explained: "
        "explain the retriever whose documents it ranks"
    )
