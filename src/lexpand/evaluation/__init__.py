"""Measure runs against relevance judgments.

The package takes runs and qrels of any system, and imports only `lexpand.data`. It does not make
runs (`lexpand.search`).
"""

from lexpand.evaluation.measures import DEFAULT_MEASURES, Ties, evaluate

__all__ = ["DEFAULT_MEASURES", "Ties", "evaluate"]
