"""Lexpand: learned sparse retrieval (SPLADE).

    import lexpand

    texts = ["Ask your manager two weeks ahead.", "Invoices go out on the first."]
    kb = lexpand.create("kb.index", texts)
    print(kb.search("when can I take a holiday?", k=3))

The packages, in the order in which data flows: `lexpand.data`, `lexpand.evaluation`,
`lexpand.encode`, `lexpand.index`, `lexpand.search`, `lexpand.explanation`, `lexpand.collection`,
`lexpand.adapters`, `lexpand.cli`. Errors are in `lexpand.errors`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from lexpand._native import __version__

if TYPE_CHECKING:
    from lexpand.collection import Collection, CollectionInfo, IngestReport, create, ingest, open
    from lexpand.data import (
        Document,
        DocumentEncoding,
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
    from lexpand.encode import Encoder, QueryEncoding, Role, Rules, WordAnalyzer
    from lexpand.errors import LexpandError, LexpandWarning
    from lexpand.evaluation import evaluate
    from lexpand.explanation import Explanation, WhyNot, explain, why_not
    from lexpand.index import Index
    from lexpand.search import (
        Hit,
        Hits,
        HybridRetriever,
        Pipeline,
        Retriever,
        SparseRetriever,
        WordRetriever,
        open_retriever,
    )

__all__ = [
    "Collection",
    "CollectionInfo",
    "Document",
    "DocumentEncoding",
    "Encoder",
    "Explanation",
    "Fields",
    "Hit",
    "Hits",
    "HybridRetriever",
    "Index",
    "IngestReport",
    "LexpandError",
    "LexpandWarning",
    "ModelId",
    "Pipeline",
    "Qrels",
    "Query",
    "QueryEncoding",
    "Retriever",
    "Role",
    "Rules",
    "Run",
    "ScoredDocument",
    "SparseRetriever",
    "SparseVectors",
    "VectorSpace",
    "Vocabulary",
    "WhyNot",
    "WordAnalyzer",
    "WordRetriever",
    "__version__",
    "create",
    "evaluate",
    "explain",
    "ingest",
    "open",
    "open_retriever",
    "read_documents",
    "read_queries",
    "why_not",
]

# A package is imported when one of its names is first used (PEP 562), so `import lexpand` is fast.
# No package has the name of a public function: importing `lexpand.explanation` must not hide
# `lexpand.explain`.
_PACKAGES = {
    "collection": "Collection CollectionInfo IngestReport create ingest open",
    "data": (
        "Document DocumentEncoding Fields ModelId Qrels Query Run ScoredDocument SparseVectors"
        " VectorSpace Vocabulary read_documents read_queries"
    ),
    "encode": "Encoder QueryEncoding Role Rules WordAnalyzer",
    "errors": "LexpandError LexpandWarning",
    "evaluation": "evaluate",
    "explanation": "Explanation WhyNot explain why_not",
    "index": "Index",
    "search": (
        "Hit Hits HybridRetriever Pipeline Retriever SparseRetriever WordRetriever open_retriever"
    ),
}
_PACKAGE_OF = {name: package for package, names in _PACKAGES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _PACKAGE_OF:
        raise AttributeError(f"module 'lexpand' has no attribute {name!r}")
    value: object = getattr(import_module(f"lexpand.{_PACKAGE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
