"""Readers of documents and queries, one module for each kind of source.

`dispatch` selects the reader. `fields`, `table` and `cells` convert rows to documents. `ids` checks
whether a source has ids. Readers report assumptions and skipped files as notes (`OnNote`).
"""

from lexpand.data.readers.dispatch import read_documents, read_queries
from lexpand.data.readers.fields import Fields

__all__ = ["Fields", "read_documents", "read_queries"]
