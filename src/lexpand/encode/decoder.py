"""The decoder of a masked language model, with SPLADE's pooling and activation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lexpand.encode.contract import Activation, Pooling


class Decoder(NamedTuple):
    """The parameters of `_native.Head`, which turns hidden states into terms and weights.

    Attributes:
        weight: the matrix, float32 [vocabulary, width].
        bias: the bias, float32 [vocabulary].
        pooling: the pooling over the positions of a text.
        activation: the activation of a logit.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    pooling: Pooling
    activation: Activation
