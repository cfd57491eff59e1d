"""Measure runs against relevance judgments.

The package takes runs and qrels of any system, and imports only `lexpand.data`. It does not make
runs (`lexpand.search`).
"""

from lexpand.evaluation.measures import DEFAULT_MEASURES, Ties, evaluate, evaluate_queries
from lexpand.evaluation.significance import compare_means

__all__ = ["DEFAULT_MEASURES", "Ties", "compare_means", "evaluate", "evaluate_queries"]
