"""The native head, which switches to safe pruning once that pays off."""

from __future__ import annotations

import threading

from lexpand import _native
from lexpand.encode.folder import Screening

# Preparing the pruned head takes about 0.1 s. The plain head takes as long for this many tokens.
_PRUNE_AFTER = 1024


class Head:
    """The head of a model, with safe pruning after about a thousand tokens; threads may share it.

    Safe pruning yields the same vectors faster. The copies of an encoder share one object, so they
    count tokens together and prepare the pruned head once.

    Args:
        head: the head without pruning.
        screening: the basis for safe pruning. None if the model has none.
        threads: threads for the preparation.
    """

    def __init__(self, head: _native.Head, screening: Screening | None, threads: int) -> None:
        self._head, self._screening, self._threads = head, screening, threads
        self._tokens = 0
        self._lock = threading.Lock()

    def get(self, tokens: int) -> _native.Head:
        """Return the head to use, and count the tokens that it will encode."""
        with self._lock:
            self._tokens += tokens
            if self._screening is not None and self._tokens >= _PRUNE_AFTER:
                self._head = self._head.screened(*self._screening, threads=self._threads)
                self._screening = None
            return self._head
