"""How well does each of a few texts answer a query? What every reranker says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Reranker(ABC):
    """Scores texts for a query, too slowly for a collection: ``retriever >> reranker`` lets it see the best only.

    Attributes:
        batch: texts of a call where the time is limited; the clock is looked at between calls.
    """

    batch = 8

    @abstractmethod
    def score(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """How well each text answers the query, float32 [texts]; finite, and more is better.

        Only comparable within one call's query. May be called by several threads at once.
        """
