"""Which queries and documents count in an evaluation, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lexpand.data import JudgedQueries
from lexpand.evaluation import Evaluation


def accounting(
    judged: JudgedQueries,
    evaluation: Evaluation,
    k: int,
    self_matches: Mapping[str, str],
) -> list[str]:
    """Return sentences that say which queries and documents count."""
    counted = len(next(iter(evaluation.values.values()), {}))
    verb = "counts" if counted == 1 else "count"
    found = [f"{_queries(counted)} {verb}, with the first {k:,} documents of each"]
    if unjudged := len(judged.queries) - len(judged.judged):
        verb = "has no judgment and was" if unjudged == 1 else "have no judgment and were"
        found.append(f"{_queries(unjudged)} {verb} left out")
    if without := evaluation.without_relevant:
        verb = (
            "has no relevant document and was"
            if len(without) == 1
            else ("have no relevant document and were")
        )
        found.append(f"{_queries(len(without), 'judged ')} {verb} left out: {_listed(without)}")
    if missing := evaluation.missing:
        verb = "counts" if len(missing) == 1 else "count"
        found.append(f"{_queries(len(missing))} found no document and {verb} 0: {_listed(missing)}")
    if self_matches:
        verb = "is a document itself" if len(self_matches) == 1 else "are documents themselves"
        found.append(
            f"{_queries(len(self_matches))} {verb}, left out of the own ranking:"
            f" {_listed(list(self_matches))}"
        )
    depth = evaluation.depth
    holes = sum(evaluation.holes.values())
    share = holes / (counted * depth) if counted else 0.0
    found.append(
        f"{share:.1%} of the first {depth} documents of all queries have no judgment ({holes:,})"
        " and count as not relevant"
    )
    if tied := evaluation.tied:
        found.append(
            f"equal scores could change the first {depth} documents of {_queries(len(tied))}:"
            f" {_listed(tied)}"
        )
    return found


def accounting_dict(evaluation: Evaluation) -> dict[str, Any]:
    """Return which queries and documents count, as JSON."""
    return {
        "queries": len(next(iter(evaluation.values.values()), {})),
        "missing": list(evaluation.missing),
        "without_relevant": list(evaluation.without_relevant),
        "holes": sum(evaluation.holes.values()),
        "holes_depth": evaluation.depth,
        "tied": list(evaluation.tied),
    }


def _queries(count: int, kind: str = "") -> str:
    return f"{count:,} {kind}{'query' if count == 1 else 'queries'}"


def _listed(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most:,} more" if len(names) > most else "")
