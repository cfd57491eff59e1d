"""Notes: remarks on a ranking, next to its documents."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Reason(StrEnum):
    """The reason why a step did less than requested."""

    BUDGET = "budget"
    """The time budget was used up."""

    FAILURE = "failure"
    """The step raised an error or returned invalid scores."""

    QUERY = "query"
    """The query was not read as written: it was cut, or the model knows none of its words."""

    FALLBACK = "fallback"
    """Another pipeline than the requested one was used."""

    ENGINE = "engine"
    """Another search engine ranked in a way of its own."""


@dataclass(frozen=True, slots=True)
class Note:
    """A remark on a ranking.

    Attributes:
        reason: the kind of remark.
        done: for reranking, the number of documents that were reranked. They come first.
        wanted: for reranking, the number of documents that were requested.
        detail: the budget, the error, or a sentence.
    """

    reason: Reason
    done: int = 0
    wanted: int = 0
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the note as JSON values."""
        return {**asdict(self), "text": str(self)}

    def __str__(self) -> str:
        reranking = self.reason in (Reason.BUDGET, Reason.FAILURE)
        return f"reranked {self.done} of {self.wanted}: {self.detail}" if reranking else self.detail
