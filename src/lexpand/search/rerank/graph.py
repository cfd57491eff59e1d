"""A third-party model on ONNX Runtime: token ids in, the output of its graph out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lexpand.encode.body import pad
from lexpand.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Encoding

_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}


class Graph:
    """A session over an ONNX file with weights.

    Args:
        path: the file.
        rank: the number of dimensions of the requested output.
        names: names of outputs. The first one that the graph has is used. If it has none of them,
            it must have one output of that rank.
        threads: the number of threads of the session.

    Attributes:
        width: the last dimension of the output; a name if the graph leaves it open.

    Raises:
        ModelError: ONNX Runtime refuses the file, or the graph has unknown inputs or no such
            output.
    """

    def __init__(self, path: Path, rank: int, names: Sequence[str], threads: int) -> None:
        self._made = path, rank, tuple(names), threads
        self._session = _session(path, threads)
        self._inputs = [node.name for node in self._session.get_inputs()]
        unknown = sorted(set(self._inputs) - _INPUTS)
        if unknown:
            raise ModelError(
                f"inputs of {path} must be among {', '.join(sorted(_INPUTS))}, "
                f"got {', '.join(unknown)}"
            )
        shapes = {output.name: output.shape for output in self._session.get_outputs()}
        fitting = [name for name in names if name in shapes] or [
            n for n, s in shapes.items() if len(s) == rank
        ]
        if len(fitting) != 1 and not (fitting and fitting[0] in names):
            listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise ModelError(f"{path} must have one output of {rank} dimensions, got {listed}")
        self._output: str = fitting[0]
        self.width: int | str = shapes[self._output][-1] if shapes[self._output] else 1

    def __reduce__(self) -> tuple[object, ...]:
        return Graph, self._made

    def run(self, encodings: Sequence[Encoding]) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
        """Return the output and the length of each text in tokens, uint32 [texts].

        The first dimension of the output is [texts]. Values at padded positions are meaningless.
        """
        ids, mask, lengths = pad([encoding.ids for encoding in encodings])
        inputs = {"input_ids": ids, "attention_mask": mask}
        if "token_type_ids" in self._inputs:
            inputs["token_type_ids"] = pad([encoding.type_ids for encoding in encodings])[0]
        (output,) = self._session.run([self._output], {name: inputs[name] for name in self._inputs})
        return np.asarray(output, np.float32), lengths


def output_shapes(path: Path) -> dict[str, list[int | str]]:
    """Return the shape of each output of an ONNX file; a name stands for an open dimension.

    Raises:
        ModelError: ONNX Runtime refuses the file.
    """
    outputs = _session(path, 1, optimized=False).get_outputs()
    return {output.name: list(output.shape) for output in outputs}


def _session(path: Path, threads: int, *, optimized: bool = True) -> Any:  # noqa: ANN401 - onnxruntime has no types
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # its warnings are for authors of graphs
    if not optimized:
        levels = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = levels.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"ONNX Runtime cannot load {path}: {error}") from error
