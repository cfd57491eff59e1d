"""Run texts through the tokenizer, the body and the head on all threads.

Several batches run at a time, each on one thread. That keeps all threads busy, whereas a batch on
several threads waits for the slowest one at every operator of the graph. A single batch uses all
threads, except in the body if it is short.
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

# The fewest texts that a thread tokenizes: to tokenize fewer takes less time than to start a
# thread.
_FEW = 16

# The fewest tokens of a batch that runs on several threads in the body. The threads of ONNX Runtime
# also keep cores busy for a while after each run, and the head then lacks them.
_PARALLEL_TOKENS = 160


def tokenize(
    tokens: Tokens, texts: Sequence[str], max_tokens: int, threads: int
) -> list[TokenizedText]:
    """Tokenize texts on several threads; see `Tokens.tokenize`."""
    size = max(_FEW, -(-len(texts) // threads))
    parts = [texts[start : start + size] for start in range(0, len(texts), size)]
    with _parallel_map(min(threads, len(parts))) as run_all:
        tokenized = run_all(lambda part: tokens.tokenize(part, max_tokens), parts)
        return [text for part in tokenized for text in part]


def run(
    body: Body | TorchBody,
    head: _native.Head | TorchHead,
    tokenized: list[TokenizedText],
    threads: int,
    on_done: OnDone,
) -> list[Row]:
    """Encode tokenized texts.

    Args:
        body: the transformer body.
        head: the head. A TorchHead belongs to a TorchBody.
        tokenized: the texts.
        threads: the number of threads to use.
        on_done: called on the calling thread after each batch, with the number of texts in it.

    Returns:
        The terms, weights and positions of each text.
    """
    groups = list(batches(tokenized, GPU_TOKENS if isinstance(head, TorchHead) else CPU_TOKENS))
    several = isinstance(body, Body) and 1 < threads <= len(groups)
    short = sum(len(text.ids) for text in tokenized) < _PARALLEL_TOKENS
    run_body = body.run_on_one_thread if isinstance(body, Body) and (several or short) else body.run

    def encode(batch: list[int]) -> tuple[Any, ...]:
        ids = [tokenized[i].ids for i in batch]
        if isinstance(body, TorchBody) and isinstance(head, TorchHead):
            return head.encode(*body.states(ids))
        assert not isinstance(head, TorchHead), "a TorchHead needs a TorchBody"
        hidden, lengths = run_body(ids)
        return head.encode(hidden, lengths, threads=1 if several else threads)

    empty = np.zeros(0, np.uint32)
    rows: list[Row] = [(empty, np.zeros(0, np.float32), empty)] * len(tokenized)
    with _parallel_map(threads if several else 1) as run_all:
        for batch, (indptr, terms, weights, positions) in zip(
            groups, run_all(encode, groups), strict=True
        ):
            for row, i in enumerate(batch):
                span = slice(indptr[row], indptr[row + 1])
                rows[i] = terms[span], weights[span], positions[span]
            on_done(len(batch))
    on_done(sum(not text.ids for text in tokenized))
    return rows


@contextmanager
def _parallel_map(threads: int) -> Iterator[_Map]:
    """Yield a `map` that runs on several threads and keeps the order of results.

    An error cancels the calls that have not started.
    """
    if threads <= 1:
        yield map
        return
    pool = ThreadPoolExecutor(threads, "lexpand-encode")
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)
