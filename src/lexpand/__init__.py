"""Lexpand: learned sparse retrieval (SPLADE).

    from lexpand import Encoder, Index, SparseRetriever, ingest, read_documents

The rooms, in the order in which data flows: `lexpand.data`, `lexpand.evaluation`, `lexpand.encode`, `lexpand.index`,
`lexpand.search`, `lexpand.explain`, `lexpand.adapters`, `lexpand.cli`. Errors stand in `lexpand.errors`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from lexpand._native import __version__

if TYPE_CHECKING:
    from lexpand.data import (
        Document,
        Fields,
        ModelId,
        Qrels,
        Query,
        Run,
        ScoredDocument,
        SparseVectors,
        VectorSpace,
        Vocabulary,
        read_documents,
        read_queries,
    )
    from lexpand.encode import Encoder, Role
    from lexpand.errors import LexpandError
    from lexpand.explain import Explanation
    from lexpand.index import Index, ingest
    from lexpand.search import Hit, HybridRetriever, Retriever, SparseRetriever, WordRetriever, open_retriever

__all__ = [
    "Document",
    "Encoder",
    "Explanation",
    "Fields",
    "Hit",
    "HybridRetriever",
    "Index",
    "LexpandError",
    "ModelId",
    "Qrels",
    "Query",
    "Retriever",
    "Role",
    "Run",
    "ScoredDocument",
    "SparseRetriever",
    "SparseVectors",
    "VectorSpace",
    "Vocabulary",
    "WordRetriever",
    "__version__",
    "ingest",
    "open_retriever",
    "read_documents",
    "read_queries",
]

# Rooms are imported when a name of theirs is first used (PEP 562), so that `import lexpand` costs nothing. What has a
# room's name (`explain`) is imported from its room: here one would hide the other.
_ROOMS = {
    "data": (
        "Document Fields ModelId Qrels Query Run ScoredDocument SparseVectors VectorSpace Vocabulary"
        " read_documents read_queries"
    ),
    "encode": "Encoder Role",
    "errors": "LexpandError",
    "explain": "Explanation",
    "index": "Index ingest",
    "search": "Hit HybridRetriever Retriever SparseRetriever WordRetriever open_retriever",
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'lexpand' has no attribute {name!r}")
    value: object = getattr(import_module(f"lexpand.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
