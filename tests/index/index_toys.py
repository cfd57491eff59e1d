"""Small hand-made and random collections for tests of the index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lexpand import (
    Document,
    DocumentEncoding,
    Index,
    ModelId,
    SparseVectors,
    VectorSpace,
    Vocabulary,
)
from lexpand.index import Matches

TERMS = 16


@dataclass
class RealCollection:
    """Abstracts with their vectors, an index of them in three commits, and real queries."""

    path: Path
    documents: list[Document]
    vectors: SparseVectors
    queries: SparseVectors


def space_of(terms: int, name: str = "toy", digit: str = "0") -> VectorSpace:
    return VectorSpace(
        ModelId(name, digit * 64),
        Vocabulary([f"t{i}" for i in range(terms)]),
        "toys",
        DocumentEncoding(max_tokens=99),
    )


SPACE = space_of(TERMS)


def toy_document(number: int, text: str = "a text") -> Document:
    return Document(
        f"d{number}", f"{text} {number}", f"title {number}", {"n": number}, f"toys:{number}"
    )


def toy_vectors(rows: Sequence[Mapping[int, float]], terms: int = TERMS) -> SparseVectors:
    return SparseVectors.from_rows(rows, terms)


def toy_rows(numbers: Sequence[int]) -> list[dict[int, float]]:
    """Return distinct vectors: term 0 is in all, and another term and its weight vary by number."""
    return [{0: 1.0, 1 + number % (TERMS - 1): 1 + number / 8} for number in numbers]


def add_toys(index: Index, *numbers: int) -> int:
    return index.add([toy_document(number) for number in numbers], toy_vectors(toy_rows(numbers)))


def make_toys(path: Path, *commits: Sequence[int]) -> Path:
    """Create and close an index of toy documents, with a commit for each sequence."""
    with Index.create(path, SPACE) as index:
        for numbers in commits:
            add_toys(index, *numbers)
            index.commit()
    return path


EVERYTHING = toy_vectors([{0: 1.0}])


def ids_in(index: Index) -> list[str]:
    """Return the ids that a query for the common term of all toys finds, in order of insertion."""
    (found,) = index.search(EVERYTHING, 10_000)
    return [match.doc_id for match in sorted(found, key=lambda match: match.row)]


def same_to_the_bit(
    index: Index, queries: SparseVectors, k: int, threads: int = 1
) -> list[Matches]:
    """Return the native result, after comparing it by == with the reference implementation's."""
    found = index.search(queries, k, threads=threads)
    assert found == index.search(queries, k, exhaustive=True)
    return found


def random_vectors(
    random: np.random.Generator, rows: int, vocabulary_size: int, max_terms: int
) -> SparseVectors:
    """Return rows of up to `max_terms` terms, with weights that often repeat."""
    lengths = random.integers(0, max_terms + 1, rows)
    terms = [np.sort(random.choice(vocabulary_size, length, replace=False)) for length in lengths]
    weights = random.choice([0.0, 0.25, 0.5, 1.0, 1.5, 3.0], int(lengths.sum()))
    weights = np.where(random.random(len(weights)) < 0.3, random.random(len(weights)), weights)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return SparseVectors(
        indptr, np.concatenate([[], *terms]).astype(np.int64), weights, vocabulary_size
    )
