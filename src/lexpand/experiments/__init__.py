"""Experiments: what a change does to rankings, and why.

Start reading at `evaluating.py`, which runs judged queries through a retriever, and `comparing.py`,
which compares two results. `reasons.py` finds the terms behind a difference, and `reports.py` shows
it. `tuning.py` looks for a better pipeline. `gate.py` checks golden questions. `checking.py` and
`contamination.py` look at collections and training data. `baselines.py`, `dense.py` and
`baseline_folders.py` are other kinds of models.

The package does not compute measures or significance: they need only runs and judgments
(`lexpand.evaluation`).
"""

from lexpand.experiments.baselines import DensePooling, DenseReranker, LateInteractionReranker
from lexpand.experiments.checking import CheckKind, CollectionReport, check_collection
from lexpand.experiments.comparing import ComparisonReport, System, compare_systems
from lexpand.experiments.contamination import Hit, HitKind, find_contamination
from lexpand.experiments.dense import DenseRetriever
from lexpand.experiments.evaluating import (
    Evaluated,
    SelfMatches,
    evaluate_collection,
    evaluate_foreign,
    evaluate_retriever,
)
from lexpand.experiments.gate import Result, run_gate
from lexpand.experiments.gate_file import GateFile, Question
from lexpand.experiments.tuning import tune
from lexpand.experiments.tuning_results import Tuned

__all__ = [
    "CheckKind",
    "CollectionReport",
    "ComparisonReport",
    "DensePooling",
    "DenseReranker",
    "DenseRetriever",
    "Evaluated",
    "GateFile",
    "Hit",
    "HitKind",
    "LateInteractionReranker",
    "Question",
    "Result",
    "SelfMatches",
    "System",
    "Tuned",
    "check_collection",
    "compare_systems",
    "evaluate_collection",
    "evaluate_foreign",
    "evaluate_retriever",
    "find_contamination",
    "run_gate",
    "tune",
]
