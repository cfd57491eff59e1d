"""Comparisons of systems: what is compared, and what is refused."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from lexpand import Qrels, Run
from lexpand.errors import DataError
from lexpand.evaluation import compare_means, evaluate_run, holm
from lexpand.experiments.comparing import System, compare_systems
from lexpand.experiments.reports import comparison_report, recall_at

QUERIES = {f"q{i}": f"query {i}" for i in range(12)}
QRELS = Qrels({query: {"right": 1} for query in QUERIES})


def system(name: str, ranks: Mapping[str, int], **facts: object) -> System:
    """Return a system that ranks the right document of each query at a rank; 0 for nowhere."""
    rankings = {}
    for query, rank in ranks.items():
        ids = [f"wrong{i}" for i in range(1, 12)]
        if rank:
            ids.insert(rank - 1, "right")
        rankings[query] = [(doc_id, 100.0 - i) for i, doc_id in enumerate(ids[:10])]
    run = Run(rankings)
    values = evaluate_run(run, QRELS, ["RR@10", "nDCG@10"]).values
    return System(name, run, QRELS, QUERIES, values, 10, facts)


def ranked(*ranks: int) -> dict[str, int]:
    return dict(zip(QUERIES, ranks, strict=True))


BASE = system("base", ranked(*[2] * 12))
BETTER = system("better", ranked(*[1] * 11, 3))
OTHER = system("other", ranked(*[2] * 11, 0))


def test_each_system_is_compared_with_the_first() -> None:
    result = compare_systems([BASE, BETTER, OTHER], ["RR@10"])
    assert [(row.system, row.verdict()) for row in result.rows] == [
        ("better", "better"),
        ("other", "no difference shown"),
    ]
    found = [compare_means(BASE.values["RR@10"], each.values["RR@10"]) for each in (BETTER, OTHER)]
    assert [row.comparison for row in result.rows] == found
    assert [row.p_holm for row in result.rows] == holm([each.p for each in found])
    assert [(each.query_id, each.difference) for each in result.losses] == [
        ("q11", pytest.approx(1 / 3 - 1 / 2))
    ]
    assert result.gains[0].difference == 0.5
    assert list(result.differences.values()) == sorted(result.differences.values())


def test_measures_are_those_that_all_runs_have_or_those_that_are_named() -> None:
    assert compare_systems([BASE, BETTER]).measures == ("RR@10", "nDCG@10")
    some = replace(BETTER, values={"nDCG@10": BETTER.values["nDCG@10"]})
    assert compare_systems([BASE, some]).measures == ("nDCG@10",)
    assert compare_systems([BASE, some], ["P@1"]).rows[0].comparison.after == pytest.approx(11 / 12)
    with pytest.raises(DataError, match="no measure in common: name the measures with --measure"):
        compare_systems([BASE, replace(BETTER, values={})])


def test_a_measure_deeper_than_the_run_is_refused() -> None:
    with pytest.raises(DataError, match=r"R@100 needs 100 documents .* 'base' has 10: .* -k 100"):
        compare_systems([BASE, BETTER], ["R@100"])


def test_runs_on_other_judgments_are_refused() -> None:
    other = replace(BETTER, qrels=Qrels({**QRELS.judgments, "q0": {"right": 2}}))
    with pytest.raises(DataError, match="those of 'base' and 'better' differ: evaluate both"):
        compare_systems([BASE, other])


def test_one_run_is_no_comparison() -> None:
    with pytest.raises(DataError, match="needs at least two runs, got 1"):
        compare_systems([BASE])


def test_a_run_is_not_compared_with_itself() -> None:
    stored = replace(BASE, run_id="20261129-1")
    with pytest.raises(DataError, match="needs different runs, and 'base' is the run 20261129-1"):
        compare_systems([stored, stored])


def test_no_changes_are_shown_if_none_are_wanted() -> None:
    result = compare_systems([BASE, BETTER], show=0)
    assert result.losses == result.gains == ()


def test_equal_names_are_told_apart() -> None:
    result = compare_systems([BASE, BASE, BASE])
    assert [each.name for each in result.systems] == ["base", "base (2)", "base (3)"]
    assert all(row.comparison.p == 1 for row in result.rows)


def test_the_breakdown_has_tags_and_kinds_with_adjusted_p_values() -> None:
    facts = {
        "collection": {
            "tags": {query: ["typo"] for query in list(QUERIES)[:8]} | {"q11": ["rare"]},
            "kinds": {query: ["3 to 5 words"] for query in list(QUERIES)[:6]},
        }
    }
    base = replace(BASE, facts=facts)
    groups = {each.kind: each for each in compare_systems([base, BETTER], ["RR@10"]).groups}
    assert list(groups) == ["tag: rare", "tag: typo", "3 to 5 words"]
    assert groups["tag: rare"].p is None and groups["tag: rare"].queries == 1
    plain = [
        compare_means(
            {query: 0.5 for query in list(QUERIES)[:count]},
            {query: 1.0 for query in list(QUERIES)[:count]},
        ).p
        for count in (8, 6)
    ]
    assert [groups["tag: typo"].p, groups["3 to 5 words"].p] == holm(plain)


def test_notes_say_what_differs() -> None:
    facts = {"pipeline": {"toml": "a"}, "model": {"contract_hash": "x"}, "index": {}}
    other = {"pipeline": {"toml": "b"}, "model": {"contract_hash": "x"}, "index": {}}
    result = compare_systems([replace(BASE, facts=facts), replace(BETTER, facts=other)])
    assert result.notes == ("between base and better differ: the pipeline",)
    rewritten = replace(BETTER, facts=facts, queries={**QUERIES, "q1": "rewritten"})
    result = compare_systems([replace(BASE, facts=facts), rewritten])
    assert result.notes == ("between base and better differ: the queries",)
    result = compare_systems([replace(BASE, facts=facts), BETTER])
    assert result.notes == ("better: made by another system, so what differs is unknown",)
    dropped = {**facts, "evaluation": {"self_matches": {"q1": ["right"]}}}
    result = compare_systems([replace(BASE, facts=facts), replace(BETTER, facts=dropped)])
    assert result.notes == ("between base and better differ: the documents that equal their query",)


def test_the_report_has_every_row_in_each_format() -> None:
    report = comparison_report(compare_systems([BASE, BETTER, OTHER]))
    page, text, data = report.to_html(), report.to_markdown(), report.to_dict()
    assert page.count("<svg") == 2 and "<script" not in page and "http" not in page
    for name in ("base", "better", "other"):
        assert f"<td>{name}</td>" in page and f"| {name} |" in text
    assert "no difference shown" in text
    assert len(data["comparisons"]) == 4
    assert data["systems"][0]["measures"]["RR@10"] == pytest.approx(0.5)


def test_recall_is_the_mean_share_of_relevant_documents() -> None:
    assert recall_at(BETTER.run, QRELS, 1) == pytest.approx(11 / 12)
    assert recall_at(BETTER.run, QRELS, 3) == 1
    assert recall_at(OTHER.run, QRELS, 10) == pytest.approx(11 / 12)


def test_the_sign_of_a_difference_is_that_of_the_second_system() -> None:
    row = compare_systems([BETTER, BASE], ["RR@10"]).rows[0]
    assert row.verdict() == "worse" and row.comparison.difference < 0
    assert np.sign(row.comparison.effect) == -1
