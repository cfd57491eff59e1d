"""Measure runs against relevance judgments, and compare them.

The package takes runs and qrels of any system, and imports only `lexpand.data`. It does not make
runs (`lexpand.search`).
"""

from lexpand.evaluation.measures import (
    DEFAULT_MEASURES,
    Evaluation,
    Ties,
    evaluate,
    evaluate_queries,
    evaluate_run,
)
from lexpand.evaluation.significance import compare_means, holm

__all__ = [
    "DEFAULT_MEASURES",
    "Evaluation",
    "Ties",
    "compare_means",
    "evaluate",
    "evaluate_queries",
    "evaluate_run",
    "holm",
]
