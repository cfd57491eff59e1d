"""The native head, with screening as soon as that pays."""

from __future__ import annotations

import threading

from lexpand import _native
from lexpand.encode.folder import Screening

# Screening takes about 0.1 s to prepare, as long as the head takes for this many tokens without it.
_SCREEN_TOKENS = 1024


class Head:
    """A model's head; after a thousand tokens in all with screening: the same vectors, sooner. For any thread.

    One object, so that the copies of an encoder count together and prepare once.

    Args:
        head: without screening.
        screening: of the model; None for a model that has none.
        threads: that preparing may use.
    """

    def __init__(self, head: _native.Head, screening: Screening | None, threads: int) -> None:
        self._head, self._screening, self._threads = head, screening, threads
        self._tokens = 0
        self._preparing = threading.Lock()

    def taking(self, tokens: int) -> _native.Head:
        """The head to use for this many tokens more."""
        with self._preparing:
            self._tokens += tokens
            if self._screening is not None and self._tokens >= _SCREEN_TOKENS:
                self._head = self._head.screened(*self._screening, threads=self._threads)
                self._screening = None
            return self._head
