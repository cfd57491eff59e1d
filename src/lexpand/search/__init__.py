"""Here is a question in words: which documents?

The room joins an encoder and an index: text in, hits out.

It is not for the reasons of a hit (`lexpand.explain`) nor for judging a ranking (`lexpand.evaluate`).
"""

from lexpand.search.retriever import Hit, Retriever

__all__ = ["Hit", "Retriever"]
