"""Values and accounts compared with an independent reference and the ir_measures command."""

import math
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lexpand.data import Qrels, Run
from lexpand.errors import DataError
from lexpand.evaluation import Evaluation, evaluate, evaluate_queries, evaluate_run

MEASURES = (
    "nDCG@10",
    "nDCG@3",
    "nDCG",
    "RR@10",
    "RR",
    "R@5",
    "R@100",
    "AP",
    "AP(rel=2)",
    "P@1",
    "P@10",
    "Success@3",
    "Judged@10",
    "Judged@2",
)
Grades = dict[str, int]


def reference(name: str, ranking: list[str], grades: Grades) -> float:
    """Compute a measure from its definition."""
    base, _, cutoff = name.partition("@")
    k = int(cutoff) if cutoff else len(ranking)
    least = 2 if "rel=2" in base else 1
    gains = [max(grades.get(document, 0), 0) for document in ranking[:k]]
    hits = [gain >= least for gain in gains]
    relevant = sum(grade >= least for grade in grades.values())
    definitions: dict[str, Callable[[], float]] = {
        "nDCG": lambda: dcg(gains) / dcg(ideal(grades)[: k if cutoff else None]),
        "RR": lambda: 1 / (hits.index(True) + 1) if any(hits) else 0,
        "R": lambda: sum(hits) / relevant,
        "AP": lambda: (
            sum(np.mean(hits[: i + 1]) for i, hit in enumerate(hits) if hit) / relevant
            if relevant
            else 0
        ),
        "P": lambda: sum(hits) / k,
        "Success": lambda: float(any(hits)),
        "Judged": lambda: (
            np.mean([document in grades for document in ranking[:k]]) if ranking else 0
        ),
    }
    return float(definitions[base.partition("(")[0]]())


def dcg(gains: list[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def ideal(grades: Grades) -> list[int]:
    return sorted((grade for grade in grades.values() if grade > 0), reverse=True)


@dataclass
class Case:
    run: Run
    qrels: Qrels


def case(seed: int, *, sparse_ties: bool = False) -> Case:
    """Return a random run: ties, holes, missing and unjudged queries, grades from -2 to 3."""
    chance = random.Random(seed)
    documents = [f"d{number}" for number in range(30)]
    judgments, rankings = {}, {}
    for number in range(12):
        query = f"q-{number}"
        judged = chance.sample(documents, chance.randint(1, 12))
        least, most = chance.choice([(-2, 3), (0, 1), (1, 1), (-2, 0)])
        if number == 0:
            least, most = 1, 3
        judgments[query] = {document: chance.randint(least, most) for document in judged}
        judgments[query][judged[0]] = max(0, judgments[query][judged[0]])
        if chance.random() < 0.2:
            continue  # missing
        ranked = chance.sample(documents, chance.randint(0, 30))
        scores = 1000 if sparse_ties else 8
        rankings[query] = [(document, chance.randint(-scores, scores) / 4) for document in ranked]
    rankings["unjudged"] = [("d1", 1.0)]
    order = list(rankings)
    chance.shuffle(order)
    return Case(Run({query: rankings[query] for query in order}), Qrels(judgments))


def ids_of(run: Run, query: str) -> list[str]:
    return [hit.doc_id for hit in run.rankings.get(query, ())]


@pytest.mark.parametrize("seed", range(50))
def test_values_are_those_of_the_reference(seed: int) -> None:
    run, qrels = (made := case(seed)).run, made.qrels
    found = evaluate_run(run, qrels, MEASURES)
    counted = {q: grades for q, grades in qrels.judgments.items() if max(grades.values()) >= 1}
    assert list(found.values) == list(found.means) == list(MEASURES)
    for name in MEASURES:
        expected = {
            query: reference(name, ids_of(run, query), dict(grades))
            for query, grades in counted.items()
        }
        assert found.values[name] == pytest.approx(expected, abs=1e-9)
        assert list(found.values[name]) == list(counted)
        assert found.means[name] == pytest.approx(np.mean(list(expected.values())), abs=1e-9)
    assert evaluate(run, qrels, MEASURES) == found.means
    assert evaluate_queries(run, qrels, "AP") == found.values["AP"]


@pytest.mark.parametrize("seed", range(50))
def test_accounts_are_those_of_the_reference(seed: int) -> None:
    run, qrels = (made := case(seed)).run, made.qrels
    found = evaluate_run(run, qrels, ["P@1"], depth=4)
    judgments = qrels.judgments
    relevant = [query for query, grades in judgments.items() if any(g > 0 for g in grades.values())]
    scores = {q: [hit.score for hit in run.rankings.get(q, ())] for q in relevant}
    assert found.missing == tuple(query for query in relevant if not run.rankings.get(query))
    assert found.without_relevant == tuple(query for query in judgments if query not in relevant)
    assert found.unjudged == ("unjudged",)
    assert found.holes == {
        query: holes
        for query in relevant
        if (holes := len([doc for doc in ids_of(run, query)[:4] if doc not in judgments[query]]))
    }
    assert found.tied == tuple(
        query for query in relevant if any(scores[query].count(s) > 1 for s in scores[query][:4])
    )


def command(case: Case, folder: Path, *options: str) -> list[list[str]]:
    """Return the rows that the ir_measures command prints, with all digits.

    It may crash if all grades of a query are negative. A query here has one that is at least 0.
    """
    case.run.write_trec(folder / "run", "lexpand")
    case.qrels.write_trec(folder / "qrels")
    files = [str(folder / "qrels"), str(folder / "run")]
    ran = subprocess.run(
        [sys.executable, "-m", "ir_measures", *files, *MEASURES, "--places", "-1", *options],
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.split("\t") for line in ran.stdout.splitlines()]


def test_ties_as_in_trec_eval_give_what_the_command_prints(tmp_path: Path) -> None:
    for seed in (101, 102, 103, 104):
        made = case(seed)
        found = evaluate_run(made.run, made.qrels, MEASURES, ties="trec_eval")
        assert found.without_relevant
        means = {name: float(value) for name, value in command(made, tmp_path)}
        assert found.means == pytest.approx(means, abs=1e-12)
        rows = command(made, tmp_path, "--by_query", "--no_summary")
        values = {(name, query): float(value) for query, name, value in rows}
        assert values == {
            (name, query): value for name in MEASURES for query, value in found.values[name].items()
        }
        assert list(found.values["AP"]) == list(made.qrels.judgments)


def test_without_ties_both_orders_agree() -> None:
    made = case(3, sparse_ties=True)
    distinct = Run(
        {
            query: [(hit.doc_id, -float(rank)) for rank, hit in enumerate(ranking)]
            for query, ranking in made.run.rankings.items()
        }
    )
    one, other = (
        evaluate_run(distinct, made.qrels, MEASURES, ties=ties) for ties in ("run", "trec_eval")
    )
    assert one.tied == other.tied == ()
    for name in MEASURES:
        assert one.values[name] == {query: other.values[name][query] for query in one.values[name]}
        assert all(
            other.values[name][query] == 0
            for query in other.without_relevant
            if query in other.missing
        )


def small(scores: list[float], **options: object) -> Evaluation:
    """Evaluate one query whose documents a, b, ... have these scores; b is relevant."""
    ranking = list(zip("abcdefghijklmnop", scores, strict=False))
    return evaluate_run(Run({"q": ranking}), Qrels({"q": {"b": 1, "n": 0}}), **options)  # type: ignore[arg-type]


def test_a_query_is_tied_if_equal_scores_reach_the_first_ten() -> None:
    falling = [20.0 - rank for rank in range(12)]
    assert small(falling).tied == ()
    assert small([*falling[:10], 1.0, 1.0]).tied == ()  # ranks 11 and 12
    assert small([*falling[:9], 2.0, 2.0, 1.0]).tied == ("q",)  # ranks 10 and 11
    assert small([20.0, 20.0, *falling[2:]]).tied == ("q",)
    assert small([*falling[:9], 2.0, 2.0, 1.0], depth=9).tied == ()
    assert small([20.0], depth=9).tied == small([], depth=9).tied == ()


def test_scores_are_tied_as_the_order_compares_them() -> None:
    close = [20.0000001, 20.0, 1.0]
    assert small(close).tied == ()
    assert small(close, ties="trec_eval").tied == ("q",)
    # b comes first: trec_eval orders equal scores by falling doc_id.
    first = {"ties": "trec_eval", "measures": ["P@1"], "depth": 1}
    assert small(close, **first).means == {"P@1": 1.0}
    assert small(close, **first).holes == {}
    assert small(close, measures=["P@1"], depth=1).holes == {"q": 1}
    assert small([1e300, 1e299, 1.0], **first).holes == {}  # both are infinite as float32


def test_holes_are_unjudged_documents_among_the_first() -> None:
    scores = [20.0 - rank for rank in range(12)]
    assert small(scores).holes == {"q": 9}
    assert small(scores, depth=1).holes == {"q": 1}
    assert small(scores[:1], depth=3).holes == {"q": 1}
    assert small(scores, depth=1).depth == 1
    with pytest.raises(DataError, match="depth must be >= 1, got 0"):
        small(scores, depth=0)


def test_queries_without_a_relevant_document_are_left_out() -> None:
    qrels = Qrels({"q": {"b": 1}, "none": {"b": 0, "c": -1}, "empty": {}})
    run = Run({"q": [("b", 1.0)], "none": [("b", 1.0)], "other": []})
    found = evaluate_run(run, qrels, ["P@1", "Judged@1"])
    assert found.means == {"P@1": 1.0, "Judged@1": 1.0}
    assert found.without_relevant == ("none", "empty")
    assert (found.missing, found.unjudged) == ((), ("other",))
    counted = evaluate_run(run, qrels, ["P@1", "Judged@1"], ties="trec_eval")
    assert counted.values == {
        "P@1": {"q": 1, "none": 0, "empty": 0},
        "Judged@1": {"q": 1, "none": 1, "empty": 0},
    }
    assert counted.without_relevant == ("none", "empty")
    for ties in ("run", "trec_eval"):
        with pytest.raises(
            DataError,
            match=r"qrels must have a relevant document \(a grade >= 1\) for a query, "
            r"got none for 2 queries",
        ):
            evaluate_run(run, Qrels({"q": {"b": 0}, "none": {"c": -1}}), ties=ties)


def test_grades_that_are_all_negative_do_not_crash() -> None:
    """trec_eval wrote outside its memory, which crashed the process after some evaluations."""
    grades = {f"d{number}": -2 for number in range(9)}
    qrels = Qrels({"q": {"b": 1}, **{f"q{number}": grades for number in range(9)}})
    run = Run({query: [("d4", 1.0)] for query in qrels.judgments})
    for _ in range(100):
        found = evaluate_run(run, qrels, ["nDCG@10", "Judged@1"], ties="trec_eval")
    assert found.means == {"nDCG@10": 0.0, "Judged@1": 0.9}


def test_counts_have_a_sum() -> None:
    qrels = Qrels({"q": {"b": 1, "c": 2}, "r": {"b": 1}, "missing": {"a": 1}})
    run = Run({"q": [("b", 2.0), ("a", 1.0)], "r": [("b", 1.0)], "unjudged": [("a", 1.0)]})
    names = ["NumQ", "NumRet", "NumRet(rel=2)", "NumRelRet", "NumRel", "P@1"]
    found = evaluate_run(run, qrels, names)
    sums = {"NumQ": 2, "NumRet": 3, "NumRet(rel=2)": 0, "NumRelRet": 2, "NumRel": 3, "P@1": 2 / 3}
    assert found.means == pytest.approx(sums)
    assert found.values["NumRet"] == {"q": 2, "r": 1, "missing": 0}


def test_measures_have_the_names_as_typed() -> None:
    made = case(1)
    found = evaluate_run(
        made.run, made.qrels, ["MRR", "RR", "AP(rel=1)", "MAP", "P@5", "P(rel=1)@5"]
    )
    assert list(found.values) == ["MRR", "RR", "AP(rel=1)", "MAP", "P@5", "P(rel=1)@5"]
    assert found.values["MRR"] == found.values["RR"]
    assert found.values["AP(rel=1)"] == found.values["MAP"]
    assert evaluate_run(made.run, made.qrels, []).values == {}


def test_groups_of_queries_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = case(7)
    whole = evaluate_run(made.run, made.qrels, MEASURES)
    for size in (1, 25, 60):
        monkeypatch.setattr("lexpand.evaluation.measures._GROUP", size)
        assert evaluate_run(made.run, made.qrels, MEASURES) == whole


def test_an_evaluation_is_json() -> None:
    found = small([3.0, 2.0, 2.0], measures=["RR", "P@1"])
    assert found.to_dict() == {
        "means": {"RR": 0.5, "P@1": 0.0},
        "missing": [],
        "without_relevant": [],
        "unjudged": [],
        "holes": {"q": 2},
        "tied": ["q"],
        "depth": 10,
        "values": {"RR": {"q": 0.5}, "P@1": {"q": 0.0}},
    }
