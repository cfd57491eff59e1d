"""Reports of runs and comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lexpand.data import Qrels, Run
from lexpand.evaluation.store import StoredRun
from lexpand.experiments.comparing import ComparisonReport, Group, QueryChange, Row, System
from lexpand.experiments.reasons import Reason
from lexpand.render.html import Bar
from lexpand.render.plots import Plot, Series, histogram
from lexpand.render.report import Block, Heading, Paragraph, Report, TableOf

_DEPTHS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)


def comparison_report(comparison: ComparisonReport) -> Report:
    """Return the report of a comparison."""
    names = [system.name for system in comparison.systems]
    blocks: list[Block] = [
        *(Paragraph(note, note=True) for note in comparison.notes),
        _means(comparison.systems, comparison.measures),
        Heading(f"Against {names[0]}"),
        _significance(comparison.rows),
        Paragraph(
            "p is of a paired randomization test, adjusted for the number of systems (Holm); the"
            " interval is a bootstrap interval of 95 %. Wins and losses are queries.",
            note=True,
        ),
        Heading(f"{comparison.measures[0]} of each query: {names[0]} and {names[1]}"),
        _sorted_differences(comparison, names[1]),
    ]
    if comparison.groups:
        blocks += [
            Heading(f"{comparison.measures[0]} by kind of query: {names[0]} and {names[1]}"),
            _breakdown(comparison.groups),
        ]
    blocks += _change_blocks(f"Largest losses of {names[1]}", comparison.losses)
    blocks += _change_blocks(f"Largest gains of {names[1]}", comparison.gains)
    blocks += _plots(comparison.systems, comparison.measures[0])
    return Report(" vs ".join(names), blocks, comparison.to_dict())


def runs_report(runs: Sequence[StoredRun]) -> Report:
    """Return the report of stored runs: measures, cost, plots and cards."""
    systems = [System.of(each) for each in runs]
    shared = [
        name
        for name in runs[0].card.measures
        if all(name in each.card.measures for each in runs[1:])
    ]
    blocks: list[Block] = [_means(systems, shared), *_plots(systems, shared[0] if shared else "")]
    for each in runs:
        blocks += [Heading(f"{each.card.name} ({each.card.run_id})"), _card(each)]
    title = ", ".join(each.card.name for each in runs)
    return Report(title, blocks, {"runs": [each.card.to_dict() for each in runs]})


def _means(systems: Sequence[System], measures: Sequence[str]) -> TableOf:
    costs = ("p50 ms", "p95 ms", "FLOPS", "query terms", "document terms", "bytes/document")
    with_cost = any("cost" in each.facts for each in systems)
    head = ("run", *measures, *(costs if with_cost else ()))
    rows = []
    for each in systems:
        values = [each.measured(name).values() for name in measures]
        cells = [f"{sum(found) / max(1, len(found)):.4f}" for found in values]
        rows.append((each.name, *cells, *(_cost_cells(each.facts) if with_cost else ())))
    return TableOf(head, tuple(rows), frozenset(range(1, len(head))))


def _cost_cells(facts: Mapping[str, Any]) -> tuple[str, ...]:
    cost = facts.get("cost")
    if cost is None:
        return ("-",) * 6

    def shown(name: str, form: str) -> str:
        return "-" if cost[name] is None else format(cost[name], form)

    return (
        f"{cost['total_ms']['p50']:.2f}",
        f"{cost['total_ms']['p95']:.2f}",
        shown("flops", ".2f"),
        shown("query_terms", ".1f"),
        shown("document_terms", ".1f"),
        shown("bytes_per_document", ",.0f"),
    )


def _significance(rows: Sequence[Row]) -> TableOf:
    head = (
        *("run", "measure", "verdict", "before", "after", "difference", "95 % interval", "p"),
        *("p t test", "effect", "wins", "ties", "losses"),
    )
    found = []
    for row in rows:
        each = row.comparison
        low, high = each.interval
        found.append(
            (
                row.system,
                row.measure,
                row.verdict(),
                f"{each.before:.4f}",
                f"{each.after:.4f}",
                f"{each.difference:+.4f}",
                f"{low:+.4f} to {high:+.4f}",
                f"{row.p_holm:.4f}",
                f"{each.p_t:.4f}",
                f"{each.effect:+.2f}",
                f"{each.wins:,}",
                f"{each.ties:,}",
                f"{each.losses:,}",
            )
        )
    return TableOf(head, tuple(found), frozenset(range(3, 13)))


def _sorted_differences(comparison: ComparisonReport, name: str) -> Plot:
    values = sorted(comparison.differences.values())
    points = tuple((float(place), value) for place, value in enumerate(values, 1))
    title = f"difference of {comparison.measures[0]} of each query, sorted"
    return Plot(title, "query", "difference", (Series(name, points),), "bars")


def _breakdown(groups: Sequence[Group]) -> TableOf:
    head = ("queries that", "count", "before", "after", "difference", "", "p")
    largest = max((abs(each.difference) for each in groups), default=1.0) or 1.0
    rows = tuple(
        (
            each.kind,
            f"{each.queries:,}",
            f"{each.before:.4f}",
            f"{each.after:.4f}",
            f"{each.difference:+.4f}",
            Bar(each.difference / largest),
            "-" if each.p is None else f"{each.p:.4f}",
        )
        for each in groups
    )
    return TableOf(head, rows, frozenset({1, 2, 3, 4, 6}))


def _change_blocks(title: str, changes: Sequence[QueryChange]) -> list[Block]:
    if not changes:
        return []
    blocks: list[Block] = [Heading(title)]
    for each in changes:
        blocks.append(
            Paragraph(
                f"{each.query_id}: {each.text} ({each.before:.3f} to {each.after:.3f},"
                f" {each.difference:+.3f})"
            )
        )
        if each.reason is not None:
            blocks.append(Paragraph(str(each.reason), note=True))
            if each.reason.terms:
                blocks.append(terms_table(each.reason, gain=each.difference > 0))
    return blocks


def terms_table(reason: Reason, gain: bool) -> TableOf:
    """Return a table of the terms that changed the margin of an answer, the baseline first."""
    names = (reason.worse, reason.better) if gain else (reason.better, reason.worse)
    head = (
        *("term", "margin", ""),
        *(f"{which} in {name}" for which in ("answer", "other") for name in names),
    )
    largest = max((abs(each.shift) for each in reason.terms), default=1.0) or 1.0
    rows: list[tuple[str | Bar, ...]] = []
    for each in reason.terms:
        shift = -each.shift if gain else each.shift
        shares = (f"{share:.3f}" for share in each.shares(gain))
        rows.append((each.term, f"{shift:+.3f}", Bar(shift / largest), *shares))
    return TableOf(head, tuple(rows), frozenset({1, 3, 4, 5, 6}))


def _plots(systems: Sequence[System], measure: str) -> list[Block]:
    blocks: list[Block] = [_recall(systems)]
    timed = [each for each in systems if "cost" in each.facts and measure]
    if timed:
        blocks.insert(0, _pareto(timed, measure))
    for side in ("query", "document"):
        counted = [
            (each.name, [float(n) for n in each.facts["cost"][f"{side}_term_counts"]])
            for each in systems
            if each.facts.get("cost", {}).get(f"{side}_term_counts")
        ]
        if counted:
            blocks.append(histogram(f"terms of a {side}", "terms", counted))
    return blocks


def _pareto(systems: Sequence[System], measure: str) -> Plot:
    series = []
    for each in systems:
        values = each.measured(measure).values()
        point = (each.facts["cost"]["total_ms"]["p50"], sum(values) / max(1, len(values)))
        series.append(Series(each.name, (point,), (each.name,)))
    return Plot("quality against latency", "ms (p50)", measure, tuple(series), log_x=True)


def _recall(systems: Sequence[System]) -> Plot:
    series = [
        Series(
            each.name,
            tuple((float(k), recall_at(each.run, each.qrels, k)) for k in _DEPTHS if k <= each.k),
        )
        for each in systems
    ]
    return Plot("recall by depth", "documents", "recall", tuple(series), "lines", log_x=True)


def recall_at(run: Run, qrels: Qrels, k: int) -> float:
    """Return the mean share of relevant documents among the first k."""
    shares = []
    for query, grades in qrels.judgments.items():
        relevant = {document for document, grade in grades.items() if grade >= 1}
        if relevant:
            found = {hit.doc_id for hit in run.rankings.get(query, ())[:k]}
            shares.append(len(relevant & found) / len(relevant))
    return sum(shares) / len(shares) if shares else 0.0


def _card(run: StoredRun) -> TableOf:
    rows = [("created", run.card.created), ("tags", ", ".join(run.tags) or "-")]
    rows += flat_facts(
        {name: value for name, value in run.card.facts.items() if name != "collection"}
    )
    collection = run.card.facts.get("collection", {})
    rows += [
        (f"collection {name}", str(value))
        for name, value in collection.items()
        if not isinstance(value, dict)
    ]
    return TableOf(("fact", "value"), tuple(rows))


def flat_facts(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return facts as names and texts, with the names of nested facts joined by spaces."""
    found: list[tuple[str, str]] = []
    for name, each in value.items():
        key = f"{prefix} {name}".strip()
        if isinstance(each, Mapping):
            found += flat_facts(each, key)
        elif isinstance(each, list | tuple) and len(each) > 10:
            found.append((key, f"{len(each)} values"))
        else:
            found.append((key, _fact(each)))
    return found


def _fact(value: object) -> str:
    """Return a value as people read it: no quotes, brackets or line breaks."""
    if isinstance(value, list | tuple):
        return ", ".join(map(_fact, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return "; ".join(line for line in str(value).splitlines() if line.strip())
