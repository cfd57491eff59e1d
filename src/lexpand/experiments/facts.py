"""The facts of a run that decide its rankings: index, model, pipeline, rules and collection."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lexpand import __version__
from lexpand.collection import Collection
from lexpand.data import JudgedQueries, Qrels, Query
from lexpand.encode import Role
from lexpand.experiments.costs import machine
from lexpand.search import Pipeline
from lexpand.search.pipeline import NAMED


def index_facts(kb: Collection) -> dict[str, Any]:
    """Return the facts of a collection that decide its rankings."""
    info = kb.info()
    return {
        "index": {
            "path": str(kb.path.resolve()),
            "documents": info.documents,
            "passages": info.passages,
            "commit": info.commit,
            "fingerprint": kb.index.fingerprint(),
            "encoding": _encoding(kb),
            "words": info.words,
        },
        **_query_facts(kb),
        "model": {
            "name": info.model,
            "contract_hash": info.contract_hash,
            "location": info.model_location,
        },
    }


def _encoding(kb: Collection) -> dict[str, Any]:
    """Return the encoding of documents, with the hash of its rules instead of the rules."""
    settings = kb.index.space.encoding.to_dict()
    return {name: value for name, value in settings.items() if name != "rules"}


def _query_facts(kb: Collection) -> dict[str, Any]:
    """Return how queries were encoded, and the rules of queries."""
    if not kb.pipeline.needs_model:
        return {}
    encoder = kb.encoder
    own = encoder.contract.pruning[Role.QUERY]
    pruning = [
        {**asdict(each), "banned": sorted(each.banned)}
        for each in encoder.pruning[Role.QUERY]
        if each is not own
    ]
    facts: dict[str, Any] = {
        "queries": {
            "mode": str(encoder.query_mode),
            "dtype": str(encoder.dtypes[Role.QUERY]),
            "pruning": pruning[0] if pruning else {},
        }
    }
    if encoder.rules:
        rules = {"name": encoder.rules.name, "hash": encoder.rules.hash(Role.QUERY)}
        facts["rules"] = {**rules, "rules": encoder.rules.to_dict()}
    return facts


def pipeline_name(pipeline: Pipeline, given: Pipeline | str | None) -> str:
    """Return the name of a pipeline: its own, that of its file, or ``custom``."""
    named = next((name for name, known in NAMED.items() if known == pipeline), None)
    if named is not None:
        return named
    stem = re.split(r"[/\\]", str(given))[-1].removesuffix(".toml")
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.")
    return stem[:64] if isinstance(given, str) and stem else "custom"


def hash_of(lines: Sequence[str]) -> str:
    """Return a BLAKE2b hash of lines, which does not depend on their order."""
    digest = hashlib.blake2b(digest_size=16)
    for line in sorted(lines):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def queries_hash(queries: Sequence[Query]) -> str:
    """Return a hash of the ids and texts of queries, in any order."""
    return hash_of([json.dumps([query.query_id, query.text]) for query in queries])


def qrels_hash(qrels: Qrels) -> str:
    """Return a hash of judgments, in any order."""
    return hash_of(
        [
            json.dumps([query, document, grade])
            for query, grades in qrels.judgments.items()
            for document, grade in grades.items()
        ]
    )


def common_facts(judged: JudgedQueries, kinds: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the facts of the collection and of the machine."""
    return {
        "collection": {
            "name": judged.name,
            "queries": len(judged.queries),
            "queries_hash": queries_hash(judged.queries),
            "qrels_hash": qrels_hash(judged.qrels),
            "tags": {query: list(tags) for query, tags in judged.tags.items()},
            "kinds": kinds,
        },
        "lexpand": __version__,
        "machine": machine(),
    }
