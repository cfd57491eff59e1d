"""Draw latency against recall from the JSON that benchmarks/search.py wrote.

python -m peers.plot FIGURES OUT.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt


def draw(figures: dict[str, Any], out: Path) -> None:
    """Draw a panel for each collection, query set and k.

    Systems with a knob are lines, the others are points.
    """
    panels = [panel for collection in figures["collections"] for panel in collection["panels"]]
    columns = max(1, len({panel["k"] for panel in panels}))
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(5.4 * columns, 4 * rows), squeeze=False)
    for axis, panel in zip(axes.flat, panels, strict=False):
        _panel(axis, panel)
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_axis_off()
    figure.tight_layout()
    figure.savefig(out, dpi=110)


def _panel(axis: Any, panel: dict[str, Any]) -> None:
    for name, points in panel["curves"].items():
        ordered = sorted(points, key=lambda point: point["recall"])
        values = [point["recall"] for point in ordered], [point["mean_ms"] for point in ordered]
        axis.plot(*values, marker="o", markersize=3, label=name)
    for name, point in panel["points"].items():
        axis.plot(point["recall"], point["mean_ms"], linestyle="", marker="D", label=name)
    axis.axvline(0.99, color="gray", linewidth=0.7, linestyle=":")
    axis.set(yscale="log", xlabel="recall, ties counted", ylabel="ms per query, mean")
    axis.set_xlim(0.85, 1.005)
    axis.set_title(
        f"{panel['collection']}, queries {panel['queries']}, k = {panel['k']}", fontsize=10
    )
    axis.grid(True, which="both", alpha=0.25)
    axis.legend(fontsize=7)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
