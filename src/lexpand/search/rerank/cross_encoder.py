"""Cross-encoders: transformers that read a query and a text together and return one score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand.encode.batches import cores
from lexpand.encode.folder import Backend
from lexpand.errors import ModelError
from lexpand.search.rerank.graph import Graph
from lexpand.search.rerank.inputs import Inputs, in_batches
from lexpand.search.rerank.model_files import ModelFiles
from lexpand.search.rerank.reranker import Reranker
from lexpand.search.rerank.torch_classifier import TorchClassifier


class CrossEncoder(Reranker):
    """A reranker that scores pairs of query and text (Nogueira and Cho 2019); see `load`.

    A score is the logit of the model, before the activation that its ``config.json`` may name. The
    ``predict`` of sentence-transformers returns the same or its sigmoid, which has the same order
    and fewer distinct values. In a graph with dynamic int8, rounding depends on the other inputs of
    the batch, so scores may differ by a tenth between calls.

    Args:
        inputs: the tokenizer of the model.
        model: the runtime of the model.
    """

    def __init__(self, inputs: Inputs, model: Graph | TorchClassifier) -> None:
        self._inputs = inputs
        self._model = model

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        threads: int | None = None,
        max_tokens: int | None = None,
        backend: Backend = "onnx",
    ) -> CrossEncoder:
        """Load a model.

        Args:
            model: a folder as Hugging Face or sentence-transformers (CrossEncoder) saves it, with
                ``tokenizer.json`` and ``onnx/model.onnx`` or ``model.onnx``. Or an ONNX file with
                the tokenizer in its folder or the folder above.
            threads: the number of threads of one call; all cores of this process by default.
            max_tokens: a shorter maximum length of pairs than that of the model.
            backend: ``onnx``, or ``torch`` (extra ``torch``) for a folder without a graph.

        Raises:
            ModelError: a file is missing or invalid, or the model does not have exactly one output.
            MissingExtra: the extra ``torch`` is not installed.
        """
        files = ModelFiles.find(model)
        inputs = Inputs(files, max_tokens)
        if backend == "torch":
            return cls(inputs, TorchClassifier(files.folder, threads or cores()))
        if backend != "onnx":
            raise ModelError(f"backend must be 'onnx' or 'torch', got {backend!r}")
        graph = Graph(files.graph, 2, ("logits",), threads or cores())
        if isinstance(graph.width, int) and graph.width != 1:
            raise ModelError(
                f"{files.graph} must have one label, got {graph.width}: a reranker has one score"
            )
        return cls(inputs, graph)

    @property
    def max_tokens(self) -> int:
        """The maximum length of a pair in tokens, special tokens included."""
        return self._inputs.max_tokens

    def score(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the logits, float32 [texts].

        A pair that is too long is cut at the end of the longer of query and text until it fits.
        """
        return self.score_pairs([(query, text) for text in texts])

    def score_pairs(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the logits of pairs of query and text, float32 [pairs]; see `score`."""
        encodings = self._inputs.pairs(pairs)
        scores = np.zeros(len(pairs), np.float32)
        for places in in_batches(encodings):
            logits, _ = self._model.run([encodings[place] for place in places])
            if logits.size != len(places):
                raise ModelError(
                    "the model must return one score per pair, got shape "
                    f"{logits.shape} for {len(places)} pairs"
                )
            scores[places] = logits.reshape(len(places))
        return scores
