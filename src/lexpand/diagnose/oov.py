"""Which words of these queries does the tokenizer break up, what do they lose, and what finds them exactly?"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from lexpand.data import Query
from lexpand.encode import Encoder, Role, Trace
from lexpand.encode.rules.phrases import Phrases
from lexpand.errors import DataError
from lexpand.index import Index
from lexpand.search import Retriever, did_you_mean
from lexpand.search.pipeline import resolve

# Documents that are looked through for a word, best by BM25 first; more have a word that is not
# rare.
_MOST_DOCUMENTS = 100
# A word in at most this share of the documents is rare.
_RARE = 0.01

# What a space sets apart, less the punctuation around it.
_WORD = re.compile(r"\w(?:\S*\w)?")


@dataclass(frozen=True, slots=True)
class BrokenWord:
    """A word that the model's vocabulary has only in pieces, and that is an identifier or rare.

    Attributes:
        word: as the query has it.
        pieces: what the tokenizer makes of it.
        identifier: it has a digit, an underscore, or a capital letter within.
        queries: how many queries have it; query_id and query are the first.
        share: of the weight of that query's vector, what stands on the pieces; the rest is the
            other words' and expansion.
        documents: how many have the word itself, at most 100; None where the index has no words.
        missed: the ids of those that the vectors do not rank among the best; as many as
            ``documents``, at least k.
        by_words: how many of the missed are there by BM25; None where the index has no words.
        rank: the best place of a document with the word, from 1, as the default pipeline ranks the
            first 100 documents for that query; None where none is among them.
        near: of a word that no document has, near words that documents have (`did_you_mean`).
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
        """Whether only a pin, or an index with words, finds its documents as they should be."""
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
    """The identifiers, rare and misspelled words of queries that the tokenizer breaks up, most queries first.

    They are judged by what the default pipeline finds: a document with an identifier must stand
    first. Of a word that several queries have, the first one is looked into. A word that the
    encoder's rules pin is left out. Without words in the index, how rare a word is cannot be told:
    identifiers alone are found.

    Args:
        index: the documents.
        encoder: its model.
        queries: the questions.
        k: how many documents somebody looks at.
        on_done: called with the number of queries that were looked at.

    Raises:
        ContractMismatch: the encoder is not the index's model.
        DataError: k is below 1.
    """
    index.check_model(encoder.space.model)
    if k < 1:
        raise DataError(f"k is {k!r}: it must be at least 1")
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
                found[key] = _looked_into(index, encoder, default, query, word, pieces, trace, k)
        done(1)
    words = [replace(word, queries=counts[key]) for key, word in found.items() if word is not None]
    return sorted(words, key=lambda word: (-word.queries, -len(word.missed)))


def _broken(trace: Trace, encoder: Encoder) -> Iterator[tuple[str, list[int]]]:
    """Words of more than one piece, each once, or of which the vocabulary knows nothing; with their terms."""
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


def _looked_into(
    index: Index,
    encoder: Encoder,
    default: Retriever,
    query: Query,
    word: str,
    pieces: list[int],
    trace: Trace,
    k: int,
) -> BrokenWord | None:
    """What is known of a word; None where it is neither an identifier nor rare nor near another word."""
    identifier = is_identifier(word)
    having = _documents_with(index, encoder, word)
    rare = having is not None and 0 < len(having) <= max(1, _RARE * len(index))
    near = () if having or identifier else tuple(did_you_mean(index.searcher(), word).get(word, ()))
    if not identifier and not rare and not near:
        return None
    missed, by_words = _missed(index, encoder, query.text, having or [], k)
    rank = _rank(default, query.text, having or [])
    total = sum(trace.weights.values())
    return BrokenWord(
        word,
        tuple(encoder.vocabulary.text(term) for term in pieces),
        identifier,
        1,
        query.query_id,
        query.text,
        round(sum(trace.weights.get(term, 0.0) for term in set(pieces)) / total, 3)
        if total
        else 0.0,
        None if having is None else len(having),
        missed,
        by_words,
        f"no document has it: did you mean {' or '.join(near)}?"
        if near
        else _advice(having, missed, identifier, rank),
        f"[[pin]]\ntext = {json.dumps(word, ensure_ascii=False)}",
        rank,
        near,
    )


def is_identifier(word: str) -> bool:
    """Whether a word has a digit, an underscore, or a capital letter behind its first letter."""
    return any(letter.isdigit() or letter == "_" for letter in word) or any(
        letter.isupper() for letter in word[1:]
    )


def _documents_with(index: Index, encoder: Encoder, word: str) -> list[str] | None:
    """The documents that have the word itself, found by the words that it is made of; None without words."""
    if index.schema.words is None:
        return None
    (matches,) = index.search_words([word], _MOST_DOCUMENTS)
    exact = Phrases([word], encoder.normalize, whole_ids=True)
    texts = index.documents([match.row for match in matches])
    return [match.doc_id for match in matches if exact.found_in(texts[match.row].full_text)]


def _missed(
    index: Index, encoder: Encoder, query: str, having: list[str], k: int
) -> tuple[tuple[str, ...], int | None]:
    """Those of the documents that the vectors do not rank among the best, and how many of them BM25 does."""
    if index.schema.words is None:
        return (), None
    depth = max(k, len(having))
    (ranked,) = index.search(encoder.encode_queries([query]), depth)
    there = {match.doc_id for match in ranked}
    missed = tuple(doc_id for doc_id in having if doc_id not in there)
    (by_words,) = index.search_words([query], depth)
    return missed, len({match.doc_id for match in by_words} & set(missed))


def _rank(default: Retriever, query: str, having: list[str]) -> int | None:
    """The best place of these documents in the default pipeline's ranking."""
    if not having:
        return None
    (ranked,) = default.rank([query], _MOST_DOCUMENTS)
    there = set(having)
    return next((rank for rank, match in enumerate(ranked, 1) if match.doc_id in there), None)


def _advice(
    having: list[str] | None, missed: tuple[str, ...], identifier: bool, rank: int | None
) -> str:
    if having is None:
        return "index again with --words, search with --pipeline hybrid, and ask again; or pin it in a rules file"
    if not having:
        return "no document has it: nothing is lost"
    if identifier and rank != 1:
        stands = f"at rank {rank:,}" if rank else f"not among the best {_MOST_DOCUMENTS:,}"
        return (
            "pin it in a rules file and index again: a document with it should be first, and by default the best one"
            f" stands {stands}"
        )
    if not missed:
        return "the vectors find the documents that have it: nothing to do"
    if rank is not None:
        return f"nothing to do with --pipeline hybrid, the default (rank {rank:,}); else pin it in a rules file"
    return "pin it in a rules file and index again"
