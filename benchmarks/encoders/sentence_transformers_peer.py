"""sentence-transformers' SparseEncoder.

Settings: ``backend``, and ``quantized`` for dynamic int8 with ``onnx``. Batches have eight texts,
the best size tried for all of its backends on a CPU. It sorts texts by length itself. The graph for
``onnx`` is exported at the first loading of a model and kept in its folder.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.backend import export_dynamic_quantized_onnx_model

from encoders.protocol import EncodingPeer, Rows, serve

_BATCH = 8


class SentenceTransformers(EncodingPeer):
    """The peer sentence-transformers."""

    def version(self) -> str:
        """Return the versions of the packages."""
        names = ("sentence-transformers", "torch", "transformers", "onnxruntime", "openvino")
        return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)

    def load(self, folder: Path, threads: int, max_tokens: int, settings: dict[str, Any]) -> None:
        """Load a model folder."""
        torch.set_num_threads(threads)
        backend, arguments = settings["backend"], {}
        if backend == "onnx":
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            arguments = {"provider": "CPUExecutionProvider", "session_options": options}
            arguments["file_name"] = f"onnx/{self._graph(folder, settings['quantized'])}"
        elif backend == "openvino":
            config = {"INFERENCE_NUM_THREADS": str(threads), "INFERENCE_PRECISION_HINT": "f32"}
            arguments = {"ov_config": {**config, "PERFORMANCE_HINT": "LATENCY"}}
        self._model = SparseEncoder(
            str(folder), device="cpu", backend=backend, model_kwargs=arguments
        )
        self._model.max_seq_length = max_tokens

    def documents(self, texts: list[str]) -> torch.Tensor:
        """Encode all texts in one call."""
        return self._model.encode_document(texts, batch_size=_BATCH, show_progress_bar=False)

    def query(self, text: str) -> torch.Tensor:
        """Encode a query as a list of one text."""
        return self._model.encode_query([text], show_progress_bar=False)

    def rows(self, found: torch.Tensor) -> Rows:
        """Return the vectors as arrays."""
        found = found.coalesce()
        texts, terms = found.indices().numpy()
        starts = np.searchsorted(texts, np.arange(found.shape[0] + 1))
        return starts, terms, found.values().numpy()

    def _graph(self, folder: Path, quantized: bool) -> str:
        if not (folder / "onnx" / "model.onnx").exists():
            SparseEncoder(str(folder), device="cpu", backend="onnx").save_pretrained(str(folder))
        if not quantized:
            return "model.onnx"
        kind = _instructions()
        name = f"model_q{'u' if kind == 'avx2' else ''}int8_{kind}.onnx"
        if not (folder / "onnx" / name).exists():
            model = SparseEncoder(str(folder), device="cpu", backend="onnx")
            export_dynamic_quantized_onnx_model(model, kind, str(folder))
        return name


def _instructions() -> str:
    """Return the name of the quantization for the instructions of this processor."""
    cpu = Path("/proc/cpuinfo")
    flags = cpu.read_text().split() if cpu.exists() else []
    names = {"avx512_vnni": "avx512_vnni", "avx512f": "avx512", "avx2": "avx2"}
    return next((kind for flag, kind in names.items() if flag in flags), "arm64")


if __name__ == "__main__":
    serve(SentenceTransformers())
