"""`lexpand info`: what an index holds."""

from __future__ import annotations

from lexpand.cli.options import IndexPath, Json, Verbose
from lexpand.cli.output import print_json, show
from lexpand.index import Index


def info(index_path: IndexPath, as_json: Json = False, verbose: Verbose = False) -> None:
    """Describe INDEX: documents, model, commits, size."""
    with Index.open(index_path) as index:
        found = index.info()
    facts = {
        "index": str(index_path),
        "documents": found.commit.documents,
        "commit": found.commit.commit_id,
        "committed_at": found.commit.created_at,
        "model": found.space.model.name,
        "contract_hash": found.space.model.hash,
        "model_location": found.space.location,
        "document_max_tokens": found.space.document_max_tokens,
        "document_settings": dict(found.space.document_settings),
        "vocabulary_size": len(found.space.vocabulary),
        "segments": found.segments,
        "units": found.units,
        "live_units": found.live_units,
        "stored_weights": found.nnz,
        "segment_bytes": found.segment_bytes,
        "catalogue_bytes": found.catalogue_bytes,
        "bytes_a_weight": {name: round(size / max(1, found.nnz), 2) for name, size in found.parts.items()},
        "words": found.words,
        "columns": found.columns,
    }
    if as_json:
        print_json(facts)
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        shown = f"{value:,}" if isinstance(value, int) else str(value)
        show(f"{name.replace('_', ' '):<{width}}  {shown}", wrap=False)
