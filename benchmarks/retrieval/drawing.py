"""Plots, by the peers' interpreter, which has matplotlib."""

from __future__ import annotations

import subprocess
from pathlib import Path


def draw(module: str, figures: Path, python: Path) -> str:
    """Draw the PNG beside a JSON file by a module of peers/; returns what became of it."""
    picture = figures.with_suffix(".png")
    command = [str(python), "-m", f"peers.{module}", str(figures), str(picture)]
    try:
        subprocess.run(
            command, cwd=Path(__file__).parents[1], check=True, capture_output=True, timeout=300
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{figures}; no plot: {error}"
    return f"{figures}, {picture.name}"
