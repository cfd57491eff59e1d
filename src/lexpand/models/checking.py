"""Check a model folder: verify its files and replay its golden pairs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lexpand.data import ModelId
from lexpand.encode.encoder import Encoder
from lexpand.encode.folder import ModelFolder, find_folder
from lexpand.errors import ModelError
from lexpand.models.reference import has_torch

# The allowed difference of a weight, relative to weights above 1. Rounding causes 1e-5 over twelve
# layers, and an error in a graph about 0.1.
TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of replaying golden pairs.

    Attributes:
        model: the name and hash of the contract.
        pairs: the number of pairs.
        difference: the largest difference to a golden weight, relative to weights above 1.
    """

    model: ModelId
    pairs: int
    difference: float


def check_model(model: str | Path) -> CheckResult:
    """Compare the files of a model folder with their checksums, and replay its golden pairs.

    A folder without a graph runs on PyTorch.

    Raises:
        ModelError: a file is missing or damaged, a vector differs by more than 0.001, or there are
            no pairs.
    """
    folder = ModelFolder(find_folder(model))
    without_graph = folder.contract.body is None and has_torch()
    encoder = Encoder(folder, device="torch" if without_graph else "onnx")
    if not encoder.contract.golden:
        raise ModelError(
            f"{model} has no golden pairs, so it cannot be checked: "
            "import its checkpoint again with torch or onnx installed"
        )
    difference = replay(encoder)
    return CheckResult(encoder.contract.model, len(encoder.contract.golden), difference)


def replay(encoder: Encoder) -> float:
    """Return the largest difference to a golden weight, relative to weights above 1.

    Raises:
        ModelError: the difference is above `TOLERANCE`. The message has the text and the term.
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
                    f"{encoder.contract.name}: the weight of term "
                    f"{encoder.vocabulary.term(term)!r} in the {pair.role} {pair.text[:40]!r} must "
                    f"be {weight:.6g}, as in the contract, got {found.get(term, 0.0):.6g}: the "
                    "graph does not compute what the checkpoint does; please report it"
                )
            largest = max(largest, difference)
    return largest
