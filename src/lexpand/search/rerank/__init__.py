"""Here are a query and the few documents that were found first: in which order?

Not for finding documents: a reranker reads every text that it scores. Begin reading at
`reranker.py`; the retriever that uses one is `lexpand.search.reranking`.
"""

from lexpand.search.rerank.cross_encoder import CrossEncoder
from lexpand.search.rerank.reranker import Reranker

__all__ = ["CrossEncoder", "Reranker"]
