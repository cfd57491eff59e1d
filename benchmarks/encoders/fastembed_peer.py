"""fastembed's SPLADE class on the graph of another checkpoint.

fastembed accepts a local folder for a model that it knows by name. The graph is the one that
sentence-transformers exports, so that peer must run first. Batches have eight texts, as there.
"""

from __future__ import annotations

import importlib.metadata
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from fastembed import SparseTextEmbedding

from encoders.protocol import EncodingPeer, Rows, serve

_BATCH = 8
# This model of fastembed has the same vocabulary, activation and pooling.
_NAME = "prithivida/Splade_PP_en_v1"
_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "config.json")


class FastEmbed(EncodingPeer):
    """The peer fastembed."""

    def version(self) -> str:
        """Return the versions of the packages."""
        return ", ".join(
            f"{name} {importlib.metadata.version(name)}" for name in ("fastembed", "onnxruntime")
        )

    def load(self, folder: Path, threads: int, max_tokens: int, settings: dict[str, Any]) -> None:
        """Load a model folder."""
        local = _prepare_folder(folder)
        self._model = SparseTextEmbedding(
            _NAME, threads=threads, specific_model_path=str(local), cuda=False
        )
        self._model.model.tokenizer.enable_truncation(max_tokens)

    def documents(self, texts: list[str]) -> Any:
        """Encode all texts in one call."""
        return list(self._model.embed(texts, batch_size=_BATCH))

    def query(self, text: str) -> Any:
        """Encode a query by the call for queries."""
        return list(self._model.query_embed(text))

    def rows(self, found: Any) -> Rows:
        """Return the vectors as arrays; terms ascend."""
        starts = np.cumsum([0, *(len(each.indices) for each in found)])
        terms = np.concatenate([np.zeros(0, np.int64), *(each.indices for each in found)])
        return (
            starts,
            terms,
            np.concatenate([np.zeros(0, np.float32), *(each.values for each in found)]),
        )


def _prepare_folder(folder: Path) -> Path:
    """Return a folder in the layout of fastembed, with the graph at its top."""
    local = folder / "fastembed"
    if not (local / "model.onnx").exists():
        local.mkdir(exist_ok=True)
        for name in _FILES:
            if (folder / name).exists():
                shutil.copy(folder / name, local / name)
        shutil.copy(folder / "onnx" / "model.onnx", local / "model.onnx")
    return local


if __name__ == "__main__":
    serve(FastEmbed())
