"""Three planted regressions are caught by the gate and by a comparison, which name the cause."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import lexpand
from lexpand import Encoder
from lexpand.collection import Collection
from lexpand.data import JudgedQueries
from lexpand.encode import Rules
from lexpand.encode.folder import find_folder
from lexpand.evaluation.store import RunStore
from lexpand.experiments.comparing import ComparisonReport, System, compare_systems
from lexpand.experiments.evaluating import evaluate_collection
from lexpand.experiments.gate import Check, Result, make_gate, questions_of_judged, run_gate
from lexpand.experiments.gate_file import GateFile
from lexpand.experiments.reasons import Opened
from lexpand.models import import_model

SUPPORT = Path(__file__).parents[2] / "examples" / "support"
QUESTION = "put my pay into a different account"
ANSWER = "SA004"


@pytest.fixture
def gate(support: Collection, questions: JudgedQueries, tmp_path: Path) -> GateFile:
    return make_gate(
        support,
        tmp_path / "gate.toml",
        questions_of_judged(support, questions, within=5),
        fixed_corpus=True,
    )


def failures(kb: Collection, gate: GateFile) -> list[Result]:
    return [each for each in run_gate(kb, GateFile.load(gate.path)) if not each.passed]


def compared(
    before: Collection, after: Collection, questions: JudgedQueries, store: Path
) -> ComparisonReport:
    systems = [
        System.of(evaluate_collection(kb, questions, cost=False, name=name).save(RunStore(store)))
        for kb, name in ((before, "before"), (after, "after"))
    ]
    return compare_systems(systems)


def test_the_present_state_passes(support: Collection, gate: GateFile) -> None:
    assert gate.questions and not failures(support, gate)


@pytest.fixture
def banning(support_index: Path) -> Iterator[Collection]:
    rules = Rules.from_dict({"version": 1, "ban": [{"term": "account", "side": "query"}]})
    with lexpand.open(support_index, rules=rules, pipeline="splade") as kb:
        yield kb


def test_a_rule_that_bans_a_decisive_term(
    support_index: Path, banning: Collection, questions: JudgedQueries, tmp_path: Path
) -> None:
    with lexpand.open(support_index, pipeline="splade") as before:
        gate = make_gate(
            before,
            tmp_path / "gate.toml",
            questions_of_judged(before, questions, within=1),
            fixed_corpus=True,
        )
        assert not failures(before, gate)
        result = compared(before, banning, questions, tmp_path / "runs")
    failed = failures(banning, gate)
    assert failed and all(each.check is Check.EXPECT for each in failed)
    assert any("account" in each.said for each in failed)
    assert any(each.terms[0].term.startswith("account") for each in failed)
    with Opened(*result.systems) as opened:
        reasons = [opened.loss(each.query_id) for each in result.losses]
    assert any(reason is not None and "account" in reason.sentence for reason in reasons)
    assert any("differ: the rules" in note for note in result.notes)


def test_a_corpus_update_that_drops_a_page(
    support: Collection, gate: GateFile, questions: JudgedQueries, tmp_path: Path
) -> None:
    shutil.copytree(support.path, tmp_path / "updated.index")
    with lexpand.open(tmp_path / "updated.index") as updated:
        assert updated.delete([ANSWER]) == 1
        failed = failures(updated, gate)
        result = compared(support, updated, questions, tmp_path / "runs")
    assert {each.check for each in failed} >= {Check.CORPUS, Check.EXISTS}
    named = [each for each in failed if each.check is Check.EXISTS]
    assert {each.doc_id for each in named} == {ANSWER}
    assert f"the index has no document '{ANSWER}'" in named[0].said
    lost = next(each for each in result.losses if each.text == QUESTION)
    with Opened(*result.systems) as opened:
        reason = opened.loss(lost.query_id)
    assert reason is not None
    assert reason.sentence == f"the index of after does not have the document '{ANSWER}'"
    assert any("differ: the documents" in note for note in result.notes)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index by the packaged model with the weights of one layer set to zero."""
    folder = tmp_path_factory.mktemp("damaged")
    plain = folder / "plain"
    shutil.copytree(find_folder("default"), plain)
    for name in ("contract.json", "onnx"):
        path = plain / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    tensors = load_file(plain / "model.safetensors")
    layer = [name for name in tensors if re.search(r"layer\.0\.(?!.*LayerNorm)", name)]
    assert layer
    save_file(
        {name: np.zeros_like(each) if name in layer else each for name, each in tensors.items()},
        plain / "model.safetensors",
    )
    import_model(plain, folder / "model")
    path = folder / "pages.index"
    lexpand.create(path, SUPPORT / "pages.jsonl.gz", model=folder / "model").close()
    return path


def test_a_model_with_a_layer_of_zeros(
    support: Collection, gate: GateFile, damaged: Path, questions: JudgedQueries, tmp_path: Path
) -> None:
    with (
        lexpand.open(damaged, pipeline="splade") as kb,
        lexpand.open(support.path, pipeline="splade") as before,
    ):
        failed = failures(kb, gate)
        result = compared(before, kb, questions, tmp_path / "runs")
    assert failed and all(each.check is Check.EXPECT for each in failed)
    assert any(each.terms for each in failed)
    row = result.rows[0]
    assert row.comparison.difference < 0 and row.verdict() == "worse"
    with Opened(*result.systems) as opened:
        assert any(
            reason is not None and reason.terms
            for reason in (opened.loss(each.query_id) for each in result.losses)
        )
    assert any("the model" in note for note in result.notes)


def test_shifts_sum_to_the_change_of_the_margin(
    support: Collection, questions: JudgedQueries, tmp_path: Path, encoder: Encoder
) -> None:
    systems = [
        System.of(
            evaluate_collection(support, questions, pipeline=name, cost=False).save(
                RunStore(tmp_path)
            )
        )
        for name in ("bm25", "hybrid")
    ]
    result = compare_systems(systems)
    with Opened(*systems) as opened:
        reason = opened.loss(result.losses[0].query_id)
    assert reason is not None and reason.other is not None
    margins = []
    for name in ("bm25", "hybrid"):
        retriever = support.retriever(name)
        scores = [
            lexpand.explain(retriever, result.losses[0].text, doc_id).score
            for doc_id in (reason.document, reason.other)
        ]
        (top,) = retriever.rank([result.losses[0].text], 1)
        margins.append((scores[0] - scores[1]) / top[0].score)
    shown = sum(each.shift for each in reason.terms)
    # The report shows the most harmful terms only; here they are nearly all.
    assert shown == pytest.approx(margins[1] - margins[0], abs=0.05)
    assert margins[1] < 0 <= margins[0]


def test_a_model_whose_hidden_states_do_not_vary_is_imported(tmp_path: Path) -> None:
    """Its import once failed with a singular matrix."""
    plain = tmp_path / "plain"
    shutil.copytree(find_folder("default"), plain)
    (plain / "contract.json").unlink()
    shutil.rmtree(plain / "onnx")
    tensors = load_file(plain / "model.safetensors")
    save_file(
        {
            name: np.zeros_like(each) if "encoder.layer" in name else each
            for name, each in tensors.items()
        },
        plain / "model.safetensors",
    )
    import_model(plain, tmp_path / "model")
    vectors = Encoder.load(tmp_path / "model").encode_documents(["one text", "quite another"])
    assert vectors.as_dict(0) == vectors.as_dict(1)
