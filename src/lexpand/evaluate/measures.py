"""Measures of a run against judgements, as ir-measures computes them."""

from __future__ import annotations

from collections.abc import Sequence

from lexpand.data import Qrels, Run
from lexpand.errors import DataError

DEFAULT_MEASURES = ("nDCG@10", "R@100")


def evaluate(run: Run, qrels: Qrels, measures: Sequence[str] = DEFAULT_MEASURES) -> dict[str, float]:
    """Means over the queries of ``qrels``; a judged query that the run lacks counts as 0.

    Args:
        run: the rankings.
        qrels: the judgements.
        measures: names in ir-measures' notation, e.g. ``nDCG@10``, ``R@100``, ``RR@10``, ``AP``.

    Returns:
        The mean of each measure, under its name as given.

    Raises:
        DataError: a measure is unknown, or there are no judgements.
    """
    import ir_measures

    if not qrels.judgements:
        raise DataError("the qrels hold no judgements: nothing can be measured")
    parsed = {}
    for name in measures:
        try:
            parsed[name] = ir_measures.parse_measure(name)
        except (ValueError, NameError, SyntaxError) as error:
            raise DataError(f"unknown measure {name!r}: give names as ir-measures writes them, e.g. nDCG@10") from error
    rankings = {
        query_id: {document.doc_id: document.score for document in ranking}
        for query_id, ranking in run.rankings.items()
    }
    judged = {query_id: dict(grades) for query_id, grades in qrels.judgements.items()}
    found = ir_measures.calc_aggregate(list(parsed.values()), judged, rankings)
    return {name: float(found[measure]) for name, measure in parsed.items()}
