"""What there is to say of a ranking next to its documents."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Reason(StrEnum):
    """Why a step did less than it was asked for."""

    BUDGET = "budget"
    """Its time was up."""

    FAILURE = "failure"
    """It raised an error, or gave scores that are none."""

    QUERY = "query"
    """The query was not read as it was written: it was cut, or the model knows none of its words."""

    FALLBACK = "fallback"
    """Another pipeline searched than the one that was asked for."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something to know of a ranking.

    Attributes:
        reason: the kind.
        done: of reranking, documents that were reranked; they stand first.
        wanted: of reranking, documents that were to be.
        detail: the budget, the error, or a sentence.
    """

    reason: Reason
    done: int = 0
    wanted: int = 0
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {**asdict(self), "text": str(self)}

    def __str__(self) -> str:
        reranking = self.reason in (Reason.BUDGET, Reason.FAILURE)
        return f"reranked {self.done} of {self.wanted}: {self.detail}" if reranking else self.detail
