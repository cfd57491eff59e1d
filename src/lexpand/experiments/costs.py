"""The cost of a search: latency, work per query, sizes and memory."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexpand.data import Query
from lexpand.encode import Role
from lexpand.experiments.baselines import LateInteractionReranker
from lexpand.experiments.dense import DenseRetriever
from lexpand.index import Index
from lexpand.search import HybridRetriever, LocalRetriever, Retriever, SparseRetriever
from lexpand.search.reranking import RerankingRetriever

TIMED_QUERIES = 200
"""The most queries that are timed."""

_TIMED_SLOW = 20  # of a retriever that is not one of ours, such as a cross-encoder

_ENCODED_DOCUMENTS = 64
_COUNTED_DOCUMENTS = 500


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of the latency of a query, in milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Latency:
        """Return the percentiles of some measurements, by linear interpolation."""
        found = np.percentile(np.array(milliseconds), [50, 95, 99])
        return cls(*(float(each) for each in found))


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a retriever.

    Attributes:
        timed_queries: the number of queries that were timed, one after the other on one thread.
        k: the number of documents that each of them asked for.
        total_ms: from the text of the query to the ranking.
        encode_ms: encoding and analysis of the query; None for a retriever of another system.
        search_ms: the rest.
        query_terms, document_terms: mean numbers of terms of a vector; None without vectors.
        query_term_counts: the number of terms of each query that was timed.
        document_term_counts: the number of terms of up to 500 documents, at even distances; of the
            first passage if a document is in chunks.
        flops: the FLOPS of the two distributions, sum over terms of p_query * p_document, where p
            is the share of texts that have the term (Paria et al. 2020; Formal et al. 2021). It is
            the expected number of products of a query and a document.
        documents: the number of documents of the index.
        bytes_per_document: the size of the index on disk, texts included, per document. Of a dense
            retriever, the size of a vector; a late-interaction reranker adds the mean size of a
            document's token vectors.
        documents_per_second: the rate of encoding documents on all threads of the encoder, over a
            sample; None if it was not measured.
        peak_memory_mb: the peak resident memory of the process so far, in MB of 10^6 bytes.
    """

    timed_queries: int
    k: int
    total_ms: Latency
    encode_ms: Latency | None = None
    search_ms: Latency | None = None
    query_terms: float | None = None
    query_term_counts: tuple[int, ...] = ()
    document_terms: float | None = None
    document_term_counts: tuple[int, ...] = ()
    flops: float | None = None
    documents: int | None = None
    bytes_per_document: float | None = None
    documents_per_second: float | None = None
    peak_memory_mb: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON."""
        return asdict(self)


def cost_of(
    retriever: Retriever, queries: Sequence[Query], *, k: int = 10, encode_documents: bool = False
) -> Cost:
    """Measure the cost of a retriever.

    Args:
        retriever: the retriever.
        queries: the queries. At most `TIMED_QUERIES` of them are timed, at even distances, or 20
            if the retriever is not a `LocalRetriever`.
        k: the number of documents of a search.
        encode_documents: whether to encode a sample of documents again to measure the rate.
    """
    most = TIMED_QUERIES if isinstance(retriever, LocalRetriever) else _TIMED_SLOW
    step = max(1, len(queries) // most)
    texts = [query.text for query in queries[::step][:most]]
    total, encoding = _timed(retriever.reading(), texts, k)
    rest = None if encoding is None else (np.array(total) - np.array(encoding)).tolist()
    return Cost(
        timed_queries=len(texts),
        k=k,
        total_ms=Latency.of(total),
        encode_ms=None if encoding is None else Latency.of(encoding),
        search_ms=None if rest is None else Latency.of(rest),
        **_of_vectors(retriever, texts, encode_documents),
        **_of_index(retriever),
        peak_memory_mb=peak_memory_mb(),
    )


def _timed(
    retriever: Retriever, texts: Sequence[str], k: int
) -> tuple[list[float], list[float] | None]:
    """Return the milliseconds of each query in all, and those of encoding."""
    retriever.rank(texts[:1], k)  # caches of the index are filled before the clock starts
    total: list[float] = []
    encoding: list[float] = []
    for text in texts:
        start = time.perf_counter()
        if isinstance(retriever, LocalRetriever):
            asked = retriever.ask(retriever.searcher, [text])
            encoding.append((time.perf_counter() - start) * 1e3)
            asked.matches(k)
        else:
            retriever.rank([text], k)
        total.append((time.perf_counter() - start) * 1e3)
    return total, encoding or None


def _of_vectors(
    retriever: Retriever, texts: Sequence[str], encode_documents: bool
) -> dict[str, Any]:
    sparse = sparse_part_of(retriever)
    if sparse is None:
        return {}
    vectors = sparse.encode(texts)
    counts = np.bincount(vectors.terms, minlength=len(sparse.index.space.vocabulary))
    searcher = sparse.searcher
    passages = max(1, searcher.live_passages)
    frequencies: NDArray[np.float64] = searcher.document_frequencies()
    found: dict[str, Any] = {
        "query_terms": len(vectors.terms) / len(texts),
        "query_term_counts": tuple(np.diff(vectors.indptr).tolist()),
        "document_terms": float(frequencies.sum()) / passages,
        "flops": float((counts / len(texts)) @ (frequencies / passages)),
    }
    ids = _sample_ids(sparse.index, _COUNTED_DOCUMENTS)
    found["document_term_counts"] = tuple(len(sparse.index.vector(each).terms) for each in ids)
    sample = _texts(sparse.index) if encode_documents else []
    if sample:
        start = time.perf_counter()
        sparse.encoder.encode(sample, Role.DOCUMENT)
        found["documents_per_second"] = len(sample) / (time.perf_counter() - start)
    return found


def _sample_ids(index: Index, most: int) -> list[str]:
    """Return at most this many ids of documents, at even distances."""
    ids = list(index.doc_ids())
    return ids[:: max(1, len(ids) // most)][:most]


def _texts(index: Index) -> list[str]:
    documents = index.documents_by_id(_sample_ids(index, _ENCODED_DOCUMENTS))
    return [document.full_text for document in documents.values()]


def _of_index(retriever: Retriever) -> dict[str, Any]:
    if isinstance(retriever, DenseRetriever):
        return {"documents": len(retriever.vectors), "bytes_per_document": retriever.vector_bytes}
    index = index_of(retriever)
    if index is None:
        return {}
    info = index.info()
    documents = info.commit.documents
    size = (info.segment_bytes + info.catalog_bytes) / max(1, documents)
    return {"documents": documents, "bytes_per_document": size + _reranker_bytes(retriever)}


def _reranker_bytes(retriever: Retriever) -> float:
    """Return the bytes per document that a reranker keeps."""
    if not isinstance(retriever, RerankingRetriever):
        return 0.0
    here = retriever.reranker
    kept = here.vector_bytes if isinstance(here, LateInteractionReranker) else None
    return (kept or 0.0) + _reranker_bytes(retriever.first)


def sparse_part_of(retriever: Retriever) -> SparseRetriever | None:
    """Return the part of a retriever that searches vectors; None if it has none."""
    if isinstance(retriever, RerankingRetriever):
        return sparse_part_of(retriever.first)
    if isinstance(retriever, HybridRetriever):
        return next((part for part in map(sparse_part_of, retriever.local) if part), None)
    return retriever if isinstance(retriever, SparseRetriever) else None


def index_of(retriever: Retriever) -> Index | None:
    """Return the index that a retriever searches; None for a retriever of another system."""
    if isinstance(retriever, RerankingRetriever):
        return index_of(retriever.first)
    return retriever.index if isinstance(retriever, LocalRetriever) else None


def peak_memory_mb() -> float | None:
    """Return the peak resident memory of this process in MB; None where it is not known."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def machine() -> dict[str, Any]:
    """Return what a reader of a figure must know about the machine."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
