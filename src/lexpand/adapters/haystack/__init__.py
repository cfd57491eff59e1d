"""Haystack components: a retriever over a Lexpand index, and encoders for questions and documents.

Needs the extra `haystack`. A saved pipeline is loaded with ``allowed_modules=["lexpand.*"]``:
Haystack imports only what it is told to trust.
"""

from lexpand.errors import MissingExtra

try:
    import haystack as _haystack  # noqa: F401 - before the modules that need it
except ModuleNotFoundError as error:
    if error.name != "haystack":
        raise
    raise MissingExtra("haystack-ai", "haystack", "the adapter for Haystack") from None

from lexpand.adapters.haystack.embedders import (
    LexpandSparseDocumentEmbedder,
    LexpandSparseTextEmbedder,
)
from lexpand.adapters.haystack.retriever import LexpandRetriever

__all__ = ["LexpandRetriever", "LexpandSparseDocumentEmbedder", "LexpandSparseTextEmbedder"]
