"""Reranking in a pipeline file, and on the command line."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from reranker_makers import Weights, write_model
from typer.testing import CliRunner, Result

from lexpand import Document, Encoder, Index, SparseRetriever, ingest, open_retriever
from lexpand.cli.app import app
from lexpand.encode import WordAnalyzer
from lexpand.errors import DataError, LexpandWarning, ModelError, StorageError
from lexpand.search import CrossEncoder, Feedback, Fusion, Pipeline
from lexpand.search.parts import Rerank, Splade, Words
from lexpand.search.reranking import RerankingRetriever

QUERY = "the month, the printer, an account, leave, a crash"

TOML = """
[[parts]]
field = "splade"
idf = 0.25
[[parts]]
field = "bm25"
[rerank]
model = "models/small"
depth = 3
budget_ms = 200
max_tokens = 64
"""


@pytest.fixture(scope="module", autouse=True)
def _the_model_loaded_once(encoder: Encoder) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Encoder, "load", lambda *_, **__: encoder)
        yield


@pytest.fixture
def path(tmp_path: Path, encoder: Encoder, pages: list[Document]) -> Path:
    with Index.create(
        tmp_path / "pages.index", encoder.space, words=WordAnalyzer("english")
    ) as index:
        ingest(index, encoder, pages)
    return tmp_path / "pages.index"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    pytest.importorskip("onnx")
    return write_model(tmp_path / "models" / "small", Weights())


@pytest.fixture
def broken(model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that can be loaded and then fails."""

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(CrossEncoder, "score", fail)
    return model


def test_a_pipeline_with_a_reranker_is_read_from_a_file(
    tmp_path: Path, path: Path, model: Path
) -> None:
    (tmp_path / "kb.toml").write_text(TOML, encoding="utf-8")
    pipeline = Pipeline.load(tmp_path / "kb.toml")
    assert pipeline.parts == (Splade(idf=0.25), Words())
    assert pipeline.rerank == Rerank(str(model), depth=3, budget_ms=200, max_tokens=64)
    with open_retriever(path, tmp_path / "kb.toml") as retriever:
        assert isinstance(retriever, RerankingRetriever)
        assert (retriever.depth, retriever.budget_ms) == (3, 200)
        assert isinstance(retriever.reranker, CrossEncoder)
        assert retriever.reranker.max_tokens == 64
        sparse = retriever.first.parts[0].retriever  # type: ignore[attr-defined]
        assert isinstance(sparse, SparseRetriever)
        assert sparse.idf == 0.25
        by_hand = RerankingRetriever(
            retriever.first, CrossEncoder.load(model, max_tokens=64), depth=3
        )
        assert retriever.search(QUERY) == by_hand.search(QUERY) != retriever.first.search(QUERY)


@pytest.mark.parametrize(
    "pipeline",
    [
        Pipeline(),
        Pipeline((Words(0.5, 0.9, 0.4),)),
        Pipeline(
            (Splade(0.25, 0.5, 1e-05), Words(2)), Fusion.RECIPROCAL_RANK, 7, Feedback(3, 9, 0.125)
        ),
        Pipeline(
            rerank=Rerank(
                '/a "path"\\\x7f\n\u2028é', depth=5, budget_ms=1.5, max_tokens=99, backend="torch"
            )
        ),
        Pipeline((Words(),), feedback=Feedback(), rerank=Rerank("/m")),
    ],
)
def test_a_saved_pipeline_loads_as_the_same(tmp_path: Path, pipeline: Pipeline) -> None:
    pipeline.save(tmp_path / "saved.toml")
    assert Pipeline.load(tmp_path / "saved.toml") == pipeline
    assert (tmp_path / "saved.toml").read_text(encoding="utf-8") == pipeline.to_toml()


def test_a_saved_model_path_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "files").mkdir()
    Pipeline(rerank=Rerank("model")).save("files/saved.toml")
    loaded = Pipeline.load("files/saved.toml")
    assert loaded.rerank is not None
    assert loaded.rerank.model == str(tmp_path / "model")
    with pytest.raises(StorageError):
        Pipeline().save(tmp_path / "nowhere" / "saved.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rerank = 3", "rerank must be a table with model, depth, .*, got 3"),
        ("[rerank]\ndepth = 5", "rerank must have a model"),
        ("[rerank]\nmodel = ''", "must be a path, got ''"),
        ("[rerank]\nmodel = 3", "must be a path, got 3"),
        ("[rerank]\nmodel = 'x'\nlayers = 5", "rerank has the unknown key 'layers'"),
        ("[rerank]\nmodel = 'x'\nkind = 'dense'", "rerank has the unknown key 'kind'"),
        ("two_step = 4", "a part of field splade has the unknown key 'two_step'"),
    ],
)
def test_an_invalid_file_is_refused_with_its_path(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.toml"
    part = "[[parts]]\nfield = 'splade'\n"
    file.write_text(
        f"{text}\n{part}" if text.startswith("rerank =") else part + text, encoding="utf-8"
    )
    with pytest.raises(DataError, match=message) as caught:
        Pipeline.load(file)
    assert str(file) in str(caught.value)


def test_an_invalid_reranker_is_refused_when_opened(
    path: Path, tmp_path: Path, model: Path
) -> None:
    with pytest.raises(ModelError, match="no model at 'nowhere'"):
        open_retriever(path, Pipeline(rerank=Rerank("nowhere")))
    with pytest.raises(DataError, match="depth of reranking must be an integer >= 1, got 0"):
        open_retriever(path, Pipeline(rerank=Rerank(str(model), depth=0)))
    with pytest.raises(DataError, match="budget_ms must be finite and > 0, got 0"):
        open_retriever(path, Pipeline(rerank=Rerank(str(model), budget_ms=0)))
    assert not (path / "catalog.sqlite-wal").exists()


@pytest.fixture
def run() -> Iterator[Callable[..., Result]]:
    yield lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_command_reranks_like_the_library(run: Callable, path: Path, model: Path) -> None:
    found = json.loads(run("search", path, QUERY, "--rerank", model, "--json").stdout)
    with open_retriever(path) as first:
        expected = (first >> CrossEncoder.load(model)).search(QUERY)
        plain = first.search(QUERY)
    assert [hit["doc_id"] for hit in found["hits"]] == [hit.doc_id for hit in expected]
    assert [hit["score"] for hit in found["hits"]] == pytest.approx(
        [hit.score for hit in expected], abs=1e-5
    )
    assert [hit.doc_id for hit in expected] != [hit.doc_id for hit in plain]
    assert found["notes"] == []
    one = json.loads(
        run("search", path, QUERY, "--rerank", model, "--rerank-depth", 1, "--json").stdout
    )
    assert [hit["doc_id"] for hit in one["hits"]] == [hit.doc_id for hit in plain]
    both = run("search", path, QUERY, "--rerank", model, "--pipeline", "hybrid")
    assert both.exit_code == 0, both.output


def test_options_override_the_file(run: Callable, tmp_path: Path, path: Path, model: Path) -> None:
    (tmp_path / "kb.toml").write_text(TOML, encoding="utf-8")
    file = ("search", path, QUERY, "--json", "--pipeline", tmp_path / "kb.toml")
    found = json.loads(run(*file, "--rerank-budget", 1e6).stdout)["hits"]
    scores = [hit["score"] for hit in found]
    assert scores[3] == pytest.approx(scores[2] - 0.5)  # the depth of the file is 3
    deeper = json.loads(run(*file, "--rerank-depth", 4, "--rerank-budget", 1e6).stdout)["hits"]
    scores = [hit["score"] for hit in deeper]
    assert scores[4] == pytest.approx(scores[3] - 0.5)
    other = write_model(tmp_path / "other", Weights())
    scores = [
        hit["score"]
        for hit in json.loads(run(*file, "--rerank", other, "--rerank-budget", 1e6).stdout)["hits"]
    ]
    assert scores[3] == pytest.approx(scores[2] - 0.5)
    moved = run(*file, "--rerank", "nowhere")
    assert (moved.exit_code, "nowhere" in moved.stderr) == (1, True)


def test_a_command_reports_a_failure(
    run: Callable, path: Path, broken: Path, recwarn: pytest.WarningsRecorder
) -> None:
    ran = run("search", path, QUERY, "--rerank", broken, "--json")
    with open_retriever(path) as first:
        assert [hit["doc_id"] for hit in json.loads(ran.stdout)["hits"]] == [
            h.doc_id for h in first.search(QUERY)
        ]
    (note,) = json.loads(ran.stdout)["notes"]
    assert note == {
        "reason": "failure",
        "done": 0,
        "wanted": 5,
        "detail": "RuntimeError: out of memory",
        "text": "reranked 0 of 5: RuntimeError: out of memory",
    }
    ran = run("search", path, QUERY, "--rerank", broken)
    assert (ran.exit_code, ran.stderr) == (0, "reranked 0 of 5: RuntimeError: out of memory\n")
    # The note replaces the warning.
    assert not [warning for warning in recwarn if warning.category is LexpandWarning]
    with (
        pytest.warns(LexpandWarning),
        open_retriever(path, Pipeline(rerank=Rerank(str(broken)))) as retriever,
    ):
        retriever.search(QUERY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rerank-depth", "5"), "need --rerank"),
        (("--rerank-budget", "5"), "need --rerank"),
        (("--rerank", "x", "--explain"), "cannot take the score of a reranker apart"),
        (("--rerank", "x", "--rerank-depth", "0"), "greater than or equal to 1"),
    ],
)
def test_invalid_options_are_refused(
    run: Callable, path: Path, options: tuple[str, ...], message: str
) -> None:
    ran = run("search", path, QUERY, *options)
    assert ran.exit_code == 2
    assert message in " ".join(ran.stderr.replace("│", " ").split())


def test_a_budget_of_0_is_refused(run: Callable, path: Path, model: Path) -> None:
    ran = run("search", path, QUERY, "--rerank", model, "--rerank-budget", 0)
    message = "error: budget_ms must be finite and > 0, got 0.0\n"
    assert (ran.exit_code, ran.stderr) == (1, message)
