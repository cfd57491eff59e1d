"""The transformer's body on ONNX Runtime: token ids to the hidden states that the head takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lexpand.errors import ModelError


def pad(texts: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]:
    """Token ids [texts, tokens] with 0 behind a text's last, the mask of what is text, and lengths [texts]."""
    lengths = np.array([len(ids) for ids in texts], np.uint32)
    ids = np.zeros((len(texts), int(lengths.max())), np.int64)
    for row, text in zip(ids, texts, strict=True):
        row[: len(text)] = text
    return ids, (np.arange(ids.shape[1]) < lengths[:, None]).astype(np.int64), lengths


class Body:
    """A session over a graph whose weights are handed in.

    Args:
        graph: an ONNX model whose initializers are external and named as in `weights`.
        weights: every initializer, float32. They may be dropped once the session exists.
        output: the name of the output [texts, tokens, width].
        threads: that the session may use.

    Raises:
        ModelError: ONNX Runtime refuses the graph or the weights.
    """

    def __init__(self, graph: bytes, weights: Mapping[str, NDArray[np.float32]], output: str, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # its warnings speak to those who write graphs
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        try:
            options.add_external_initializers(list(weights), values)
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(f"ONNX Runtime cannot load the model's body: {error}") from error
        self._output = output

    def run(self, texts: Sequence[Sequence[int]]) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
        """Hidden states [texts, tokens, width], padded at the end, and each text's length uint32 [texts].

        What stands at padded places is meaningless.
        """
        ids, mask, lengths = pad(texts)
        (hidden,) = self._session.run([self._output], {"input_ids": ids, "attention_mask": mask})
        return hidden, lengths
