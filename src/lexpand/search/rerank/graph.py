"""Somebody's whole model on ONNX Runtime: token ids to what its graph gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lexpand.encode.body import pad
from lexpand.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Encoding

_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}


class Graph:
    """A session over an ONNX file that has its weights.

    Args:
        path: the file.
        rank: dimensions of the output that is wanted.
        names: of outputs, the first that the graph has is taken; without any, its only one of that
            rank.
        threads: that the session may use.

    Attributes:
        width: the last dimension of the output; a name where the graph leaves it open.

    Raises:
        ModelError: ONNX Runtime refuses the file, it asks for other inputs than texts give, or has
            no such output.
    """

    def __init__(self, path: Path, rank: int, names: Sequence[str], threads: int) -> None:
        import onnxruntime

        self._made = path, rank, tuple(names), threads
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # its warnings speak to those who write graphs
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ModelError(f"ONNX Runtime cannot load {path}: {error}") from error
        self._inputs = [given.name for given in self._session.get_inputs()]
        unknown = sorted(set(self._inputs) - _INPUTS)
        if unknown:
            raise ModelError(
                f"{path} asks for {', '.join(unknown)}: a text gives {', '.join(sorted(_INPUTS))}"
            )
        shapes = {output.name: output.shape for output in self._session.get_outputs()}
        fitting = [name for name in names if name in shapes] or [
            n for n, s in shapes.items() if len(s) == rank
        ]
        if len(fitting) != 1 and not (fitting and fitting[0] in names):
            listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise ModelError(f"{path} gives {listed}: one output of {rank} dimensions is wanted")
        self._output: str = fitting[0]
        self.width: int | str = shapes[self._output][-1] if shapes[self._output] else 1

    def __reduce__(self) -> tuple[object, ...]:
        return Graph, self._made

    def run(self, encodings: Sequence[Encoding]) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
        """The output, its first dimension [texts], and each text's length in tokens, uint32 [texts].

        What stands at padded places is meaningless.
        """
        ids, mask, lengths = pad([encoding.ids for encoding in encodings])
        inputs = {"input_ids": ids, "attention_mask": mask}
        if "token_type_ids" in self._inputs:
            inputs["token_type_ids"] = pad([encoding.type_ids for encoding in encodings])[0]
        (output,) = self._session.run([self._output], {name: inputs[name] for name in self._inputs})
        return np.asarray(output, np.float32), lengths
