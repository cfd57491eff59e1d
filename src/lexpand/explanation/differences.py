"""Which terms put one document above another?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lexpand.explanation.explanation import Contribution, Explanation
from lexpand.explanation.losses import Loss, LossKind


@dataclass(frozen=True, slots=True)
class Difference:
    """What one term does for two documents.

    Attributes:
        term: the term as a person reads it.
        missing, than: its contributions to the two scores; None where the document lacks it.
        difference: what it does for the one above: ``than`` less ``missing``.
        lost: how the missing document lost the term, or weight of it; None where it did not.
    """

    term: str
    missing: Contribution | None
    than: Contribution | None
    difference: float
    lost: LossKind | None = None

    @property
    def reason(self) -> str:
        """The difference in words; "this one" is the document that is asked about, whatever its rank."""
        if self.missing is None:
            text = "only the other has it"
        elif self.than is None:
            text = "only this one has it"
        else:
            more, less = self.than.document.weight, self.missing.document.weight
            text = f"weighs {more:.2f} in the other, {less:.2f} in this one"
        return f"{text}; lost to {self.lost}" if self.lost else text

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {**asdict(self), "reason": self.reason}


@dataclass(frozen=True, slots=True)
class PartDifference:
    """What one part of a hybrid does for two documents.

    Attributes:
        kind: of the part: ``splade``, ``bm25`` or ``hybrid``.
        missing, than: its contributions to the two scores, after fusion.
        difference: ``than`` less ``missing``.
        differences: its terms, by its own scores; empty for a hybrid within a hybrid.
    """

    kind: str
    missing: float
    than: float
    difference: float
    differences: tuple[Difference, ...]


def differences_of(missing: Explanation, than: Explanation, losses: Sequence[Loss] = ()) -> tuple[Difference, ...]:
    """The terms that two scores are made of, those that differ most first; they add up to the scores' difference."""
    mine = {part.term: part for part in missing.contributions}
    others = {part.term: part for part in than.contributions}
    lost = {loss.term: loss.kind for loss in reversed(losses) if loss.term}
    found = [_difference(mine.get(term), others.get(term), lost) for term in {**others, **mine}]
    return tuple(sorted(found, key=lambda difference: -abs(difference.difference)))


def _difference(mine: Contribution | None, other: Contribution | None, lost: Mapping[str, LossKind]) -> Difference:
    shown = mine or other
    assert shown is not None
    difference = (other.contribution if other else 0.0) - (mine.contribution if mine else 0.0)
    return Difference(shown.label, mine, other, difference, lost.get(shown.term))


def part_differences_of(mine: Explanation, other: Explanation, losses: Sequence[Loss]) -> tuple[PartDifference, ...]:
    """The parts of a hybrid, those that differ most first; they add up to the scores' difference."""
    found = [
        PartDifference(
            part.kind,
            part.contribution,
            above.contribution,
            above.contribution - part.contribution,
            differences_of(part.explanation, above.explanation, losses if part.kind == "splade" else ()),
        )
        for part, above in zip(mine.parts, other.parts, strict=True)
    ]
    return tuple(sorted(found, key=lambda part: -abs(part.difference)))
