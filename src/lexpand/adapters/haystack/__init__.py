"""Haystack components: a retriever over a Lexpand index, and embedders for queries and documents.

Needs the extra `haystack`. Load a saved pipeline with ``allowed_modules=["lexpand.*"]``, because
Haystack imports only modules that the caller allows.
"""

from lexpand.errors import MissingExtra

try:
    import haystack as _haystack  # noqa: F401 - checked before the modules that need it
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
