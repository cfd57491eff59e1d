"""Write SPLADE-like sparse vectors from fixed seeds, for benchmarks at any size.

    python benchmarks/splade_like.py FOLDER [--documents N]

A *world* has:
* 30,522 terms, 29,523 of them live, with Zipf popularity
* 2,000 topics of 250 terms each, drawn from popularity^0.85, with log-strengths
* 8 subtopics per topic, each with 6 terms of the topic and 6 of any

A document has 1 to 3 topics with mixing weights, one subtopic of each, and 16 to 400 terms (about
116). Of the draws, 58 % are from its topics, 17 % from its subtopics, and the rest from the
background. A weight is log1p(exp(x)), at most 3.5. A query has 4 to 8 strong terms of a seed
document and weak expansion terms from the same topics. Its average length is 25 terms in set A and
45 in set B.

Documents are in random order. Each chunk of 50,000 has its own seed, so a smaller collection is a
prefix of a larger one. The same seeds give the same terms. The last bit of a weight depends on the
platform's exp and log.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.vectors import Rows, write_vectors

VOCABULARY_SIZE = 30_522
CHUNK = 50_000
SEED_DOCUMENTS = 100_000
QUERY_SETS = {"A": (25, 1), "B": (45, 2)}
"""The average number of terms and the seed of each query set."""

_FIRST_LIVE = 999
_LIVE = VOCABULARY_SIZE - _FIRST_LIVE
_TOPICS, _TOPIC_TERMS = 2_000, 250
_SUBTOPICS, _SUBTOPIC_TERMS = 8, 12
_BACKGROUND = -1.35
_LARGEST, _SMALLEST = 3.5, 0.01

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class World:
    """The distributions of all documents and queries.

    Terms are ranks of popularity. ``ids`` maps them to term ids.
    """

    ids: NDArray[np.int32]  # [live], the term id of each rank
    popularity: Floats  # [live], cumulative
    topic_terms: Integers  # [topics, 250]
    topic_strengths: Floats
    subtopic_terms: Integers  # [topics, 8, 12]
    subtopic_strengths: Floats
    topic_popularity: Floats  # cumulative
    place_popularity: Floats  # of a term by its position in the topic, cumulative

    @classmethod
    def make(cls, seed: int = 20240611) -> World:
        """Draw the world of a seed."""
        random = np.random.default_rng(seed)
        ids = (random.permutation(_LIVE) + _FIRST_LIVE).astype(np.int32)
        popularity = _zipf(_LIVE, 12.0, 1.0)
        topics = _topic_terms(random, np.log(popularity))
        rarity = np.log(topics + 20.0) - 7.0
        falling = 0.35 - 0.9 * np.arange(_TOPIC_TERMS) / _TOPIC_TERMS
        strengths = random.normal(falling, 0.55, topics.shape) + 0.12 * rarity
        subtopics = _subtopic_terms(random, topics, popularity)
        return cls(
            ids=ids,
            popularity=np.cumsum(popularity),
            topic_terms=topics,
            topic_strengths=strengths,
            subtopic_terms=subtopics,
            subtopic_strengths=random.normal(1.0, 0.5, subtopics.shape),
            topic_popularity=np.cumsum(_zipf(_TOPICS, 10.0, 0.6)),
            place_popularity=np.cumsum(_zipf(_TOPIC_TERMS, 5.0, 0.9)),
        )


@dataclass(frozen=True)
class Themes:
    """Three topics of each document, their shares, and a subtopic of each topic.

    The share of an unused topic is 0.
    """

    topics: Integers
    shares: Floats
    subtopics: Integers

    @classmethod
    def draw(cls, random: np.random.Generator, world: World, count: int) -> Themes:
        """Draw themes for ``count`` documents."""
        topic_counts = random.choice([1, 2, 3], count, p=[0.5, 0.35, 0.15])
        topics = _place(world.topic_popularity, random.random((count, 3)))
        shares = random.gamma(2.0, 1.0, (count, 3))
        shares[np.arange(3)[None, :] >= topic_counts[:, None]] = 0
        shares /= shares.sum(1, keepdims=True)
        return cls(topics, shares, random.integers(0, _SUBTOPICS, (count, 3)))

    @classmethod
    def concatenate(cls, parts: list[Themes]) -> Themes:
        """Concatenate themes."""
        joined = (
            np.concatenate(arrays)
            for arrays in zip(*(vars(part).values() for part in parts), strict=True)
        )
        return cls(*joined)


def documents_chunk(world: World, number: int, count: int = CHUNK) -> tuple[Rows, Themes]:
    """Return the documents of a chunk as CSR (indptr, terms, weights), and their themes."""
    random = np.random.default_rng([77, number])
    themes = Themes.draw(random, world, count)
    lengths = _lengths(random, count, 120, 0.38, 16, 400)
    owners: Integers = np.repeat(np.arange(count), np.ceil(lengths * 1.45).astype(np.int64))
    terms, weights = _draw_terms(random, world, themes, owners)
    owners, terms, weights = _strongest_of_each_term(owners, terms, weights)
    owners, terms, weights = _cut_to_lengths(owners, terms, weights, lengths)
    indptr = np.searchsorted(owners, np.arange(count + 1)).astype(np.int64)
    return (indptr, terms.astype(np.uint32), weights), themes


def queries(
    world: World, documents: Rows, themes: Themes, mean: int, seed: int, count: int = 1_000
) -> Rows:
    """Return queries as CSR for ``count`` seed documents, with ``mean`` terms on average."""
    random = np.random.default_rng([99, seed])
    indptr, terms, weights = documents
    chosen = random.choice(len(indptr) - 1, count, replace=False)
    lengths = _lengths(random, count, mean, 0.3, 6, 120)
    drawn = []
    for document, length in zip(chosen.tolist(), lengths.tolist(), strict=True):
        row = slice(indptr[document], indptr[document + 1])
        drawn.append(_query(random, world, themes, document, terms[row], weights[row], length))
    starts = np.cumsum([0, *(len(query) for query in drawn)]).astype(np.int64)
    ordered = [sorted(query.items()) for query in drawn]
    return (
        starts,
        np.array([term for query in ordered for term, _ in query], np.uint32),
        np.array([weight for query in ordered for _, weight in query], np.float32),
    )


def chunks(count: int) -> Iterator[tuple[Rows, Themes]]:
    """Yield the first ``count`` documents chunk by chunk, generated on all cores.

    Raises:
        ValueError: ``count`` is not a multiple of 50,000, or less than 100,000.
    """
    if count % CHUNK or count < SEED_DOCUMENTS:
        raise ValueError(
            f"count must be a multiple of {CHUNK} and >= {SEED_DOCUMENTS}, got {count}"
        )
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context) as pool:
        waiting = [pool.submit(_chunk_of_world, number) for number in range(min(count // CHUNK, 4))]
        for number in range(len(waiting), count // CHUNK + len(waiting)):
            yield waiting.pop(0).result()
            if number < count // CHUNK:
                waiting.append(pool.submit(_chunk_of_world, number))


def write_collection(folder: Path, count: int) -> None:
    """Write ``folder/documents``, ``folder/queries-A`` and ``folder/queries-B``."""
    seeds: list[tuple[Rows, Themes]] = []

    def keep_seeds() -> Iterator[Rows]:
        for rows, themes in chunks(count):
            if len(seeds) < SEED_DOCUMENTS // CHUNK:
                seeds.append((rows, themes))
            yield rows

    write_vectors(folder / "documents", keep_seeds(), VOCABULARY_SIZE)
    documents = _joined([rows for rows, _ in seeds])
    themes = Themes.concatenate([themes for _, themes in seeds])
    for name, (mean, seed) in QUERY_SETS.items():
        rows = queries(_world(), documents, themes, mean, seed)
        write_vectors(folder / f"queries-{name}", [rows], VOCABULARY_SIZE)


@functools.cache
def _world() -> World:
    return World.make()


def _chunk_of_world(number: int) -> tuple[Rows, Themes]:
    return documents_chunk(_world(), number)


def _joined(parts: list[Rows]) -> Rows:
    starts = np.cumsum([0, *(part[0][-1] for part in parts)])
    indptr = [part[0][1:] + start for part, start in zip(parts, starts, strict=False)]
    terms, weights = (np.concatenate([part[i] for part in parts]) for i in (1, 2))
    return np.concatenate([np.zeros(1, np.int64), *indptr]), terms, weights


def _zipf(count: int, shift: float, exponent: float) -> Floats:
    shares = (np.arange(count) + shift) ** -exponent
    return np.asarray(shares / shares.sum())


def _place(cumulative: Floats, uniform: Floats | float) -> Any:
    """Draw indices from cumulative shares.

    Rounding can leave the sum below a uniform number; such a number gives the last index.
    """
    return np.minimum(np.searchsorted(cumulative, uniform), len(cumulative) - 1)


def _lengths(
    random: np.random.Generator, count: int, mean: float, sigma: float, low: int, high: int
) -> Integers:
    drawn = random.lognormal(np.log(mean) - sigma * sigma / 2, sigma, count)
    return np.clip(np.rint(drawn), low, high).astype(np.int64)


def _topic_terms(random: np.random.Generator, log_popularity: Floats) -> Integers:
    """Draw 250 distinct terms for each topic by the Gumbel trick, 200 topics at a time.

    They are the terms with the largest noise + 0.85 * log popularity.
    """
    topics = np.empty((_TOPICS, _TOPIC_TERMS), np.int32)
    for first in range(0, _TOPICS, 200):
        keys = -np.log(-np.log(random.random((200, _LIVE)))) + 0.85 * log_popularity
        best = np.argpartition(-keys, _TOPIC_TERMS, axis=1)[:, :_TOPIC_TERMS]
        # Sorted, because the order of a partition differs between processors.
        topics[first : first + 200] = random.permuted(np.sort(best, axis=1), axis=1)
    return topics


def _subtopic_terms(random: np.random.Generator, topics: Integers, popularity: Floats) -> Integers:
    flat = popularity**0.6
    half = _SUBTOPIC_TERMS // 2
    terms = np.empty((_TOPICS, _SUBTOPICS, _SUBTOPIC_TERMS), np.int32)
    for topic in range(_TOPICS):
        for subtopic in range(_SUBTOPICS):
            terms[topic, subtopic, :half] = topics[
                topic, random.choice(_TOPIC_TERMS, half, replace=False)
            ]
    terms[:, :, half:] = _place(
        np.cumsum(flat / flat.sum()), random.random((_TOPICS, _SUBTOPICS, half))
    )
    return terms


def _draw_terms(
    random: np.random.Generator, world: World, themes: Themes, owners: Integers
) -> tuple[Integers, NDArray[np.float32]]:
    """Return a term and a weight for each draw. ``owners`` has the document of each draw."""
    count = len(owners)
    theme = (random.random(count)[:, None] > np.cumsum(themes.shares, 1)[owners]).sum(1)
    theme = np.minimum(theme, 2)
    theme = np.where(themes.shares[owners, theme] > 0, theme, 0)
    topics, source = themes.topics[owners, theme], random.random(count)
    ranks, strengths = np.empty(count, np.int64), np.empty(count)

    def shares(drawn: NDArray[np.bool_]) -> Floats:
        return 0.3 * np.log(themes.shares[owners[drawn], theme[drawn]])

    of_topic = source < 0.58
    places = _place(world.place_popularity, random.random(of_topic.sum()))
    ranks[of_topic] = world.topic_terms[topics[of_topic], places]
    strengths[of_topic] = world.topic_strengths[topics[of_topic], places] + shares(of_topic)

    of_subtopic = (source >= 0.58) & (source < 0.75)
    places = random.integers(0, _SUBTOPIC_TERMS, of_subtopic.sum())
    place = topics[of_subtopic], themes.subtopics[owners[of_subtopic], theme[of_subtopic]], places
    ranks[of_subtopic] = world.subtopic_terms[place]
    strengths[of_subtopic] = world.subtopic_strengths[place] + shares(of_subtopic)

    background = source >= 0.75
    ranks[background] = _place(world.popularity, random.random(background.sum()))
    strengths[background] = _BACKGROUND

    weights = np.log1p(np.exp(strengths + random.normal(0, 0.6, count) - 0.70))
    return world.ids[ranks].astype(np.int64), np.minimum(weights, _LARGEST).astype(np.float32)


def _strongest_of_each_term(
    owners: Integers, terms: Integers, weights: NDArray[np.float32]
) -> tuple[Integers, Integers, NDArray[np.float32]]:
    """Keep the largest weight of each term in a document, and drop weights below 0.01.

    The result is sorted by document and term.
    """
    order = np.lexsort((-weights, owners * VOCABULARY_SIZE + terms))
    owners, terms, weights = owners[order], terms[order], weights[order]
    kept = np.ones(len(owners), np.bool_)
    kept[1:] = (owners[1:] != owners[:-1]) | (terms[1:] != terms[:-1])
    kept &= weights >= _SMALLEST
    return owners[kept], terms[kept], weights[kept]


def _cut_to_lengths(
    owners: Integers, terms: Integers, weights: NDArray[np.float32], lengths: Integers
) -> tuple[Integers, Integers, NDArray[np.float32]]:
    """Keep the ``lengths`` strongest terms of each document, in input order."""
    order = np.lexsort((-weights, owners))
    sorted_owners = owners[order]
    starts = np.searchsorted(sorted_owners, np.arange(len(lengths)))
    places = np.arange(len(order)) - starts[sorted_owners]
    kept = np.sort(order[places < lengths[sorted_owners]])
    return owners[kept], terms[kept], weights[kept]


def _query(
    random: np.random.Generator,
    world: World,
    themes: Themes,
    document: int,
    terms: NDArray[np.uint32],
    weights: NDArray[np.float32],
    length: int,
) -> dict[int, float]:
    """Draw one query for a seed document.

    The order of the draws must not change, or the same seed gives another query.
    """
    strong = int(random.integers(4, 9))
    shares = weights.astype(float)
    shares /= shares.sum()
    chosen = random.choice(terms, min(strong, len(terms)), replace=False, p=shares)
    query = {int(term): float(np.log1p(np.exp(random.normal(1.35, 0.45)))) for term in chosen}
    for _ in range(2_000):
        if len(query) >= length:
            break
        term = _expansion(random, world, themes, document, terms)
        weight = float(np.log1p(np.exp(random.normal(-0.9, 0.9))))
        if term not in query and weight >= _SMALLEST:
            query[term] = min(weight, _LARGEST)
    return query


def _expansion(
    random: np.random.Generator,
    world: World,
    themes: Themes,
    document: int,
    terms: NDArray[np.uint32],
) -> int:
    source = random.random()
    theme = int(random.choice(3, p=themes.shares[document]))
    topic = themes.topics[document, theme]
    if source < 0.40:
        rank = world.topic_terms[topic, _place(world.place_popularity, random.random())]
    elif source < 0.68:
        subtopic = themes.subtopics[document, theme]
        rank = world.subtopic_terms[topic, subtopic, random.integers(_SUBTOPIC_TERMS)]
    elif source < 0.82:
        return int(terms[random.integers(len(terms))])
    else:
        rank = _place(world.popularity, random.random())
    return int(world.ids[rank])


def main() -> None:
    """Parse the command line and write a collection."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder to write")
    parser.add_argument(
        "--documents",
        type=int,
        default=SEED_DOCUMENTS,
        help="a multiple of 50,000 (100,000)",
    )
    options = parser.parse_args()
    write_collection(options.folder, options.documents)


if __name__ == "__main__":
    main()
