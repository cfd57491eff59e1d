"""Out-of-vocabulary words: query words that the tokenizer splits, their effect, and advice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from lexpand.data import Query
from lexpand.data.arguments import check_integer
from lexpand.encode import Encoder, Role, Trace
from lexpand.encode.rules.phrases import Phrases
from lexpand.index import Index
from lexpand.search import Retriever, did_you_mean
from lexpand.search.pipeline import resolve

# The number of documents that are searched for a word, the best by BM25. A word in more documents
# is not rare.
_MOST_DOCUMENTS = 100
# A word in at most this share of the documents is rare.
_RARE = 0.01

# Text between white space, without punctuation around it.
_WORD = re.compile(r"\w(?:\S*\w)?")


@dataclass(frozen=True, slots=True)
class BrokenWord:
    """A word that is split by the tokenizer, and that is an identifier, rare or misspelled.

    Attributes:
        word: the word as in the query.
        pieces: the pieces that the tokenizer makes of it.
        identifier: whether it has a digit, an underscore, or a capital letter after the first
            letter.
        queries: the number of queries that have it. ``query_id`` and ``query`` are the first of
            them.
        share: the share of the pieces in the weight of that query's vector. The rest is on other
            words and on expansion.
        documents: the number of documents that have the word itself, at most 100; None if the index
            has no BM25 field.
        missed: the ids of those documents that the vectors do not rank among the best k, or among
            as many as ``documents`` if that is more.
        by_words: the number of missed documents that BM25 ranks there; None if the index has no
            BM25 field.
        rank: the best rank of a document with the word, from 1, among the first 100 documents of
            the default pipeline for that query. None if no such document is among them.
        near: for a word that no document has, near words that documents have (`did_you_mean`).
        advice: what to do.
        pin: lines for a rules file.
    """

    word: str
    pieces: tuple[str, ...]
    identifier: bool
    queries: int
    query_id: str
    query: str
    share: float
    documents: int | None
    missed: tuple[str, ...]
    by_words: int | None
    advice: str
    pin: str
    rank: int | None = None
    near: tuple[str, ...] = ()

    @property
    def needs_pin(self) -> bool:
        """Whether finding its documents needs a pin or a BM25 field."""
        if self.documents is None:
            return True
        return bool(self.documents) and (self.rank != 1 if self.identifier else bool(self.missed))


def find_broken_words(
    index: Index,
    encoder: Encoder,
    queries: Iterable[Query],
    *,
    k: int = 10,
    on_done: Callable[[int], None] | None = None,
) -> list[BrokenWord]:
    """Return identifiers, rare and misspelled words of queries that the tokenizer splits.

    The default pipeline is the criterion: a document with an identifier must be first. If several
    queries have a word, the first of them is examined. Words that the rules of the encoder pin are
    left out. An index without a BM25 field does not show how rare a word is, so only identifiers
    are found.

    Args:
        index: the documents.
        encoder: the model of the index.
        queries: the queries.
        k: the number of documents that users look at.
        on_done: called with the number of queries that were checked.

    Returns:
        The words, those of most queries first.

    Raises:
        ContractMismatch: the index has vectors of another model than the encoder's.
        DataError: k is below 1.
    """
    index.check_model(encoder.space.model)
    check_integer(k, "k", 1)
    done = on_done or (lambda _: None)
    found: dict[str, BrokenWord | None] = {}
    counts: dict[str, int] = {}
    pinned = {text.lower() for text in encoder.pinned(Role.QUERY)}
    default = resolve(None, index)[0].retriever(index, encoder)
    for query in queries:
        trace = encoder.trace(query.text, Role.QUERY)
        for word, pieces in _broken(trace, encoder):
            key = word.lower()
            counts[key] = counts.get(key, 0) + 1
            if key not in found and key not in pinned:
                found[key] = _examined(index, encoder, default, query, word, pieces, trace, k)
        done(1)
    words = [replace(word, queries=counts[key]) for key, word in found.items() if word is not None]
    return sorted(words, key=lambda word: (-word.queries, -len(word.missed)))


def _broken(trace: Trace, encoder: Encoder) -> Iterator[tuple[str, list[int]]]:
    """Yield distinct words that have several pieces or are unknown, with their terms."""
    seen: set[str] = set()
    for match in _WORD.finditer(trace.text):
        inside = [
            token.term
            for token in trace.tokens
            if token.word and match.start() <= token.start < match.end()
        ]
        unknown = any(term in encoder.vocabulary.special for term in inside)
        if (len(inside) > 1 or unknown) and match[0].lower() not in seen:
            seen.add(match[0].lower())
            yield match[0], inside


def _examined(
    index: Index,
    encoder: Encoder,
    default: Retriever,
    query: Query,
    word: str,
    pieces: list[int],
    trace: Trace,
    k: int,
) -> BrokenWord | None:
    """Return what is known of a word; None if it is no identifier, not rare and not misspelled."""
    identifier = is_identifier(word)
    doc_ids = _documents_with(index, encoder, word)
    rare = doc_ids is not None and 0 < len(doc_ids) <= max(1, _RARE * len(index))
    near: tuple[str, ...] = ()
    if not doc_ids and not identifier:
        near = tuple(did_you_mean(index.searcher(), word).get(word, ()))
    if not identifier and not rare and not near:
        return None
    missed, by_words = _missed(index, encoder, query.text, doc_ids or [], k)
    rank = _rank(default, query.text, doc_ids or [])
    total = sum(trace.weights.values())
    on_pieces = sum(trace.weights.get(term, 0.0) for term in set(pieces))
    advice = _advice(doc_ids, missed, identifier, rank)
    if near:
        advice = f"no document has it: did you mean {' or '.join(near)}?"
    return BrokenWord(
        word,
        tuple(encoder.vocabulary.text(term) for term in pieces),
        identifier,
        1,
        query.query_id,
        query.text,
        round(on_pieces / total, 3) if total else 0.0,
        None if doc_ids is None else len(doc_ids),
        missed,
        by_words,
        advice,
        f"[[pin]]\ntext = {json.dumps(word, ensure_ascii=False)}",
        rank,
        near,
    )


def is_identifier(word: str) -> bool:
    """Whether a word has a digit, an underscore, or a capital letter after the first letter."""
    return any(letter.isdigit() or letter == "_" for letter in word) or any(
        letter.isupper() for letter in word[1:]
    )


def _documents_with(index: Index, encoder: Encoder, word: str) -> list[str] | None:
    """Return the documents that have the word itself, found by BM25; None without a BM25 field."""
    if index.schema.words is None:
        return None
    (matches,) = index.search_words([word], _MOST_DOCUMENTS)
    exact = Phrases([word], encoder.normalize, whole_ids=True)
    texts = index.documents([match.row for match in matches])
    return [match.doc_id for match in matches if exact.found_in(texts[match.row].full_text)]


def _missed(
    index: Index, encoder: Encoder, query: str, doc_ids: list[str], k: int
) -> tuple[tuple[str, ...], int | None]:
    """Return the documents that the vectors do not rank among the best, and how many BM25 does."""
    if index.schema.words is None:
        return (), None
    depth = max(k, len(doc_ids))
    (ranked,) = index.search(encoder.encode_queries([query]), depth)
    best = {match.doc_id for match in ranked}
    missed = tuple(doc_id for doc_id in doc_ids if doc_id not in best)
    (by_words,) = index.search_words([query], depth)
    return missed, len({match.doc_id for match in by_words} & set(missed))


def _rank(default: Retriever, query: str, doc_ids: list[str]) -> int | None:
    """Return the best rank of these documents in the default pipeline."""
    if not doc_ids:
        return None
    (ranked,) = default.rank([query], _MOST_DOCUMENTS)
    return next((rank for rank, match in enumerate(ranked, 1) if match.doc_id in doc_ids), None)


def _advice(
    doc_ids: list[str] | None, missed: tuple[str, ...], identifier: bool, rank: int | None
) -> str:
    if doc_ids is None:
        return (
            "index again with --words, search with --pipeline hybrid, and run this check again; "
            "or pin it in a rules file"
        )
    if not doc_ids:
        return "no document has it: nothing is lost"
    if identifier and rank != 1:
        place = f"at rank {rank:,}" if rank else f"not among the best {_MOST_DOCUMENTS:,}"
        return (
            "pin it in a rules file and index again: a document with it should be first, and by "
            f"default the best one is {place}"
        )
    if not missed:
        return "the vectors find the documents that have it: nothing to do"
    if rank is not None:
        return (
            f"nothing to do with --pipeline hybrid, the default (rank {rank:,}); with other "
            "pipelines, pin it in a rules file"
        )
    return "pin it in a rules file and index again"
