"""Write the basis with which the head of a model folder is screened, and name it in contract.json.

    make_screening.py MODEL COLLECTION [--documents N] [--kept K]

The basis balances the second moments of hidden states h and decoder rows w: with C = E[h h'] over the hidden states
of N documents of COLLECTION (BEIR layout), the eigenvectors of C^1/2 W'W C^1/2, largest first, so that the first
dimensions carry most of h . w. It changes how fast vectors are made, never the vectors.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand import Encoder, Role, read_documents
from lexpand.encode.folder import ModelFolder

_FILE = "onnx/screening.npy"


def second_moments(encoder: Encoder, collection: Path, documents: int) -> NDArray[np.float64]:
    """E[h h'] over all positions of the first documents, float64 [width, width]."""
    total, positions = np.zeros((encoder._head.width,) * 2), 0
    for document in islice(read_documents(collection), documents):
        (text,) = encoder._tokens.tokenize([document.full_text], encoder.max_tokens[Role.DOCUMENT])
        hidden = encoder._body.run([text.ids])[0][0].astype(np.float64)
        total += hidden.T @ hidden
        positions += len(hidden)
    return total / positions


def balanced_basis(moments: NDArray[np.float64], decoder: NDArray[np.float64]) -> NDArray[np.float64]:
    """T, float64 [width, width]: h T and w S (T S' = I) have the same second moments, falling along the dimensions."""
    values, vectors = np.linalg.eigh(moments + 1e-9 * np.trace(moments) * np.eye(len(moments)))
    root = vectors * np.sqrt(values) @ vectors.T
    powers, directions = np.linalg.eigh(root @ (decoder.T @ decoder) @ root)
    back = (root @ directions[:, ::-1]) / np.maximum(powers[::-1], 1e-12) ** 0.25
    return np.linalg.inv(back).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("collection", type=Path)
    parser.add_argument("--documents", type=int, default=300)
    parser.add_argument("--kept", type=int, default=96)
    options = parser.parse_args()
    encoder = Encoder.load(options.model)
    decoder = ModelFolder(options.model)._weights[encoder.contract.head_weight].astype(np.float64)
    basis = balanced_basis(second_moments(encoder, options.collection, options.documents), decoder)
    content = BytesIO()
    np.save(content, basis.astype(np.float32))
    (options.model / _FILE).write_bytes(content.getvalue())
    path = options.model / "contract.json"
    contract = json.loads(path.read_text(encoding="utf-8"))
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    screening = {"file": _FILE, "sha256": digest, "kept": options.kept}
    ordered = {key: value for key, value in contract.items() if key != "screening"}
    keys = list(ordered)
    at = keys.index("head") + 1
    ordered = {key: ordered[key] for key in keys[:at]} | {"screening": screening} | {k: ordered[k] for k in keys[at:]}
    path.write_text(json.dumps(ordered, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
