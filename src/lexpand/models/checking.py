"""Golden pairs replayed: does what runs here give the vectors that were promised?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lexpand.data import ModelId
from lexpand.encode.encoder import Encoder
from lexpand.encode.folder import ModelFolder, find_folder
from lexpand.errors import ModelError
from lexpand.models.reference import has_torch

# Of a weight, or of 1 for smaller ones. Rounding makes 1e-5 in twelve layers; a wrong part of a
# graph makes 0.1.
TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of replaying.

    Attributes:
        model: name and hash of the contract.
        pairs: that were replayed.
        difference: the largest between a weight and the golden one, relative to weights above 1.
    """

    model: ModelId
    pairs: int
    difference: float


def check_model(model: str | Path) -> Replay:
    """Check every file of a model folder by its checksum, and replay its golden pairs; without a graph on PyTorch.

    Raises:
        ModelError: a file is missing or damaged, a vector differs by more than 0.001, or there are
            no pairs.
    """
    folder = ModelFolder(find_folder(model))
    without_graph = folder.contract.body is None and has_torch()
    encoder = Encoder(folder, device="torch" if without_graph else "onnx")
    if not encoder.contract.golden:
        raise ModelError(
            f"{model} has no golden pairs to check it by: import its checkpoint again with torch or onnx"
        )
    difference = replay(encoder)
    return Replay(encoder.contract.model, len(encoder.contract.golden), difference)


def replay(encoder: Encoder) -> float:
    """The largest difference to a golden weight, relative to weights above 1.

    Raises:
        ModelError: it is above `TOLERANCE`; the message has the text and the term.
    """
    largest = 0.0
    for pair in encoder.contract.golden:
        expected = dict(zip(pair.terms, pair.weights, strict=True))
        (found,) = encoder.encode([pair.text], pair.role).vectors.as_dicts()
        for term in expected.keys() | found.keys():
            weight = expected.get(term, 0.0)
            difference = abs(found.get(term, 0.0) - weight) / max(1.0, weight)
            if difference > TOLERANCE:
                raise ModelError(
                    f"{encoder.contract.name}: term {encoder.vocabulary.term(term)!r} of the {pair.role} "
                    f"{pair.text[:40]!r} weighs {found.get(term, 0.0):.6g} here, and {weight:.6g} in the contract: "
                    "the graph does not compute what the checkpoint does; please report it"
                )
            largest = max(largest, difference)
    return largest
