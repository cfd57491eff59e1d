"""Vespa: an application package and a feed for it, written to a folder.

No Vespa ran here: the files follow its documentation (*Application packages*, *Multivalue query
operators*, *Document JSON format*).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lexpand.data.streams import write_lines
from lexpand.engines.records import Record, plain_metadata, records_of
from lexpand.errors import DataError, StorageError
from lexpand.index import Index
from lexpand.index.filters import parse_field
from lexpand.index.filters.values import values_at

SCALE = 100
"""The factor of weights in the first phase, whose operator takes integers."""

_TYPES = {"integer": "long", "number": "double", "boolean": "bool", "keyword": "string"}
_RERANKED = 1000
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_SERVICES = """<?xml version="1.0" encoding="utf-8" ?>
<services version="1.0">
  <container id="default" version="1.0">
    <search/>
    <document-api/>
  </container>
  <content id="passages" version="1.0">
    <redundancy>1</redundancy>
    <documents>
      <document type="passage" mode="index"/>
    </documents>
    <nodes>
      <node hostalias="node1" distribution-key="0"/>
    </nodes>
  </content>
</services>
"""

_SCHEMA = """# Passages with the vectors of {model} (contract {contract}).
schema passage {{
    document passage {{
        field doc_id type string {{
            indexing: summary | attribute
            attribute: fast-search
        }}
        field passage type int {{
            indexing: summary | attribute
        }}
        field title type string {{
            indexing: summary | index
            index: enable-bm25
        }}
        field text type string {{
            indexing: summary | index
            index: enable-bm25
        }}
        field metadata type string {{
            indexing: summary
        }}
{columns}        # Weights times {scale}, rounded: the operator `wand` finds by integers.
        field terms type weightedset<string> {{
            indexing: attribute
            attribute: fast-search
        }}
        # Weights as they are, for the score.
        field splade type tensor<float>(term{{}}) {{
            indexing: attribute
        }}
    }}
    fieldset default {{
        fields: title, text
    }}
    rank-profile splade {{
        inputs {{
            query(terms) tensor<float>(term{{}})
        }}
        first-phase {{
            expression: rawScore(terms)
        }}
        second-phase {{
            rerank-count: {reranked}
            expression: sum(query(terms) * attribute(splade))
        }}
    }}
}}
"""

_COLUMN = """        field {name} type {kind} {{
            indexing: summary | attribute
            attribute: fast-search
        }}
"""


def write_application(
    index: Index, folder: Path, *, on_done: Callable[[int], None] | None = None
) -> int:
    """Write ``application/`` and ``feed.jsonl`` for the current commit of an index.

    Args:
        index: the documents.
        folder: a folder that does not exist, or is empty.
        on_done: a function that takes the number of passages finished since its last call.

    Returns:
        The number of passages.

    Raises:
        DataError: the folder has files, or a declared column has a name that Vespa cannot have.
        StorageError: the folder cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} must be a new or empty folder")
    reading = index.searcher()
    columns = {name: kind.value for name, kind in index.schema.columns.items()}
    for name in columns:
        if not all(_IDENTIFIER.fullmatch(key) for key in parse_field(name)):
            raise DataError(f"Vespa needs names of letters, digits and _, got the column {name}")
    if len({column_field(name) for name in columns}) < len(columns):
        raise DataError(f"two of the columns {', '.join(columns)} have one name in Vespa")
    schemas = folder / "application" / "schemas"
    model = reading.space.model
    schema = _SCHEMA.format(
        model=model.name,
        contract=model.hash[:12],
        scale=SCALE,
        reranked=_RERANKED,
        columns="".join(
            _COLUMN.format(name=column_field(name), kind=_type(kind))
            for name, kind in columns.items()
        ),
    )
    count = 0

    def lines() -> Iterator[str]:
        nonlocal count
        for record in records_of(reading):
            yield json.dumps(feed_document(record, columns), ensure_ascii=False)
            count += 1
            if on_done is not None:
                on_done(1)

    try:
        schemas.mkdir(parents=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error}") from None
    write_lines(folder / "application" / "services.xml", _SERVICES.splitlines())
    write_lines(schemas / "passage.sd", schema.splitlines())
    write_lines(folder / "feed.jsonl", lines())
    return count


def column_field(name: str) -> str:
    """Return the field of a declared column; the keys of a nested one are joined by ``_``."""
    return "_".join(["meta", *parse_field(name)])


def feed_document(record: Record, columns: Mapping[str, str]) -> dict[str, Any]:
    """Return the line of a feed for a record; weights that round to 0 stay as 1."""
    metadata = plain_metadata(record.metadata)
    weights = record.vector()
    fields: dict[str, Any] = {
        "doc_id": record.doc_id,
        "passage": record.passage,
        "title": record.title,
        "text": record.text,
        "metadata": json.dumps(metadata, ensure_ascii=False),
        "terms": {term: max(1, round(SCALE * weight)) for term, weight in weights.items()},
        "splade": {"cells": weights},
    }
    for name in columns:
        if values := values_at(metadata, parse_field(name)):
            fields[column_field(name)] = values
    identity = quote(record.record_id, safe="")
    return {"put": f"id:lexpand:passage::{identity}", "fields": fields}


def query_body(vector: Mapping[int, float], k: int) -> dict[str, Any]:
    """Return the body of a search for the best ``k`` documents, a document by its best passage.

    Args:
        vector: the weights of a query by term id.
        k: the number of documents.
    """
    hits = max(_RERANKED, 10 * k)
    terms = {str(term): max(1, round(SCALE * weight)) for term, weight in vector.items()}
    return {
        "yql": (
            "select * from passage where"
            f" ({{targetHits: {hits}}}wand(terms, @terms)) limit 0 |"
            f" all(group(doc_id) max({k}) order(-max(relevance()))"
            " each(max(1) each(output(summary()))))"
        ),
        "terms": json.dumps(terms, separators=(",", ":")),
        "ranking": "splade",
        "input.query(terms)": {str(term): weight for term, weight in vector.items()},
    }


def _type(kind: str) -> str:
    return f"array<{_TYPES[kind]}>"
