"""Training data: queries with a positive, hard negatives, and scores of teachers."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexpand.data import Qrels, read_documents, read_queries
from lexpand.data.readers.beir import find_corpus, find_queries
from lexpand.data.streams import bad_utf8, read_lines
from lexpand.errors import DataError, RowError, SourceError

OnBadRow = Callable[[RowError], None]


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
    """Read examples from JSON lines files; ``.gz`` and ``.zst`` are decompressed.

    A row has ``query``, ``positive`` (or ``text``, with an optional ``title``), and optionally
    ``negatives`` (a list of texts) and ``scores`` (one number for the positive and for each
    negative; null for one without a score). With several teachers, ``scores`` is an object of such
    lists by the teacher's name. A folder stands for the JSON lines files in it. A folder in BEIR's
    layout gives an example for each relevant document of ``qrels/train.tsv``; documents with grade
    0 are negatives.

    Args:
        paths: files and folders.
        on_bad_row: called for each row that cannot be used.

    Raises:
        SourceError: a file cannot be read, or a folder has no JSON lines file.
    """
    for path in map(Path, paths):
        if path.is_dir() and find_corpus(path) and find_queries(path):
            yield from _read_beir(path, on_bad_row)
            continue
        for file in _files(path):
            for number, line in read_lines(file):
                if line.strip():
                    place = f"{file}:{number}"
                    try:
                        yield _parse(line, place)
                    except DataError as error:
                        on_bad_row(RowError(place, str(error)))


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
        paths: files and folders, see `read_examples`. ``PATH:WEIGHT`` takes each row so often; of
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


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = [
        file for file in sorted(path.rglob("*")) if ".jsonl" in file.suffixes and file.is_file()
    ]
    if not files:
        raise SourceError(f"{path} has no JSON lines file (.jsonl, .jsonl.gz, .jsonl.zst)")
    return files


def _read_beir(folder: Path, on_bad_row: OnBadRow) -> Iterator[Example]:
    """Read the judgments for training of a folder in BEIR's layout."""
    found = sorted(path.name for path in (folder / "qrels").glob("*"))
    path = folder / "qrels" / "train.tsv"
    if not path.is_file():
        raise SourceError(
            f"{folder} must have qrels/train.tsv to train on, got {', '.join(found) or 'no qrels'}:"
            " test judgments are for measuring. Copy the file to train.tsv to train on it"
        )
    judgments = Qrels.read(path).judgments
    texts = {
        document.doc_id: document.full_text
        for document in read_documents(folder, on_bad_row=on_bad_row)
    }
    queries = {query.query_id: query.text for query in read_queries(folder, on_bad_row=on_bad_row)}
    for query_id, grades in judgments.items():
        place = f"{path}: query {query_id}"
        missing = [doc_id for doc_id in grades if doc_id not in texts]
        if query_id not in queries or missing:
            what = f"document {missing[0]!r}" if missing else f"query {query_id!r}"
            on_bad_row(RowError(place, f"judged ids must be in the folder, {what} is not"))
            continue
        negatives = [texts[doc_id] for doc_id, grade in grades.items() if grade <= 0]
        for doc_id, grade in grades.items():
            if grade > 0:
                positive = texts[doc_id]
                documents = (positive, *(text for text in negatives if text != positive))
                yield Example(queries[query_id], documents, place=place)


def _parse(line: bytes, place: str) -> Example:
    try:
        row = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise DataError(bad_utf8(error)) from None
    except ValueError as error:
        raise DataError(f"a row must be a JSON object: {error}") from None
    if not isinstance(row, dict):
        raise DataError(f"a row must be a JSON object, got {type(row).__name__}")
    positive = row.get("positive", row.get("text"))
    if "positive" not in row and row.get("title"):
        positive = f"{row['title']} {positive}" if positive else row["title"]
    negatives = row.get("negatives", [])
    if not isinstance(negatives, list):
        raise DataError(f"negatives must be a list of texts, got {negatives!r}")
    named = [("query", row.get("query")), ("positive", positive)]
    named += [(f"negative {i}", text) for i, text in enumerate(negatives, 1)]
    for name, text in named:
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{name} must be a text that is not empty, got {text!r}")
    if positive in negatives:
        raise DataError("a negative must differ from the positive: remove it from negatives")
    documents = (str(positive), *negatives)
    given = row.get("scores")
    teachers = list(given.values()) if isinstance(given, dict) else [given]
    first, *others = [_scores(scores, len(documents)) for scores in teachers] or [()]
    return Example(str(row["query"]), documents, first, place, tuple(filter(None, others)))


def _scores(scores: object, count: int) -> tuple[float, ...]:
    if scores is None:
        return ()
    if not isinstance(scores, list) or len(scores) != count:
        raise DataError(
            f"scores must be a list of {count} numbers, one for the positive and each negative,"
            f" got {scores!r}"
        )
    found = []
    for score in scores:
        number = math.nan if score is None else score
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise DataError(f"a score must be a number or null, got {score!r}")
        if math.isinf(number):
            raise DataError(f"a score must be finite, got {score!r}")
        found.append(float(number))
    return tuple(found)
