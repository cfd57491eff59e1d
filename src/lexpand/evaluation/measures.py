"""Compute measures of a run against judgments with ir-measures."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from lexpand.data import Qrels, Run, ScoredDocument
from lexpand.errors import DataError

if TYPE_CHECKING:
    from ir_measures import Measure

DEFAULT_MEASURES = ("nDCG@10", "R@100")

_PLAIN = re.compile(r"(\w+)(?:@([0-9]+))?")

# The largest grade of gdeval, which computes ERR. It fails on higher grades.
_ERR_GRADE = 4

# trec_eval compares scores as float32, which represents every integer up to here.
_LONGEST_RANKING = 2**24


class Ties(StrEnum):
    """The order of documents with equal scores.

    Attributes:
        RUN: the order of the run, which is the order of the search.
        TREC_EVAL: the order of each tool behind ir-measures. trec_eval rounds scores to float32 and
            orders equal ones by descending doc_id. Other tools use other orders.
    """

    RUN = "run"
    TREC_EVAL = "trec_eval"


def evaluate(
    run: Run,
    qrels: Qrels,
    measures: Sequence[str] = DEFAULT_MEASURES,
    *,
    ties: Ties | str = Ties.RUN,
) -> dict[str, float]:
    """Compute the means of measures over the queries of ``qrels``.

    A judged query that the run lacks counts as 0. By default, all measures use the ranking of the
    run.

    Args:
        run: the rankings.
        qrels: the judgments.
        measures: names in ir-measures' notation, e.g. ``nDCG@10``, ``R@100``, ``RR@10``, ``AP``.
        ties: the order of equal scores; ``"trec_eval"`` for comparison with other tools.

    Returns:
        The mean by the name of the measure.

    Raises:
        DataError: a measure or ``ties`` is unknown, there are no judgments, or a measure cannot be
            computed from them.
    """
    import ir_measures

    if isinstance(measures, str):
        raise DataError(f"measures must be a list of names, got {measures!r}; pass [{measures!r}]")
    if not qrels.judgments:
        raise DataError("qrels must have judgments, got none: check the file")
    parsed = {name: _parse(name) for name in measures}
    _check_grades(parsed, qrels)
    judged, rankings = _for_ir_measures(run, qrels, _as_ties(ties))
    try:
        means = ir_measures.calc_aggregate(list(parsed.values()), judged, rankings)
    except (ValueError, ArithmeticError, LookupError, OSError, subprocess.SubprocessError) as error:
        raise DataError(f"ir-measures cannot compute {', '.join(measures)}: {error}") from error
    return {name: float(means[measure]) for name, measure in parsed.items()}


def evaluate_queries(
    run: Run, qrels: Qrels, measure: str = "nDCG@10", *, ties: Ties | str = Ties.RUN
) -> dict[str, float]:
    """Compute a measure for each query of ``qrels``; see `evaluate`.

    Returns:
        The value by query_id, in the order of ``qrels``. A judged query that the run lacks has 0.

    Raises:
        DataError: see `evaluate`.
    """
    import ir_measures

    if not qrels.judgments:
        raise DataError("qrels must have judgments, got none: check the file")
    parsed = _parse(measure)
    _check_grades({measure: parsed}, qrels)
    judged, rankings = _for_ir_measures(run, qrels, _as_ties(ties))
    try:
        found = {
            each.query_id: each.value for each in ir_measures.iter_calc([parsed], judged, rankings)
        }
    except (ValueError, ArithmeticError, LookupError, OSError, subprocess.SubprocessError) as error:
        raise DataError(f"ir-measures cannot compute {measure}: {error}") from error
    return {
        query: float(found.get(number, 0.0))
        for number, query in zip(judged, qrels.judgments, strict=True)
    }


def _as_ties(value: Ties | str) -> Ties:
    try:
        return Ties(value)
    except ValueError:
        raise DataError(f"ties must be one of {', '.join(Ties)}, got {value!r}") from None


def _for_ir_measures(
    run: Run, qrels: Qrels, ties: Ties
) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """Return judgments and scores by query number, because gdeval reads only numeric ids."""
    queries = dict.fromkeys([*qrels.judgments, *run.rankings])
    numbers = {query: str(number) for number, query in enumerate(queries, start=1)}
    judged = {numbers[query]: dict(grades) for query, grades in qrels.judgments.items()}
    score = _scores_of_ranks if ties is Ties.RUN else dict
    rankings = {numbers[query]: score(ranking) for query, ranking in run.rankings.items()}
    return judged, rankings


def _scores_of_ranks(ranking: Sequence[ScoredDocument]) -> dict[str, float]:
    """Return scores that fall strictly by rank and are exact as float32."""
    if len(ranking) > _LONGEST_RANKING:
        limit = f"{_LONGEST_RANKING:,}"
        raise DataError(
            f"a ranking must have at most {limit} documents, got {len(ranking):,}; cut it"
        )
    return {hit.doc_id: float(len(ranking) - place) for place, hit in enumerate(ranking)}


def _check_grades(measures: Mapping[str, Measure], qrels: Qrels) -> None:
    err = next((name for name, measure in measures.items() if measure.NAME == "ERR"), None)
    if err is None:
        return
    for query, grades in qrels.judgments.items():
        if max(grades.values(), default=0) > _ERR_GRADE:
            raise DataError(
                f"{err} needs grades <= {_ERR_GRADE}, got {max(grades.values())} "
                f"for query {query!r}; map the grades to 0 ... 4"
            )


def _parse(name: str) -> Measure:
    try:
        measure = _find(name)
        measure.validate_params()  # type: ignore[no-untyped-call]
    except (ValueError, NameError, SyntaxError, TypeError, AssertionError, AttributeError) as error:
        raise DataError(
            f"unknown measure {name!r}: give names as ir-measures writes them, e.g. nDCG@10"
        ) from error
    # trec_eval aborts the process on a cutoff of 0.
    numbers = [value for value in measure.params.values() if type(value) is int]
    if not all(1 <= value < 2**31 for value in numbers):
        raise DataError(f"the numbers of a measure must be from 1 to 2^31 - 1, got {name!r}")
    return measure


def _find(name: str) -> Measure:
    import ir_measures

    plain = _PLAIN.fullmatch(name)
    factory = ir_measures.measures.registry.get(plain[1]) if plain else None
    if plain is None or factory is None:
        # The parser of ir-measures <= 0.4.3 uses names of `ast` that Python 3.14 lacks.
        return ir_measures.parse_measure(name)
    measure: Measure = factory @ int(plain[2]) if plain[2] else factory
    return measure
