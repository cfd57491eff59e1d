"""Is it good? Measures of runs against judgments.

The package knows runs and qrels, and imports `lexpand.data` alone: it measures anybody's run.
It is not for making runs (`lexpand.search`).
"""

from lexpand.evaluation.measures import DEFAULT_MEASURES, Ties, evaluate

__all__ = ["DEFAULT_MEASURES", "Ties", "evaluate"]
