"""A bank of queries: in each step, the batch teacher judges many more than those of the batch.

With inference-free queries, a query costs the student a few products. Its dense vector is known
beforehand, so it costs the teacher none. A batch of 32 documents then learns the order that the
teacher gives them for hundreds of queries, and for single words: what to expand to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from lexpand.data.streams import atomic_write
from lexpand.train.recipe import Recipe
from lexpand.train.student import Student
from lexpand.train.teachers import BatchTeacher

_BATCH = 256
_LETTERS = 3
"""The shortest word of the vocabulary that is a query."""


class QueryBank:
    """Queries with the vectors of a teacher.

    Args:
        queries: the distinct token ids of each query, without special tokens; none is empty.
        teacher: gives the vectors.
        file: keeps the vectors of these queries, so that a run that continues reads them.
        on_done: called with the number of queries that have a vector.

    Raises:
        StorageError: the file cannot be written.
    """

    def __init__(
        self,
        queries: Sequence[Sequence[int]],
        teacher: BatchTeacher,
        file: Path | None = None,
        on_done: Callable[[int], None] | None = None,
    ) -> None:
        longest = max(map(len, queries))
        self._ids = torch.zeros(len(queries), longest, dtype=torch.int64)
        self._mask = torch.zeros(len(queries), longest, dtype=torch.bool)
        for row, ids in enumerate(queries):
            self._ids[row, : len(ids)] = torch.tensor(ids)
            self._mask[row, : len(ids)] = True
        key = hashlib.sha256(self._ids.numpy().tobytes()).hexdigest()
        vectors = _read(file, key)
        if vectors is None:
            vectors = self._encoded(teacher, on_done)
            _write(file, key, vectors)
        self._vectors = vectors

    def _encoded(self, teacher: BatchTeacher, on_done: Callable[[int], None] | None) -> Tensor:
        order = self._mask.sum(1).argsort(stable=True)
        vectors = []
        for done, rows in enumerate(order.split(_BATCH)):
            length = int(self._mask[rows].sum(1).max())
            mask = self._mask[rows, :length].long()
            features = {"input_ids": self._ids[rows, :length], "attention_mask": mask}
            vectors.append(teacher.queries(features))
            if on_done is not None:
                on_done(min(len(order), (done + 1) * _BATCH))
        return torch.cat(vectors)[order.argsort()]

    def __len__(self) -> int:
        return len(self._ids)

    def nearest(self, documents: Tensor, count: int) -> Tensor:
        """Return the rows int64 [n] of the queries nearest to each document, without repetition.

        Args:
            documents: [d, width], vectors of the teacher.
            count: queries of all documents together, before repetitions are left out.
        """
        self._vectors = self._vectors.to(documents.device)
        each = max(1, min(len(self), count // len(documents)))
        nearest = (documents @ self._vectors.T).topk(each, dim=1).indices
        return nearest.unique()

    def targets(self, rows: Tensor, documents: Tensor) -> Tensor:
        """Return the scores [n, d] that the teacher gives the documents for some queries."""
        return self._vectors[rows] @ documents.T

    def terms(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the token ids int64 [n, longest] of some queries, and the mask of tokens."""
        rows = rows.cpu()
        longest = int(self._mask[rows].sum(1).max())
        return self._ids[rows, :longest], self._mask[rows, :longest]


def bank_scores(ids: Tensor, mask: Tensor, table: Tensor, weights: Tensor) -> Tensor:
    """Return the scores [n, d] of queries that are looked up in a table.

    Args:
        ids: int64 [n, longest], columns of ``weights`` of the tokens of each query, all different.
        mask: bool [n, longest], true where a query has a token.
        table: [columns], the query weight of each column, never negative.
        weights: [d, columns] of documents.
    """
    return torch.einsum("nl,dnl->nd", table[ids] * mask, weights[:, ids])


def make_banks(
    recipe: Recipe,
    student: Student,
    teacher: BatchTeacher | None,
    queries: Iterable[str],
    folder: Path | None = None,
    on_step: Callable[[str], None] | None = None,
) -> list[tuple[QueryBank, int]]:
    """Return the banks of a recipe, each with the number of queries of a step.

    Args:
        recipe: its ``bank_queries`` and ``bank_words``.
        student: its tokenizer cuts the queries.
        teacher: gives the vectors.
        queries: the queries of the data.
        folder: keeps the vectors for a run that continues.
        on_step: called with a line before and during encoding.
    """
    banks: list[tuple[QueryBank, int]] = []
    if teacher is None:
        return banks
    tokenizer = student.model.tokenizer
    for name, count, texts in (
        ("queries", recipe.bank_queries, dict.fromkeys(queries) if recipe.bank_queries else ()),
        ("words", recipe.bank_words, sorted(filter(_is_word, tokenizer.get_vocab()))),
    ):
        if not count:
            continue
        cut = tokenizer(
            list(texts),
            add_special_tokens=False,
            truncation=True,
            max_length=recipe.query_max_tokens,
        )["input_ids"]
        distinct = [ids for ids in (list(dict.fromkeys(each)) for each in cut) if ids]
        report = _reporting(name, len(distinct), on_step)
        file = None if folder is None else folder / f"bank-{name}.safetensors"
        banks.append((QueryBank(distinct, teacher, file, report), count))
    return banks


def _read(file: Path | None, key: str) -> Tensor | None:
    """Return the vectors of a file; None if it is not of the queries with this key."""
    if file is None or not file.is_file():
        return None
    try:
        return load_file(file).get(key)
    except (OSError, SafetensorError):  # damaged: the vectors are made again
        return None


def _write(file: Path | None, key: str, vectors: Tensor) -> None:
    if file is None:
        return
    with atomic_write(file) as target:
        target.write(save({key: vectors.cpu()}))


def _is_word(token: str) -> bool:
    return len(token) >= _LETTERS and token.isalpha()


def _reporting(
    name: str, total: int, on_step: Callable[[str], None] | None
) -> Callable[[int], None] | None:
    if on_step is None:
        return None

    def report(done: int) -> None:
        if done == total or done // _BATCH % 40 == 1:
            on_step(f"encoding the bank of {name}: {done:,} of {total:,}")

    return report
