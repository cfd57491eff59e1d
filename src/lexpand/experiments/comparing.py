"""Compare evaluated systems: significance, breakdowns, and the queries that changed most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lexpand.data import Qrels, Query, Run
from lexpand.errors import DataError
from lexpand.evaluation import compare_means, evaluate_run, holm
from lexpand.evaluation.significance import Comparison
from lexpand.evaluation.store import StoredRun
from lexpand.experiments.evaluating import Evaluated, cutoff_of
from lexpand.experiments.facts import qrels_hash, queries_hash
from lexpand.experiments.query_kinds import QUERY_KINDS
from lexpand.experiments.reasons import Reason

_DIFFERENCES = (
    ("the pipeline", ("pipeline", "toml")),
    ("the model", ("model", "contract_hash")),
    ("the documents", ("index", "fingerprint")),
    ("the encoding of documents", ("index", "encoding")),
    ("the rules", ("rules", "hash")),
    ("the encoding of queries", ("queries",)),
    ("the documents that equal their query", ("evaluation", "self_matches")),
)

_LEAST_OF_GROUP = 5


@dataclass(frozen=True, slots=True)
class System:
    """One side of a comparison: a run with its judgments.

    Attributes:
        name: for people; unique in a comparison.
        run: the rankings.
        qrels: the judgments.
        queries: the texts by query_id, as this system searched them.
        values: the values of measures that are known, by query_id.
        k: the number of documents that were requested for each query.
        facts: see `RunCard`.
        run_id: of a run in a store; empty for others.
    """

    name: str
    run: Run = field(repr=False)
    qrels: Qrels = field(repr=False)
    queries: Mapping[str, str] = field(repr=False)
    values: Mapping[str, Mapping[str, float]] = field(repr=False)
    k: int
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    run_id: str = ""

    @classmethod
    def of(cls, source: StoredRun | Evaluated) -> System:
        """Return the system of a stored run, or of one that was just evaluated.

        Raises:
            CorruptRun: a file of the stored run is damaged.
        """
        if isinstance(source, Evaluated):
            queries = {query.query_id: query.text for query in source.judged.queries}
            values = source.evaluation.values
            card = source.card()
            return cls(
                card.name, source.run, source.judged.qrels, queries, values, card.k, card.facts
            )
        queries = {query.query_id: query.text for query in source.queries()}
        card = source.card
        return cls(
            card.name,
            source.run(),
            source.qrels(),
            queries,
            source.values(),
            card.k,
            card.facts,
            card.run_id,
        )

    def measured(self, measure: str) -> Mapping[str, float]:
        """Return the value of a measure by query_id.

        Raises:
            DataError: the measure is unknown, or looks deeper than the run goes.
        """
        if measure in self.values:
            return self.values[measure]
        if cutoff_of(measure) > self.k:
            raise DataError(
                f"{measure} needs {cutoff_of(measure):,} documents of each query, and the run"
                f" {self.name!r} has {self.k:,}: evaluate it again with -k {cutoff_of(measure)}"
            )
        return evaluate_run(self.run, self.qrels, [measure]).values[measure]


@dataclass(frozen=True, slots=True)
class Row:
    """A comparison of one system with the baseline by one measure.

    Attributes:
        system: the name of the system.
        measure: the name of the measure.
        comparison: the statistics.
        p_holm: the p value of the randomization test, adjusted for all systems (Holm 1979).
    """

    system: str
    measure: str
    comparison: Comparison
    p_holm: float

    def verdict(self, level: float = 0.05) -> str:
        """Return ``better``, ``worse`` or ``no difference shown``."""
        if self.p_holm >= level or not self.comparison.difference:
            return "no difference shown"
        return "better" if self.comparison.difference > 0 else "worse"

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON."""
        found = {**asdict(self.comparison), "difference": self.comparison.difference}
        return {
            "system": self.system,
            "measure": self.measure,
            **found,
            "p_holm": self.p_holm,
            "verdict": self.verdict(),
        }


@dataclass(frozen=True, slots=True)
class Group:
    """A part of the queries in a comparison of two systems.

    Attributes:
        kind: what the queries have in common, e.g. ``tag: typo`` or ``identifier``.
        queries: how many they are.
        before, after: the means.
        p: of the randomization test, adjusted for all groups; None for fewer than 5 queries.
    """

    kind: str
    queries: int
    before: float
    after: float
    p: float | None

    @property
    def difference(self) -> float:
        """``after`` minus ``before``."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class QueryChange:
    """A query that one system answers better than the other.

    Attributes:
        query_id, text: the query.
        before, after: the values of the measure.
        reason: the cause; None if it was not looked for.
    """

    query_id: str
    text: str
    before: float
    after: float
    reason: Reason | None = None

    @property
    def difference(self) -> float:
        """``after`` minus ``before``."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """A comparison of systems with the first of them, the baseline.

    Attributes:
        systems: the systems, the baseline first.
        measures: the names of the measures. The first decides order and breakdown.
        rows: each system and measure.
        groups: the breakdown of the first two systems.
        differences: the differences of all queries of the first two systems, by query_id, the
            largest loss first.
        losses, gains: the queries that changed most.
        notes: remarks, such as what differs besides the system.
    """

    systems: tuple[System, ...] = field(repr=False)
    measures: tuple[str, ...]
    rows: tuple[Row, ...]
    groups: tuple[Group, ...]
    differences: Mapping[str, float] = field(repr=False)
    losses: tuple[QueryChange, ...]
    gains: tuple[QueryChange, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON."""
        means = [
            {
                "name": each.name,
                "measures": {name: _mean(each.measured(name).values()) for name in self.measures},
            }
            for each in self.systems
        ]
        return {
            "systems": means,
            "comparisons": [row.to_dict() for row in self.rows],
            "detailed": {
                "before": self.systems[0].name,
                "after": self.systems[1].name,
                "measure": self.measures[0],
            },
            "groups": [{**asdict(group), "difference": group.difference} for group in self.groups],
            "losses": [_change_dict(each) for each in self.losses],
            "gains": [_change_dict(each) for each in self.gains],
            "differences": dict(self.differences),
            "notes": list(self.notes),
        }


def compare_systems(
    systems: Sequence[System],
    measures: Sequence[str] | None = None,
    *,
    show: int = 5,
    seed: int = 0,
) -> ComparisonReport:
    """Compare systems with the first of them.

    Args:
        systems: at least two, on the same judgments.
        measures: names; by default those that all runs have. The first one decides.
        show: the number of losses and of gains in the report.
        seed: of the randomization test and the bootstrap.

    Raises:
        DataError: the judgments differ, a measure is unknown, or fewer than two queries count.
    """
    if len(systems) < 2:
        raise DataError(f"a comparison needs at least two runs, got {len(systems)}")
    _check_distinct(systems)
    systems = _named_apart(systems)
    _check_judgments(systems)
    chosen = tuple(measures or _shared_measures(systems))
    baseline, second = systems[0], systems[1]
    rows: list[Row] = []
    for measure in chosen:
        before = baseline.measured(measure)
        found = [compare_means(before, other.measured(measure), seed=seed) for other in systems[1:]]
        adjusted = holm([each.p for each in found])
        rows += [
            Row(other.name, measure, each, p)
            for other, each, p in zip(systems[1:], found, adjusted, strict=True)
        ]
    changes = _changes(baseline, second, chosen[0])
    return ComparisonReport(
        tuple(systems),
        chosen,
        tuple(rows),
        tuple(_groups(baseline, second, chosen[0], seed)),
        {each.query_id: each.difference for each in changes},
        tuple(each for each in changes[:show] if each.difference < 0),
        tuple(each for each in list(reversed(changes))[:show] if each.difference > 0),
        tuple(_notes(systems)),
    )


def _check_distinct(systems: Sequence[System]) -> None:
    for place, each in enumerate(systems):
        for other in systems[:place]:
            if each.run_id and each.run_id == other.run_id:
                raise DataError(
                    f"a comparison needs different runs, and {each.name!r} is the run"
                    f" {each.run_id} twice"
                )


def _named_apart(systems: Sequence[System]) -> list[System]:
    """Return the systems with unique names."""
    names: dict[str, int] = {}
    found = []
    for each in systems:
        names[each.name] = names.get(each.name, 0) + 1
        count = names[each.name]
        found.append(each if count == 1 else replace(each, name=f"{each.name} ({count})"))
    return found


def _check_judgments(systems: Sequence[System]) -> None:
    baseline = systems[0]
    for other in systems[1:]:
        if qrels_hash(other.qrels) != qrels_hash(baseline.qrels):
            raise DataError(
                f"the runs must have the same judgments, but those of {baseline.name!r} and"
                f" {other.name!r} differ: evaluate both with one file of judgments"
            )


def _shared_measures(systems: Sequence[System]) -> list[str]:
    shared = [
        name for name in systems[0].values if all(name in other.values for other in systems[1:])
    ]
    if not shared:
        raise DataError("the runs have no measure in common: name the measures with --measure")
    return shared


def _changes(baseline: System, other: System, measure: str) -> list[QueryChange]:
    before, after = baseline.measured(measure), other.measured(measure)
    changes = [
        QueryChange(query, other.queries.get(query, ""), before[query], after[query])
        for query in before
    ]
    return sorted(changes, key=lambda each: (each.difference, each.query_id))


def _groups(baseline: System, other: System, measure: str, seed: int) -> list[Group]:
    before, after = baseline.measured(measure), other.measured(measure)
    members: dict[str, list[str]] = {}
    tags = baseline.facts.get("collection", {}).get("tags", {})
    kinds = baseline.facts.get("collection", {}).get("kinds", {})
    for query in before:
        for tag in tags.get(query, ()):
            members.setdefault(f"tag: {tag}", []).append(query)
        for kind in kinds.get(query, ()):
            members.setdefault(kind, []).append(query)
    order = [*sorted(kind for kind in members if kind not in QUERY_KINDS), *QUERY_KINDS]
    groups = [
        Group(
            kind,
            len(members[kind]),
            _mean([before[query] for query in members[kind]]),
            _mean([after[query] for query in members[kind]]),
            None
            if len(members[kind]) < _LEAST_OF_GROUP
            else compare_means(
                {query: before[query] for query in members[kind]},
                {query: after[query] for query in members[kind]},
                seed=seed,
            ).p,
        )
        for kind in order
        if kind in members
    ]
    return _adjusted(groups)


def _adjusted(groups: Sequence[Group]) -> list[Group]:
    tested = [group.p for group in groups if group.p is not None]
    adjusted = iter(holm(tested))
    return [group if group.p is None else replace(group, p=next(adjusted)) for group in groups]


def _notes(systems: Sequence[System]) -> list[str]:
    """Return remarks on what differs between the runs."""
    baseline = systems[0]
    notes = []
    for other in systems[1:]:
        foreign = [each.name for each in (baseline, other) if "index" not in each.facts]
        if foreign:
            notes.append(
                f"{' and '.join(foreign)}: made by another system, so what differs is unknown"
            )
            continue
        differing = differences(baseline.facts, other.facts)
        if queries_hash_of(baseline) != queries_hash_of(other):
            differing.append("the queries")
        what = ", ".join(differing) or "nothing that the cards record"
        notes.append(f"between {baseline.name} and {other.name} differ: {what}")
    return notes


def queries_hash_of(system: System) -> str:
    """Return the hash of the queries of a system."""
    return queries_hash([Query(query, text) for query, text in system.queries.items()])


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return what differs between two searches by the facts of their cards, in words."""
    pairs = [
        (what, _at(before, path), _at(after, path))
        for what, path in _DIFFERENCES
        # A search by words alone does not encode queries.
        if path != ("queries",) or ("queries" in before and "queries" in after)
    ]
    return [what for what, one, other in pairs if one != other]


def _at(facts: Mapping[str, Any], path: Sequence[str]) -> object:
    value: Any = facts
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _change_dict(change: QueryChange) -> dict[str, Any]:
    return {**asdict(change), "difference": change.difference}


def _mean(values: Any) -> float:  # noqa: ANN401 - any iterable of floats
    found = list(values)
    return sum(found) / len(found) if found else 0.0
