"""What turns hidden states into terms and weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lexpand.encode.contract import Activation, Pooling


class Decoder(NamedTuple):
    """A masked language model's decoder, and SPLADE's pooling and activation; what `_native.Head` takes.

    Attributes:
        weight: float32 [vocabulary, width].
        bias: float32 [vocabulary].
        pooling: over the positions of a text.
        activation: of a logit.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    pooling: Pooling
    activation: Activation
