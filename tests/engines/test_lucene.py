"""The vector file of an index in Lucene itself, searched as Anserini searches impacts.

`make test-engines` compiles `lucene/ImpactSearch.java` with the jars of each version. Without them,
the tests are skipped, except in CI.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from engine_nodes import BUILT, SUPPORT, lexpand_command

from lexpand import Encoder, Index
from lexpand.collection import Collection
from lexpand.data import JudgedQueries, Run, SparseVectors, read_judged
from lexpand.evaluation import evaluate_run
from lexpand.experiments.evaluating import evaluate_retriever

pytestmark = pytest.mark.slow  # `make test-engines` runs them

VERSIONS = ("9.12.3", "10.6.0")
SCALE = 100
K = 20


@pytest.fixture(scope="module", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    if not (BUILT / f"lucene-{request.param}" / "ready").is_file():
        if os.environ.get("LEXPAND_REQUIRE_ENGINES"):
            pytest.fail(f"Lucene {request.param} must be built: run make test-engines")
        pytest.skip(f"Lucene {request.param} is not built (make test-engines)")
    return str(request.param)


@pytest.fixture(scope="module")
def judged() -> JudgedQueries:
    return read_judged(SUPPORT / "questions.csv")


@pytest.fixture(scope="module")
def documents(support_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The vector file of the support pages, in integers."""
    path = tmp_path_factory.mktemp("lucene") / "impacts.jsonl"
    done = lexpand_command("export", support_path, path, "--scale", SCALE)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def queries(judged: JudgedQueries, encoder: Encoder, documents: Path) -> Path:
    """The questions as Anserini's topics with vectors, in integers."""
    vectors = encoder.encode_queries([query.text for query in judged.judged])
    path = documents.with_name("queries.jsonl")
    with path.open("w", encoding="utf-8") as file:
        for query, weights in zip(judged.judged, vectors.as_dicts(), strict=True):
            vector = {
                encoder.vocabulary.term(term): round(weight * SCALE)
                for term, weight in weights.items()
                if round(weight * SCALE)
            }
            file.write(json.dumps({"qid": query.query_id, "vector": vector}) + "\n")
    return path


def in_lucene(
    version: str, documents: Path, queries: Path, out: Path
) -> subprocess.CompletedProcess[str]:
    """Index the documents, and write the run of the queries to ``out``/run.trec."""
    folder = BUILT / f"lucene-{version}"
    java = f"{(folder / 'jdk').read_text().strip()}/bin/java"
    command = [java, "-Xmx512m", "-cp", f"{folder}/classes:{folder}/lib/*", "ImpactSearch"]
    return subprocess.run(
        [*command, documents, queries, out / "index", str(K), out / "run.trec"],
        capture_output=True,
        text=True,
        timeout=120,
    )


def vectors_of(path: Path, name: str) -> dict[str, dict[str, int]]:
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {row[name]: row["vector"] for row in rows}


def test_lucene_ranks_the_vector_file_as_an_index_of_it_does(
    version: str, documents: Path, queries: Path, tmp_path: Path
) -> None:
    done = in_lucene(version, documents, queries, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"Lucene {version}"
    run = Run.read_trec(tmp_path / "run.trec").rankings
    asked, stored = vectors_of(queries, "qid"), vectors_of(documents, "id")
    assert run.keys() == asked.keys() and len(stored) == 160

    imported = lexpand_command("import", documents, tmp_path / "impacts.index")
    assert imported.returncode == 0, imported.stderr
    with Index.open(tmp_path / "impacts.index") as index:
        term = index.space.vocabulary.id
        rows = [
            {term(token): weight for token, weight in vector.items() if term(token) is not None}
            for vector in asked.values()
        ]
        found = index.search(SparseVectors.from_rows(rows, len(index.space.vocabulary)), K)
    for (qid, query), matches in zip(asked.items(), found, strict=True):
        exact = {
            doc_id: sum(weight * vector.get(token, 0) for token, weight in query.items())
            for doc_id, vector in stored.items()
        }
        # Lucene orders equal scores by insertion, and float32 is exact for integers below 2^24.
        best = sorted((doc for doc in exact if exact[doc]), key=lambda doc: -exact[doc])[:K]
        assert list(run[qid]) == [(doc, exact[doc]) for doc in best]
        # An index stores 16 bits of a weight, so documents with scores closer than that may swap.
        scores = [hit.score for hit in run[qid]]
        np.testing.assert_allclose(matches.scores, scores, rtol=1e-4)
        np.testing.assert_allclose([exact[doc] for doc in matches.doc_ids], scores, rtol=1e-4)


def test_its_run_measures_like_the_index(
    version: str,
    documents: Path,
    queries: Path,
    judged: JudgedQueries,
    support: Collection,
    tmp_path: Path,
) -> None:
    assert in_lucene(version, documents, queries, tmp_path).returncode == 0
    run = Run.read_trec(tmp_path / "run.trec")
    there = evaluate_run(run, judged.qrels, ["nDCG@10"]).means["nDCG@10"]
    retriever = support.retriever("splade")
    here = evaluate_retriever(retriever, judged, ["nDCG@10"], cost=False).means["nDCG@10"]
    assert there == pytest.approx(here, abs=0.005)  # rounded to steps of 0.01


def test_weights_that_are_no_integers_are_refused(
    version: str, support_path: Path, queries: Path, tmp_path: Path
) -> None:
    """Anserini cuts them to integers, so that 0.9 becomes 0."""
    lexpand_command("export", support_path, tmp_path / "floats.jsonl")
    done = in_lucene(version, tmp_path / "floats.jsonl", queries, tmp_path)
    assert done.returncode == 1 and "must be an integer >= 1, got" in done.stderr
    assert "export with --scale" in done.stderr
