"""One question for all retrievers: why has this document its score?"""

from __future__ import annotations

from lexpand.explanation.explanation import Explanation
from lexpand.explanation.registry import inquire
from lexpand.index.filters import Filter
from lexpand.search import Retriever


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
