"""Measure filters over the columns of a segment against pyarrow.compute on the same arrays.

    python benchmarks/filters.py [--passages N] [--json]

Both return a boolean per passage, and the results must be equal. Rounds are interleaved. The median
is reported, and a ratio is peer / Lexpand. pyarrow uses one thread, as the columns do. pyarrow has
no single call for a condition on lists: the lists are flattened, compared, and mapped to their
parent indices. The last row measures the filter by SQL on the JSON of a tenth of the passages.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import sqlite3
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lexpand.index.columns import Column, ColumnType, encode_column, evaluate, open_column
from lexpand.index.filters import Expression, OneOf, matching_rows, parse_text

_ROUNDS = 9


def measured(*actions: Callable[[], Any]) -> list[float]:
    """Return the median milliseconds of each action, in interleaved rounds."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(_ROUNDS):
        for action, taken in zip(actions, times, strict=True):
            start = time.perf_counter()
            action()
            taken.append((time.perf_counter() - start) * 1e3)
    return [statistics.median(taken) for taken in times]


def opened(column_type: ColumnType, values: list[list[Any]]) -> Column:
    """Return a column as a segment would return it."""
    arrays = {
        kind: np.frombuffer(raw, np.uint8) for kind, raw in encode_column(column_type, values)
    }
    return open_column(column_type, arrays.get, len(values))


def cases(passages: int) -> list[tuple[str, Expression, Column, Callable[[], Any]]]:
    """Return each case: its name, the filter, the column, and the same filter in pyarrow."""
    random = np.random.default_rng(0)
    years = random.integers(1950, 2025, passages)
    wide = random.integers(-(2**40), 2**40, passages)
    words = [f"word{number}" for number in random.integers(0, 1000, passages)]
    lengths = random.integers(0, 4, passages)
    flat = [f"tag{number}" for number in random.integers(0, 1000, int(lengths.sum()))]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    tags = [flat[start:end] for start, end in itertools.pairwise(starts)]

    year = opened(ColumnType.INTEGER, [[value] for value in years.tolist()])
    number = opened(ColumnType.INTEGER, [[value] for value in wide.tolist()])
    word = opened(ColumnType.KEYWORD, [[value] for value in words])
    tag = opened(ColumnType.KEYWORD, tags)
    a_year, a_number = pa.array(years), pa.array(wide)
    a_word, a_tag = pa.array(words).dictionary_encode(), pa.array(tags)
    some = [f"word{n}" for n in range(0, 1000, 20)]
    decades = list(range(1950, 2025, 3))

    def any_tag() -> NDArray[np.bool_]:
        parents = pc.list_parent_indices(a_tag)
        found = np.zeros(passages, np.bool_)
        found[parents.filter(pc.equal(pc.list_flatten(a_tag), "tag7")).to_numpy()] = True
        return found

    return [
        ("integer =", parse_text("x = 2000"), year, lambda: pc.equal(a_year, 2000)),
        (
            "integer range",
            parse_text("2000 <= x < 2010"),
            year,
            lambda: pc.and_(pc.greater_equal(a_year, 2000), pc.less(a_year, 2010)),
        ),
        (
            "integer in 5",
            OneOf(("x",), tuple(decades[:5])),
            year,
            lambda: pc.is_in(a_year, pa.array(decades[:5])),
        ),
        (
            "integer in 25",
            OneOf(("x",), tuple(decades)),
            year,
            lambda: pc.is_in(a_year, pa.array(decades)),
        ),
        (
            "integer in 50, far apart",
            OneOf(("x",), tuple(wide[:50].tolist())),
            number,
            lambda: pc.is_in(a_number, a_number[:50]),
        ),
        ("keyword =", parse_text("x = word7"), word, lambda: pc.is_in(a_word, pa.array(["word7"]))),
        (
            "keyword in 50",
            OneOf(("x",), tuple(some)),
            word,
            lambda: pc.is_in(a_word, pa.array(some)),
        ),
        ("keyword list =", parse_text("x = tag7"), tag, any_tag),
    ]


def by_sql(passages: int) -> dict[str, float]:
    """Measure one condition by SQL over a table of small documents.

    The peer is ``json_extract``, which is not strict about types.
    """
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE documents (row INTEGER PRIMARY KEY, metadata TEXT NOT NULL)")
    metadata = (
        {"year": 1950 + i % 75, "lang": "en", "tags": ["a", f"t{i % 9}"], "price": i / 8}
        for i in range(passages)
    )
    db.executemany(
        "INSERT INTO documents VALUES (?, ?)",
        ((i, json.dumps(each)) for i, each in enumerate(metadata)),
    )
    expression = parse_text("year >= 2020")
    plain = "SELECT row FROM documents WHERE json_extract(metadata, '$.year') >= 2020"
    ours, peer = measured(
        lambda: matching_rows(db, expression), lambda: db.execute(plain).fetchall()
    )
    return {"lexpand_ms": ours, "json_extract_ms": peer, "ratio": peer / ours}


def main() -> None:
    """Measure all cases and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--passages", type=int, default=1_000_000, help="passages (1,000,000)")
    parser.add_argument(
        "--json", action="store_true", help="print the figures as one last line of JSON"
    )
    options = parser.parse_args()
    pa.set_cpu_count(1)
    rows = np.arange(options.passages, dtype=np.uint32)
    figures: dict[str, Any] = {}
    for name, expression, column, peer in cases(options.passages):
        run = lambda: evaluate(expression, lambda _: column, rows, lambda _: rows)  # noqa: B023, E731
        assert run().tolist() == np.asarray(peer()).tolist(), name
        ours, theirs = measured(run, peer)
        figures[name] = {"lexpand_ms": ours, "pyarrow_ms": theirs, "ratio": theirs / ours}
        print(f"{name:26}{ours:8.2f} ms   pyarrow {theirs:8.2f} ms   ratio {theirs / ours:6.2f}")
    found = figures["sql, a tenth of the passages"] = by_sql(options.passages // 10)
    peer_ms = f"json_extract {found['json_extract_ms']:8.1f} ms (not strict)"
    print(f"{'sql':26}{found['lexpand_ms']:8.1f} ms   {peer_ms}")
    if options.json:
        machine = {"cpu": platform.processor(), "cores": os.cpu_count(), "pyarrow": pa.__version__}
        print(
            json.dumps(
                {
                    "passages": options.passages,
                    "machine": machine,
                    "sqlite": sqlite3.sqlite_version,
                    **figures,
                }
            )
        )


if __name__ == "__main__":
    main()
