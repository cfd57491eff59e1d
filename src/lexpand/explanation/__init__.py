"""Why this document, and why not that one?

The room takes a score apart into terms, and follows each term back to the word that produced it; it
takes two scores apart and says which terms put one above the other, and what a document lost on its
way into the index. Begin reading at `explaining.py` and `why_not.py`; `vectors.py`, `words.py` and
`hybrid.py` are the kinds of retriever, `reading.py` finds the words, `page.py` shows it.

It is not for finding documents (`lexpand.search`) nor for judging them (`lexpand.evaluation`).
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
