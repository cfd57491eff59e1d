"""Search of an engine by its URL, for `lexpand search`."""

from __future__ import annotations

import time

from lexpand.cli.output import count, print_json, show
from lexpand.encode import Encoder, QueryEncoding
from lexpand.search.hit import Hits


def is_address(text: str) -> bool:
    """Return whether a text is the URL of an engine, not a path."""
    return text.startswith(("http://", "https://"))


def search_engine(
    address: str,
    query: str,
    k: int,
    filter_text: str | None,
    min_score: float | None,
    model: str | None,
    encoding: QueryEncoding,
    threads: int | None,
    as_json: bool,
) -> None:
    """Search an engine, and print the hits.

    Raises:
        ContractMismatch: the engine has vectors of another model.
        EngineError: the engine cannot be reached, or has no such target.
    """
    from lexpand.engines import open_engine

    encoder = Encoder.load(model or "default", queries=encoding, threads=threads)
    engine = open_engine(address, encoder)
    engine.check_model(encoder.space.model)
    start = time.perf_counter()
    hits = engine.search(query, k, filter=filter_text, min_score=min_score)
    milliseconds = (time.perf_counter() - start) * 1e3
    if as_json:
        print_json({**hits.to_dict(), "milliseconds": round(milliseconds, 3)})
        return
    _print(hits)
    show((f"{count(len(hits), 'document')} in {milliseconds:.1f} ms", "dim"))


def _print(hits: Hits) -> None:
    for hit in hits:
        title = ((hit.title, "bold"), "  ") if hit.title else ()
        show(f"{hit.rank:>3}. ", *title, (hit.doc_id, "dim"), "  ", (f"{hit.score:.3f}", "cyan"))
        show(hit.snippet, indent=5)
