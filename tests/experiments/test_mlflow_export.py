"""Export of runs to MLflow: what is logged. A stand-in has MLflow's functions and its limits."""

import re
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from lexpand.collection import Collection
from lexpand.data import JudgedQueries
from lexpand.errors import CorruptRun, MissingExtra
from lexpand.evaluation.store import RunStore, StoredRun
from lexpand.experiments.evaluating import evaluate_collection
from lexpand.experiments.mlflow_export import export_to_mlflow

METRIC = re.compile(r"[\w\-. /]+")  # MLflow's rule for names


@pytest.fixture
def stored(support: Collection, questions: JudgedQueries, tmp_path: Path) -> StoredRun:
    store = RunStore(tmp_path)
    evaluate_collection(support, questions, ["nDCG@10", "AP(rel=2)"]).save(store)
    return store.tag("hybrid", "baseline")


class Mlflow(ModuleType):
    def __init__(self) -> None:
        super().__init__("mlflow")
        self.metrics: dict[str, float] = {}
        self.params: dict[str, str] = {}
        self.artifacts = ""

    def set_experiment(self, name: str) -> None:
        self.experiment = name

    @contextmanager
    def start_run(self, run_name: str):
        self.run_name = run_name
        yield SimpleNamespace(info=SimpleNamespace(run_id="abc"))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self.tags = tags

    def log_params(self, params: Mapping[str, str]) -> None:
        assert all(len(value) <= 500 for value in params.values())
        self.params |= params

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        assert all(METRIC.fullmatch(name) for name in metrics), metrics
        self.metrics |= metrics

    def log_artifacts(self, folder: str) -> None:
        self.artifacts = folder


def test_measures_cost_facts_and_files_are_logged(
    stored: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = Mlflow()
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    assert export_to_mlflow(stored, "mine") == "abc"
    assert (mlflow.experiment, mlflow.run_name) == ("mine", "hybrid")
    assert mlflow.metrics["nDCG_10"] == stored.card.measures["nDCG@10"]
    assert "AP_rel_2_" in mlflow.metrics and mlflow.metrics["cost.total_ms.p50"] > 0
    assert mlflow.params["model.name"] == "splade-tiny"
    assert mlflow.params["index.documents"] == "160"
    assert mlflow.tags["lexpand.tags"] == "baseline"
    assert mlflow.artifacts == str(stored.folder)


def test_a_damaged_run_is_not_exported(stored: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = Mlflow()
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    (stored.folder / "values.tsv").write_text("query_id\n")
    with pytest.raises(CorruptRun, match=r"values\.tsv was changed"):
        export_to_mlflow(stored)
    assert not mlflow.artifacts


def test_without_mlflow_the_error_names_the_package(
    stored: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtra, match="exporting runs needs mlflow: pip install mlflow"):
        export_to_mlflow(stored)
