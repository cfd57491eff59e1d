"""Latency against selectivity, drawn from the JSON that benchmarks/selectivity.py wrote.

python -m peers.plot_selectivity FIGURES OUT.png
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
    """A panel for each depth: a line for each way to search, and one for the filter itself when it is new."""
    panels = figures["panels"]
    figure, axes = plt.subplots(1, len(panels), figsize=(5.4 * len(panels), 4), squeeze=False)
    for axis, panel in zip(axes.flat, panels, strict=True):
        for name, line in panel["lines"].items():
            axis.plot(panel["selectivities"], line, marker="o", markersize=3, label=name)
        axis.set(
            xscale="log", yscale="log", xlabel="share of the documents that pass", ylabel="ms, mean"
        )
        axis.set_title(f"{figures['documents']:,} documents, k = {panel['k']}", fontsize=10)
        axis.grid(True, which="both", alpha=0.25)
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
