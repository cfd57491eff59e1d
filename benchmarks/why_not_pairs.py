"""List relevant documents that only one of SPLADE and BM25 finds, with the decisive terms.

    python benchmarks/why_not_pairs.py COLLECTION... [--pairs 5] [--json]

A collection is a BEIR folder with judged test queries. SciFact, which is packaged, is always the
first. The packaged model indexes each collection with a lexical field, under build/bench/why_not.

A pair is a test query and a relevant document that one retriever ranks in its best 3 and the other
not in its best 10. The first pairs of each collection are listed, in the order of the queries, at
most one per query. Pairs that SPLADE finds and pairs that BM25 finds take turns.

The output is the table of docs/explain.md. "Found by" has the strongest terms in the score of the
retriever that finds the document. "Above it" has the terms by which `why_not` explains that the
best hit of the other retriever is above the document. Only the queries of SciFact are printed
(claims: CC BY 4.0). The licenses of the others forbid passing queries on or do not mention it, so
only their ids are printed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice, zip_longest
from pathlib import Path

from lexpand import Encoder, Index, Qrels, Query, Retriever, ingest, read_documents, read_queries
from lexpand import SparseRetriever as Sparse
from lexpand import WordRetriever as Words
from lexpand.data import collection_path
from lexpand.encode import WordAnalyzer
from lexpand.explanation import explain, why_not
from measured_model import MODEL

_ROOT = Path(__file__).parents[1] / "build" / "bench" / "why_not"
_FOUND, _MISSED, _LOOK, _TERMS = 3, 10, 1000, 3


@dataclass(frozen=True)
class Pair:
    """A query and a relevant document that only one retriever finds."""

    collection: str
    query_id: str
    question: str
    doc_id: str
    finder: str
    splade_rank: int | None
    bm25_rank: int | None
    found_by: list[str]
    above_it: list[str]
    lost: list[str]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "collections", nargs="*", type=Path, metavar="COLLECTION", help="BEIR folders"
    )
    parser.add_argument("--pairs", type=int, default=5, help="pairs of each collection (5)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    encoder = Encoder.load(MODEL)
    pairs: list[Pair] = []
    for folder in [collection_path("scifact"), *arguments.collections]:
        with _index(folder, encoder) as index:
            sparse, words = Sparse(index, encoder), Words(index)
            by_splade, by_bm25 = (
                _pairs(folder, finder, loser)
                for finder, loser in ((sparse, words), (words, sparse))
            )
            in_turn = (
                pair
                for pair in chain.from_iterable(zip_longest(by_splade, by_bm25))
                if pair is not None
            )
            pairs += islice(in_turn, arguments.pairs)
    print(json.dumps([asdict(pair) for pair in pairs]) if arguments.json else _table(pairs))


def _index(folder: Path, encoder: Encoder) -> Index:
    path = _ROOT / folder.name
    index = (
        Index.open(path)
        if Index.exists(path)
        else Index.create(path, encoder.space, words=WordAnalyzer())
    )
    ingest(index, encoder, read_documents(folder))
    return index


def _pairs(folder: Path, finder: Retriever, loser: Retriever) -> Iterator[Pair]:
    plain = folder / "qrels" / "test.tsv"
    judgments = Qrels.read(plain if plain.is_file() else plain.with_suffix(".tsv.gz")).judgments
    for query in read_queries(folder):
        relevant = {
            doc_id for doc_id, grade in judgments.get(query.query_id, {}).items() if grade > 0
        }
        (found,), (others,) = finder.rank([query.text], _FOUND), loser.rank([query.text], _MISSED)
        missed = {match.doc_id for match in others}
        for match in found:
            if match.doc_id in relevant - missed:
                yield _pair(folder.name, query, match.doc_id, finder, loser)
                break


def _pair(collection: str, query: Query, doc_id: str, finder: Retriever, loser: Retriever) -> Pair:
    answer = why_not(loser, query.text, doc_id, k=_MISSED)
    ranks = [_rank(retriever, query, doc_id) for retriever in (finder, loser)]
    found_by_model = isinstance(finder, Sparse)
    splade, bm25 = ranks if found_by_model else reversed(ranks)
    contributions = explain(finder, query.text, doc_id).contributions
    return Pair(
        collection,
        query.query_id,
        query.text if collection == "scifact" else "",
        doc_id,
        "SPLADE" if found_by_model else "BM25",
        splade,
        bm25,
        [f"{part.label} {part.contribution:.2f}" for part in contributions[:_TERMS]],
        [
            f"{term.term} {term.difference:+.2f}"
            for term in answer.differences
            if term.difference > 0
        ][:_TERMS],
        [f"{loss.kind} {loss.label} {loss.gain:.2f}" for loss in answer.losses if loss.gain > 0.1][
            :_TERMS
        ],
    )


def _rank(retriever: Retriever, query: Query, doc_id: str) -> int | None:
    (matches,) = retriever.rank([query.text], _LOOK)
    return next((rank for rank, match in enumerate(matches, 1) if match.doc_id == doc_id), None)


def _table(pairs: Sequence[Pair]) -> str:
    head = "| collection | question | document | SPLADE, BM25 rank | found by | above it | lost |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    for pair in pairs:
        ranks = ", ".join(
            "none" if rank is None else str(rank) for rank in (pair.splade_rank, pair.bm25_rank)
        )
        question = f"{pair.query_id} {pair.question}".strip()
        terms = " | ".join(", ".join(terms) for terms in (pair.found_by, pair.above_it, pair.lost))
        lines.append(f"| {pair.collection} | {question} | {pair.doc_id} | {ranks} | {terms} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
