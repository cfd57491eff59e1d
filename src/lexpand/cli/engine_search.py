"""Search and explanation in an engine by its URL, for `lexpand search` and `lexpand explain`."""

from __future__ import annotations

import time
from pathlib import Path

from lexpand.cli.output import count, print_json, say, show
from lexpand.encode import Encoder, QueryEncoding
from lexpand.explanation import Explanation
from lexpand.search.hit import Hits

_SCHEMES = (
    "http://",
    "https://",
    "postgresql://",
    "postgres://",
    "qdrant-edge:",
    "milvus+http://",
    "milvus+https://",
    "milvus-lite:",
)


def is_address(text: str) -> bool:
    """Return whether a text is the URL of an engine, not a path."""
    return text.startswith(_SCHEMES)


def search_engine(
    address: str,
    query: str,
    k: int,
    filter_text: str | None,
    min_score: float | None,
    pipeline: str | None,
    model: str | None,
    encoding: QueryEncoding,
    threads: int | None,
    connection: tuple[Path | None, Path | None],
    as_json: bool,
) -> None:
    """Search an engine, and print the hits; ``connection`` is credentials and ca.

    Raises:
        DataError: the pipeline is none of an engine.
        ContractMismatch: the engine has vectors of another model.
        EngineError: the engine cannot be reached, or has no such target.
    """
    from lexpand.engines import engine_pipeline, open_engine

    credentials, ca = connection
    encoder = Encoder.load(model or "default", queries=encoding, threads=threads)
    with open_engine(address, encoder, credentials=credentials, ca=ca) as engine:
        engine.check_model(encoder.space.model)
        retriever = engine_pipeline(engine, pipeline)
        start = time.perf_counter()
        hits = retriever.search(query, k, filter=filter_text, min_score=min_score)
        milliseconds = (time.perf_counter() - start) * 1e3
    if as_json:
        print_json({**hits.to_dict(), "milliseconds": round(milliseconds, 3)})
        return
    _print(hits)
    show((f"{count(len(hits), 'document')} in {milliseconds:.1f} ms", "dim"))
    for note in hits.notes:
        say(str(note), "yellow")


def explain_address(
    address: str,
    query: str,
    doc_id: str,
    model: str | None,
    encoding: QueryEncoding,
    threads: int | None,
    connection: tuple[Path | None, Path | None],
) -> Explanation:
    """Explain the score of a document in an engine; ``connection`` is credentials and ca.

    Raises:
        ContractMismatch: the engine has vectors of another model.
        EngineError: the engine cannot be reached, or has no such target.
        UnknownDocument: the engine has no such document.
    """
    from lexpand.engines import explain_in_engine, open_engine

    credentials, ca = connection
    encoder = Encoder.load(model or "default", queries=encoding, threads=threads)
    with open_engine(address, encoder, credentials=credentials, ca=ca) as engine:
        return explain_in_engine(engine, query, doc_id)


def _print(hits: Hits) -> None:
    for hit in hits:
        title = ((hit.title, "bold"), "  ") if hit.title else ()
        show(f"{hit.rank:>3}. ", *title, (hit.doc_id, "dim"), "  ", (f"{hit.score:.3f}", "cyan"))
        show(hit.snippet, indent=5)
