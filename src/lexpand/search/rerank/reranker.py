"""The protocol of rerankers: scores of a few texts for a query."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Reranker(ABC):
    """The protocol of rerankers, which score texts for a query.

    They are too slow for a whole collection. ``retriever >> reranker`` reranks the best documents
    that the retriever finds.

    Attributes:
        batch: the number of texts per call if there is a time limit. The clock is checked between
            calls.
    """

    batch = 8

    @abstractmethod
    def score(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the score of each text for the query, float32 [texts]; finite, larger is better.

        Scores are comparable only within one call's query. Several threads may call this at once.
        """
