"""Transformers that read one text at a time and return a state for each token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lexpand.encode.batches import cores
from lexpand.search.rerank.graph import Graph
from lexpand.search.rerank.inputs import Inputs, in_batches
from lexpand.search.rerank.model_files import ModelFiles

_STATES = ("token_embeddings", "last_hidden_state")


class TextModel:
    """A graph whose output is [texts, tokens, width], with its tokenizer.

    Args:
        inputs: the tokenizer of the model.
        graph: the runtime of the model.
    """

    def __init__(self, inputs: Inputs, graph: Graph) -> None:
        self._inputs = inputs
        self._graph = graph

    @classmethod
    def load(cls, files: ModelFiles, threads: int | None, max_tokens: int | None) -> Self:
        """Load the model of a folder.

        The output is ``token_embeddings``, or ``last_hidden_state`` if there is no such output.

        Raises:
            ModelError: a file is missing or invalid, or the model has no such output.
        """
        return cls(Inputs(files, max_tokens), Graph(files.graph, 3, _STATES, threads or cores()))

    def states(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Return the states of each text's tokens, float32 [tokens, width].

        Special tokens are included.
        """
        encodings = self._inputs.texts(texts)
        found = [np.zeros((0, 0), np.float32)] * len(texts)
        for places in in_batches(encodings):
            states, lengths = self._graph.run([encodings[place] for place in places])
            for place, rows, length in zip(places, states, lengths.tolist(), strict=True):
                found[place] = rows[:length]
        return found


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows divided by their lengths; a row of zeros stays unchanged."""
    lengths: NDArray[np.float32] = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    lengths[lengths == 0] = 1
    return np.divide(vectors, lengths)
