"""What is wrong with this index, or with these queries, and what mends it?

Begin reading at `linting.py` and `oov.py`; `finding.py` is what both say, `vector_checks.py`, `text_checks.py` and
`duplicates.py` are what an index is looked through for, `scripts.py` tells languages apart. docs/doctors.md has the
list.

It is not for damage on disk (`Index.check`) nor for one ranking (`lexpand.explanation`).
"""
