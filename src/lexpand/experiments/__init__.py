"""Experiments: the effect of a change on rankings.

Today the package has the baselines (`baselines.py`): dense and late-interaction models that rerank
the documents of a retriever. It does not have measures, which need only runs and judgments
(`lexpand.evaluation`).
"""

from lexpand.experiments.baselines import DensePooling, DenseReranker, LateInteractionReranker

__all__ = ["DensePooling", "DenseReranker", "LateInteractionReranker"]
