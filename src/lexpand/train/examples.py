"""Training data: queries with a positive, hard negatives, and scores of teachers."""

from __future__ import annotations

import hashlib
import json
import math
import random
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from lexpand.data.documents import shown
from lexpand.data.readers.rows import OnBadRow
from lexpand.errors import DataError, RowError
from lexpand.train.rows import read_rows
from lexpand.train.store import RecordFile


@dataclass(frozen=True, slots=True)
class Example:
    """A query with the documents that it is trained on.

    Attributes:
        query: the query.
        documents: the positive first, then hard negatives.
        scores: a teacher's score of each document; NaN for one without a score. Empty without a
            teacher.
        place: the file and the line, for messages.
        others: the scores of further teachers, each like ``scores``.
    """

    query: str
    documents: tuple[str, ...]
    scores: tuple[float, ...] = ()
    place: str = field(default="", compare=False)
    others: tuple[tuple[float, ...], ...] = ()


class Examples(Sequence[Example]):
    """Examples on disk, each as often as it is taken in a pass over the data.

    The scores of several teachers are read as one; see `average_teachers`.
    """

    def __init__(self) -> None:
        self._file = RecordFile()
        self._order = array("q")
        # Of each example on disk: how many further teachers it has, and the spread of the first.
        self._others, self._spread = array("q"), array("d")
        self._spreads: dict[int, float] = {}
        self._scored = False

    @property
    def written(self) -> int:
        """The number of examples on disk."""
        return len(self._file)

    @property
    def have_scores(self) -> bool:
        """Whether any example on disk has scores of a teacher."""
        return self._scored

    def write(self, example: Example) -> None:
        """Write an example to the disk. It is in no pass yet.

        Raises:
            StorageError: the disk refuses.
        """
        self._file.append(
            [example.query, example.documents, example.scores, example.place, example.others]
        )
        self._scored = self._scored or bool(example.scores)
        self._others.append(len(example.others))
        self._spread.append(_spread(np.array([example.scores])) if example.others else math.nan)

    def take(self, places: Iterable[int]) -> None:
        """Add examples to the pass, by their place on disk."""
        self._order.extend(places)
        order = np.array(self._order)
        others, spreads = np.array(self._others)[order], np.array(self._spread)[order]
        # A teacher's scores are scaled alike for all examples with as many teachers.
        self._spreads = {
            count: float(np.nanmean(spreads[others == count]))
            for count in np.unique(others[~np.isnan(spreads)]).tolist()
        }

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, at: int) -> Example: ...
    @overload
    def __getitem__(self, at: slice) -> list[Example]: ...
    def __getitem__(self, at: int | slice) -> Example | list[Example]:
        if isinstance(at, slice):
            return [self._with_one_teacher(place) for place in self._order[at]]
        return self._with_one_teacher(self._order[at])

    def _with_one_teacher(self, place: int) -> Example:
        example = self._read(place)
        if not example.others:
            return example
        teachers = [np.array([scores]) for scores in (example.scores, *example.others)]
        spread = self._spreads.get(len(example.others), math.nan)
        scores = average_teachers(teachers, spread)[0].tolist()
        return replace(example, scores=tuple(scores), others=())

    def _read(self, place: int) -> Example:
        query, documents, scores, row, others = self._file.read(place)
        return Example(query, tuple(documents), tuple(scores), row, tuple(map(tuple, others)))


@dataclass(frozen=True, slots=True)
class DataFile:
    """A source of a training run.

    Attributes:
        name: the name of the file or folder, without its path.
        weight: how often each row is taken in a pass over the data.
        examples: usable rows.
        refused: rows that cannot be used.
        digest: a hash of the usable rows, in their order.
    """

    name: str
    weight: float
    examples: int
    refused: int
    digest: str


def read_examples(paths: Iterable[str | Path], on_bad_row: OnBadRow) -> Iterator[Example]:
    """Read examples; see `read_rows`. With several teachers, ``scores`` are those of the first.

    Args:
        paths: files and folders.
        on_bad_row: called for each row that cannot be used.

    Raises:
        SourceError: a file cannot be read, or a folder has no JSON lines file.
    """
    for row in read_rows(paths, on_bad_row):
        first, *others = list(row.scores.values()) or [()]
        yield Example(row.query, row.documents, first, row.place, tuple(others))


def read_training_data(
    paths: Iterable[str | Path],
    *,
    batch_size: int,
    distills: bool,
    seed: int,
    refused: list[RowError],
) -> tuple[Examples, list[DataFile]]:
    """Read the examples of a run, each source as often as its weight says.

    Args:
        paths: files and folders, see `read_rows`. ``PATH:WEIGHT`` takes each row so often; of
            a fraction, a seeded sample of the rows.
        batch_size: the smallest number of examples.
        distills: whether the objective needs teacher scores of the positive and a negative.
        seed: of the samples.
        refused: rows that cannot be used are added to it.

    Raises:
        SourceError: a file cannot be read.
        DataError: there are fewer examples than a batch has, or all lack teacher scores.
        StorageError: the disk refuses.
    """
    examples = Examples()
    files: list[DataFile] = []
    unscored: list[RowError] = []
    for given in paths:
        path, weight = _split_weight(given)
        before, unscored_before = len(refused), len(unscored)
        first, digest = examples.written, hashlib.blake2b(digest_size=16)
        for example in read_examples([path], refused.append):
            if distills and not _can_distill(example):
                unscored.append(
                    RowError(
                        example.place,
                        "distillation needs a teacher score of the positive and of a negative",
                    )
                )
            else:
                examples.write(example)
                content = [example.query, example.documents, example.scores, example.others]
                digest.update(json.dumps(content).encode())
        usable = range(first, examples.written)
        examples.take(_weighted(usable, weight, f"{seed}-{len(files)}"))
        lost = len(refused) - before + len(unscored) - unscored_before
        files.append(DataFile(path.name, weight, len(usable), lost, digest.hexdigest()))
    if distills and unscored and not examples:
        raise DataError(
            f"the recipe needs teacher scores, and none of {len(unscored):,} rows has `scores` of"
            " the positive and of a negative: add them with `lexpand score`, or choose a recipe"
            " with info_nce alone"
        )
    refused += unscored
    smallest = max(2, batch_size)
    if len(examples) < smallest:
        raise DataError(
            f"training with batch_size = {batch_size} needs at least {smallest} usable examples,"
            f" got {len(examples)}; {len(refused)} rows were refused. Give more data, a larger"
            " weight after PATH:, or a smaller batch_size"
        )
    _check_positives(examples)
    return examples, files


def _check_positives(examples: Examples) -> None:
    """Refuse data with one text alone: every text of a batch would be the answer.

    Raises:
        DataError: all examples have the same positive and no other text.
    """
    first = examples[0].documents
    if all(example.documents == first[:1] for example in examples):
        raise DataError(
            f"the positives of all {len(examples)} examples are one text, {shown(first[0])}, so no"
            " text is not the answer: give pairs with different texts, or negatives"
        )


def make_rows(
    examples: Sequence[Example], negatives: int, seed: int, *, distills: bool = False
) -> Iterator[dict[str, Any]]:
    """Give each example the same number of documents, as rows with a column for each.

    Of more negatives a random choice is taken, which depends on the seed and the example's place
    in the list alone. Missing negatives are positives of other examples, without a score.

    Args:
        examples: the examples.
        negatives: hard negatives of each row, >= 0.
        seed: of the choice.
        distills: take negatives with a teacher score first.

    Yields:
        ``query``, ``document_0`` (the positive) to ``document_{negatives}``, and ``label``, the
        scores with NaN for missing ones, if any example has scores.
    """
    with_scores = (
        examples.have_scores
        if isinstance(examples, Examples)
        else any(example.scores for example in examples)
    )
    for place, example in enumerate(examples):
        chance = random.Random(f"{seed}-{place}")
        scores = example.scores or (math.nan,) * len(example.documents)
        others = list(range(1, len(scores)))
        chance.shuffle(others)
        if distills:
            others.sort(key=lambda i: math.isnan(scores[i]))
        chosen = (0, *sorted(others[:negatives]))
        texts = [example.documents[i] for i in chosen]
        labels = [scores[i] for i in chosen]
        while len(texts) <= negatives:
            texts.append(_other(examples, example, chance))
            labels.append(math.nan)
        row: dict[str, Any] = {"query": example.query}
        row |= {f"document_{i}": text for i, text in enumerate(texts)}
        yield row | ({"label": labels} if with_scores else {})


def average_teachers(
    teachers: Sequence[NDArray[np.float64]], spread: float | None = None
) -> NDArray[np.float64]:
    """Return the mean of several teachers' scores, each normalized per query.

    The scores of a teacher have mean 0 and standard deviation 1 over the documents of a query, so
    a teacher with a wide range does not outvote the others. A document is averaged over the
    teachers that scored it, and stays NaN if none did. The result is scaled to the mean standard
    deviation of the first teacher, which keeps margins in its units.

    Args:
        teachers: scores [q, n] each; NaN marks a document without a score.
        spread: the mean standard deviation of the first teacher, where it is known of more queries.

    Raises:
        DataError: there is no teacher, or the shapes differ.
    """
    if not teachers:
        raise DataError("teachers must have at least one matrix of scores, got none")
    shape = teachers[0].shape
    wrong = next((scores.shape for scores in teachers if scores.shape != shape), None)
    if wrong is not None:
        raise DataError(f"the scores of all teachers must have the shape {shape}, got {wrong}")
    deviations = [_deviations(scores) for scores in teachers]
    normalized = np.stack(
        [
            (scores - _nanmean(scores)) / np.maximum(deviation, 1e-6)
            for scores, deviation in zip(teachers, deviations, strict=True)
        ]
    )
    known = ~np.isnan(normalized)
    total = np.where(known, normalized, 0.0).sum(axis=0)
    mean = np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)
    averaged: NDArray[np.float64] = mean * (_spread(teachers[0]) if spread is None else spread)
    return averaged


def _deviations(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation of each query's scores, [q, 1]."""
    found: NDArray[np.float64] = _nanmean((scores - _nanmean(scores)) ** 2) ** 0.5
    return found


def _spread(scores: NDArray[np.float64]) -> float:
    """Return the mean standard deviation of the scores [q, n] of a query; NaN without scores."""
    deviations = _deviations(scores)
    known = deviations[~np.isnan(deviations)]
    return float(known.mean()) if known.size else math.nan


def _nanmean(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    known = ~np.isnan(scores)
    count = known.sum(axis=1, keepdims=True)
    total = np.where(known, scores, 0.0).sum(axis=1, keepdims=True)
    mean: NDArray[np.float64] = np.divide(
        total, count, out=np.full(total.shape, np.nan), where=count > 0
    )
    return mean


def _can_distill(example: Example) -> bool:
    """Return whether any teacher scored the positive and a negative."""
    return any(
        not math.isnan(scores[0]) and not all(map(math.isnan, scores[1:]))
        for scores in (example.scores, *example.others)
        if scores
    )


def _split_weight(given: str | Path) -> tuple[Path, float]:
    path, separator, weight = str(given).rpartition(":")
    if not separator or Path(given).exists():
        return Path(given), 1.0
    try:
        value = float(weight)
    except ValueError:
        return Path(given), 1.0
    if not 0 < value <= 1000:
        raise DataError(f"the weight of {path} must be above 0 and at most 1000, got {weight}")
    return Path(path), value


def _weighted(places: range, weight: float, seed: str) -> Iterator[int]:
    whole = int(weight)
    sampled = round((weight - whole) * len(places))
    for _ in range(whole):
        yield from places
    yield from random.Random(seed).sample(places, sampled)


def _other(known: Sequence[Example], example: Example, chance: random.Random) -> str:
    for _ in range(100):
        text = known[chance.randrange(len(known))].documents[0]
        if text not in example.documents:
            return text
    raise DataError(
        "training needs at least two different positives: give more examples, or negatives"
    )
