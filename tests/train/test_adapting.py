"""Adapting: pseudo queries, the decision on planted models, and whole runs."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from lexpand import Document, Encoder, Qrels, read_documents, read_queries
from lexpand.data.collections import collection_path
from lexpand.encode.contract import QueryMode
from lexpand.encode.folder import add_query_table, find_folder
from lexpand.encode.query_table import QueryTable
from lexpand.errors import DataError
from lexpand.evaluation.significance import Comparison
from lexpand.models import import_model
from lexpand.train.deciding import GeneralCollection, Limits, _verdict, decide
from lexpand.train.pseudo_queries import Source, pseudo_queries
from lexpand.train.rows import Row, write_rows

DOCUMENTS = list(islice(read_documents(collection_path("scifact")), 120))


@pytest.fixture(scope="module")
def general(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tenth of SciFact in BEIR's layout."""
    folder, source = tmp_path_factory.mktemp("general"), collection_path("scifact")
    judgments = Qrels.read(next((source / "qrels").glob("test*"))).judgments
    kept = dict(islice(judgments.items(), 25))
    judged = {doc_id for grades in kept.values() for doc_id in grades}
    documents = [each for each in read_documents(source) if each.doc_id in judged] + DOCUMENTS
    rows = {
        "corpus.jsonl": {
            each.doc_id: {"_id": each.doc_id, "title": each.title, "text": each.text}
            for each in documents
        },
        "queries.jsonl": {
            each.query_id: {"_id": each.query_id, "text": each.text}
            for each in read_queries(source)
            if each.query_id in kept
        },
    }
    for name, lines in rows.items():
        text = "".join(json.dumps(row) + "\n" for row in lines.values())
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "qrels").mkdir()
    Qrels(kept).write_beir(folder / "qrels" / "test.tsv")
    return folder


@pytest.fixture(scope="module")
def broad(general: Path) -> GeneralCollection:
    return GeneralCollection(general)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged model with noise in the transform of its head."""
    from safetensors.numpy import load_file, save_file

    folder, made = tmp_path_factory.mktemp("damaged"), tmp_path_factory.mktemp("made") / "model"
    shutil.copytree(find_folder("default"), folder, dirs_exist_ok=True)
    tensors = load_file(folder / "model.safetensors")
    name = "cls.predictions.transform.dense.weight"
    noise = np.random.default_rng(0).normal(size=tensors[name].shape)
    tensors[name] = (tensors[name] + 2 * tensors[name].std() * noise).astype(np.float32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "contract.json").unlink()
    shutil.rmtree(folder / "onnx")
    import_model(folder, made)
    return made


def held_out() -> list[Row]:
    rows: dict[str, Row] = {}
    for each in pseudo_queries(DOCUMENTS):
        if each.source in (Source.KEYWORDS, Source.SPAN):
            rows.setdefault(each.doc_id, each.to_row())
    return list(rows.values())


def test_a_planted_bad_model_is_refused_and_a_good_one_accepted(
    damaged: Path, broad: GeneralCollection
) -> None:
    rows, good = held_out(), find_folder("default")
    bad = decide(good, damaged, DOCUMENTS, rows, Limits(), general=broad)
    assert not bad.accepted
    assert bad.reason.startswith("not significantly better on your documents")
    assert bad.own["encoder"].losses > bad.own["encoder"].wins
    better = decide(damaged, good, DOCUMENTS, rows, Limits(), general=broad)
    assert better.accepted, better
    assert better.own["encoder"].p < 0.05
    assert better.examples[0]["rank_after"] is not None
    same = decide(good, good, DOCUMENTS, rows, Limits(), general=broad)
    assert not same.accepted
    assert same.own["encoder"].p == 1


def test_a_loss_elsewhere_refuses_a_model_that_is_better_here(
    damaged: Path, broad: GeneralCollection
) -> None:
    """The damaged model is the base; a gain of at least 1 on the general collection is asked."""
    asked = Limits(worst_loss=-1.0)
    found = decide(damaged, find_folder("default"), DOCUMENTS, held_out(), asked, general=broad)
    assert not found.accepted
    assert found.reason.startswith("worse on the general collection")


def test_a_table_is_used_if_it_ranks_better(
    damaged: Path, broad: GeneralCollection, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(damaged, model)
    encoder = Encoder.load(model)
    add_query_table(model, QueryTable.idf(*encoder.document_frequencies(DOCUMENTS)))
    found = decide(damaged, model, DOCUMENTS, held_out(), Limits(), general=broad)
    assert set(found.own) == {"encoder", "lookup"}
    expected = found.own["lookup"].after >= found.own["encoder"].after + 0.01
    assert (found.mode is QueryMode.LOOKUP) == expected


def test_pseudo_queries_are_parts_that_the_rest_answers() -> None:
    document = Document(
        "d",
        "# Setup guide\nThe printer needs a network cable first. Then open the driver page and "
        "choose your model.\nRestart the spooler service when jobs hang.",
        "Install the office printer",
    )
    other = Document("e", "Invoices are sent on the first day of each month by mail.", "Invoices")
    found = [each for each in pseudo_queries([document, other], per_document=9)]
    by_source = {each.source: each for each in found if each.doc_id == "d"}
    assert by_source[Source.TITLE].query.lower() == "install the office printer"
    assert by_source[Source.HEADING].query == "Setup guide"
    assert "Setup guide" not in by_source[Source.HEADING].positive
    for each in found:
        assert each.positive.strip()
        if each.source in (Source.SPAN, Source.FIRST_SENTENCE):
            assert each.query not in each.positive
    assert found == pseudo_queries([document, other], per_document=9)
    assert found != pseudo_queries([document, other], per_document=9, seed=5)
    assert len(pseudo_queries([document], per_document=2)) == 2


def test_the_t_test_decides() -> None:
    """docs/benchmarks.md was measured with it."""
    own = Comparison(9, 0.1, 0.2, 0.2, 0.01, (0.0, 0.2), 1.0, 5, 1, 3)
    same = Comparison(9, 0.1, 0.1, 1.0, 1.0, (0.0, 0.0), 0.0, 0, 0, 9)
    reason, accepted = _verdict(own, same, Limits())
    assert accepted
    assert "p = 0.01" in reason
    for refused in (replace(own, p=0.01, p_t=0.2), replace(own, before=0.2, after=0.1), same):
        assert not _verdict(refused, same, Limits())[1]


@pytest.fixture
def _one_thread() -> Iterator[None]:
    torch = pytest.importorskip("torch")
    pytest.importorskip("sentence_transformers")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(mode=False)


@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("_one_thread")
def test_a_model_is_adapted_and_refused_or_kept(
    damaged: Path, general: Path, tmp_path: Path
) -> None:
    from lexpand.train.adapting import REPORT, Settings, adapt
    from lexpand.train.recipe import Recipe

    settings = ["steps=2", "batch_size=8", "max_tokens=32", "learning_rate=1e-7"]
    recipe = Recipe.load("adapt").with_settings(settings)
    done = adapt(DOCUMENTS, tmp_path / "m", Settings(recipe), general=general)
    assert not done.decision.accepted
    assert not (tmp_path / "m").exists()
    report = json.loads((tmp_path / f"m{REPORT}").read_text(encoding="utf-8"))
    assert report["decision"]["accepted"] is False
    assert not (tmp_path / "m.partial").exists()

    anything = Limits(level=1.1, worst_loss=1.0)
    recipe = Recipe.load("adapt").with_settings(
        [*settings, f"base={damaged}", "negatives=1", "kl=1", "steps=12", "learning_rate=1e-3"]
    )
    done = adapt(
        DOCUMENTS,
        tmp_path / "kept",
        Settings(recipe, limits=anything),
        score=lambda pairs: {pair: float(len(pair[1])) for pair in pairs},
        general=general,
    )
    if done.decision.accepted:
        encoder = Encoder.load(tmp_path / "kept")
        assert encoder.contract.query_table is not None
        assert encoder.query_mode is done.decision.mode
        assert (tmp_path / "kept" / "adapt.json").is_file()
        assert (tmp_path / "kept" / "README.md").is_file()
    assert {"queries", "mining", "scoring", "training", "deciding"} <= done.seconds.keys()


@pytest.mark.usefixtures("_one_thread")
def test_too_few_documents_or_pairs_are_refused(tmp_path: Path) -> None:
    from lexpand.train.adapting import Settings, adapt
    from lexpand.train.recipe import Recipe

    settings = Settings(Recipe.load("adapt"))
    with pytest.raises(DataError, match="at least 50 documents, got 9"):
        adapt(DOCUMENTS[:9], tmp_path / "m", settings)
    pairs = [Row(f"q{i}", (DOCUMENTS[i].full_text,)) for i in range(12)]
    write_rows(tmp_path / "p.jsonl", pairs)
    with pytest.raises(DataError, match="at least 10 held-out queries and 32 to train on, got 4"):
        adapt(DOCUMENTS, tmp_path / "m", settings, pairs=pairs)


def test_a_blend_lies_between_the_base_and_the_trained_model(damaged: Path, tmp_path: Path) -> None:
    """The packaged model has the older names of LayerNorm's tensors."""
    from safetensors.numpy import load_file

    from lexpand.errors import ModelError
    from lexpand.models import blend_models

    base, name = find_folder("default"), "cls.predictions.transform.dense.weight"
    blend_models(base, damaged, 0.25, tmp_path / "m")
    old, new, found = (
        load_file(each / "model.safetensors")[name] for each in (base, damaged, tmp_path / "m")
    )
    assert np.allclose(found, old + 0.25 * (new - old), atol=1e-6)
    assert not np.allclose(old, new, atol=1e-2)
    for share, text in ((0.0, base), (1.0, damaged)):
        blend_models(base, damaged, share, tmp_path / str(share))
        expected = Encoder.load(text).encode(["a cell divides"], "document").vectors.to_dense()
        again = Encoder.load(tmp_path / str(share)).encode(["a cell divides"], "document")
        assert np.abs(again.vectors.to_dense() - expected).max() < 1e-4
    with pytest.raises(ModelError, match=r"share must be from 0 to 1, got 1\.5"):
        blend_models(base, damaged, 1.5, tmp_path / "other")
