"""One question for all retrievers: why has this document its score?"""

from __future__ import annotations

from lexpand.errors import DataError
from lexpand.explain.explanation import Explanation
from lexpand.explain.hybrid import HybridInquiry
from lexpand.explain.inquiry import Inquiry
from lexpand.explain.vectors import VectorInquiry
from lexpand.explain.words import WordInquiry
from lexpand.index.filters import Filter
from lexpand.search import HybridRetriever, Retriever, SparseRetriever, WordRetriever


def explain(retriever: Retriever, query: str, doc_id: str, *, filter: Filter | None = None) -> Explanation:
    """Explain the score that a retriever gives one document for one question; of a document in chunks, its best one's.

    The text is encoded again to find the words behind the terms of the model.

    Args:
        retriever: who was asked.
        query: the question.
        doc_id: the document; it need be no hit.
        filter: that of the search: feedback and fusion depend on which documents could be found.

    Raises:
        UnknownDocument: the index has no such document.
        DataError: the retriever is of a kind that cannot be explained.
        FilterError: see `Index.search`.
    """
    return inquire(retriever, query, filter).explanation(doc_id)


def inquire(retriever: Retriever, query: str, filter: Filter | None = None) -> Inquiry:
    """What a retriever made of a question.

    Raises:
        DataError: the retriever is of a kind that cannot be explained.
        FilterError: see `Index.search`.
    """
    if isinstance(retriever, SparseRetriever):
        return VectorInquiry(retriever, query, filter)
    if isinstance(retriever, WordRetriever):
        return WordInquiry(retriever, query, filter)
    if isinstance(retriever, HybridRetriever):
        return HybridInquiry(retriever, query, filter, inquire)
    raise DataError(f"a {type(retriever).__name__} cannot be explained: explain the retriever whose documents it ranks")
