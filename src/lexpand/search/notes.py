"""What there is to say of a ranking beside its documents: that a step was cut short, or failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

Item = TypeVar("Item")


class Reason(StrEnum):
    """Why a step did less than it was asked for."""

    BUDGET = "budget"
    """Its time was up."""

    FAILURE = "failure"
    """It raised an error, or gave scores that are none."""


@dataclass(frozen=True, slots=True)
class Note:
    """Reranking that did less than it was asked for.

    Attributes:
        reason: why.
        done: documents that were reranked; they stand first.
        wanted: documents that were to be.
        detail: the budget, or the error.
    """

    reason: Reason
    done: int
    wanted: int
    detail: str

    def __str__(self) -> str:
        return f"reranked {self.done} of {self.wanted}: {self.detail}"


class Noted(list[Item]):
    """A list, best first, that comes with notes; equal to any list of equal items.

    Attributes:
        notes: none, where every step did what it was asked for.
    """

    def __init__(self, items: Iterable[Item], notes: Sequence[Note] = ()) -> None:
        super().__init__(items)
        self.notes = tuple(notes)


def notes_of(ranking: object) -> tuple[Note, ...]:
    """The notes of a ranking or of hits; of a sequence that carries none, none."""
    return ranking.notes if isinstance(ranking, Noted) else ()
