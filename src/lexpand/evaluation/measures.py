"""Measures of a run against judgements, as ir-measures computes them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lexpand.data import Qrels, Run
from lexpand.errors import DataError

if TYPE_CHECKING:
    from ir_measures import Measure

DEFAULT_MEASURES = ("nDCG@10", "R@100")

_PLAIN = re.compile(r"(\w+)(?:@([0-9]+))?")


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
    parsed = {name: _parse(name) for name in measures}
    rankings = {
        query_id: {document.doc_id: document.score for document in ranking}
        for query_id, ranking in run.rankings.items()
    }
    judged = {query_id: dict(grades) for query_id, grades in qrels.judgements.items()}
    try:
        found = ir_measures.calc_aggregate(list(parsed.values()), judged, rankings)
    except (ValueError, ArithmeticError, LookupError, OSError, subprocess.SubprocessError) as error:
        raise DataError(f"ir-measures cannot compute {', '.join(measures)}: {error}") from error
    return {name: float(found[measure]) for name, measure in parsed.items()}


def _parse(name: str) -> Measure:
    try:
        measure = _find(name)
        measure.validate_params()  # type: ignore[no-untyped-call]
    except (ValueError, NameError, SyntaxError, TypeError, AssertionError, AttributeError) as error:
        raise DataError(f"unknown measure {name!r}: give names as ir-measures writes them, e.g. nDCG@10") from error
    # trec_eval ends the whole process at a cutoff of 0.
    numbers = [value for value in measure.params.values() if type(value) is int]
    if not all(1 <= value < 2**31 for value in numbers):
        raise DataError(f"measure {name!r}: its numbers must be from 1 to 2^31 - 1")
    return measure


def _find(name: str) -> Measure:
    import ir_measures

    plain = _PLAIN.fullmatch(name)
    factory = ir_measures.measures.registry.get(plain[1]) if plain else None
    if plain is None or factory is None:
        # ir-measures' parser, up to 0.4.3, uses names of `ast` that Python 3.14 has no more: only where it is needed.
        return ir_measures.parse_measure(name)
    measure: Measure = factory @ int(plain[2]) if plain[2] else factory
    return measure
