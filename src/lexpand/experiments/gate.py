"""The gate: does an index still answer the golden questions, and if not, which terms did it?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from math import inf
from pathlib import Path
from typing import Any

from lexpand.collection import Collection
from lexpand.data import JudgedQueries, Query
from lexpand.errors import DataError
from lexpand.experiments.comparing import differences
from lexpand.experiments.facts import index_facts
from lexpand.experiments.gate_file import WITHIN, GateFile, Hit, Question, State
from lexpand.experiments.reasons import (
    Scored,
    TermShift,
    contributions_of,
    sentence_of,
    shifts_of,
    top_score,
)

_DEPTH = 100
_RECORDED = 10
_LEAST_GAIN = 0.005  # of the best score
_TERMS = 8


class Check(StrEnum):
    """What a result of the gate is about."""

    CORPUS = "corpus"
    """The documents are those that the file records."""

    EXISTS = "exists"
    """The index has a document that a question names."""

    EXPECT = "expect"
    """A document is found."""

    REJECT = "reject"
    """A document is not found."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one check.

    Attributes:
        check: what was checked.
        query: the query; empty for the corpus.
        doc_id: the document; empty for the corpus.
        within: the rank of the question; 0 for the corpus.
        line: the line of the question in the file; 0 if it is unknown.
        passed: whether it passed.
        rank: the rank of the document now, among the first 100; None if it is not there.
        rank_before: its rank in the recorded state; None if it was not found or not recorded.
        said: the result in words.
        terms: for a document that is not found, the terms that decided.
    """

    check: Check
    query: str
    doc_id: str
    within: int
    line: int
    passed: bool
    rank: int | None
    rank_before: int | None
    said: str
    terms: tuple[TermShift, ...] = ()

    @property
    def name(self) -> str:
        """The name of the check in reports."""
        if self.check is Check.CORPUS:
            return "the documents must be unchanged"
        verb = {
            Check.EXISTS: "must exist",
            Check.EXPECT: "must be",
            Check.REJECT: "must not be",
        }[self.check]
        place = "" if self.check is Check.EXISTS else f" among the first {self.within:,}"
        return f"{self.query}: {self.doc_id} {verb}{place}"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON."""
        terms = [{**asdict(each), "shift": each.shift} for each in self.terms]
        return {**asdict(self), "name": self.name, "terms": terms}


def run_gate(
    kb: Collection, gate: GateFile, *, on_done: Callable[[int], None] | None = None
) -> list[Result]:
    """Check the golden questions of a gate file against a collection.

    Args:
        kb: the collection, with the pipeline to check.
        gate: the questions.
        on_done: a function that takes the number of questions finished since its last call.

    Raises:
        SourceError: the recorded state is damaged.
    """
    state = State.load(gate.state_path)
    results = [] if not gate.fingerprint else [_corpus(kb, gate)]
    for question in gate.questions:
        results += _checked(kb, question, state)
        if on_done is not None:
            on_done(1)
    return results


def changes_since(kb: Collection, gate: GateFile) -> list[str]:
    """Return what differs from the recorded state besides the rankings, in words."""
    state = State.load(gate.state_path)
    if state is None:
        return [f"{gate.state_path} does not exist: `lexpand gate accept` records the state"]
    changed = differences(state.facts, _facts(kb))
    return [f"{', '.join(changed)} changed since the recorded state"] if changed else []


def record_state(kb: Collection, gate: GateFile) -> State:
    """Return the rankings of the questions now, for `State.save`."""
    return State(_facts(kb), {each.query: _hits(kb, each) for each in gate.questions})


def questions_of_judged(
    kb: Collection, judged: JudgedQueries, *, within: int = WITHIN
) -> list[Question]:
    """Return the questions that judged queries make in the present state.

    A question expects the relevant documents that are among the first ``within`` now. Queries
    without such a document are left out.
    """
    questions = []
    for query in judged.judged:
        grades = judged.qrels.judgments[query.query_id]
        found = _ranking(kb, query.text)[:within]
        expected = tuple(doc_id for doc_id in found if grades.get(doc_id, 0) >= 1)
        if expected and query.text.strip():
            questions.append(Question(query.text, expected, within=within))
    return questions


def questions_of_log(
    kb: Collection, queries: Iterable[Query], *, within: int = WITHIN, best: int = 1
) -> list[Question]:
    """Return the questions that a query log makes: the best documents now must stay found.

    Args:
        kb: the collection.
        queries: the log. A query that occurs again is taken once.
        within: the rank within which they must stay.
        best: how many of the first documents a question expects.

    Raises:
        DataError: ``best`` is above ``within``.
    """
    if not 1 <= best <= within:
        raise DataError(f"best must be from 1 to within ({within}), got {best}")
    questions = []
    for text in dict.fromkeys(query.text for query in queries):
        found = _ranking(kb, text)[:best] if text.strip() else []
        if found:
            questions.append(Question(text, tuple(found), within=within))
    return questions


def make_gate(
    kb: Collection, path: Path, questions: Sequence[Question], *, fixed_corpus: bool
) -> GateFile:
    """Write a gate file and the present state.

    Raises:
        DataError: there are no questions, or the file exists.
        StorageError: a file cannot be written.
    """
    if not questions:
        raise DataError("no question found a document, so the gate would be empty")
    if path.exists():
        raise DataError(f"{path} exists: remove it, or name another file with --out")
    gate = GateFile(path, tuple(questions), kb.index.fingerprint() if fixed_corpus else "")
    gate.save()
    record_state(kb, gate).save(gate.state_path)
    return gate


def _facts(kb: Collection) -> dict[str, Any]:
    return {**index_facts(kb), "pipeline": {"toml": kb.pipeline.to_toml()}}


def _corpus(kb: Collection, gate: GateFile) -> Result:
    found = kb.index.fingerprint()
    same = found == gate.fingerprint
    said = (
        "the documents are those of the gate file"
        if same
        else f"the documents differ from those of the gate file (fingerprint {found[:8]} instead of"
        f" {gate.fingerprint[:8]}): run `lexpand gate accept` if that is meant"
    )
    return Result(Check.CORPUS, "", "", 0, 0, same, None, None, said)


def _checked(kb: Collection, question: Question, state: State | None) -> list[Result]:
    ranking = _ranking(kb, question.query)
    recorded = () if state is None else state.hits.get(question.query, ())
    ranks = {doc_id: rank for rank, doc_id in enumerate(ranking, 1)}
    before = {hit.doc_id: hit for hit in recorded}
    results = []
    for check, ids in ((Check.EXPECT, question.expect), (Check.REJECT, question.reject)):
        for doc_id in ids:
            rank = ranks.get(doc_id)
            known = before.get(doc_id)
            facts = (question.query, doc_id, question.within, question.line)
            rank_before = None if known is None else known.rank
            found = rank is not None and rank <= question.within
            if doc_id not in kb:
                said = f"the index has no document {doc_id!r}, which the question names"
                kind, is_wished = Check.EXISTS, check is Check.REJECT
                results.append(Result(kind, *facts, is_wished, None, rank_before, said))
                continue
            said = _place(rank, rank_before, known is not None)
            passed = found is (check is Check.EXPECT)
            terms: Sequence[TermShift] = ()
            has_moved = known is not None and known.rank != rank
            if not passed and check is Check.EXPECT and has_moved:
                said, terms = _reason(kb, question.query, doc_id, ranks, before, said)
            elif not passed and check is Check.REJECT:
                said, terms = _reason_of_reject(kb, question.query, doc_id, known, said)
            results.append(
                Result(check, *facts, passed, rank, rank_before, said, tuple(terms[:_TERMS]))
            )
    return results


def _place(rank: int | None, before: int | None, recorded: bool) -> str:
    now = f"rank {rank:,}" if rank else f"not among the first {_DEPTH}"
    if not recorded:
        return now
    then = f"rank {before:,}" if before else f"not among the first {_DEPTH}"
    return f"{now}, as in the recorded state" if now == then else f"{now}, was {then}"


def _reason(
    kb: Collection,
    query: str,
    doc_id: str,
    ranks: Mapping[str, int],
    before: Mapping[str, Hit],
    said: str,
) -> tuple[str, Sequence[TermShift]]:
    """Return what the gate says about a lost document, and the terms that decided."""
    try:
        top = top_score(kb, query)
        other = _overtaker(doc_id, ranks, before)
        now = {} if other is None else contributions_of(kb, query, other, top)
        # A document that was not recorded is taken to have had the contributions that it has now.
        then = now if other is None or other not in before else before[other].terms
        shifts = shifts_of(
            Scored(before[doc_id].terms, then),
            Scored(contributions_of(kb, query, doc_id, top), now),
        )
    except DataError as error:  # a reranker cannot be explained
        return f"{said}; no terms: {error}", ()
    below = f", below {other}" if other else ""
    return f"{said}{below}; {sentence_of(shifts, other)}", shifts


def _reason_of_reject(
    kb: Collection, query: str, doc_id: str, known: Hit | None, said: str
) -> tuple[str, Sequence[TermShift]]:
    """Return what the gate says about a document that is found and must not be, and its terms.

    The terms are those that raised it since the recorded state, or else those that it scores by.
    """
    try:
        now = contributions_of(kb, query, doc_id, top_score(kb, query))
    except DataError as error:  # a reranker cannot be explained
        return f"{said}; no terms: {error}", ()
    then = {} if known is None else known.terms
    shifts = sorted(
        (TermShift(term, then.get(term, 0.0), share, 0.0, 0.0) for term, share in now.items()),
        key=lambda each: each.answer_better - each.answer_worse,
    )
    if not shifts:
        return said, ()
    first = shifts[0]
    gain = first.answer_worse - first.answer_better
    if then and gain > _LEAST_GAIN:
        return f"{said}; it scores more by {first.term!r}: {gain:.0%} of the best score", shifts
    most = max(shifts, key=lambda each: each.answer_worse)
    return (
        f"{said}; it scores most by {most.term!r}: {most.answer_worse:.0%} of the best score",
        shifts,
    )


def _overtaker(doc_id: str, ranks: Mapping[str, int], before: Mapping[str, Hit]) -> str | None:
    """Return the best document that is above the answer now and was not in the recorded state."""
    place = ranks.get(doc_id, inf)
    then = before[doc_id].rank or inf
    for other, rank in ranks.items():
        known = before.get(other)
        if rank < place and (known is None or (known.rank or inf) > then):
            return other
    return None


def _ranking(kb: Collection, query: str) -> list[str]:
    (matches,) = kb.retriever().rank([query], _DEPTH)
    return list(matches.doc_ids)


def _hits(kb: Collection, question: Question) -> tuple[Hit, ...]:
    ranking = _ranking(kb, question.query)
    ranks = {doc_id: rank for rank, doc_id in enumerate(ranking, 1)}
    named = [doc_id for doc_id in (*question.expect, *question.reject) if doc_id in kb]
    top = top_score(kb, question.query)
    found = []
    for doc_id in dict.fromkeys([*ranking[:_RECORDED], *named]):
        try:
            terms = contributions_of(kb, question.query, doc_id, top)
        except DataError:  # a reranker cannot be explained
            terms = {}
        rounded = {term: round(share, 6) for term, share in terms.items()}
        found.append(Hit(doc_id, ranks.get(doc_id), rounded))
    return tuple(found)
