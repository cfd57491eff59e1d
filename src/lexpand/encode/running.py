"""Texts through tokenizer, body and head, on all threads that there are.

Several batches at a time, each on a thread of its own, keep all of them busy: a batch on several
threads waits at every operator of the graph for the slowest. A batch that is alone has all threads,
but for the body of a short one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from lexpand import _native
from lexpand.encode.batches import CPU_TOKENS, GPU_TOKENS, batches
from lexpand.encode.body import Body
from lexpand.encode.encoding import Row
from lexpand.encode.progress import OnDone
from lexpand.encode.tokens import TokenizedText, Tokens
from lexpand.encode.torch.body import TorchBody
from lexpand.encode.torch.head import TorchHead

_Map: TypeAlias = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]

# Texts that a thread takes at once: fewer are tokenized sooner than a thread begins.
_FEW = 16

# Tokens from which a batch is worth a second thread in the body: ONNX Runtime's threads also keep a
# core busy for a while after each run, which the head then lacks.
_SHARED_TOKENS = 160


def tokenize(tokens: Tokens, texts: Sequence[str], limit: int, threads: int) -> list[TokenizedText]:
    """What `Tokens.tokenize` gives."""
    size = max(_FEW, -(-len(texts) // threads))
    parts = [texts[start : start + size] for start in range(0, len(texts), size)]
    with _sharing(min(threads, len(parts))) as share:
        return [
            text
            for part in share(lambda part: tokens.tokenize(part, limit), parts)
            for text in part
        ]


def run(
    body: Body | TorchBody,
    head: _native.Head | TorchHead,
    tokenized: list[TokenizedText],
    threads: int,
    on_done: OnDone,
) -> list[Row]:
    """Terms, weights and positions of each text; ``on_done`` is told of every batch, in this thread."""
    groups = list(batches(tokenized, GPU_TOKENS if isinstance(head, TorchHead) else CPU_TOKENS))
    several = isinstance(body, Body) and 1 < threads <= len(groups)
    short = sum(len(text.ids) for text in tokenized) < _SHARED_TOKENS
    run_body = body.run_beside_others if isinstance(body, Body) and (several or short) else body.run

    def encode(batch: list[int]) -> tuple[Any, ...]:
        ids = [tokenized[i].ids for i in batch]
        if isinstance(body, TorchBody) and isinstance(head, TorchHead):
            return head.encode(*body.states(ids))
        assert not isinstance(head, TorchHead), "it is a TorchBody's"
        hidden, lengths = run_body(ids)
        return head.encode(hidden, lengths, threads=1 if several else threads)

    nothing = np.zeros(0, np.uint32)
    rows: list[Row] = [(nothing, np.zeros(0, np.float32), nothing)] * len(tokenized)
    with _sharing(threads if several else 1) as share:
        for batch, (indptr, terms, weights, positions) in zip(
            groups, share(encode, groups), strict=True
        ):
            for row, i in enumerate(batch):
                span = slice(indptr[row], indptr[row + 1])
                rows[i] = terms[span], weights[span], positions[span]
            on_done(len(batch))
    on_done(sum(not text.ids for text in tokenized))
    return rows


@contextmanager
def _sharing(threads: int) -> Iterator[_Map]:
    """A `map` over so many threads, results in order. An error ends it at once: what has not begun never does."""
    if threads <= 1:
        yield map
        return
    pool = ThreadPoolExecutor(threads, "lexpand-encode")
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)
