"""What do people know that the model does not? Terms banned, capped, boosted and added, ids pinned; from a file.

Begin reading at `rules.py`, the file's content; `entries.py` are its entries, `parsing.py` reads
them, `bound.py` applies them over a vocabulary, `phrases.py` finds words in texts, `record.py` is
what an index keeps. docs/rules.md specifies the file.

It is not for leaving out terms by their weight (`lexpand.data.pruning`).
"""
