"""Why this document?

The room takes a score apart into terms, and follows each expansion term back to the word that produced it.

It is not for finding documents (`lexpand.search`) nor for judging them (`lexpand.evaluate`).
"""

from lexpand.explain.explanation import Contribution, Explanation, Side, explain

__all__ = ["Contribution", "Explanation", "Side", "explain"]
