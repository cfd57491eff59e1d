"""Where do documents and queries come from? One file for each kind of source, all with one signature."""

from lexpand.data.readers.dispatch import read_documents, read_queries
from lexpand.data.readers.fields import Fields

__all__ = ["Fields", "read_documents", "read_queries"]
