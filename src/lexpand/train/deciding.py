"""Decide whether a new model is better than its base on one's own documents."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lexpand.collection import create
from lexpand.collection import open as open_collection
from lexpand.data import Document, Qrels, Query, Run, read_documents, read_judged
from lexpand.data.collections import collection_path
from lexpand.encode import Encoder, QueryEncoding
from lexpand.encode.contract import QueryMode
from lexpand.evaluation import compare_means, evaluate_queries
from lexpand.evaluation.significance import Comparison
from lexpand.train.rows import Row

PIPELINE = "splade"
"""The pipeline whose rankings decide: the model alone."""


_BEYOND = 11  # a rank after those that are read
_GENERAL = (1500, 300)
"""Documents and queries of the general collection."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a new model must reach.

    Attributes:
        level: the level of the paired t test that it is better on one's own documents.
        worst_loss: the largest loss of nDCG@10 on the general collection.
    """

    level: float = 0.05
    worst_loss: float = 0.02


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a model is better than another one, and the figures that say so.

    Attributes:
        accepted: whether the new model is better.
        reason: why, as a sentence.
        own: the comparison on held-out queries of one's own documents, by the name of the query
            mode.
        general: the comparison on the general collection.
        mode: the query mode that is better on the held-out queries.
        examples: queries with the first hits before and after.
    """

    accepted: bool
    reason: str
    own: Mapping[str, Comparison]
    general: Comparison
    mode: QueryMode
    examples: Sequence[Mapping[str, Any]] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the decision as JSON values."""
        return {**asdict(self), "mode": self.mode.value}


class GeneralCollection:
    """A collection in BEIR's layout on which a new model must not be worse.

    Args:
        folder: ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/``, of which ``dev.tsv`` or else
            ``test.tsv`` is used; by default the packaged SciFact. At most 300 queries are used, and
            1,500 documents besides the judged ones.

    Raises:
        SourceError, DataError: a file is missing or invalid.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        folder = collection_path("scifact") if folder is None else Path(folder)
        collection = read_judged(folder, split=("dev", "test"))
        self._queries = collection.judged[: _GENERAL[1]]
        grades = collection.qrels.judgments
        self._qrels = Qrels({query.query_id: grades[query.query_id] for query in self._queries})
        judged = {doc_id for grades in self._qrels.judgments.values() for doc_id in grades}
        self._documents, others = [], _GENERAL[0]
        for document in read_documents(folder):
            if document.doc_id in judged or others > 0:
                others -= document.doc_id not in judged
                self._documents.append(document)
        self._known: dict[tuple[Path, QueryMode], dict[str, float]] = {}

    def compare(
        self, base: str | Path, candidate: str | Path, mode: QueryMode = QueryMode.ENCODER
    ) -> Comparison:
        """Compare nDCG@10 of a candidate in a query mode with that of the base's encoder."""
        return compare_means(
            self._values(Path(base), QueryMode.ENCODER), self._values(Path(candidate), mode)
        )

    def _values(self, model: Path, mode: QueryMode) -> dict[str, float]:
        if (model, mode) not in self._known:
            run = _runs(model, self._documents, self._queries, [mode])[mode]
            self._known[model, mode] = evaluate_queries(run, self._qrels)
        return self._known[model, mode]


def decide(
    base: str | Path,
    candidate: str | Path,
    documents: Sequence[Document],
    queries: Sequence[Row],
    limits: Limits,
    *,
    general: GeneralCollection,
) -> Decision:
    """Decide whether a model is better than its base on one's own documents.

    The new model is accepted if nDCG@10 of the held-out queries is significantly better (paired t
    test) in a query mode, and the general collection loses at most ``worst_loss``. The model alone
    ranks (`PIPELINE`).

    Args:
        base: the folder of the base.
        candidate: the folder of the new model.
        documents: the documents.
        queries: held-out rows with the field ``doc_id`` of the relevant document, at most one a
            document. The document is indexed with the text of the row's positive, which lacks the
            words that a pseudo query was taken from.
        limits: what the candidate must reach.
        general: the collection on which the candidate must not be worse.
    """
    asked = [Query(f"q{place}", row.query) for place, row in enumerate(queries)]
    qrels = Qrels(
        {f"q{place}": {str(row.fields["doc_id"]): 1} for place, row in enumerate(queries)}
    )
    documents = _without_queries(documents, queries)
    before = _runs(base, documents, asked, [QueryMode.ENCODER])[QueryMode.ENCODER]
    after = _runs(candidate, documents, asked, modes_of(candidate))
    old = evaluate_queries(before, qrels)
    own = {
        mode.value: compare_means(old, evaluate_queries(run, qrels)) for mode, run in after.items()
    }
    mode = _best_mode(own)
    broad = general.compare(base, candidate, mode)
    best = own[mode.value]
    reason, accepted = _verdict(best, broad, limits)
    examples = _examples(asked, qrels, before, after[mode])
    return Decision(accepted, reason, own, broad, mode, examples)


def _without_queries(documents: Sequence[Document], queries: Sequence[Row]) -> list[Document]:
    """Return the documents; those of the queries have the text of the positive, and no title."""
    texts = {str(row.fields["doc_id"]): row.documents[0] for row in queries}
    return [
        replace(document, title="", text=texts[document.doc_id])
        if document.doc_id in texts
        else document
        for document in documents
    ]


def _best_mode(own: Mapping[str, Comparison]) -> QueryMode:
    """Return the mode of queries: a table must gain 0.01 on the encoder.

    Pseudo queries share more words with their document than users' queries do, which favors tables.
    """
    table = own.get(QueryMode.LOOKUP.value)
    encoder = own[QueryMode.ENCODER.value]
    gains = table is not None and table.after >= encoder.after + 0.01
    return QueryMode.LOOKUP if gains else QueryMode.ENCODER


def _verdict(own: Comparison, general: Comparison, limits: Limits) -> tuple[str, bool]:
    figures = (
        f"nDCG@10 of {own.queries:,} held-out queries: {own.before:.3f} before, {own.after:.3f}"
        f" after, p = {own.p_t:.2g}"
    )
    if own.difference <= 0 or own.p_t >= limits.level:
        return f"not significantly better on your documents ({figures})", False
    if general.difference < -limits.worst_loss:
        return (
            f"worse on the general collection: {general.before:.3f} before, {general.after:.3f}"
            f" after, the largest loss is {limits.worst_loss} ({figures})",
            False,
        )
    return f"better on your documents ({figures}), not worse elsewhere", True


def modes_of(model: str | Path) -> list[QueryMode]:
    """Return the query modes of a model: its encoder, and its table if it has one."""
    encoder = Encoder.load(model)
    table = encoder.contract.query_table is not None
    return [QueryMode.ENCODER, *([QueryMode.LOOKUP] if table else [])]


def _runs(
    model: str | Path,
    documents: Sequence[Document],
    queries: Sequence[Query],
    modes: Sequence[QueryMode],
) -> dict[QueryMode, Run]:
    """Return the runs of a model over documents in a temporary index, by the query mode."""
    runs = {}
    with tempfile.TemporaryDirectory(prefix="lexpand-") as folder:
        path = Path(folder) / "index"
        create(path, documents, model=model, words="none").close()
        for mode in modes:
            asking = QueryEncoding(mode=mode)
            with open_collection(path, model=model, queries=asking) as collection:
                runs[mode] = collection.retriever(PIPELINE).run(queries, 10)
    return runs


def _examples(
    queries: Sequence[Query], qrels: Qrels, before: Run, after: Run, most: int = 5
) -> list[dict[str, Any]]:
    """Return the queries whose ranks changed most, in both directions."""

    def rank(run: Run, query: Query) -> int | None:
        (wanted,) = qrels.judgments[query.query_id]
        ids = [hit.doc_id for hit in run.rankings.get(query.query_id, ())]
        return ids.index(wanted) + 1 if wanted in ids else None

    ranks = [(rank(before, query), rank(after, query)) for query in queries]
    changed = sorted(
        (place for place, (old, new) in enumerate(ranks) if old != new),
        key=lambda place: (ranks[place][1] or _BEYOND) - (ranks[place][0] or _BEYOND),
    )
    return [
        {
            "query": queries[place].text,
            "doc_id": next(iter(qrels.judgments[queries[place].query_id])),
            "rank_before": ranks[place][0],
            "rank_after": ranks[place][1],
        }
        for place in [*changed[:most], *changed[most:][-2:]]
    ]
