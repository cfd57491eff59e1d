"""Which queries and documents count in an evaluation, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lexpand.data import JudgedQueries, Run
from lexpand.evaluation import Evaluation


def accounting(
    judged: JudgedQueries,
    run: Run,
    evaluation: Evaluation,
    k: int,
    self_matches: Mapping[str, Sequence[str]],
    outside: Sequence[str],
) -> list[str]:
    """Return sentences that say which queries and documents count."""
    counted = list(next(iter(evaluation.values.values()), {}))
    texts = {query.query_id for query in judged.queries}
    without_text = [query for query in evaluation.missing if query not in texts]
    missing = [query for query in evaluation.missing if query in texts]
    found = [f"{_queries(len(counted), ' counts', ' count')}, with up to {k:,} documents of each"]
    unjudged = len(judged.queries) - len(judged.judged)
    for count, one, many, names in (
        (unjudged, " has no judgment and was left out", " have no judgment and were left out", ()),
        (
            len(evaluation.without_relevant),
            " has judgments but no relevant document and was left out",
            " have judgments but no relevant document and were left out",
            evaluation.without_relevant,
        ),
        (
            len(without_text),
            " has judgments but no text, and counts 0",
            " have judgments but no text, and count 0",
            without_text,
        ),
        (
            len(missing),
            " found no document and counts 0",
            " found no document and count 0",
            missing,
        ),
        (
            len(self_matches),
            " is a document itself, which was left out of its ranking",
            " are documents themselves, which were left out of their rankings",
            list(self_matches),
        ),
    ):
        if count:
            found.append(_queries(count, one, many) + (f": {_listed(names)}" if names else ""))
    if outside:
        found.append(
            f"{len(outside):,} relevant documents are not in the index and cannot be found (query"
            f" and document): {_listed(outside)}"
        )
    return [*found, *_documents(run, evaluation, counted)]


def _documents(run: Run, evaluation: Evaluation, counted: Sequence[str]) -> list[str]:
    """Return sentences about unjudged documents and equal scores."""
    depth = evaluation.depth
    holes = sum(evaluation.holes.values())
    ranked = sum(len(run.rankings.get(query, ())[:depth]) for query in counted)
    share = holes / ranked if ranked else 0.0
    found = [
        f"{share:.1%} of the first {depth} documents of all queries have no judgment ({holes:,} of"
        f" {ranked:,}) and count as not relevant"
    ]
    if tied := evaluation.tied:
        found.append(
            f"equal scores could change the first {depth} documents of"
            f" {_queries(len(tied), '', '')}: {_listed(tied)}"
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


def _queries(count: int, one: str, many: str) -> str:
    return f"1 query{one}" if count == 1 else f"{count:,} queries{many}"


def _listed(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most:,} more" if len(names) > most else "")
