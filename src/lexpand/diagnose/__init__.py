"""What is wrong with this index, or with these queries, and what fixes it?

Begin reading at `linting.py` and `oov.py`; `finding.py` is what both say, `vector_checks.py`,
`text_checks.py` and `duplicates.py` are what an index is looked through for, `scripts.py` tells
languages apart. docs/diagnostics.md has the list.

It is not for damage on disk (`Index.check`) nor for one ranking (`lexpand.explanation`).
"""

from lexpand.diagnose.finding import Finding, Severity
from lexpand.diagnose.linting import lint
from lexpand.diagnose.oov import BrokenWord, find_broken_words

__all__ = ["BrokenWord", "Finding", "Severity", "find_broken_words", "lint"]
