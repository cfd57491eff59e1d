"""The transformer's body on ONNX Runtime: token ids to the hidden states that the head takes."""

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
    """Token ids [texts, tokens] with 0 behind a text's last, the mask of what is text, and lengths [texts]."""
    lengths = np.array([len(ids) for ids in texts], np.uint32)
    ids = np.zeros((len(texts), int(lengths.max())), np.int64)
    for row, text in zip(ids, texts, strict=True):
        row[: len(text)] = text
    return ids, (np.arange(ids.shape[1]) < lengths[:, None]).astype(np.int64), lengths


INT8, SCALE = "/int8", "/scale"
"""Behind the name of a weight in a graph: what `rounded` makes of it."""

# Two products of an unsigned byte and these fit 16 bits, in which processors without VNNI add them.
_LEVELS = 64


def rounded(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A weight [out, in] as int8 [in, out] from -64 to 64, and a scale for each of its outputs, float32 [out]."""
    scale = np.abs(weight).max(axis=1) / np.float32(_LEVELS)
    scale[scale == 0] = 1
    return np.ascontiguousarray(np.rint(weight / scale[:, None]).astype(np.int8).T), scale


def values_of(graph: bytes, tensors: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
    """Every initializer that a graph names, of a model's tensors: ONNX Runtime refuses others.

    Names are looked for in the graph's bytes, which hold them as they are.
    """
    values: dict[str, NDArray[Any]] = {}
    for name, tensor in tensors.items():
        if f"{name}{INT8}".encode() in graph:
            values[f"{name}{INT8}"], values[f"{name}{SCALE}"] = rounded(tensor)
        elif name.encode() in graph:
            values[name] = tensor
    return values


class Body:
    """Sessions over a graph whose weights are handed in: one for a thread alone, one that shares a batch out.

    The second is made when the first batch wants it: who only asks short queries never does. May be
    shared by threads.

    Args:
        graph: an ONNX model whose initializers are external and named as in `values`.
        values: every initializer.
        output: the name of the output [texts, tokens, width].
        threads: that a batch alone may use.

    Raises:
        ModelError: ONNX Runtime refuses the graph or the weights.
    """

    def __init__(
        self, graph: bytes, values: Mapping[str, NDArray[Any]], output: str, threads: int
    ) -> None:
        self._graph, self._values, self._output = graph, values, output
        self._threads = threads
        self._single = self._session(1)
        self._shared = self._single if threads == 1 else None
        if threads == 1:
            self._values = {}  # no second session is made of them
        self._making = threading.Lock()

    def run(self, texts: Sequence[Sequence[int]]) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
        """Hidden states [texts, tokens, width], padded at the end, and each text's length uint32 [texts].

        What stands at padded places is meaningless.
        """
        with self._making:
            if self._shared is None:
                self._shared = self._session(self._threads)
        return self._run(self._shared, texts)

    def run_beside_others(
        self, texts: Sequence[Sequence[int]]
    ) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
        """The same on the calling thread alone: for short texts, and callers that keep all cores busy with several."""
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
        options.log_severity_level = 3  # its warnings speak to those who write graphs
        values = [
            onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in self._values.values()
        ]
        try:
            options.add_external_initializers(list(self._values), values)
            return onnxruntime.InferenceSession(
                self._graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ModelError(f"ONNX Runtime cannot load the model's body: {error}") from error
