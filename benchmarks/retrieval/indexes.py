"""Indexes on disk: built once for each version and settings, and what that cost."""

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
from retrieval.workers import working


@dataclass(frozen=True)
class Pythons:
    """Interpreters: Lexpand's own, and the peers'."""

    lexpand: Path
    peers: Path

    def of(self, system: System) -> Path:
        """The one that has the system installed."""
        return self.lexpand if system is LEXPAND else self.peers


@dataclass(frozen=True)
class Built:
    """An index and what building it cost, with ``cached`` where that was measured by an earlier run."""

    path: Path
    figures: dict[str, Any]


def built(
    system: System, collection: Collection, settings: Settings, root: Path, pythons: Pythons
) -> Built:
    """The index of a collection. Lexpand's is always built anew: its version does not say which code wrote it.

    Raises:
        WorkerError: the system is not there, or fails.
    """
    threads = os.cpu_count() or 1
    with working(
        pythons.of(system), system.module, threads, log_path(root, system.module)
    ) as worker:
        version = worker.ask("hello")["version"]
        named = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        folder = root / "indexes" / collection.name / f"{system.module}-{version}-{named}"
        path, kept = folder / "index", folder / "figures.json"
        if kept.is_file() and system is not LEXPAND:
            return Built(path, {**json.loads(kept.read_text(encoding="utf-8")), "cached": True})
        kept.unlink(missing_ok=True)
        documents = str(collection.folder / "documents")
        figures = worker.ask(
            "build", documents=documents, path=str(path), settings=settings, threads=threads
        )
        figures |= {"version": version, "settings": settings}
        kept.write_text(json.dumps(figures), encoding="utf-8")
        return Built(path, figures)
