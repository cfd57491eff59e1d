"""Indexes on disk, built once for each version and settings, and the cost of building them."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.data import Collection
from retrieval.points import Settings
from retrieval.rounds import log_path
from retrieval.systems import LEXPAND, System
from retrieval.workers import running_worker


@dataclass(frozen=True)
class Pythons:
    """The interpreters of Lexpand and of its peers."""

    lexpand: Path
    peers: Path

    def of(self, system: System) -> Path:
        """Return the interpreter that has the system installed."""
        return self.lexpand if system is LEXPAND else self.peers


@dataclass(frozen=True)
class Built:
    """An index and the cost of building it.

    ``figures`` has ``cached`` if an earlier run built the index.
    """

    path: Path
    figures: dict[str, Any]


def build_index(
    system: System, collection: Collection, settings: Settings, root: Path, pythons: Pythons
) -> Built:
    """Build the index of a collection, or return the one that an earlier run built.

    The index of Lexpand is always built again, because its version does not identify its code.

    Raises:
        WorkerError: the system is not installed, or fails.
    """
    threads = os.cpu_count() or 1
    with running_worker(
        pythons.of(system), system.module, threads, log_path(root, system.module)
    ) as worker:
        version = worker.request("hello")["version"]
        settings_hash = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[
            :8
        ]
        folder = root / "indexes" / collection.name / f"{system.module}-{version}-{settings_hash}"
        path, figures_file = folder / "index", folder / "figures.json"
        if figures_file.is_file() and system is not LEXPAND:
            return Built(
                path, {**json.loads(figures_file.read_text(encoding="utf-8")), "cached": True}
            )
        figures_file.unlink(missing_ok=True)
        documents = str(collection.folder / "documents")
        figures = worker.request(
            "build", documents=documents, path=str(path), settings=settings, threads=threads
        )
        figures |= {"version": version, "settings": settings}
        figures_file.write_text(json.dumps(figures), encoding="utf-8")
        return Built(path, figures)
