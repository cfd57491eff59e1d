"""Explanations: why a document was found, and why another one was not.

The package splits a score into terms and traces each term to the word that produced it. It compares
two scores to show which terms put one document above the other, and reports what a document lost on
its way into the index.

Start reading at `explaining.py` and `missing.py`. `vectors.py`, `words.py` and `hybrid.py` explain
the kinds of retriever, `reading.py` finds the words, and `page.py` and `plain.py` print results.

The package does not find documents (`lexpand.search`) and does not evaluate rankings
(`lexpand.evaluation`).
"""

from lexpand.explanation.explaining import explain
from lexpand.explanation.missing import why_not
from lexpand.explanation.results import (
    Contribution,
    Difference,
    Explanation,
    Loss,
    LossKind,
    Origin,
    Part,
    PartDifference,
    Side,
    Unmatched,
    WhyNot,
    WordStatistics,
)

__all__ = [
    "Contribution",
    "Difference",
    "Explanation",
    "Loss",
    "LossKind",
    "Origin",
    "Part",
    "PartDifference",
    "Side",
    "Unmatched",
    "WhyNot",
    "WordStatistics",
    "explain",
    "why_not",
]
