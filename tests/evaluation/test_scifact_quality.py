"""Quality of the packaged model on all of SciFact; takes minutes."""

from pathlib import Path

import pytest

from lexpand import (
    Document,
    DocumentEncoding,
    Encoder,
    Index,
    Qrels,
    Run,
    SparseRetriever,
    SparseVectors,
    ingest,
    read_queries,
)
from lexpand.data import collection_path
from lexpand.evaluation import evaluate


@pytest.mark.slow
@pytest.mark.parametrize(
    ("max_tokens", "least", "most"), [(512, 0.645, 0.648), (256, 0.643, 0.645)]
)
def test_ndcg_of_the_packaged_model_is_as_documented(
    scifact: list[Document], tmp_path: Path, max_tokens: int, least: float, most: float
) -> None:
    encoder = Encoder.load(documents=DocumentEncoding(max_tokens=max_tokens))
    qrels = Qrels.read(collection_path("scifact") / "qrels" / "test.tsv")
    queries = [
        query
        for query in read_queries(collection_path("scifact"))
        if query.query_id in qrels.judgments
    ]
    assert (len(scifact), len(queries)) == (5183, 300)
    with Index.create(tmp_path / "i", encoder.space) as index:
        ingest(index, encoder, scifact, commit_every=2000)
        assert index.info().segments == 3
        run = SparseRetriever(index, encoder).run(queries, 1000, threads=2)
        vectors: SparseVectors = encoder.encode_queries([query.text for query in queries])
        matches_of_queries = index.search(vectors, 1000, exhaustive=True)
        assert index.search(vectors, 1000, threads=2) == matches_of_queries
    pairs = zip(queries, matches_of_queries, strict=True)
    reference = Run(
        {
            query.query_id: [(match.doc_id, match.score) for match in matches]
            for query, matches in pairs
        }
    )
    assert run == reference
    assert least < evaluate(run, qrels)["nDCG@10"] < most
