"""Is it good?

The room measures runs against qrels. It is not for making runs: it sees neither an index nor an encoder, so it measures
anybody's.
"""

from lexpand.evaluation.measures import DEFAULT_MEASURES, evaluate

__all__ = ["DEFAULT_MEASURES", "evaluate"]
