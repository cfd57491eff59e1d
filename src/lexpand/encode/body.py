"""The transformer body on ONNX Runtime: from token ids to the hidden states for the head."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lexpand.errors import ModelError

if TYPE_CHECKING:
    import onnxruntime


def pad(
    texts: Sequence[Sequence[int]],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]:
    """Pad token ids with zeros at the end.

    Returns:
        The token ids and the attention mask, int64 [texts, tokens] each, and the lengths, uint32
        [texts].
    """
    lengths = np.array([len(ids) for ids in texts], np.uint32)
    ids = np.zeros((len(texts), int(lengths.max())), np.int64)
    for row, text in zip(ids, texts, strict=True):
        row[: len(text)] = text
    return ids, (np.arange(ids.shape[1]) < lengths[:, None]).astype(np.int64), lengths


INT8, SCALE = "/int8", "/scale"
"""Suffixes in a graph of the names of a quantized weight and its scales."""

# Processors without VNNI add two products of an unsigned byte and a weight in 16 bits. This range
# keeps the sum from overflowing.
_LEVELS = 64


def quantize(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantize a weight [out, in] to 8 bits, with one scale for each output.

    Returns:
        The integers from -64 to 64, int8 [in, out], and the scales, float32 [out].
    """
    scale = np.abs(weight).max(axis=1) / np.float32(_LEVELS)
    scale[scale == 0] = 1
    return np.ascontiguousarray(np.rint(weight / scale[:, None]).astype(np.int8).T), scale


def initializers_of(
    graph: bytes, tensors: Mapping[str, NDArray[np.float32]]
) -> dict[str, NDArray[Any]]:
    """Return the initializers that a graph names, from the tensors of a model.

    ONNX Runtime refuses an initializer that the graph does not name. Names are searched in the
    bytes of the graph, where they are stored as plain text.
    """
    initializers: dict[str, NDArray[Any]] = {}
    for name, tensor in tensors.items():
        if f"{name}{INT8}".encode() in graph:
            initializers[f"{name}{INT8}"], initializers[f"{name}{SCALE}"] = quantize(tensor)
        elif name.encode() in graph:
            initializers[name] = tensor
    return initializers


class Body:
    """ONNX Runtime sessions over a graph without weights; threads may share it.

    One session runs on a single thread, the other spreads a batch over several. The second session
    is created for the first batch that uses it: short queries never do.

    Args:
        graph: an ONNX model whose initializers are external and named as in `initializers`.
        initializers: all initializers.
        output: the name of the output [texts, tokens, width].
        threads: threads for a batch that runs alone.

    Raises:
        ModelError: ONNX Runtime refuses the graph or the weights.
    """

    def __init__(
        self, graph: bytes, initializers: Mapping[str, NDArray[Any]], output: str, threads: int
    ) -> None:
        self._graph, self._initializers, self._output = graph, initializers, output
        self._threads = threads
        self._single = self._session(1)
        self._parallel = self._single if threads == 1 else None
        if threads == 1:
            self._initializers = {}  # no second session needs them
        self._session_lock = threading.Lock()

    def run(self, texts: Sequence[Sequence[int]]) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
        """Compute hidden states on all threads.

        Returns:
            The hidden states, float32 [texts, tokens, width], padded at the end, and the length of
            each text, uint32 [texts]. Values at padding positions are meaningless.
        """
        with self._session_lock:
            if self._parallel is None:
                self._parallel = self._session(self._threads)
        return self._run(self._parallel, texts)

    def run_on_one_thread(
        self, texts: Sequence[Sequence[int]]
    ) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
        """Compute hidden states as `run` does, on the calling thread alone.

        Use it for short texts, and if several batches already keep all cores busy.
        """
        return self._run(self._single, texts)

    def _run(
        self, session: onnxruntime.InferenceSession, texts: Sequence[Sequence[int]]
    ) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
        ids, mask, lengths = pad(texts)
        (hidden,) = session.run([self._output], {"input_ids": ids, "attention_mask": mask})
        return hidden, lengths

    def _session(self, threads: int) -> onnxruntime.InferenceSession:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only: its warnings address authors of graphs
        values = [
            onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in self._initializers.values()
        ]
        try:
            options.add_external_initializers(list(self._initializers), values)
            return onnxruntime.InferenceSession(
                self._graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ModelError(f"ONNX Runtime cannot load the model's body: {error}") from error
