"""The figures as tables, and the ratios of the last line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from retrieval.measuring import Measured
from retrieval.tuning import TARGET

_EXACT, _TUNED = "Lexpand exact", "Lexpand 99 %"
_PEERS = {"splade_index": ("splade-index", _EXACT), "seismic99": ("Seismic 99 %", _TUNED)}
"""The peer of each ratio, and the Lexpand setting of the same kind (exact or tuned)."""

_BUILDS = (
    "system",
    "keeps",
    "build CPU s",
    "wall s",
    "index MB",
    "all files MB",
    "peak MB building",
    "searching",
)


def ratios(measured: Measured) -> dict[str, Any]:
    """Return the ratios of the last line. None means not measured.

    Ratios of search and build times are peer / Lexpand, so larger is better for Lexpand. Ratios of
    bytes are Lexpand / peer, so smaller is better. Times are means. The query set that is worse for
    Lexpand counts.

    Lexpand searches by Index.search if that supports the setting, else by _native.search:
    ``headline_exact`` and ``headline_99`` name the call. Names that end in ``_native`` are about
    _native.search, which returns rows without ids, as these peers do. splade-index is exact, so its
    ratios with and without ``_exact`` are the same.
    """
    found: dict[str, Any] = {}
    for short, (peer, ours) in _PEERS.items():
        for k in sorted({panel["k"] for panel in measured.panels}):
            name = f"vs_{short}_k{k}"
            found[name] = _lowest(measured, k, peer, _headline(measured, ours))
            found[f"{name}_exact"] = _lowest(measured, k, peer, _headline(measured, _EXACT))
            found[f"{name}_native"] = _lowest(measured, k, peer, f"{ours}, _native.search")
            found[f"{name}_exact_native"] = _lowest(measured, k, peer, f"{_EXACT}, _native.search")
    ours_built, theirs = measured.builds.get("Lexpand"), measured.builds.get("Seismic")
    found["build_vs_seismic"] = _quotient(theirs, ours_built, "cpu_seconds", "cpu_seconds")
    found["build_vs_seismic_native"] = _quotient(
        theirs, ours_built, "cpu_seconds", "segment_cpu_seconds"
    )
    found["bytes_vs_seismic"] = _quotient(ours_built, theirs, "bytes", "bytes")
    return {
        **found,
        "headline_exact": _headline(measured, _EXACT).split(", ")[1],
        "headline_99": _headline(measured, _TUNED).split(", ")[1],
        "reached_99": all(point["recall"] >= TARGET for point in _tuned(measured)),
        "exact": measured.exact,
        "reference_queries": measured.reference_queries,
        "documents": measured.documents,
        "threads": max((panel["threads"] for panel in measured.panels), default=0),
    }


def print_tables(console: Console, measured: Measured) -> None:
    """Print the tables of a collection."""
    builds = Table(title=f"{measured.name}, {measured.documents:,} documents: indexes")
    for heading in _BUILDS:
        builds.add_column(heading, justify="left" if heading in ("system", "keeps") else "right")
    for name, figures in measured.builds.items():
        earlier = " (built earlier)" if figures.get("cached") else ""
        builds.add_row(f"{name} {figures['version']}{earlier}", figures["kept"], *_cells(figures))
    console.print(builds)
    for panel in measured.panels:
        console.print(_search_table(panel))
    for name, reason in measured.skipped.items():
        console.print(f"left out: {name}: {reason}", markup=False)
    if measured.exact is not None:
        verdict = (
            "equal those of the NumPy reference to the bit"
            if measured.exact
            else "DIFFER from those of the NumPy reference"
        )
        console.print(f"exact hits of {measured.reference_queries} queries {verdict}")


def _cells(figures: dict[str, Any]) -> Iterator[str]:
    yield f"{figures['cpu_seconds']:.1f}"
    yield f"{figures['wall_seconds']:.1f}"
    yield f"{figures['bytes'] / 1e6:,.1f}"
    yield f"{figures.get('file_bytes', figures['bytes']) / 1e6:,.1f}"
    yield f"{figures['peak_bytes'] / 1e6:,.0f}"
    yield f"{figures['searching']['peak_bytes'] / 1e6:,.0f}" if "searching" in figures else ""


def _search_table(panel: dict[str, Any]) -> Table:
    one = panel["threads"] == 1
    how = "one query at a time" if one else f"batches on {panel['threads']} threads"
    queries = f"queries {panel['queries']} ({panel['count']})"
    title = f"{panel['collection']}, {queries}, k = {panel['k']}, {how}"
    table = Table(title=title)
    for heading in ("system", "settings", "recall", "mean ms", "p50", "p99"):
        table.add_column(heading, justify="left" if heading in ("system", "settings") else "right")
    for name, point in sorted(panel["points"].items(), key=lambda item: item[1]["mean_ms"]):
        settings = ", ".join(
            f"{key} {value}" for key, value in point["settings"].items() if key != "api"
        )
        times = (
            f"{point[key]:.3f}" if key in point else "" for key in ("mean_ms", "p50_ms", "p99_ms")
        )
        table.add_row(name, settings, f"{point['recall']:.4f}", *times)
    return table


def _headline(measured: Measured, ours: str) -> str:
    """Return the label whose figures count: the public call if every panel has it."""
    public = f"{ours}, Index.search"
    everywhere = all(public in panel["points"] for panel in measured.panels)
    return public if everywhere else f"{ours}, _native.search"


def _lowest(measured: Measured, k: int, peer: str, ours: str) -> float | None:
    found = [
        panel["points"][peer]["mean_ms"] / panel["points"][ours]["mean_ms"]
        for panel in measured.panels
        if panel["k"] == k and {peer, ours} <= panel["points"].keys()
    ]
    return min(found, default=None)


def _quotient(
    above: dict[str, Any] | None, below: dict[str, Any] | None, *names: str
) -> float | None:
    if not above or not below or names[0] not in above or names[1] not in below:
        return None
    return float(above[names[0]] / below[names[1]])


def _tuned(measured: Measured) -> Iterator[dict[str, Any]]:
    for panel in measured.panels:
        yield from (point for label, point in panel["points"].items() if "99 %" in label)
