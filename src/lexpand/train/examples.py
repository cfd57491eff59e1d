"""Training data: queries with a positive, hard negatives, and scores of teachers."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lexpand.data.streams import bad_utf8, read_lines
from lexpand.errors import DataError, RowError, SourceError


@dataclass(frozen=True, slots=True)
class Example:
    """A query with the documents that it is trained on.

    Attributes:
        query: the query.
        documents: the positive first, then hard negatives.
        scores: a teacher's score of each document; NaN for one without a score. Empty without a
            teacher.
    """

    query: str
    documents: tuple[str, ...]
    scores: tuple[float, ...] = ()


def read_examples(
    paths: Iterable[str | Path], on_bad_row: Callable[[RowError], None]
) -> Iterator[Example]:
    """Read examples from JSON lines files; ``.gz`` and ``.zst`` are decompressed.

    A row has ``query``, ``positive`` (or ``text``, with an optional ``title``), and optionally
    ``negatives`` (a list of texts) and ``scores`` (one number for the positive and for each
    negative; null for one without a score). Folders stand for the JSON lines files in them.

    Args:
        paths: files and folders.
        on_bad_row: called for each row that cannot be used.

    Raises:
        SourceError: a file cannot be read, or a folder has no JSON lines file.
    """
    for path in map(Path, paths):
        for file in _files(path):
            for number, line in read_lines(file):
                if line.strip():
                    try:
                        yield _parse(line)
                    except DataError as error:
                        on_bad_row(RowError(f"{file}:{number}", str(error)))


def grouped(examples: Iterable[Example], negatives: int, seed: int) -> Iterator[dict[str, Any]]:
    """Give each example the same number of documents, as rows with a column for each.

    Of more negatives a random choice is taken, which depends on the seed and the example's place
    alone. Missing negatives are positives of other examples, without a score.

    Args:
        examples: the examples, which are kept in memory.
        negatives: hard negatives of each row, >= 0.
        seed: of the choice.

    Yields:
        ``query``, ``document_0`` (the positive) to ``document_{negatives}``, and ``label``, the
        scores with NaN for missing ones, if any example has scores.
    """
    known = list(examples)
    with_scores = any(example.scores for example in known)
    for place, example in enumerate(known):
        chance = random.Random(f"{seed}-{place}")
        others = list(range(1, len(example.documents)))
        chosen = sorted(chance.sample(others, min(negatives, len(others))))
        texts = [example.documents[i] for i in (0, *chosen)]
        scores = [example.scores[i] if example.scores else math.nan for i in (0, *chosen)]
        while len(texts) <= negatives:
            texts.append(_other(known, example, chance))
            scores.append(math.nan)
        row: dict[str, Any] = {"query": example.query}
        row |= {f"document_{i}": text for i, text in enumerate(texts)}
        yield row | ({"label": scores} if with_scores else {})


def _other(known: list[Example], example: Example, chance: random.Random) -> str:
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


def _parse(line: bytes) -> Example:
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
    return Example(str(row["query"]), documents, _scores(row.get("scores"), len(documents)))


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
        found.append(float(number))
    return tuple(found)
