"""Where do documents and queries come from? One module for each kind of source.

`dispatch` chooses the reader; `fields`, `table` and `cells` make documents of rows; `ids` finds out
whether a source has ids. What readers take for granted or leave out is told by notes (`OnNote`).
"""

from lexpand.data.readers.dispatch import read_documents, read_queries
from lexpand.data.readers.fields import Fields

__all__ = ["Fields", "read_documents", "read_queries"]
