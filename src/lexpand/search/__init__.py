"""Retrieval: the documents that answer a question in words.

The package joins an encoder and an index: text goes in, hits come out. Start reading at
`retriever.py`, which has the protocol. `sparse.py`, `words.py`, `hybrid.py`, `mixed.py` and
`reranking.py` are the kinds of retriever. `pipeline.py` is their form in a file.

The package does not explain a hit (`lexpand.explanation`) and does not evaluate a ranking
(`lexpand.evaluation`).
"""

from lexpand.search.expectations import Outcome, run_expectations
from lexpand.search.feedback import Feedback
from lexpand.search.fusion import Fused, Fusion, fuse
from lexpand.search.hit import Hit, Hits
from lexpand.search.hybrid import HybridRetriever
from lexpand.search.learning import Learned, learn_weights
from lexpand.search.mixed import MixedRetriever
from lexpand.search.notes import Note, Reason
from lexpand.search.pipeline import Pipeline, open_retriever
from lexpand.search.prepared import PreparedQueries
from lexpand.search.rerank import CrossEncoder, Reranker
from lexpand.search.reranking import RerankingRetriever
from lexpand.search.retriever import LocalRetriever, Retriever, Weighted
from lexpand.search.sparse import SparseRetriever, encoder_of
from lexpand.search.suggestions import did_you_mean
from lexpand.search.words import WordRetriever

__all__ = [
    "CrossEncoder",
    "Feedback",
    "Fused",
    "Fusion",
    "Hit",
    "Hits",
    "HybridRetriever",
    "Learned",
    "LocalRetriever",
    "MixedRetriever",
    "Note",
    "Outcome",
    "Pipeline",
    "PreparedQueries",
    "Reason",
    "Reranker",
    "RerankingRetriever",
    "Retriever",
    "SparseRetriever",
    "Weighted",
    "WordRetriever",
    "did_you_mean",
    "encoder_of",
    "fuse",
    "learn_weights",
    "open_retriever",
    "run_expectations",
]
