"""Reranking: the order of the few documents that were found first, for a query.

A reranker reads every text that it scores, so it does not find documents. Start reading at
`reranker.py`. The retriever that uses a reranker is `lexpand.search.reranking`.
"""

from lexpand.search.rerank.cross_encoder import CrossEncoder
from lexpand.search.rerank.reranker import Reranker

__all__ = ["CrossEncoder", "Reranker"]
