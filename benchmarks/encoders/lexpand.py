"""Lexpand by its public API. Settings: what `Encoder.load` takes."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np

from encoders.protocol import EncodingPeer, Rows, serve
from lexpand import DocumentEncoding, Encoder, SparseVectors


class Lexpand(EncodingPeer):
    """The system itself."""

    def version(self) -> str:
        """Of the packages."""
        return f"{importlib.metadata.version('lexpand')}, onnxruntime {importlib.metadata.version('onnxruntime')}"

    def load(self, folder: Path, threads: int, max_tokens: int, settings: dict[str, Any]) -> None:
        """A model folder."""
        self._encoder = Encoder.load(
            folder, documents=DocumentEncoding(max_tokens=max_tokens), threads=threads, **settings
        )

    def documents(self, texts: list[str]) -> SparseVectors:
        """One call for all of them."""
        return self._encoder.encode_documents(texts)

    def query(self, text: str) -> SparseVectors:
        """A list of one."""
        return self._encoder.encode_queries([text])

    def rows(self, found: SparseVectors) -> Rows:
        """As arrays."""
        return found.indptr, found.terms.astype(np.int64), found.weights


if __name__ == "__main__":
    serve(Lexpand())
