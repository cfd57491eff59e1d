"""Verify that an engine holds the vectors of a model and ranks by them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import Any

import numpy as np

from lexpand.data import Document, Query, SparseVectors
from lexpand.encode import Encoder, QueryMode, Role
from lexpand.engines.causes import Pair, causes_of
from lexpand.engines.engine import Engine
from lexpand.engines.records import Record, records_of
from lexpand.errors import DataError, EngineError
from lexpand.index import Index, Matches

_LISTED = 5
_EXACT = 1e-5


class Verdict(StrEnum):
    """The outcome of a verification."""

    EQUAL = "equal"
    """Vectors and rankings are those of the model."""

    WITHIN = "equal within the engine's precision"
    """They differ by no more than the rounding of the engine."""

    DIFFERENT = "not equal"
    """They differ, for the reasons that are listed."""


class Check(StrEnum):
    """What was compared."""

    MODEL = "model"
    RECORDS = "records"
    TEXTS = "texts"
    VECTORS = "vectors"
    SCORES = "scores"
    RANKING = "ranking"
    PRUNING = "pruning"


@dataclass(frozen=True, slots=True)
class Difference:
    """A reason why an engine is not equal."""

    check: Check
    said: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of `verify`.

    Attributes:
        engine: such as ``elasticsearch 9.5.3``.
        target: the index.
        verdict: the verdict.
        differences: why it is not equal.
        notes: what does not change the verdict, such as a default that callers must override.
        records: passages of the engine.
        vectors: passages whose vectors were compared.
        queries: queries whose rankings were compared; without an index, whose best scores were.
        scores: scores that were compared.
        k: documents of a ranking.
        overlap: the mean share of the first k documents that both rankings have; None without an
            index.
        same_order: the share of queries with the same order; None without an index.
        largest_weight_error, largest_score_error: relative.
        precision: the largest relative error of a weight that the engine's format explains.
    """

    engine: str
    target: str
    verdict: Verdict
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    records: int
    vectors: int
    queries: int
    scores: int
    k: int
    overlap: float | None
    same_order: float | None
    largest_weight_error: float
    largest_score_error: float
    precision: float

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON."""
        return asdict(self)


@dataclass(slots=True)
class _Found:
    """What the checks have found so far."""

    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    vectors: int = 0
    scores: int = 0
    weight_error: float = 0.0
    score_error: float = 0.0
    overlaps: list[float] = field(default_factory=list)
    orders: list[bool] = field(default_factory=list)

    def add(self, check: Check, said: str) -> None:
        self.differences.append(Difference(check, said))


def verify(
    engine: Engine,
    encoder: Encoder,
    index: Index | None = None,
    queries: Sequence[Query] = (),
    *,
    sample: int = 200,
    k: int = 10,
) -> Verification:
    """Compare an engine with a model, and with the index that was pushed to it.

    Without an index, the engine's own texts are encoded again, so that a target which something
    else filled can be verified from the model alone.

    Args:
        engine: the engine.
        encoder: the model that the engine should have.
        index: the documents that the engine should have; None if they are not here.
        queries: queries to compare rankings with; by default the titles of documents.
        sample: the most passages whose vectors are compared.
        k: the number of documents of a ranking.

    Raises:
        EngineError: the engine cannot be reached, or has no such target.
        DataError: sample or k is below 1.
    """
    if sample < 1 or k < 1:
        raise DataError(f"sample and k must be >= 1, got {sample} and {k}")
    info = engine.info()
    if info.records is None:
        raise EngineError(f"{info.name} has no {info.target}: push to it first")
    found = _Found()
    if info.model is not None and info.model.hash != encoder.space.model.hash:
        found.add(
            Check.MODEL,
            f"the target was made for {info.model.label}, not for {encoder.space.model.label}",
        )
    pairs = list(_pairs(engine, encoder, index, sample, found))
    asked = list(queries) or _titles(engine, pairs, sample)
    mode = QueryMode.LOOKUP if info.folded else None
    vectors = encoder.encode_queries([query.text for query in asked], mode=mode)
    if index is None:
        _check_scores(engine, encoder, vectors, found)
    else:
        rankings = engine.search_vectors(vectors, k)
        _check_rankings(engine, index, vectors, rankings, k, found)
    is_empty = index is not None and not index.live_passages and not info.records
    if not is_empty and (not found.vectors or not found.scores):
        found.add(Check.RECORDS, "nothing could be compared: the target has no vectors, or no hits")
    note = engine.pruning_note(vectors)
    if note:
        found.notes.append(note)
    return Verification(
        info.name,
        info.target,
        _verdict(found),
        tuple(found.differences),
        tuple(found.notes),
        info.records,
        found.vectors,
        len(asked),
        found.scores,
        k,
        float(np.mean(found.overlaps)) if found.overlaps else None,
        float(np.mean(found.orders)) if found.orders else None,
        found.weight_error,
        found.score_error,
        engine.precision,
    )


def _verdict(found: _Found) -> Verdict:
    if found.differences:
        return Verdict.DIFFERENT
    exact = max(found.weight_error, found.score_error) <= _EXACT
    return Verdict.EQUAL if exact else Verdict.WITHIN


def _pairs(
    engine: Engine, encoder: Encoder, index: Index | None, sample: int, found: _Found
) -> Iterator[Pair]:
    """Check ids and vectors, and yield the pairs that were compared."""
    if index is not None:
        sampled = _sampled(index, sample)
        expected = {each.record_id: each.weight_by_term() for each in sampled}
        _check_ids(engine, index, found)
        stored = engine.stored(list(expected))
        _check_texts(sampled, stored, found)
    else:
        ids = list(islice(engine.record_ids(), sample))
        stored = engine.stored(ids)
        expected = _encoded(encoder, stored)
    folding = engine.folding()
    if folding is not None:
        expected = {record_id: folding.known(each) for record_id, each in expected.items()}
    pairs = [
        Pair(record_id, expected[record_id], record.weight_by_term())
        for record_id, record in stored.items()
    ]
    found.vectors = len(pairs)
    spelled = encoder.space.vocabulary.term
    for cause in causes_of(pairs, max(engine.precision, _EXACT), spelled):
        found.add(Check.VECTORS, cause)
    found.weight_error = max((pair.largest_error() for pair in pairs), default=0.0)
    if found.weight_error > max(engine.precision, _EXACT) and not found.differences:
        found.add(Check.VECTORS, f"a weight has a relative error of {found.weight_error:.2%}")
    yield from pairs


def _sampled(index: Index, sample: int) -> list[Record]:
    """Return passages at even distances."""
    step = max(1, index.live_passages // sample)
    return list(islice(islice(records_of(index), 0, None, step), sample))


def _encoded(encoder: Encoder, stored: Mapping[str, Record]) -> dict[str, dict[int, float]]:
    """Encode the texts of records again.

    A later passage was encoded after the title of its document, unless the title is long: the
    stored vector decides.
    """
    found = _encoded_records(encoder, stored.values())
    later = [record for record in stored.values() if record.passage and record.title]
    untitled = _encoded_records(encoder, [replace(record, title="") for record in later])
    for record in later:
        own = record.weight_by_term()
        with_title, without = found[record.record_id], untitled[record.record_id]
        if Pair("", without, own).cosine() > Pair("", with_title, own).cosine():
            found[record.record_id] = without
    return found


def _encoded_records(encoder: Encoder, records: Iterable[Record]) -> dict[str, dict[int, float]]:
    documents = [Document(record.record_id, record.text, record.title) for record in records]
    vectors = encoder.encode(documents, Role.DOCUMENT).vectors.as_dicts()
    return {each.doc_id: vector for each, vector in zip(documents, vectors, strict=True)}


def _check_ids(engine: Engine, index: Index, found: _Found) -> None:
    wanted = {record.record_id for record in records_of(index)}
    counts = Counter(engine.record_ids())
    there = counts.keys()
    twice = sorted(record_id for record_id, number in counts.items() if number > 1)
    if twice:
        found.add(
            Check.RECORDS,
            f"{_are(len(twice), 'passage')} there more than once: {_listed(twice)}; is the"
            " target an alias of several?",
        )
    missing, extra = sorted(wanted - there), sorted(there - wanted)
    lowered = [each for each in missing if each.lower() in there]
    if lowered:
        found.add(Check.RECORDS, f"{len(lowered):,} ids were lower-cased: {_listed(lowered)}")
    missing = [each for each in missing if each not in set(lowered)]
    if missing:
        said = f"{_are(len(missing), 'passage')} missing: {_listed(missing)}"
        found.add(Check.RECORDS, said)
    if extra and not lowered:
        said = f"{_are(len(extra), 'passage')} not of the index: {_listed(extra)}"
        found.add(Check.RECORDS, said)


def _check_texts(sampled: Sequence[Record], stored: Mapping[str, Record], found: _Found) -> None:
    """Compare titles and texts, which hits show and BM25 reads."""
    other = [
        each.record_id
        for each in sampled
        if each.record_id in stored
        and (each.title, each.text) != (stored[each.record_id].title, stored[each.record_id].text)
    ]
    if other:
        said = f"{_are(len(other), 'passage')} stored with another text: {_listed(other)}"
        found.add(Check.TEXTS, said)


def _are(number: int, noun: str) -> str:
    """Return a number with a noun and the verb: ``1 passage is``, ``2 passages are``."""
    return f"{number:,} {noun} is" if number == 1 else f"{number:,} {noun}s are"


def _titles(engine: Engine, pairs: Sequence[Pair], most: int) -> list[Query]:
    """Return the titles, or the first words, of documents as queries."""
    stored = engine.stored([pair.record_id for pair in pairs[: min(most, 50)]])
    texts = (record.title or " ".join(record.text.split()[:8]) for record in stored.values())
    return [Query(f"title{i}", text) for i, text in enumerate(texts) if text.strip()]


def _check_scores(engine: Engine, encoder: Encoder, queries: SparseVectors, found: _Found) -> None:
    """Compare the scores of the best records with dot products by the expected vectors."""
    best = engine.best_records(queries)
    ids = sorted({record[0] for record in best if record is not None})
    expected = _encoded(encoder, engine.stored(ids))
    errors = [
        abs(record[1] / max(_dot(query, expected[record[0]]), 1e-9) - 1)
        for query, record in zip(queries.as_dicts(), best, strict=True)
        if record is not None and record[0] in expected
    ]
    _note_errors(errors, engine, found)


def _check_rankings(
    engine: Engine,
    index: Index,
    queries: SparseVectors,
    rankings: Sequence[Matches],
    k: int,
    found: _Found,
) -> None:
    """Compare rankings with exact search, as far as the precision of the engine decides them."""
    tolerance = max(engine.precision, _EXACT)
    errors: list[float] = []
    wrong: list[int] = []
    exact = index.search(queries, 2 * k)
    for place, (matches, local) in enumerate(zip(rankings, exact, strict=True)):
        scores = dict(zip(local.doc_ids, local.scores.tolist(), strict=True))
        first = list(local.doc_ids)[:k]
        ids = list(matches.doc_ids)
        errors += [
            abs(float(score) / scores[doc_id] - 1)
            for doc_id, score in zip(ids, matches.scores, strict=True)
            if scores.get(doc_id, 0.0) > 0
        ]
        found.overlaps.append(len(set(ids) & set(first)) / max(1, len(first)))
        found.orders.append(_is_same_order(ids, first, scores))
        if not _is_same_ranking(ids, first, scores, tolerance):
            wrong.append(place)
    _note_errors(errors, engine, found)
    if wrong:
        found.add(
            Check.RANKING,
            f"{len(wrong):,} of {len(rankings):,} queries have other documents among the first {k}"
            " than exact search, by more than rounding explains",
        )


def _is_same_order(ids: Sequence[str], first: Sequence[str], scores: Mapping[str, float]) -> bool:
    """Return whether two rankings have one order; documents of equal scores have any."""
    return len(ids) == len(first) and all(
        there == here or scores.get(there) == scores[here]
        for there, here in zip(ids, first, strict=True)
    )


def _is_same_ranking(
    ids: Sequence[str], first: Sequence[str], scores: Mapping[str, float], tolerance: float
) -> bool:
    """Return whether rounding explains all differences of two rankings."""
    if len(ids) != len(first):
        return False
    return all(
        abs(scores.get(there, 0.0) - scores[here]) <= 2 * tolerance * scores[here]
        for there, here in zip(ids, first, strict=True)
    )


def _note_errors(errors: Sequence[float], engine: Engine, found: _Found) -> None:
    found.scores = len(errors)
    found.score_error = max(errors, default=0.0)
    if found.score_error > max(engine.precision, _EXACT):
        found.add(
            Check.SCORES,
            f"a score has a relative error of {found.score_error:.2%}, and the precision of the"
            f" engine explains {max(engine.precision, _EXACT):.2%}",
        )


def _dot(query: Mapping[int, float], document: Mapping[int, float]) -> float:
    return sum(weight * document.get(term, 0.0) for term, weight in query.items())


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_LISTED])
    return shown + (f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else "")
