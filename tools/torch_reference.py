"""The reference that golden weights come from: sentence-transformers on PyTorch in float32."""

from pathlib import Path

import numpy as np
from sentence_transformers import SparseEncoder


class Reference:
    """A model folder as sentence-transformers runs it."""

    def __init__(self, folder: Path) -> None:
        self.model = SparseEncoder(str(folder), device="cpu", local_files_only=True)

    def encode(self, role: str, text: str) -> tuple[np.ndarray, np.ndarray]:
        """The terms (uint32, ascending) and weights (float32) of a text that is a `document` or a `query`."""
        encode = {"document": self.model.encode_document, "query": self.model.encode_query}[role]
        # One text alone: padding beside longer texts would change the last bits.
        dense = encode(text, convert_to_sparse_tensor=False, show_progress_bar=False).numpy()
        terms = np.flatnonzero(dense)
        return terms.astype(np.uint32), dense[terms]
