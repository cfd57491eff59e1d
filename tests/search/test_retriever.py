"""Searches in words: hits, runs, and encoders of another model."""

import json
import re
import shutil
from pathlib import Path

import pytest

from lexpand import (
    Document,
    DocumentEncoding,
    Encoder,
    Index,
    Query,
    SparseRetriever,
    ingest,
    open_retriever,
    read_queries,
)
from lexpand.data import collection_path
from lexpand.encode.folder import find_folder
from lexpand.errors import ContractMismatch, ModelError, NotAnIndex
from lexpand.search.snippet import make_snippet

LOGIN = "how do I get into my account?"


@pytest.fixture
def retriever(small_index: Index, encoder: Encoder) -> SparseRetriever:
    return SparseRetriever(small_index, encoder)


@pytest.fixture
def other_model(tmp_path: Path) -> Path:
    """The packaged model with another activation: the same terms, other weights."""
    folder = Path(shutil.copytree(find_folder("default"), tmp_path / "other model"))
    contract = json.loads((folder / "contract.json").read_text(encoding="utf-8"))
    contract["name"] = "other"
    contract["head"]["activation"] = "log1p(log1p(relu))"
    (folder / "contract.json").write_text(json.dumps(contract), encoding="utf-8")
    return folder


def test_a_hit_has_the_fields_and_the_score_of_its_document(
    retriever: SparseRetriever, encoder: Encoder, pages: list[Document]
) -> None:
    hits = retriever.search(LOGIN)
    assert hits[0].doc_id == "recovery"
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    by_id = {page.doc_id: page for page in pages}
    (vector,) = encoder.encode_queries([LOGIN]).as_dicts()
    for hit in hits:
        page, stored = by_id[hit.doc_id], retriever.index.vector(hit.doc_id)
        assert (hit.title, dict(hit.metadata)) == (page.title, dict(page.metadata))
        assert hit.snippet == make_snippet(page.text, LOGIN) != ""
        weights = dict(zip(stored.terms.tolist(), stored.weights.tolist(), strict=True))
        assert hit.score == pytest.approx(
            sum(vector[term] * weights.get(term, 0.0) for term in vector)
        )


def test_k_limits_the_number_of_hits(retriever: SparseRetriever) -> None:
    every = retriever.search("the first day of the month", 1000)
    assert 0 < len(every) <= 5
    for k in range(6):
        assert retriever.search("the first day of the month", k) == every[:k]


@pytest.mark.parametrize("query", ["", " \t\n", "\0", "\u200b"])
def test_a_query_without_tokens_finds_nothing(retriever: SparseRetriever, query: str) -> None:
    assert retriever.search(query) == []
    assert retriever.run([Query("q", query)]).rankings == {"q": ()}


def test_a_query_of_ten_thousand_words_is_searched(retriever: SparseRetriever) -> None:
    hits = retriever.search("the printer does not print " * 2000)
    assert hits[0].doc_id == "printer"


@pytest.mark.parametrize(
    "query", ["パスワードを忘れました", "не печатает принтер", "🖨️", "كلمة السر", "x" * 5000]
)
def test_a_query_in_another_script_is_searched(retriever: SparseRetriever, query: str) -> None:
    """The model knows few of these words, so only the number of hits is checked."""
    assert len(retriever.search(query)) <= 5


def test_an_empty_index_finds_nothing(tmp_path: Path, encoder: Encoder) -> None:
    with SparseRetriever(Index.create(tmp_path / "i", encoder.space), encoder) as retriever:
        assert retriever.search(LOGIN) == []
        assert retriever.run([]).rankings == {}


def test_a_run_has_the_rankings_of_single_searches(scifact: list[Document], tmp_path: Path) -> None:
    short = Encoder.load(documents=DocumentEncoding(max_tokens=32))
    queries = list(read_queries(collection_path("scifact")))[:20]
    with Index.create(tmp_path / "i", short.space) as index:
        ingest(index, short, scifact[:60])
        retriever = SparseRetriever(index, short)
        run = retriever.run(queries, 30, threads=2)
        assert list(run.rankings) == [query.query_id for query in queries]
        for query in queries:
            alone = {hit.doc_id: hit.score for hit in retriever.search(query.text, 30)}
            ranking = run.rankings[query.query_id]
            # Rounding depends on the batch, so near ties may swap.
            assert len(ranking) == len(alone) > 0
            assert [hit.score for hit in ranking] == pytest.approx(list(alone.values()), rel=1e-3)
            for hit in ranking[: len(ranking) // 2]:
                assert alone[hit.doc_id] == pytest.approx(hit.score, rel=1e-3)
        exact = index.search(short.encode_queries([query.text for query in queries]), 30)
        for query, matches in zip(queries, exact, strict=True):
            assert list(run.rankings[query.query_id]) == [
                (match.doc_id, match.score) for match in matches
            ]
        assert {
            query: len(ranking) for query, ranking in retriever.run(queries, 3).rankings.items()
        } == {query.query_id: 3 for query in queries}


def test_the_encoder_of_another_model_is_refused(
    small_index: Index, other_model: Path, encoder: Encoder
) -> None:
    other = Encoder.load(other_model)
    assert (encoder.space.model.name, other.space.model.name) == ("splade-tiny", "other")
    message = re.escape(
        f"holds vectors of {encoder.space.model.label}, not of {other.space.model.label}"
    )
    with pytest.raises(ContractMismatch, match=message):
        SparseRetriever(small_index, other)
    small_index.close()
    with pytest.raises(ContractMismatch, match=message):
        open_retriever(small_index.path, model=other_model)


def test_opening_finds_the_packaged_model(small_index: Index, pages: list[Document]) -> None:
    small_index.close()
    with open_retriever(small_index.path, threads=1) as retriever:
        assert retriever.encoder.space.location == "splade-tiny"
        assert retriever.encoder.threads == 1
        assert retriever.search(LOGIN)[0].doc_id == "recovery"


def test_opening_finds_a_model_in_a_folder(
    tmp_path: Path, other_model: Path, pages: list[Document]
) -> None:
    other, path = Encoder.load(other_model), tmp_path / "i"
    with Index.create(path, other.space) as index:
        ingest(index, other, pages)
    with open_retriever(path) as retriever:
        assert retriever.encoder.space.model == other.space.model
        assert retriever.search(LOGIN)[0].doc_id == "recovery"
    moved = other_model.rename(tmp_path / "moved")
    with pytest.raises(ModelError, match="other model"):
        open_retriever(path)
    with open_retriever(path, model=moved) as retriever:
        assert retriever.search(LOGIN)[0].doc_id == "recovery"
    assert not (path / "catalog.sqlite-wal").exists()


def test_a_failed_opening_leaves_nothing_open(small_index: Index) -> None:
    small_index.close()
    with pytest.raises(ModelError) as caught:
        open_retriever(small_index.path, model="nowhere")
    assert "nowhere" in str(caught.value)
    assert not (small_index.path / "catalog.sqlite-wal").exists()


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAnIndex, match="is not an index"):
        open_retriever(tmp_path)


def test_a_retriever_closes_its_index(small_index: Index, encoder: Encoder) -> None:
    ingest(small_index, encoder, [Document("late", "one more page")])
    with SparseRetriever(small_index, encoder):
        pass
    with Index.open(small_index.path) as index:
        assert ingest(index, encoder, [Document("later", "and another")]).added == 1
