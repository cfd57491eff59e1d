"""The basis with which a head is screened: how fast vectors are made, never which.

It balances the second moments of decoder rows w and of what distinguishes the hidden states h of a
text, d = h - their mean: with C = E[d d'] over some texts, the eigenvectors of C^1/2 W'W C^1/2,
largest first, so that the first dimensions carry most of d . w. The mean of all states goes with
it: terms are looked at in the order in which it activates them.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand.data.streams import atomic_write
from lexpand.encode.contract import Role
from lexpand.encode.folder import ModelFolder
from lexpand.encode.json_files import read_json
from lexpand.models.writing import sha256_of, write_contract

FILE = "onnx/screening.npy"

# Every load of the model turns the whole decoder into the basis: vocabulary x width^2 products.
# Above this they take more than about a second, and the body takes so much of the time that the
# head's share is small.
_PRODUCTS = 5e9


def is_worthwhile(vocabulary: int, width: int) -> bool:
    """Whether a head of this shape is sooner done with screening."""
    return vocabulary * width**2 <= _PRODUCTS


def write_screening(path: Path, texts: Iterable[str], kept: int | None = None) -> None:
    """Make the basis of a model folder from some texts, and name it in contract.json.

    Args:
        path: the folder; it has a graph.
        texts: documents; a few hundred are enough.
        kept: dimensions of the integer product; three quarters of the width by default.
    """
    folder = ModelFolder(path)
    decoder = folder.tensor(folder.contract.head_weight).astype(np.float64)
    moments, typical = _moments(folder, decoder.shape[1], texts)
    content = BytesIO()
    np.save(content, np.vstack([_balanced(moments, decoder), typical]).astype(np.float32))
    (path / FILE).parent.mkdir(exist_ok=True)
    with atomic_write(path / FILE) as file:
        file.write(content.getvalue())
    contract = read_json(path / "contract.json", dict)
    contract.pop("screening", None)
    parts = list(contract.items())
    after_head = list(contract).index("head") + 1
    screening = {
        "file": FILE,
        "sha256": sha256_of(path / FILE),
        "kept": kept or max(1, decoder.shape[1] * 3 // 4),
    }
    write_contract(path, dict([*parts[:after_head], ("screening", screening), *parts[after_head:]]))


def _moments(
    folder: ModelFolder, width: int, texts: Iterable[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """E[d d'] float64 [width, width] and E[h] [width] over all positions of the texts."""
    body, length = folder.load_body(threads=1), folder.contract.max_tokens[Role.DOCUMENT]
    squares, sums, positions = np.zeros((width, width)), np.zeros(width), 0
    for text in texts:
        (tokens,) = folder.tokens.tokenize([text], length)
        if tokens.ids:
            hidden = body.run([tokens.ids])[0][0].astype(np.float64)
            distinct = hidden - hidden.mean(axis=0)
            squares += distinct.T @ distinct
            sums += hidden.sum(axis=0)
            positions += len(hidden)
    return squares / max(1, positions), sums / max(1, positions)


def _balanced(moments: NDArray[np.float64], decoder: NDArray[np.float64]) -> NDArray[np.float64]:
    """T, float64 [width, width]: h T and w S (T S' = I) have the same second moments, falling along the dimensions."""
    values, vectors = np.linalg.eigh(moments + 1e-9 * np.trace(moments) * np.eye(len(moments)))
    root = vectors * np.sqrt(values) @ vectors.T
    powers, directions = np.linalg.eigh(root @ (decoder.T @ decoder) @ root)
    back = (root @ directions[:, ::-1]) / np.maximum(powers[::-1], 1e-12) ** 0.25
    return np.linalg.inv(back).T
