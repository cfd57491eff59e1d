"""What changes if I change something?

Today it holds the baselines (`baselines.py`): dense and late-interaction models that rerank what a
retriever finds.

It is not for measures (`lexpand.evaluation`), which know runs and judgments only.
"""

from lexpand.experiments.baselines import DensePooling, DenseReranker, LateInteractionReranker

__all__ = ["DensePooling", "DenseReranker", "LateInteractionReranker"]
