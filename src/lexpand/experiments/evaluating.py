"""Evaluate a retriever on judged queries: rankings, measures and cost in one result."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lexpand.collection import Collection
from lexpand.data import JudgedQueries, Qrels, Query, Run, ScoredDocument
from lexpand.errors import DataError
from lexpand.evaluation import DEFAULT_MEASURES, Evaluation, evaluate_run
from lexpand.evaluation.store import RunCard, RunStore, StoredRun
from lexpand.experiments.accounting import accounting, accounting_dict
from lexpand.experiments.costs import Cost, cost_of
from lexpand.experiments.facts import common_facts, index_facts, pipeline_name
from lexpand.experiments.query_kinds import query_kinds
from lexpand.search import Pipeline, Retriever
from lexpand.search.pipeline import resolve

_LEAST_K = 100
_CUTOFF = re.compile(r"@([0-9]+)$")
_BATCH = 32

_LOOKUP = 500

# Copies of a query are looked for among so many documents, and under the query's id; so many more
# documents are ranked, to have k without them.
_SELF_DEPTH = 100
_MOST_COPIES = 3


class SelfMatches(StrEnum):
    """What becomes of a document whose text is the query, as in ArguAna and Quora."""

    DROP = "drop"
    """It is left out of the ranking, unless it is judged relevant."""

    KEEP = "keep"
    """It stays."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A run with its measures and its cost.

    Attributes:
        name: of the run.
        judged: the queries and the judgments.
        run: the rankings.
        evaluation: the measures.
        k: the number of documents that were requested for each query.
        self_matches: the documents that equal their query and were left out, by query_id.
        outside: relevant documents that the retriever does not have, as ``query_id doc_id``.
        cost: the cost; None if it was not measured.
        facts: the collection, the index, the model, the pipeline and the machine, as JSON.
    """

    name: str
    judged: JudgedQueries
    run: Run = field(repr=False)
    evaluation: Evaluation = field(repr=False)
    k: int
    self_matches: Mapping[str, Sequence[str]]
    outside: Sequence[str] = ()
    cost: Cost | None = None
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def means(self) -> dict[str, float]:
        """The means by the name of the measure."""
        return self.evaluation.means

    def accounting(self) -> list[str]:
        """Return sentences that say which queries and documents count, for people."""
        return accounting(
            self.judged, self.run, self.evaluation, self.k, self.self_matches, self.outside
        )

    def card(self) -> RunCard:
        """Return the card of the run, without the fields that a store sets."""
        facts = dict(self.facts)
        facts["evaluation"] = accounting_dict(self.evaluation)
        if self.self_matches:
            matches = {query: list(found) for query, found in self.self_matches.items()}
            facts["evaluation"]["self_matches"] = matches
        if self.outside:
            facts["evaluation"]["outside"] = list(self.outside)
        if self.cost is not None:
            facts["cost"] = self.cost.to_dict()
        return RunCard(name=self.name, measures=self.means, k=self.k, facts=facts)

    def save(self, store: RunStore) -> StoredRun:
        """Write the run to a store.

        Raises:
            DataError, StorageError: see `RunStore.add`.
        """
        return store.add(
            self.card(),
            self.run,
            self.evaluation.values,
            self.judged.queries,
            self.judged.qrels,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON, with the value of each query."""
        card = self.card()
        values = {name: dict(each) for name, each in self.evaluation.values.items()}
        return {
            "name": self.name,
            "measures": card.measures,
            "k": self.k,
            **card.facts,
            "values": values,
        }


def evaluate_collection(
    kb: Collection,
    judged: JudgedQueries,
    measures: Sequence[str] = DEFAULT_MEASURES,
    *,
    pipeline: Pipeline | str | None = None,
    name: str = "",
    k: int | None = None,
    self_matches: SelfMatches | str = SelfMatches.DROP,
    cost: bool = True,
    threads: int = 1,
    on_done: Callable[[int], None] | None = None,
) -> Evaluated:
    """Evaluate a pipeline of a collection; see `evaluate_retriever`.

    Args:
        kb: the collection.
        judged: the queries and the judgments.
        measures: names in ir-measures' notation.
        pipeline: how to search; by default the pipeline of the collection.
        name: of the run; by default that of the pipeline.
        k: see `evaluate_retriever`.
        self_matches: see `evaluate_retriever`.
        cost: whether to measure the cost as well.
        threads: see `evaluate_retriever`.
        on_done: see `evaluate_retriever`.

    Raises:
        DataError: see `evaluate_retriever`.
    """
    chosen = kb.pipeline if pipeline is None else resolve(pipeline, kb.index)[0]
    facts = {**index_facts(kb), "pipeline": {"name": pipeline_name(chosen, pipeline)}}
    facts["pipeline"]["toml"] = chosen.to_toml()
    return evaluate_retriever(
        kb.retriever(chosen),
        judged,
        measures,
        name=name or facts["pipeline"]["name"],
        k=k,
        self_matches=self_matches,
        cost=cost,
        threads=threads,
        on_done=on_done,
        facts=facts,
        kb=kb,
    )


def evaluate_retriever(
    retriever: Retriever,
    judged: JudgedQueries,
    measures: Sequence[str] = DEFAULT_MEASURES,
    *,
    name: str = "run",
    k: int | None = None,
    self_matches: SelfMatches | str = SelfMatches.DROP,
    cost: bool = True,
    threads: int = 1,
    on_done: Callable[[int], None] | None = None,
    facts: Mapping[str, Any] | None = None,
    kb: Collection | None = None,
) -> Evaluated:
    """Run the judged queries through a retriever, and evaluate the run.

    Documents are ranked, so an index of chunks is evaluated by the best passage of each document.

    Args:
        retriever: any retriever.
        judged: the queries and the judgments. Queries without judgments are not run.
        measures: names in ir-measures' notation.
        name: of the run.
        k: the number of documents to rank; by default 100, or the largest cutoff of a measure.
        self_matches: what becomes of a document whose text is the query.
        cost: whether to measure the cost as well.
        threads: the number of threads of searches, except those that are timed.
        on_done: a function that takes the number of queries finished since its last call.
        facts: more facts for the card of the run.
        kb: the collection behind the retriever, which finds more kinds of queries for breakdowns.

    Raises:
        DataError: no query is judged, or a measure is unknown.
    """
    queries = judged.judged
    if not queries:
        raise DataError(
            f"{judged.name or 'the collection'} must have a query with judgments, got none: check"
            " that the query ids of the queries and of the judgments are the same"
        )
    evaluate_run(Run({}), judged.qrels, measures)  # raises for unknown measures before the search
    depth = _depth(k, measures)
    reading = retriever.reading()
    run, dropped = _ranked(
        reading,
        queries,
        judged.qrels,
        depth,
        SelfMatches(self_matches) is SelfMatches.DROP,
        threads,
        on_done or (lambda _: None),
    )
    return Evaluated(
        name,
        judged,
        run,
        evaluate_run(run, judged.qrels, measures),
        depth,
        dropped,
        _outside(reading, judged),
        cost_of(retriever, queries, encode_documents=True) if cost else None,
        {**common_facts(judged, query_kinds(judged, kb)), **(facts or {})},
    )


def evaluate_foreign(
    run: Run,
    judged: JudgedQueries,
    measures: Sequence[str] = DEFAULT_MEASURES,
    *,
    name: str,
) -> Evaluated:
    """Evaluate a run that another system made.

    Raises:
        DataError: see `evaluate_run`; or the run has no document for any judged query.
    """
    if not any(run.rankings.get(query) for query in judged.qrels.judgments):
        raise DataError(
            f"the run {name!r} must have documents for a judged query, and has none: check that its"
            " query ids are those of the judgments"
        )
    longest = max((len(ranking) for ranking in run.rankings.values()), default=0)
    return Evaluated(
        name,
        judged,
        run,
        evaluate_run(run, judged.qrels, measures),
        longest,
        {},
        (),
        None,
        common_facts(judged, query_kinds(judged)),
    )


def _depth(k: int | None, measures: Sequence[str]) -> int:
    """Return the number of documents to rank.

    Raises:
        DataError: a measure looks deeper than ``k``.
    """
    deepest = max(measures, key=cutoff_of)
    if k is not None and k < cutoff_of(deepest):
        raise DataError(
            f"k must be >= {cutoff_of(deepest)} for {deepest}, got {k}: leave k out, or name other"
            " measures"
        )
    return k or max(_LEAST_K, cutoff_of(deepest))


def _outside(retriever: Retriever, judged: JudgedQueries) -> list[str]:
    """Return the relevant documents that the retriever does not have, as ``query_id doc_id``."""
    pairs = [
        (query.query_id, doc_id)
        for query in judged.judged
        for doc_id, grade in judged.qrels.judgments[query.query_id].items()
        if grade >= 1
    ]
    wanted = list(dict.fromkeys(doc_id for _, doc_id in pairs))
    there: set[str] = set()
    for first in range(0, len(wanted), _LOOKUP):
        there.update(retriever.documents(wanted[first : first + _LOOKUP]))
    return [f"{query_id} {doc_id}" for query_id, doc_id in pairs if doc_id not in there]


def _ranked(
    retriever: Retriever,
    queries: Sequence[Query],
    qrels: Qrels,
    k: int,
    drop: bool,
    threads: int,
    on_done: Callable[[int], None],
) -> tuple[Run, dict[str, list[str]]]:
    """Return the run, and the documents that equal their query and were left out."""
    rankings: dict[str, list[ScoredDocument]] = {}
    dropped: dict[str, list[str]] = {}
    more = _MOST_COPIES if drop else 0
    for first in range(0, len(queries), _BATCH):
        batch = queries[first : first + _BATCH]
        found = retriever.rank([query.text for query in batch], k + more, threads=threads)
        for query, matches in zip(batch, found, strict=True):
            hits = list(zip(matches.doc_ids, map(float, matches.scores), strict=True))
            grades = qrels.judgments[query.query_id]
            copies = _copies(retriever, query, [doc_id for doc_id, _ in hits]) if drop else []
            copies = [doc_id for doc_id in copies if grades.get(doc_id, 0) < 1]
            if copies:
                dropped[query.query_id] = copies
                hits = [hit for hit in hits if hit[0] not in copies]
            rankings[query.query_id] = [ScoredDocument(*hit) for hit in hits[:k]]
        on_done(len(batch))
    return Run(rankings), dropped


def _copies(retriever: Retriever, query: Query, doc_ids: Sequence[str]) -> list[str]:
    """Return the documents of a ranking whose text is the query."""
    likely = list(doc_ids[:_SELF_DEPTH])
    if query.query_id in doc_ids:
        likely.append(query.query_id)
    wanted = _plain(query.text)
    documents = retriever.documents(list(dict.fromkeys(likely)))
    return [
        doc_id
        for doc_id, document in documents.items()
        if wanted in (_plain(document.text), _plain(document.full_text))
    ]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def cutoff_of(measure: str) -> int:
    """Return the rank at which a measure stops; 0 if it reads the whole ranking."""
    found = _CUTOFF.search(measure)
    return int(found[1]) if found else 0
