"""Compute the basis for safe pruning of the head. It affects the speed, but never the vectors.

The basis balances two second moments: that of the decoder rows w, and that of the deviations
d = h - mean(h) of the hidden states h of a text from their mean. With C = E[d d'] over some texts,
it consists of the eigenvectors of C^1/2 W'W C^1/2, largest first. The first dimensions then carry
most of the product d . w.

The mean of all states is stored too. Terms are examined in the order in which it activates them.
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

# An encoder transforms the decoder into the basis once, which takes vocabulary x width^2 products.
# More products than this take over a second. In models of that size the head takes only a small
# part of the time, so safe pruning does not pay off.
_MAX_PRODUCTS = 5e9


def pays_off(vocabulary: int, width: int) -> bool:
    """Return whether a head of this shape is faster with safe pruning."""
    return vocabulary * width**2 <= _MAX_PRODUCTS


def write_screening(path: Path, texts: Iterable[str], kept: int | None = None) -> None:
    """Compute the basis of a model folder from some texts, and record it in contract.json.

    Args:
        path: the folder. It must have a graph.
        texts: documents. A few hundred are enough.
        kept: the number of dimensions in the 8-bit product. The default is three quarters of the
            width.
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
    items = list(contract.items())
    after_head = list(contract).index("head") + 1
    screening = {
        "file": FILE,
        "sha256": sha256_of(path / FILE),
        "kept": kept or max(1, decoder.shape[1] * 3 // 4),
    }
    write_contract(path, dict([*items[:after_head], ("screening", screening), *items[after_head:]]))


def _moments(
    folder: ModelFolder, width: int, texts: Iterable[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return E[d d'], float64 [width, width], and E[h], float64 [width], over all positions."""
    body, length = folder.load_body(threads=1), folder.contract.max_tokens[Role.DOCUMENT]
    squares, sums, positions = np.zeros((width, width)), np.zeros(width), 0
    for text in texts:
        (tokens,) = folder.tokens.tokenize([text], length)
        if tokens.ids:
            hidden = body.run([tokens.ids])[0][0].astype(np.float64)
            deviations = hidden - hidden.mean(axis=0)
            squares += deviations.T @ deviations
            sums += hidden.sum(axis=0)
            positions += len(hidden)
    return squares / max(1, positions), sums / max(1, positions)


def _balanced(moments: NDArray[np.float64], decoder: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the basis T, float64 [width, width].

    With T S' = I, the second moments of d T and w S are equal and fall along the dimensions.
    """
    # Hidden states that do not vary, of a collapsed model, have no moments at all.
    least = max(1e-9 * np.trace(moments), 1e-12)
    values, vectors = np.linalg.eigh(moments + least * np.eye(len(moments)))
    root = vectors * np.sqrt(values) @ vectors.T
    powers, directions = np.linalg.eigh(root @ (decoder.T @ decoder) @ root)
    back = (root @ directions[:, ::-1]) / np.maximum(powers[::-1], 1e-12) ** 0.25
    return np.linalg.inv(back).T
