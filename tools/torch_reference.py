"""The reference for golden weights: sentence-transformers on PyTorch in float32."""

from pathlib import Path

import numpy as np
from sentence_transformers import SparseEncoder


class Reference:
    """A model folder, loaded by sentence-transformers."""

    def __init__(self, folder: Path) -> None:
        self.model = SparseEncoder(str(folder), device="cpu", local_files_only=True)

    def encode(self, role: str, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the terms (uint32, ascending) and weights (float32) of a text.

        ``role`` is `document` or `query`.
        """
        encode = {"document": self.model.encode_document, "query": self.model.encode_query}[role]
        # One text at a time, because padding in a batch would change the last bits.
        dense = encode(text, convert_to_sparse_tensor=False, show_progress_bar=False).numpy()
        terms = np.flatnonzero(dense)
        return terms.astype(np.uint32), dense[terms]
