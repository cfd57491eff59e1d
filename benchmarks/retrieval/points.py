"""Operating points: the settings of a system and the recall that they reached.

There is one for each collection, query set and k. Each system has a TOML file, which
``search.py --tune`` writes and which is committed.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Settings = dict[str, Any]


@dataclass(frozen=True)
class Point:
    """The settings of a search, and the recall that they reached when they were chosen."""

    settings: Settings
    recall: float


@dataclass
class OperatingPoints:
    """The operating points of a system, as in its file.

    Attributes:
        build: settings of the index, for collections without settings of their own.
        build_for: settings of the index, by collection.
        points: operating points by collection, query set and k.
    """

    build: Settings = field(default_factory=dict)
    build_for: dict[str, Settings] = field(default_factory=dict)
    points: dict[tuple[str, str, int], Point] = field(default_factory=dict)

    def of_index(self, collection: str) -> Settings:
        """Return the settings with which to build the index of a collection."""
        return self.build_for.get(collection, self.build)

    def of_search(self, collection: str, queries: str, k: int) -> Point | None:
        """Return the operating point, or None if none was chosen."""
        return self.points.get((collection, queries, k))

    @classmethod
    def read(cls, path: Path) -> OperatingPoints:
        """Read a file. Without a file there are no operating points."""
        if not path.is_file():
            return cls()
        file = tomllib.loads(path.read_text(encoding="utf-8"))
        points = {
            (point["collection"], point["queries"], point["k"]): Point(
                point["settings"], point["recall"]
            )
            for point in file.get("point", [])
        }
        return cls(file.get("build", {}), file.get("build_for", {}), points)

    def write(self, path: Path) -> None:
        """Write a file in sorted order, so that a changed point changes one place."""
        lines = ["# Written by benchmarks/search.py --tune.", "", "[build]", *_lines(self.build)]
        for collection in sorted(self.build_for):
            lines += [
                "",
                f"[build_for.{json.dumps(collection)}]",
                *_lines(self.build_for[collection]),
            ]
        for (collection, queries, k), point in sorted(self.points.items()):
            names: Settings = {
                "collection": collection,
                "queries": queries,
                "k": k,
                "recall": round(point.recall, 4),
            }
            settings = ", ".join(_lines(point.settings))
            lines += ["", "[[point]]", *_lines(names), f"settings = {{ {settings} }}"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _lines(settings: Settings) -> list[str]:
    # TOML and JSON write strings, numbers and booleans alike.
    return [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
