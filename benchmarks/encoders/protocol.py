"""The interface of a system that encodes. Times are taken around its encoding call alone."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from conversation import answer_requests, status_bytes

Rows: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]
"""The vectors of texts: the index of each text's first term, the terms, the weights."""


class EncodingPeer(ABC):
    """A system under measurement, with one model at a time."""

    @abstractmethod
    def version(self) -> str:
        """Return the versions of the system and its runtime."""

    @abstractmethod
    def load(self, folder: Path, threads: int, max_tokens: int, settings: dict[str, Any]) -> None:
        """Load a model that encodes on ``threads`` threads."""

    @abstractmethod
    def documents(self, texts: list[str]) -> Any:
        """Encode documents to the system's own form of vectors. This call is timed."""

    @abstractmethod
    def query(self, text: str) -> Any:
        """Encode a query to the system's own form of vector. This call is timed."""

    @abstractmethod
    def rows(self, found: Any) -> Rows:
        """Convert the result of `documents` or `query` to arrays."""


class _Requests:
    def __init__(self, peer: EncodingPeer) -> None:
        self.peer = peer
        self.kept: dict[str, list[Rows]] = {"documents": [], "queries": []}

    def hello(self) -> dict[str, Any]:
        return {"version": self.peer.version()}

    def load(
        self, folder: str, threads: int, max_tokens: int, settings: dict[str, Any]
    ) -> dict[str, Any]:
        start = time.perf_counter()
        self.peer.load(Path(folder), threads, max_tokens, settings)
        return {"seconds": time.perf_counter() - start}

    def documents(self, texts: list[str], keep: bool = True) -> dict[str, Any]:
        start = time.perf_counter()
        found = self.peer.documents(texts)
        seconds = time.perf_counter() - start
        if keep:
            self.kept["documents"].append(self.peer.rows(found))
        return {"seconds": seconds}

    def queries(self, texts: list[str], keep: bool = True) -> dict[str, Any]:
        times = []
        for text in texts:
            start = time.perf_counter()
            found = self.peer.query(text)
            times.append(time.perf_counter() - start)
            if keep:
                self.kept["queries"].append(self.peer.rows(found))
        return {"seconds": times}

    def save(self, path: str) -> dict[str, Any]:
        arrays = {}
        for name, parts in self.kept.items():
            lengths = [np.diff(indptr) for indptr, _, _ in parts]
            arrays[f"{name}_lengths"] = np.concatenate([np.zeros(0, np.int64), *lengths])
            arrays[f"{name}_terms"] = np.concatenate(
                [np.zeros(0, np.int64), *(terms for _, terms, _ in parts)]
            )
            arrays[f"{name}_weights"] = np.concatenate(
                [np.zeros(0, np.float32), *(weights for *_, weights in parts)]
            )
        np.savez(path, **arrays)
        return {}

    def memory(self) -> dict[str, Any]:
        return {
            "peak_bytes": status_bytes("self", "VmHWM"),
            "anonymous_bytes": status_bytes("self", "RssAnon"),
        }


def serve(peer: EncodingPeer) -> None:
    """Answer requests until standard input ends."""
    answer_requests(_Requests(peer), lambda: None)
