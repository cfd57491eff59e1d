"""Lexpand by its public API. Settings: ``dtype`` of documents and queries."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np

from encoders.protocol import EncodingPeer, Rows, serve
from lexpand import DocumentEncoding, Encoder, QueryEncoding, SparseVectors


class Lexpand(EncodingPeer):
    """The system that is compared with the peers."""

    def version(self) -> str:
        """Return the versions of the packages."""
        own, runtime = map(importlib.metadata.version, ("lexpand", "onnxruntime"))
        return f"{own}, onnxruntime {runtime}"

    def load(self, folder: Path, threads: int, max_tokens: int, settings: dict[str, Any]) -> None:
        """Load a model folder."""
        self._encoder = Encoder.load(
            folder,
            documents=DocumentEncoding(max_tokens=max_tokens, **settings),
            queries=QueryEncoding(**settings),
            threads=threads,
        )

    def documents(self, texts: list[str]) -> SparseVectors:
        """Encode all texts in one call."""
        return self._encoder.encode_documents(texts)

    def query(self, text: str) -> SparseVectors:
        """Encode a query as a list of one text."""
        return self._encoder.encode_queries([text])

    def rows(self, found: SparseVectors) -> Rows:
        """Return the vectors as arrays."""
        return found.indptr, found.terms.astype(np.int64), found.weights


if __name__ == "__main__":
    serve(Lexpand())
