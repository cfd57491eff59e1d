"""A vector for each token of the query and of a text: late interaction, as a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand.search.rerank.model_files import ModelFiles
from lexpand.search.rerank.reranker import Reranker
from lexpand.search.rerank.text_model import TextModel, unit_rows


class LateInteractionReranker(Reranker):
    """Scores by MaxSim: for each token of the query the largest cosine with a token of the text, summed up.

    Khattab and Zaharia 2020, *ColBERT*, equation 3. A baseline: texts are encoded anew for every query, and states are
    compared as the graph gives them. It adds no markers ([Q], [D]), does not fill the query up with [MASK], and leaves
    punctuation in; a projection that lies outside the graph is not applied.

    Args:
        model: gives states.
    """

    def __init__(self, model: TextModel) -> None:
        self._model = model

    @classmethod
    def load(
        cls, model: str | Path, *, threads: int | None = None, max_tokens: int | None = None
    ) -> LateInteractionReranker:
        """Load a model.

        Args:
            model: a folder or an ONNX file, as `CrossEncoder.load` takes them; its output is [texts, tokens, width].
            threads: that one call may use; all cores of this process by default.
            max_tokens: cut texts at fewer tokens than the model reads.

        Raises:
            ModelError: a file is missing or cannot be used.
        """
        return cls(TextModel.load(ModelFiles.find(model), threads, max_tokens))

    def score(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """The sums, float32 [texts], at most the query's tokens."""
        (asked,) = self._model.states([query])
        asked = unit_rows(asked)
        best = [(asked @ unit_rows(states).T).max(axis=1).sum() for states in self._model.states(texts)]
        return np.array(best, np.float32)
