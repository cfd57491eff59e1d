"""Measures compared with values computed by hand."""

import shutil
from math import log2

import pytest

from lexpand import Qrels, Run
from lexpand.errors import DataError
from lexpand.evaluation import DEFAULT_MEASURES, evaluate, evaluate_queries

QRELS = Qrels(
    {"one": {"a": 2, "b": 1, "c": 0}, "two": {"x": 1}, "three": {"m": 1, "n": 1, "o": 1, "p": 1}}
)
RUN = Run(
    {
        # Relevant documents are at ranks 2 (grade 1) and 4 (grade 2).
        "one": [("c", 9.0), ("b", 8.0), ("unjudged", 7.0), ("a", 6.0)],
        # "two" is missing and counts as 0.
        # Relevant documents are at ranks 1, 3 and 12; a fourth is missing.
        "three": [
            ("m", 50.0),
            ("u0", 49.0),
            ("n", 48.0),
            *((f"u{i}", 40.0 - i) for i in range(1, 9)),
            ("o", 1.0),
        ],
        "not judged": [("a", 1.0)],
    }
)


def test_ndcg_and_recall_match_hand_computed_values() -> None:
    one = (1 / log2(3) + 2 / log2(5)) / (2 / log2(2) + 1 / log2(3))
    three = (1 + 1 / log2(4)) / (1 + 1 / log2(3) + 1 / log2(4) + 1 / log2(5))
    assert evaluate(RUN, QRELS) == pytest.approx(
        {"nDCG@10": (one + 0 + three) / 3, "R@100": (1 + 0 + 3 / 4) / 3}
    )


def test_other_measures_match_hand_computed_values() -> None:
    means = evaluate(RUN, QRELS, ["RR@10", "P@4", "AP", "R@1", "Success@1"])
    assert list(means) == ["RR@10", "P@4", "AP", "R@1", "Success@1"]
    one, three = (1 / 2 + 2 / 4) / 2, (1 / 1 + 2 / 3 + 3 / 12) / 4
    assert means == pytest.approx(
        {
            "RR@10": (1 / 2 + 0 + 1) / 3,
            "P@4": (2 / 4 + 0 + 2 / 4) / 3,
            "AP": (one + 0 + three) / 3,
            "R@1": (0 + 0 + 1 / 4) / 3,
            "Success@1": (0 + 0 + 1) / 3,
        }
    )


def test_the_default_measures_are_ndcg_and_recall() -> None:
    assert tuple(evaluate(RUN, QRELS)) == DEFAULT_MEASURES == ("nDCG@10", "R@100")
    assert evaluate(RUN, QRELS, ["nDCG@10"])["nDCG@10"] == evaluate(RUN, QRELS)["nDCG@10"]


@pytest.mark.parametrize("run", [Run({}), Run({"one": []}), Run({"other": [("a", 1.0)]})])
def test_a_run_without_relevant_documents_scores_0(run: Run) -> None:
    assert evaluate(run, QRELS) == {"nDCG@10": 0.0, "R@100": 0.0}


def test_a_perfect_run_scores_1() -> None:
    run = Run({query: list(grades.items()) for query, grades in QRELS.judgments.items()})
    assert evaluate(run, QRELS) == {"nDCG@10": 1.0, "R@100": 1.0}


def test_qrels_without_judgments_are_refused() -> None:
    with pytest.raises(DataError, match="qrels must have judgments, got none"):
        evaluate(RUN, Qrels({}))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nonsense",
        "nDCG@",
        "nDCG@ten",
        "nDCG@10 R@100",
        "P",
        "R@10.5",
        "nDCG(depth=1)@10",
        "__import__('os')",
        "1",
    ],
)
def test_unknown_measures_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=r"unknown measure .*nDCG@10") as error:
        evaluate(RUN, QRELS, ["R@100", name])
    assert repr(name) in str(error.value)


@pytest.mark.parametrize(
    "name", ["nDCG@0", "P@0", "Judged@0", "nDCG@99999999999999999999", "AP(rel=0)"]
)
def test_numbers_that_would_abort_the_process_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="the numbers of a measure must be from 1"):
        evaluate(RUN, QRELS, [name])


@pytest.mark.parametrize("gain", ["'a'", "0.5", "65536"])
def test_gains_must_be_small_integers(gain: str) -> None:
    assert evaluate(RUN, QRELS, ["nDCG(gains={1:2})@10"])
    with pytest.raises(DataError, match="gains of a measure must be integers from 0 to 65,535"):
        evaluate(RUN, QRELS, [f"nDCG(gains={{1:{gain}}})@10"])


def test_grades_must_be_small() -> None:
    """trec_eval would take gigabytes, or compute 0."""
    assert evaluate(RUN, Qrels({"one": {"b": 65535}}), ["Success@2"]) == {"Success@2": 1.0}
    for grade in (65536, 2**40):
        with pytest.raises(DataError, match=f"a measure needs grades <= 65,535, got {grade} for"):
            evaluate(RUN, Qrels({"one": {"b": grade}}))


def test_a_measure_that_needs_another_package_is_refused() -> None:
    with pytest.raises(DataError, match="cannot compute RBP: Unsupported measures"):
        evaluate(RUN, QRELS, ["RBP"])


def test_all_measures_use_the_order_of_the_run() -> None:
    """Measures of one run once used different orders of equal scores."""
    measures = ["P@1", "RR", "RR@10", "nDCG@10", "AP", "Judged@1"]
    first = evaluate(Run({"1": [("z", 2.0), ("a", 2.0)]}), Qrels({"1": {"z": 1}}), measures)
    assert first == {
        "P@1": 1.0,
        "RR": 1.0,
        "RR@10": 1.0,
        "nDCG@10": 1.0,
        "AP": 1.0,
        "Judged@1": 1.0,
    }
    second = evaluate(Run({"1": [("z", 2.0), ("a", 2.0)]}), Qrels({"1": {"a": 1}}), measures)
    half = {"P@1": 0.0, "RR": 0.5, "RR@10": 0.5, "nDCG@10": 1 / log2(3), "AP": 0.5, "Judged@1": 0.0}
    assert second == pytest.approx(half)


@pytest.mark.parametrize("scores", [(20.0000005, 20.0), (1e300, 1e299), (1e-50, 0.0), (-1.0, -1.0)])
def test_scores_closer_than_float32_keep_their_order(scores: tuple[float, float]) -> None:
    for first, second in (("a", "b"), ("b", "a")):
        run = Run({"1": [(first, scores[0]), (second, scores[1])]})
        assert evaluate(run, Qrels({"1": {first: 1}}), ["RR", "RR@10", "P@1"]) == {
            "RR": 1,
            "RR@10": 1,
            "P@1": 1,
        }


def test_ties_can_be_ordered_as_by_trec_eval() -> None:
    run, qrels = Run({"1": [("a", 2.0), ("z", 2.0)]}), Qrels({"1": {"z": 1}})
    assert evaluate(run, qrels, ["P@1"]) == {"P@1": 0.0}
    assert evaluate(run, qrels, ["P@1"], ties="trec_eval") == {"P@1": 1.0}
    with pytest.raises(DataError, match="ties must be one of run, trec_eval, got 'random'"):
        evaluate(run, qrels, ["P@1"], ties="random")


@pytest.mark.skipif(
    shutil.which("perl") is None, reason="ir-measures computes ERR by a Perl script"
)
@pytest.mark.parametrize(
    "ids", [("one", "two"), ("a-1", "b-1"), ("7", "8"), ("two words", "zwölf")]
)
def test_err_accepts_any_query_ids(ids: tuple[str, str]) -> None:
    first, second = ids
    qrels = Qrels({first: {"x": 1, "y": 4}, second: {"x": 0, "y": 1}})
    run = Run({second: [("y", 5.0), ("x", 4.0)], first: [("z", 3.0), ("y", 3.0)]})
    # A grade g stops the user with probability (2^g - 1) / 2^4. The gain is 1 / rank.
    expected = ((15 / 16) / 2 + 1 / 16) / 2
    assert evaluate(run, qrels, ["ERR@10"]) == {"ERR@10": pytest.approx(expected, abs=1e-5)}


def test_err_names_a_grade_that_is_too_high() -> None:
    with pytest.raises(
        DataError, match="ERR@10 needs grades <= 4, got 5 for query 'q'; map the grades"
    ):
        evaluate(RUN, Qrels({"q": {"a": 5}}), ["nDCG@10", "ERR@10"])


def test_one_name_is_not_a_list_of_measures() -> None:
    with pytest.raises(
        DataError, match=r"measures must be a list of names, got 'nDCG@10'; pass \['nDCG@10'\]"
    ):
        evaluate(RUN, QRELS, "nDCG@10")


@pytest.mark.parametrize("measure", ["nDCG@10", "R@100", "RR@10"])
def test_values_of_queries_have_the_mean_of_all(measure: str) -> None:
    values = evaluate_queries(RUN, QRELS, measure)
    assert list(values) == ["one", "two", "three"]
    assert values["two"] == 0
    assert sum(values.values()) / 3 == pytest.approx(evaluate(RUN, QRELS, [measure])[measure])


def test_values_of_queries_need_judgments_and_a_known_measure() -> None:
    with pytest.raises(DataError, match="qrels must have judgments"):
        evaluate_queries(RUN, Qrels({}))
    with pytest.raises(DataError, match="unknown measure 'nDGC@10'"):
        evaluate_queries(RUN, QRELS, "nDGC@10")
