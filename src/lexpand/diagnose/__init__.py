"""Diagnostics: what is wrong with an index or with queries, and what fixes it.

Start reading at `linting.py` and `oov.py`. `finding.py` has the result. `vector_checks.py`,
`text_checks.py`, `boilerplate.py` and `duplicates.py` are the checks of an index, and `scripts.py`
recognizes languages. docs/diagnostics.md lists the findings.

The package does not check for damage on disk (`Index.check`) and does not explain a ranking
(`lexpand.explanation`).
"""

from lexpand.diagnose.finding import Finding, Severity
from lexpand.diagnose.linting import lint
from lexpand.diagnose.oov import BrokenWord, find_broken_words

__all__ = ["BrokenWord", "Finding", "Severity", "find_broken_words", "lint"]
