"""From ranked passages to documents, or to groups of documents, by their best passage."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lexpand.data import JsonValue
from lexpand.index.catalog import Catalog
from lexpand.index.filters import group_key, parse_field
from lexpand.index.passages import RankedPassages
from lexpand.index.results import Matches
from lexpand.index.searching import Find
from lexpand.index.snapshot import Snapshot

Key = Callable[[Sequence[int]], Sequence[Hashable]]
"""Maps the rows of documents to the keys of their groups."""


def best_passages(
    find: Find, queries: int, k: int, group_by: str | None, snapshot: Snapshot, catalog: Catalog
) -> list[RankedPassages]:
    """Return the best passage of each of the best ``k`` documents of each query.

    With ``group_by``, return that of each of the best ``k`` values of the field.

    Raises:
        FilterError: ``group_by`` is not a valid field name.
    """
    if group_by is not None:
        return _best_groups(find, queries, k, _by_value(catalog, group_by))
    if snapshot.has_chunks:
        return _best_groups(find, queries, k, lambda rows: rows)
    return find(range(queries), k)


def named(passages: RankedPassages, snapshot: Snapshot) -> Matches:
    """Return passages with the ids of their documents, and their spans if documents have chunks."""
    spans = spans_of(passages, snapshot) if snapshot.has_chunks else None
    return Matches(doc_ids_of(passages, snapshot), passages.scores, passages.rows, spans)


def group_keys(catalog: Catalog, group_by: str, rows: Sequence[int]) -> Sequence[Hashable]:
    """Return the group of each row.

    Raises:
        FilterError: ``group_by`` is not a valid field name.
    """
    return _by_value(catalog, group_by)(rows)


def doc_ids_of(passages: RankedPassages, snapshot: Snapshot) -> list[str]:
    """Return the ids of the passages' documents, from their segments."""
    if len(snapshot.segments) == 1:
        return snapshot.segments[0].doc_ids_at(passages.ordinals)
    found = [""] * len(passages)
    for place, segment in enumerate(snapshot.segments):
        chosen = np.flatnonzero(passages.segments == place)
        if len(chosen):
            for i, doc_id in zip(
                chosen.tolist(), segment.doc_ids_at(passages.ordinals[chosen]), strict=True
            ):
                found[i] = doc_id
    return found


def _best_groups(find: Find, queries: int, k: int, key: Key) -> list[RankedPassages]:
    """Return the best passage of each of the best ``k`` groups; exact.

    The search is repeated with four times as many passages until they are of k groups.
    """
    found: dict[int, RankedPassages] = {}
    missing, limit = list(range(queries)), k
    while missing:
        for number, passages in zip(missing, find(missing, limit), strict=True):
            best: dict[Hashable, int] = {}
            for place, group in enumerate(key(passages.rows.tolist())):
                best.setdefault(group, place)
            if len(best) >= k or len(passages) < limit:
                found[number] = passages.at(list(best.values())[:k])
        missing = [number for number in missing if number not in found]
        limit *= 4
    return [found[number] for number in range(queries)]


def _by_value(catalog: Catalog, field: str) -> Key:
    """Return a function that maps rows to values of a field, or to the row itself without one."""
    path = parse_field(field)

    def groups(rows: Sequence[int]) -> Sequence[Hashable]:
        documents = catalog.documents(sorted(set(rows)))
        values = {row: _value(document.metadata, path) for row, document in documents.items()}
        return [row if values[row] is None else group_key(values[row]) for row in rows]

    return groups


def _value(metadata: Mapping[str, JsonValue], path: Sequence[str]) -> JsonValue:
    value: JsonValue = metadata
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def spans_of(passages: RankedPassages, snapshot: Snapshot) -> list[tuple[int, int]]:
    """Return the (first, end) characters of each passage."""
    spans: NDArray[np.uint32] = np.zeros((len(passages), 2), np.uint32)
    for place, segment in enumerate(snapshot.segments):
        chosen = passages.segments == place
        spans[chosen] = segment.spans[passages.ordinals[chosen]]
    return [(first, end) for first, end in spans.tolist()]
