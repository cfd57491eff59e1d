"""Training data: queries with a positive, hard negatives, and scores of teachers."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexpand.data.readers.rows import OnBadRow
from lexpand.errors import DataError, RowError
from lexpand.train.rows import read_rows


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


@dataclass(frozen=True, slots=True)
class DataFile:
    """A source of a training run.

    Attributes:
        name: the name of the file or folder, without its path.
        weight: how often each row is taken in a pass over the data.
        examples: usable rows.
        refused: rows that cannot be used.
    """

    name: str
    weight: float
    examples: int
    refused: int


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
) -> tuple[list[Example], list[DataFile]]:
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
    """
    examples: list[Example] = []
    files: list[DataFile] = []
    unscored: list[RowError] = []
    for given in paths:
        path, weight = _split_weight(given)
        before, unscored_before = len(refused), len(unscored)
        usable: list[Example] = []
        for example in read_examples([path], refused.append):
            if distills and not _can_distill(example):
                unscored.append(
                    RowError(
                        example.place,
                        "distillation needs a teacher score of the positive and of a negative",
                    )
                )
            else:
                usable.append(example)
        examples += _weighted(usable, weight, f"{seed}-{len(files)}")
        lost = len(refused) - before + len(unscored) - unscored_before
        files.append(DataFile(path.name, weight, len(usable), lost))
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
            f" got {len(examples)}; {len(refused)} rows were refused. Give more data or lower"
            " batch_size"
        )
    return with_one_teacher(examples), files


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
    with_scores = any(example.scores for example in examples)
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


def average_teachers(teachers: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the mean of several teachers' scores, each normalized per query.

    The scores of a teacher have mean 0 and standard deviation 1 over the documents of a query, so
    a teacher with a wide range does not outvote the others. A document is averaged over the
    teachers that scored it, and stays NaN if none did. The result is scaled to the mean standard
    deviation of the first teacher, which keeps margins in its units.

    Args:
        teachers: scores [q, n] each; NaN marks a document without a score.

    Raises:
        DataError: there is no teacher, or the shapes differ.
    """
    if not teachers:
        raise DataError("teachers must have at least one matrix of scores, got none")
    shape = teachers[0].shape
    wrong = next((scores.shape for scores in teachers if scores.shape != shape), None)
    if wrong is not None:
        raise DataError(f"the scores of all teachers must have the shape {shape}, got {wrong}")
    deviations = [_nanmean((scores - _nanmean(scores)) ** 2) ** 0.5 for scores in teachers]
    normalized = np.stack(
        [
            (scores - _nanmean(scores)) / np.maximum(deviation, 1e-6)
            for scores, deviation in zip(teachers, deviations, strict=True)
        ]
    )
    known = ~np.isnan(normalized)
    total = np.where(known, normalized, 0.0).sum(axis=0)
    mean = np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)
    averaged: NDArray[np.float64] = mean * float(np.nanmean(deviations[0]))
    return averaged


def with_one_teacher(examples: list[Example]) -> list[Example]:
    """Average the scores of examples that have several teachers; see `average_teachers`."""
    several = [place for place, example in enumerate(examples) if example.others]
    for count in sorted({len(examples[place].others) for place in several}):
        places = [place for place in several if len(examples[place].others) == count]
        longest = max(len(examples[place].documents) for place in places)
        teachers = np.full((count + 1, len(places), longest), np.nan)
        for row, place in enumerate(places):
            example = examples[place]
            teachers[:, row, : len(example.documents)] = [example.scores, *example.others]
        for row, place in zip(average_teachers(list(teachers)), places, strict=True):
            example = examples[place]
            scores = tuple(row[: len(example.documents)].tolist())
            examples[place] = replace(example, scores=scores, others=())
    return examples


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


def _weighted(examples: list[Example], weight: float, seed: str) -> list[Example]:
    whole = int(weight)
    sampled = round((weight - whole) * len(examples))
    return examples * whole + random.Random(seed).sample(examples, sampled)


def _other(known: Sequence[Example], example: Example, chance: random.Random) -> str:
    for _ in range(100):
        text = known[chance.randrange(len(known))].documents[0]
        if text not in example.documents:
            return text
    raise DataError(
        "training needs at least two different positives: give more examples, or negatives"
    )
