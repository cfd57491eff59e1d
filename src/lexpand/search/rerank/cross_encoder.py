"""A transformer that reads the query and a text together, and says one number."""

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
    """Scores by a model that was trained to tell relevant texts from others (Nogueira and Cho 2019); see `load`.

    A score is the model's logit, before the activation that its ``config.json`` may name:
    sentence-transformers' ``predict`` gives the same or its sigmoid, which has the same order and
    fewer different values. A graph of dynamic int8 rounds by what else is in the batch: its scores
    may differ by a tenth from call to call.

    Args:
        inputs: its tokenizer.
        model: what runs it.
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
                ``tokenizer.json`` and ``onnx/model.onnx`` or ``model.onnx``; or an ONNX file, the
                tokenizer beside it or one folder up.
            threads: that one call may use; all cores of this process by default.
            max_tokens: cut pairs at fewer tokens than the model reads.
            backend: ``onnx``, or ``torch`` (extra ``torch``) for a folder without a graph.

        Raises:
            ModelError: a file is missing or cannot be used, or the model has not one output.
            MissingExtra: the extra ``torch`` is not installed.
        """
        files = ModelFiles.find(model)
        inputs = Inputs(files, max_tokens)
        if backend == "torch":
            return cls(inputs, TorchClassifier(files.folder, threads or cores()))
        if backend != "onnx":
            raise ModelError(f"backend {backend!r}: give 'onnx' or 'torch'")
        graph = Graph(files.graph, 2, ("logits",), threads or cores())
        if isinstance(graph.width, int) and graph.width != 1:
            raise ModelError(
                f"{files.graph} gives {graph.width} labels: a reranker gives one score"
            )
        return cls(inputs, graph)

    @property
    def max_tokens(self) -> int:
        """The longest pair that is read, in tokens, special ones included."""
        return self._inputs.max_tokens

    def score(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """The logits, float32 [texts]. Pairs are cut at the end of the longer of query and text until they fit."""
        encodings = self._inputs.pairs(query, texts)
        scores = np.zeros(len(texts), np.float32)
        for places in in_batches(encodings):
            logits, _ = self._model.run([encodings[place] for place in places])
            if logits.size != len(places):
                raise ModelError(
                    f"the model gives {logits.shape} for {len(places)} pairs: one score a pair is wanted"
                )
            scores[places] = logits.reshape(len(places))
        return scores
