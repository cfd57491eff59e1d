"""A bank of queries: in each step, the batch teachers judge many more than those of the batch.

With inference-free queries, a query costs the student a few products. Its vectors are known
beforehand, so it costs the teachers none. A batch of 32 documents then learns the order that the
teacher gives them for hundreds of queries, and for single words: what to expand to.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from lexpand.data.streams import atomic_write
from lexpand.errors import DataError
from lexpand.train.recipe import Recipe
from lexpand.train.student import Student
from lexpand.train.teachers import BatchTeacher

_Vectors = dict[str, Tensor]
"""The vectors of a teacher: `_ALL` [n, width], or `_IDS` and `_WEIGHTS` [n, terms]."""

_ALL, _IDS, _WEIGHTS = "all", "ids", "weights"
_BATCH = 256
_TERMS = 64
"""The terms of a query that are kept of a sparse teacher: those with the largest weights."""

_LETTERS = 3
"""The shortest word of the vocabulary that is a query."""


class QueryBank:
    """Queries with the vectors of a dense teacher, and of a sparse one if there is one.

    Args:
        queries: the token ids of each query, without special tokens; none is empty.
        teachers: the dense one, and perhaps a sparse one.
        device: where the teachers compute the vectors.
        files: for each teacher, the file that keeps its vectors of these queries, so that a run
            that continues reads them, and the name of the teacher; the vectors of another teacher
            in the file are not taken. Empty to keep none.
        on_done: called with the number of queries that have a vector of a teacher.

    Raises:
        DataError: there is no query.
        StorageError: the file cannot be written.

    Attributes:
        seconds: the time that `make_banks` took for the vectors of all queries, estimated from
            those that it encoded.
    """

    seconds = 0.0

    def __init__(
        self,
        queries: Sequence[Sequence[int]],
        teachers: Sequence[BatchTeacher],
        *,
        device: torch.device | None = None,
        files: Sequence[tuple[Path, str]] = (),
        on_done: Callable[[int], None] | None = None,
    ) -> None:
        if not queries:
            raise DataError("a bank must have queries with a token of the vocabulary, got none")
        ids, mask = _padded(queries)
        self._ids, self._mask = ids.int(), mask
        # Encoders read the whole query, and a table counts each of its tokens once.
        self._once = _padded([_first_places(each) for each in queries])[0].bool()
        content = ids.numpy().tobytes()
        self._vectors: list[_Vectors] = []
        for place, (teacher, keep) in enumerate(zip(teachers, (_dense, _largest), strict=False)):
            file, name = files[place] if files else (None, "")
            key = hashlib.sha256(name.encode() + content).hexdigest()
            vectors = _read(file, key)
            if vectors is None:
                where = device or torch.device("cpu")
                vectors = _encoded(ids, mask, teacher, keep, where, on_done)
                _write(file, key, vectors)
            self._vectors.append(vectors)

    def __len__(self) -> int:
        return len(self._ids)

    def nearest(self, documents: Tensor, count: int) -> Tensor:
        """Return the rows int64 [n] of the queries nearest to each document, without repetition.

        Args:
            documents: [d, width], vectors of the dense teacher.
            count: queries of all documents together, before repetitions are left out.
        """
        # Only these vectors are on the device as a whole.
        self._vectors[0] = {
            key: each.to(documents.device) for key, each in self._vectors[0].items()
        }
        each = max(1, min(len(self), count // len(documents)))
        nearest = (documents @ self._vectors[0][_ALL].T).topk(each, dim=1).indices
        return nearest.unique()

    def targets(self, rows: Tensor, documents: Sequence[Tensor]) -> list[Tensor]:
        """Return the scores [n, d] that each teacher gives the documents for some queries.

        Args:
            rows: int64 [n].
            documents: the vectors [d, width] of each teacher.
        """
        scores = [self._vectors[0][_ALL][rows] @ documents[0].T]
        for vectors, judged in zip(self._vectors[1:], documents[1:], strict=True):
            ids, weights = (vectors[key][rows.cpu()].to(judged.device) for key in (_IDS, _WEIGHTS))
            scores.append(torch.einsum("nl,dnl->nd", weights, judged[:, ids.long()]))
        return scores

    def terms(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the token ids int64 [n, longest] of some queries, and the mask of terms.

        A token is masked where it is repeated.
        """
        return self._cut(rows, self._once)

    def tokens(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the token ids int64 [n, longest] of some queries, and the mask of tokens."""
        return self._cut(rows, self._mask)

    def _cut(self, rows: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        rows = rows.cpu()
        longest = int(self._mask[rows].sum(1).max())
        return self._ids[rows, :longest].long(), mask[rows, :longest]


def bank_scores(ids: Tensor, mask: Tensor, table: Tensor, weights: Tensor) -> Tensor:
    """Return the scores [n, d] of queries that are looked up in a table.

    Args:
        ids: int64 [n, longest], columns of ``weights`` of the tokens of each query.
        mask: bool [n, longest], true where a query has a token for the first time.
        table: [columns], the query weight of each column, never negative.
        weights: [d, columns] of documents.
    """
    return torch.einsum("nl,dnl->nd", table[ids] * mask, weights[:, ids])


def _first_places(ids: Sequence[int]) -> list[int]:
    """Return 1 for each token that was not there before, else 0."""
    seen: set[int] = set()
    places = []
    for id in ids:
        places.append(int(id not in seen))
        seen.add(id)
    return places


def _padded(queries: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return token ids int64 [n, longest] with zeros at the end, and the mask of tokens."""
    longest = max(map(len, queries))
    ids = torch.zeros(len(queries), longest, dtype=torch.int64)
    mask = torch.zeros(len(queries), longest, dtype=torch.bool)
    for row, query in enumerate(queries):
        ids[row, : len(query)] = torch.tensor(query)
        mask[row, : len(query)] = True
    return ids, mask


def _encoded(
    ids: Tensor,
    mask: Tensor,
    teacher: BatchTeacher,
    keep: Callable[[Tensor], _Vectors],
    device: torch.device,
    on_done: Callable[[int], None] | None,
) -> _Vectors:
    """Return what ``keep`` keeps of the vectors [n, width] of queries, encoded by length."""
    order = mask.sum(1).argsort(stable=True)
    vectors = []
    for done, rows in enumerate(order.split(_BATCH)):
        length = int(mask[rows].sum(1).max())
        features = {
            "input_ids": ids[rows, :length].to(device),
            "attention_mask": mask[rows, :length].long().to(device),
        }
        vectors.append(keep(teacher.queries(features).cpu()))
        if on_done is not None:
            on_done(min(len(order), (done + 1) * _BATCH))
    back = order.argsort()
    return {key: torch.cat([each[key] for each in vectors])[back] for key in vectors[0]}


def _dense(vectors: Tensor) -> _Vectors:
    return {_ALL: vectors}


def _largest(vectors: Tensor) -> _Vectors:
    weights, ids = vectors.topk(min(_TERMS, vectors.shape[1]), dim=1)
    return {_IDS: ids.int(), _WEIGHTS: weights}


def make_banks(
    recipe: Recipe,
    student: Student,
    teachers: Sequence[BatchTeacher],
    queries: Iterable[str],
    folder: Path | None = None,
    on_step: Callable[[str], None] | None = None,
    most: int | None = None,
) -> list[tuple[QueryBank, int]]:
    """Return the banks of a recipe, each with the number of queries of a step.

    Args:
        recipe: its ``bank_queries`` and ``bank_words``.
        student: its tokenizer cuts the queries.
        teachers: the dense batch teacher, and perhaps a sparse one; none for no banks.
        queries: the queries of the data.
        folder: keeps the vectors for a run that continues.
        on_step: called with a line during encoding.
        most: queries of a bank at most, for an estimate; None for all.
    """
    banks: list[tuple[QueryBank, int]] = []
    if not teachers:
        return banks
    tokenizer = student.model.tokenizer
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for name, count, texts in (
        ("queries", recipe.bank_queries, dict.fromkeys(queries) if recipe.bank_queries else ()),
        ("words", recipe.bank_words, _words(tokenizer) if recipe.bank_words else ()),
    ):
        if not count:
            continue
        start, every = time.perf_counter(), list(texts)
        asked = every[:most]
        cut = tokenizer(
            asked,
            add_special_tokens=False,
            truncation=True,
            max_length=recipe.query_max_tokens,
        )["input_ids"]
        held = [ids for ids in cut if ids]
        files = (
            []
            if folder is None
            else [
                (folder / f"bank-{name}{kind}.safetensors", model)
                for kind, model in (("", recipe.batch_teacher), ("-sparse", recipe.sparse_teacher))
            ]
        )
        bank = QueryBank(
            held,
            teachers,
            device=device,
            files=files,
            on_done=_reporting(name, len(held), on_step),
        )
        bank.seconds = (time.perf_counter() - start) * len(every) / len(asked)
        banks.append((bank, count))
    return banks


def _words(tokenizer: Any) -> list[str]:  # noqa: ANN401 - of transformers
    """Return the whole words of a vocabulary, sorted: tokens that are read as themselves.

    Byte-level and SentencePiece vocabularies mark the start of a word in the token; a piece from
    the middle of a word is read as another token.
    """
    tokens = sorted(tokenizer.get_vocab())
    texts = [tokenizer.convert_tokens_to_string([token]).strip() for token in tokens]
    words = [
        (tokenizer.convert_tokens_to_ids(token), text)
        for token, text in zip(tokens, texts, strict=True)
        if len(text) >= _LETTERS and text.isalpha()
    ]
    if not words:
        return []
    read = tokenizer([text for _, text in words], add_special_tokens=False)["input_ids"]
    own = {text for (id, text), ids in zip(words, read, strict=True) if ids == [id]}
    return sorted(own)


def _read(file: Path | None, key: str) -> _Vectors | None:
    """Return the vectors of a file; None if it is not of the queries with this key."""
    if file is None or not file.is_file():
        return None
    try:
        found = load_file(file)
    except (OSError, SafetensorError):  # damaged: the vectors are made again
        return None
    prefix = f"{key}."
    return {
        name.removeprefix(prefix): each for name, each in found.items() if name.startswith(prefix)
    } or None


def _write(file: Path | None, key: str, vectors: _Vectors) -> None:
    if file is None:
        return
    with atomic_write(file) as target:
        target.write(save({f"{key}.{part}": each for part, each in vectors.items()}))


def _reporting(
    name: str, total: int, on_step: Callable[[str], None] | None
) -> Callable[[int], None] | None:
    if on_step is None:
        return None

    def report(done: int) -> None:
        if done == total or done // _BATCH % 40 == 1:
            on_step(f"encoding the bank of {name}: {done:,} of {total:,}")

    return report
