"""Apply a rules file to vectors: ban, cap, boost and add terms, and pin ids.

Start reading at `rules.py`, which holds the content of the file. `entries.py` has the entries,
`parsing.py` reads them, `bound.py` applies them over a vocabulary, and `phrases.py` finds phrases
in texts. docs/rules.md specifies the file.

To drop terms by weight, use `lexpand.data.pruning`.
"""
