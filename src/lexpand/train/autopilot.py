"""Hold a budget of terms or postings by steering the factor of a regularizer."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from lexpand.errors import DataError

_FAR = 0.25
"""The relative error below which a model is far from its budget."""

FIRST_STEPS = 10
"""Steps whose mean is what the model has; one batch may have a topic with few terms."""

_REACH = 50
"""Steps ahead in which a growing model may reach its budget."""


@dataclass(slots=True)
class Autopilot:
    """A controller of a regularizer's factor (lambda) that reaches and holds a quantity.

    The logarithm of lambda moves by a proportional and an integral part of the relative error
    log(terms / budget), with ``terms`` averaged over recent steps. In the logarithm the controller
    needs no knowledge of the scale of the loss, so one setting serves any model. A model follows
    lambda with a delay of some hundred steps, so the proportional part is large: it answers the
    speed at which the terms move. The budget itself tightens from the mean of the first steps to
    its value over ``warmup`` steps, so that training begins with what the model has. A model that
    begins below its budget may grow at once.

    Attributes:
        budget: terms a text, or postings that a query reads for each document.
        factor: lambda now.
        warmup: steps until the budget is in force.
        gain: the integral gain, in log lambda a step for a relative error of 1.
        damping: the proportional gain.
        decay: of the running mean of the terms.
    """

    budget: float
    factor: float = 1e-3
    warmup: int = 100
    gain: float = 0.07
    damping: float = 10.0
    decay: float = 0.9
    _mean: float = math.nan
    _first: float = math.nan
    _error: float = 0.0
    _steps: int = 0

    def __post_init__(self) -> None:
        if not self.budget > 0 or not self.factor > 0:
            raise DataError(
                f"the budget and the first factor must be above 0, got {self.budget} and"
                f" {self.factor}"
            )

    @property
    def mean(self) -> float:
        """The running mean of the quantity; NaN before the first step."""
        return self._mean

    def update(self, terms: float) -> float:
        """Take the quantity of a step's texts, their mean, and return the next factor."""
        terms = max(terms, 0.005 * self.budget)
        self._steps += 1
        if self._steps <= FIRST_STEPS:
            before = 0.0 if math.isnan(self._mean) else self._mean
            self._mean = self._first = before + (terms - before) / self._steps
            return self.factor
        self._mean = self.decay * self._mean + (1 - self.decay) * terms
        error = max(-2.0, min(2.0, math.log(self._mean / self._target())))
        move = error - self._error
        if error < -_FAR and error + _REACH * move < 0:
            move = min(0.0, move)  # it grows, and is far from its budget: let it
        change = self.gain * error + self.damping * move
        self._error = error
        self.factor = math.exp(
            max(math.log(1e-8), min(math.log(1e4), math.log(self.factor) + change))
        )
        return self.factor

    def _target(self) -> float:
        """The budget of this step: it comes down from what the model had, geometrically."""
        done = min(1.0, (self._steps - FIRST_STEPS) / max(1, self.warmup))
        first = max(self._first, self.budget)
        return math.exp((1 - done) * math.log(first) + done * math.log(self.budget))

    def state(self) -> dict[str, Any]:
        """Return the state as JSON values, for a checkpoint."""
        return {name: value for name, value in asdict(self).items()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Autopilot:
        """Restore what `state` returned."""
        return cls(**state)
