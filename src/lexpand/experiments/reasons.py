"""The reason why an answer moved between two systems, in terms."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from lexpand.collection import Collection
from lexpand.collection import open as open_collection
from lexpand.data import Pruning
from lexpand.encode import QueryEncoding, Rules
from lexpand.errors import LexpandError
from lexpand.experiments.facts import index_facts
from lexpand.explanation import Explanation
from lexpand.index import Index
from lexpand.search import Pipeline
from lexpand.search.kinds import kind_of

_TERMS = 8


@dataclass(frozen=True, slots=True)
class TermShift:
    """What one term did to the margin of an answer over the document that overtook it.

    A contribution is divided by the best score of the query in its system, so that systems with
    other scales can be compared.

    Attributes:
        term: the term for people.
        answer_better, answer_worse: its contribution to the score of the answer, in the system
            that ranks the answer better and in the other one.
        other_better, other_worse: the same for the document that overtook the answer.
    """

    term: str
    answer_better: float
    answer_worse: float
    other_better: float
    other_worse: float

    @property
    def shift(self) -> float:
        """The change of the margin. The shifts of all terms sum to that of the scores."""
        return (self.answer_worse - self.other_worse) - (self.answer_better - self.other_better)

    def shares(self, gain: bool = False) -> tuple[float, float, float, float]:
        """Return the contributions to the answer and to the other document, in two systems each.

        Args:
            gain: whether the worse system is the first of a comparison.
        """
        answer, other = (
            (self.answer_better, self.answer_worse),
            (self.other_better, self.other_worse),
        )
        return (*answer[::-1], *other[::-1]) if gain else (*answer, *other)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an answer ranks lower in one system than in another.

    Attributes:
        document: the relevant document, the best of those that rank lower.
        title: its title.
        better, worse: the names of the systems.
        rank_better, rank_worse: its ranks from 1; None if the run does not have it.
        other: the document that overtook it; None if there is none.
        sentence: the reason in one sentence.
        terms: the terms that decided, the most harmful first; empty if the systems cannot be
            explained.
    """

    document: str
    title: str
    better: str
    worse: str
    rank_better: int | None
    rank_worse: int | None
    other: str | None
    sentence: str
    terms: tuple[TermShift, ...] = ()

    def __str__(self) -> str:
        named = f"{self.document} ({self.title})" if self.title else self.document
        other = f", below {self.other}" if self.other else ""
        return (
            f"{named}: {_rank(self.rank_better)} in {self.better}, {_rank(self.rank_worse)} in"
            f" {self.worse}{other}; {self.sentence}"
        )


class Opened:
    """The collections of two systems, opened to explain their runs.

    Args:
        first, second: the systems; see `System`.
    """

    def __init__(self, first: Any, second: Any) -> None:  # noqa: ANN401 - `System` imports this
        self._systems = (first, second)
        self._stack = ExitStack()
        self._kbs = [_open(each, self._stack) for each in self._systems]

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def notes(self) -> list[str]:
        """Remarks on systems that cannot be explained."""
        return [why for kb, why in self._kbs if kb is None]

    def loss(self, query_id: str) -> Reason | None:
        """Return why the second system answers a query worse; None if no answer ranks lower."""
        return self._lower(query_id, 0, 1)

    def gain(self, query_id: str) -> Reason | None:
        """Return why the first system answers a query worse; None if no answer ranks lower."""
        return self._lower(query_id, 1, 0)

    def _lower(self, query_id: str, better: int, worse: int) -> Reason | None:
        sides = [self._side(query_id, place) for place in (better, worse)]
        ranks = [side.ranks for side in sides]
        lost = [
            document
            for document, grade in self._systems[0].qrels.judgments.get(query_id, {}).items()
            if grade >= 1
            and document in ranks[0]
            and ranks[1].get(document, inf) > ranks[0][document]
        ]
        if not lost:
            return None
        return _reason(min(lost, key=lambda document: ranks[0][document]), *sides)

    def _side(self, query_id: str, place: int) -> _Side:
        system, (kb, why) = self._systems[place], self._kbs[place]
        hits = system.run.rankings.get(query_id, ())
        ranks = {hit.doc_id: rank for rank, hit in enumerate(hits, 1)}
        return _Side(system.name, system.queries.get(query_id, ""), ranks, kb, why)


@dataclass(frozen=True, slots=True)
class _Side:
    """One system for one query."""

    name: str
    query: str
    ranks: Mapping[str, int]
    kb: Collection | None
    why: str


def _reason(answer: str, better: _Side, worse: _Side) -> Reason:
    other = _overtaker(answer, better.ranks, worse.ranks)
    sentence, terms = _sentence_and_terms(answer, other, better, worse)
    return Reason(
        answer,
        _title(better.kb, answer) or _title(worse.kb, answer),
        better.name,
        worse.name,
        better.ranks.get(answer),
        worse.ranks.get(answer),
        other,
        sentence,
        tuple(terms[:_TERMS]),
    )


def _sentence_and_terms(
    answer: str, other: str | None, better: _Side, worse: _Side
) -> tuple[str, Sequence[TermShift]]:
    if worse.kb is not None and answer not in worse.kb:
        return f"the index of {worse.name} does not have the document {answer!r}", ()
    if better.kb is None or worse.kb is None:
        return f"no terms: {better.why or worse.why}", ()
    if answer not in better.kb:
        return f"no terms: the index of {better.name} no longer has {answer!r}", ()
    if other is not None and other not in better.kb:
        return f"{other!r} is not in the index of {better.name}", ()
    try:
        terms = shifts_of(
            Scored.of(better.kb, better.query, answer, other),
            Scored.of(worse.kb, worse.query, answer, other),
        )
    except LexpandError as error:
        return f"no terms: {error}", ()
    return sentence_of(terms, other), terms


def open_system(facts: Mapping[str, Any]) -> Collection:
    """Open the collection of a run as it was searched.

    Args:
        facts: the facts of the card; see `index_facts`.

    Raises:
        LexpandError: the index is gone, or holds other documents now.
    """
    path = Path(facts["index"]["path"])
    rules = facts.get("rules")
    queries = facts.get("queries", {})
    return open_collection(
        path,
        Pipeline.from_dict(_parsed(facts["pipeline"]["toml"])),
        queries=QueryEncoding(
            queries.get("mode"),
            Pruning(**queries.get("pruning", {})),
            queries.get("dtype", "float32"),
        ),
        rules=None if rules is None else Rules.from_dict(rules["rules"]),
    )


def _open(system: Any, stack: ExitStack) -> tuple[Collection | None, str]:  # noqa: ANN401
    """Return the collection of a system, or None and the reason."""
    facts = system.facts
    if "index" not in facts:
        return None, f"the run {system.name!r} was made by another system"
    path = facts["index"]["path"]
    if not Index.exists(path):
        return None, f"the run {system.name!r} was made with {path}, which is no index now"
    try:
        kb = stack.enter_context(open_system(facts))
        now = index_facts(kb)
        if now["index"]["fingerprint"] != facts["index"]["fingerprint"]:
            return None, f"{path} has other documents since the run {system.name!r}"
        if any(now["index"][key] != facts["index"][key] for key in ("encoding", "passages")) or (
            now["model"]["contract_hash"] != facts["model"]["contract_hash"]
        ):
            return None, f"{path} was encoded otherwise since the run {system.name!r}"
    except (LexpandError, KeyError) as error:
        return None, f"the run {system.name!r} cannot be explained: {error}"
    return kb, ""


def _parsed(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def _rank(rank: int | None) -> str:
    return "not found" if rank is None else f"rank {rank:,}"


def _title(kb: Collection | None, doc_id: str) -> str:
    if kb is None:
        return ""
    document = kb.index.documents_by_id([doc_id]).get(doc_id)
    return "" if document is None else document.title


def _overtaker(answer: str, better: Mapping[str, int], worse: Mapping[str, int]) -> str | None:
    """Return the best document that ranks above the answer in one system and below in the other."""
    place = worse.get(answer, inf)
    for document, rank in worse.items():
        if rank < place and better.get(document, inf) > better[answer]:
            return document
    return None


def top_score(kb: Collection, query: str) -> float:
    """Return the best score of a query; 1 if it finds nothing."""
    hits = kb.search(query, 1)
    return hits[0].score if hits and hits[0].score > 0 else 1.0


def contributions_of(kb: Collection, query: str, doc_id: str, top: float) -> dict[str, float]:
    """Return the share of each term in the best score, by its label with the field of a hybrid."""
    found: dict[str, float] = {}
    kind = kind_of(kb.retriever())
    field = "" if kind is None else kind.name
    for label, share in _terms(kb.explain(query, doc_id), 1 / top, field):
        found[label] = found.get(label, 0.0) + share
    return found


def _terms(explanation: Explanation, scale: float, field: str) -> Iterator[tuple[str, float]]:
    for contribution in explanation.contributions:
        yield f"{contribution.label} ({field})", scale * contribution.contribution
    for part in explanation.parts:
        inner = part.contribution / (part.explanation.score or 1.0)
        yield from _terms(part.explanation, scale * inner, part.kind)


@dataclass(frozen=True, slots=True)
class Scored:
    """The contributions to the scores of two documents, as shares of the best score."""

    answer: Mapping[str, float]
    other: Mapping[str, float]

    @classmethod
    def of(cls, kb: Collection, query: str, answer: str, other: str | None) -> Scored:
        """Return the contributions of a collection; none for ``other`` if it is None."""
        top = top_score(kb, query)
        return cls(
            contributions_of(kb, query, answer, top),
            {} if other is None else contributions_of(kb, query, other, top),
        )


def shifts_of(better: Scored, worse: Scored) -> list[TermShift]:
    """Return the change of the margin by term, the most harmful first."""
    names = dict.fromkeys([*better.answer, *worse.answer, *better.other, *worse.other])
    found = [
        TermShift(
            name,
            better.answer.get(name, 0.0),
            worse.answer.get(name, 0.0),
            better.other.get(name, 0.0),
            worse.other.get(name, 0.0),
        )
        for name in names
    ]
    return sorted(found, key=lambda each: each.shift)


def sentence_of(terms: Sequence[TermShift], other: str | None) -> str:
    """Return what the most harmful term did, in words."""
    if not any(each.answer_worse for each in terms):
        lost = max(terms, key=lambda each: each.answer_better, default=None)
        by = f", which it found by {lost.term!r} in the other" if lost else ""
        return f"the answer shares no term with the query{by}"
    if not terms or terms[0].shift >= 0:
        return "no term explains the change"
    worst = terms[0]
    if not worst.answer_worse and worst.answer_better:
        what = f"the answer does not score by {worst.term!r}"
    elif worst.answer_worse < worst.answer_better:
        what = f"the answer scores less by {worst.term!r}"
    else:
        what = f"{other!r} scores more by {worst.term!r}"
    return f"{what}: {-worst.shift:.0%} of the best score"
