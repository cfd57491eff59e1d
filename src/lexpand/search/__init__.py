"""Here is a question in words: which documents?

The room joins an encoder and an index: text in, hits out. Begin reading at `retriever.py`; `sparse.py`, `words.py`,
`hybrid.py` and `reranking.py` are the kinds of it, `pipeline.py` their form in a file.

It is not for the reasons of a hit (`lexpand.explain`) nor for judging a ranking (`lexpand.evaluation`).
"""

from lexpand.search.expectations import Outcome, run_expectations
from lexpand.search.feedback import Feedback
from lexpand.search.fusion import Fusion, fuse
from lexpand.search.hit import Hit
from lexpand.search.hybrid import HybridRetriever
from lexpand.search.learning import Learned, learn_weights
from lexpand.search.notes import Note, Noted, Reason, notes_of
from lexpand.search.pipeline import Pipeline, open_retriever
from lexpand.search.rerank import CrossEncoder, DensePooling, DenseReranker, LateInteractionReranker, Reranker
from lexpand.search.reranking import RerankingRetriever
from lexpand.search.retriever import Retriever
from lexpand.search.sparse import SparseRetriever, encoder_of
from lexpand.search.words import WordRetriever

__all__ = [
    "CrossEncoder",
    "DensePooling",
    "DenseReranker",
    "Feedback",
    "Fusion",
    "Hit",
    "HybridRetriever",
    "LateInteractionReranker",
    "Learned",
    "Note",
    "Noted",
    "Outcome",
    "Pipeline",
    "Reason",
    "Reranker",
    "RerankingRetriever",
    "Retriever",
    "SparseRetriever",
    "WordRetriever",
    "encoder_of",
    "fuse",
    "learn_weights",
    "notes_of",
    "open_retriever",
    "run_expectations",
]
