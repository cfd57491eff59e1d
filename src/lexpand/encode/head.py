"""The native head, which switches to safe pruning once that pays off."""

from __future__ import annotations

import threading

from lexpand import _native
from lexpand.encode.folder import ModelFolder, Screening

# Preparing the pruned head takes about 0.1 s. The plain head takes as long for this many tokens.
_PRUNE_AFTER = 1024


class Head:
    """The head of a model, loaded on first use, with safe pruning after about a thousand tokens.

    Safe pruning yields the same vectors faster. The copies of an encoder share one object, so they
    count tokens together and prepare the pruned head once. Threads may share it.

    Args:
        folder: the model.
        threads: threads for the preparation.
    """

    def __init__(self, folder: ModelFolder, threads: int) -> None:
        self._path, self._threads = folder.path, threads
        self._head: _native.Head | None = None
        self._screening: Screening | None = None
        self._tokens = 0
        self._lock = threading.Lock()

    def get(self, tokens: int, folder: ModelFolder | None = None) -> _native.Head:
        """Return the head to use, and count the tokens that it will encode.

        Args:
            tokens: how many.
            folder: an open folder, as in `Bodies.get`.

        Raises:
            ModelError: see `ModelFolder.load_head`.
        """
        with self._lock:
            if self._head is None:
                folder = folder or ModelFolder(self._path)
                self._head, self._screening = folder.load_head(), folder.load_screening()
            self._tokens += tokens
            if self._screening is not None and self._tokens >= _PRUNE_AFTER:
                self._head = self._head.screened(*self._screening, threads=self._threads)
                self._screening = None
            return self._head
