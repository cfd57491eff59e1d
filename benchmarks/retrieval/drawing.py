"""Plots, drawn by the interpreter of the peers, which has matplotlib."""

from __future__ import annotations

import subprocess
from pathlib import Path


def draw(module: str, figures: Path, python: Path) -> str:
    """Draw a PNG next to a JSON file, by a module of peers/.

    Returns:
        The names of both files, or why there is no plot.
    """
    picture = figures.with_suffix(".png")
    command = [str(python), "-m", f"peers.{module}", str(figures), str(picture)]
    try:
        subprocess.run(
            command, cwd=Path(__file__).parents[1], check=True, capture_output=True, timeout=300
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{figures}; no plot: {error}"
    return f"{figures}, {picture.name}"
