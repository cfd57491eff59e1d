"""Texts to sparse vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from lexpand import _native
from lexpand.data import (
    Chunks,
    Document,
    DocumentEncoding,
    Long,
    LongDocuments,
    ModelId,
    SparseVectors,
    VectorSpace,
    Vocabulary,
    parse_pruning,
)
from lexpand.encode.batches import check_documents, check_texts, cores, text_of
from lexpand.encode.body import Body
from lexpand.encode.cache import VectorCache, through_cache
from lexpand.encode.chunking import Chunk, Chunker
from lexpand.encode.contract import Contract, QueryMode, Role, parse_role
from lexpand.encode.encoding import Encoding, Row, Trace, from_rows, join
from lexpand.encode.folder import Bodies, ModelFolder, check_backend, find_folder, parse_device
from lexpand.encode.head import Head
from lexpand.encode.long_documents import EncodedDocuments, encode_long
from lexpand.encode.lookup import Lookup
from lexpand.encode.progress import OnDone, reporting
from lexpand.encode.query_encoding import QueryEncoding, parse_query_mode
from lexpand.encode.rules.bound import BoundRules
from lexpand.encode.rules.rules import Rules
from lexpand.encode.running import run, tokenize
from lexpand.encode.titles import title_of, with_titles
from lexpand.encode.tokens import TokenizedText, Tokens
from lexpand.encode.torch.body import TorchBody
from lexpand.encode.torch.head import TorchHead
from lexpand.errors import ModelError

# Texts that are tokenized and sorted by length together: enough to fill batches without padding.
_WINDOW = 512

# Documents for a CPU at a time: what Ctrl-C can cost, about a second.
_AT_ONCE = 64


class ReadingCount(NamedTuple):
    """How much of a text a model reads.

    Attributes:
        tokens: tokens of the text, special ones included.
        tokens_lost: those that the model does not read.
        words: words and pieces of words among those that it reads.
        unknown: words among them that the vocabulary lacks.
    """

    tokens: int
    tokens_lost: int
    words: int
    unknown: int


class Encoder:
    """A model that turns texts into sparse vectors, on ONNX Runtime and the native head.

    May be shared by threads, and pickled: what reads it loads the model from its folder again.

    Attributes:
        contract: what the model promises.
        space: whose vectors it makes; what `Index.create` takes.
        vocabulary: its terms.
        threads: that one call may use.
        max_tokens: the longest text read, by role, in tokens, special ones included.
        query_mode: how queries are encoded where a call does not say otherwise.
        pruning: of each role, the rules that its vectors are pruned by, one after the other.
        rules: edits of the vectors of queries, after pruning.
        documents: how documents are encoded.
        dtypes: of each role, the arithmetic of the transformer.
    """

    def __init__(
        self,
        folder: ModelFolder,
        *,
        documents: DocumentEncoding = DocumentEncoding(),
        queries: QueryEncoding = QueryEncoding(),
        rules: Rules | str | Path | None = None,
        threads: int | None = None,
        device: str | None = None,
    ) -> None:
        self.contract: Contract = folder.contract
        self.vocabulary: Vocabulary = folder.tokens.vocabulary
        self.threads = threads or cores()
        documents, self.rules, self._edits = _with_rules(documents, rules, folder.tokens)
        self.documents = _limited(documents.resolved(self.vocabulary), self.contract)
        self.space = VectorSpace(
            self.contract.model, self.vocabulary, folder.location, self.documents
        )
        self.max_tokens = {**self.contract.max_tokens, Role.DOCUMENT: _length_of(self.documents)}
        asked = {Role.DOCUMENT: self.documents.pruning, Role.QUERY: queries.pruning}
        self.pruning = {
            role: tuple(
                filter(
                    None, (self.contract.pruning[role], parse_pruning(asked[role], self.vocabulary))
                )
            )
            for role in Role
        }
        self.dtypes = {Role.DOCUMENT: self.documents.dtype, Role.QUERY: queries.dtype}
        self._cache: VectorCache | None = None
        self._tokens = folder.tokens
        self._load(folder, device)
        self.query_mode = self._checked_mode(queries.mode, self.contract.query_mode)

    def __copy__(self) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __reduce__(self) -> tuple[object, ...]:
        queries = QueryEncoding(dtype=self.dtypes[Role.QUERY])
        made = (
            self.contract.model,
            self._location,
            self.documents,
            queries,
            self.rules,
            self.threads,
            self._device,
        )
        return _reload, (*made, self._cache), {name: getattr(self, name) for name in _STATE}

    def _load(self, folder: ModelFolder, device: str | None) -> None:
        """Make what runs the model: the transformer, the head, the queries' own encoder and their table."""
        backend, place = parse_device(device)
        self._location, self._device = folder.location, device
        for each in self.dtypes.values():
            check_backend(backend, each)
        self._bodies = Bodies(folder, self.threads, backend, place)
        self._head = Head(folder.load_head(), folder.load_screening(), self.threads)
        queries = folder.query_folder()
        self._for_queries = None
        if queries is not None:
            alike = DocumentEncoding(dtype=self.dtypes[Role.QUERY])
            self._for_queries = Encoder(
                queries, documents=alike, threads=self.threads, device=device
            )
        # One body at once, so that a bad graph is an error here; the first caller of another dtype
        # loads its body.
        self._bodies.get(self.dtypes[Role.QUERY if queries is None else Role.DOCUMENT], folder)
        table = folder.load_query_table()
        self._lookup = None
        if table is not None:
            self._lookup = Lookup(
                folder.tokens, table, self.contract.model, self.max_tokens[Role.QUERY]
            )

    @classmethod
    def load(
        cls,
        model: str | Path = "default",
        *,
        documents: DocumentEncoding = DocumentEncoding(),
        queries: QueryEncoding = QueryEncoding(),
        rules: Rules | str | Path | None = None,
        threads: int | None = None,
        device: str | None = None,
    ) -> Encoder:
        """Load a model.

        Args:
            model: ``default`` (the packaged one) or the path of a model folder.
            documents: how documents are encoded: their length, what becomes of longer ones,
                pruning, titles, dtype. That of an index is ``index.space.encoding``.
            queries: how queries are encoded.
            rules: edits of both roles' vectors, after pruning (docs/rules.md), or the path of a
                rules file; those that ``documents`` records by default. Where it records some,
                documents keep them, and ``rules`` are for queries.
            threads: that one call may use; all cores of this process by default.
            device: ``onnx``, the default: ONNX Runtime on the CPU; or the extra ``torch`` for
                folders without a graph and for GPUs: ``torch`` (a GPU where there is one), ``cpu``,
                ``cuda`` or ``mps``. bfloat16 runs on PyTorch.

        Raises:
            ModelError: the folder is missing, incomplete or damaged, or has no table for
                ``lookup``.
            DataError: rules with a term that the vocabulary lacks, or other pins than those that
                ``documents`` records; an overlap of chunks that is too large.
            SourceError: the rules file cannot be read.
            MissingExtra: the extra ``torch`` is not installed.
        """
        return cls(
            ModelFolder(find_folder(model)),
            documents=documents,
            queries=queries,
            rules=rules,
            threads=threads,
            device=device,
        )

    def with_cache(self, cache: VectorCache) -> Encoder:
        """The same encoder, which takes from a cache the vectors of texts that are there, and keeps new ones in it."""
        other = copy(self)
        other._cache = cache
        if self._for_queries is not None:
            other._for_queries = self._for_queries.with_cache(cache)
        return other

    @property
    def long(self) -> LongDocuments:
        """What becomes of long documents in `encode_long`."""
        return self.documents.long

    @property
    def title_weight(self) -> float:
        """Times this, the vector of a document's title is added to its own."""
        return self.documents.title_weight

    def encode_documents(
        self, documents: Sequence[str | Document], *, show_progress: bool = False
    ) -> SparseVectors:
        """One vector a document, in order; of a `Document`, title and text are read.

        A document past the model's length is cut; `encode` tells which and by how much.

        Raises:
            DataError: ``documents`` is one text, or an element is neither a string nor a Document.
        """
        texts = check_texts(documents, "documents")
        with reporting(len(texts), "encoding documents", show_progress) as on_done:
            return self._encode(texts, Role.DOCUMENT, on_done).vectors

    def encode_queries(
        self,
        queries: Sequence[str],
        *,
        mode: QueryMode | str | None = None,
        show_progress: bool = False,
    ) -> SparseVectors:
        """One vector a query, in order.

        Args:
            queries: the questions.
            mode: ``encoder`` or ``lookup``; `query_mode` by default.
            show_progress: a bar on standard error.

        Raises:
            DataError: ``queries`` is one text, or an element is no string.
            ModelError: the model has no table for ``lookup``.
        """
        checked = check_texts(queries, "queries")
        if self._checked_mode(mode, self.query_mode) is QueryMode.LOOKUP:
            texts = [text_of(query, i) for i, query in enumerate(checked)]
            vectors = self._prune(self._lookup_or_refuse().vectors(texts), Role.QUERY)
            edits = self._edits[Role.QUERY]
            return vectors if edits is None else edits.apply(texts, vectors)[0]
        with reporting(len(checked), "encoding queries", show_progress) as on_done:
            return self._encode(checked, Role.QUERY, on_done).vectors

    def document_frequencies(
        self, documents: Iterable[str | Document]
    ) -> tuple[NDArray[np.int64], int]:
        """Of each term, how many documents have it among the tokens that the model reads; for `QueryTable.idf`.

        Returns:
            int64 [vocabulary_size], and the number of documents.

        Raises:
            DataError: an element is neither a string nor a Document.
        """
        if isinstance(documents, str | bytes | Document):
            check_texts(documents, "documents")
        counts, total, stream = np.zeros(len(self.vocabulary), np.int64), 0, iter(documents)
        while window := list(islice(stream, _WINDOW)):
            texts = [text_of(text, total + i) for i, text in enumerate(window)]
            for text in self._tokens.tokenize(texts, self.max_tokens[Role.DOCUMENT]):
                counts[np.unique(np.array(text.ids, np.int64))] += 1
            total += len(window)
        return counts, total

    def count_tokens(
        self, texts: Sequence[str | Document], role: Role | str
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Of each text its tokens, special ones included, and how many of them the model does not read.

        Returns:
            Both uint32 [texts]; 0 for a text without any token.

        Raises:
            DataError: an element is neither a string nor a Document.
        """
        checked = [text_of(text, i) for i, text in enumerate(check_texts(texts, "texts"))]
        counted = self._tokens.tokenize(checked, self.max_tokens[parse_role(role)])
        seen, lost = [text.seen for text in counted], [text.lost for text in counted]
        return np.array(seen, np.uint32), np.array(lost, np.uint32)

    def normalize(self, text: str) -> str:
        """A text as the model's normalizer spells it; of a model without one, the text itself."""
        return self._tokens.normalize(text)

    def encode(
        self, texts: Sequence[str | Document], role: Role | str, *, on_done: OnDone | None = None
    ) -> Encoding:
        """Vectors with positions and token counts.

        Args:
            texts: strings or documents.
            role: what they are encoded as: ``query`` or ``document``.
            on_done: called after each batch with the number of texts in it.

        Raises:
            DataError: ``texts`` is one text, an element is neither a string nor a Document, or
                there is no such role.
        """
        report, role, texts = (
            on_done or (lambda _: None),
            parse_role(role),
            check_texts(texts, "texts"),
        )
        if role is Role.QUERY and self.query_mode is QueryMode.LOOKUP:
            checked = [text_of(text, i) for i, text in enumerate(texts)]
            encoding = self._lookup_or_refuse().encode(checked)
            report(len(texts))
            return self._finished(encoding, checked, role)
        return self._encode(texts, role, report)

    def encode_long(
        self, documents: Sequence[Document], *, on_done: OnDone | None = None
    ) -> EncodedDocuments:
        """Documents to vectors for an index, the long ones as `long` says: cut, in chunks, or refused.

        Args:
            documents: the documents.
            on_done: called with the number of documents that were finished since the last call.

        Raises:
            DataError: ``documents`` is one text, or an element is no Document.
        """
        documents = check_documents(documents)
        joined = self.long.policy is Long.CHUNK and self.long.chunks is Chunks.MAX
        encode = self._unedited().encode if joined else self.encode
        found = encode_long(
            documents, self.long, self._tokens, self.max_tokens[Role.DOCUMENT], encode, on_done
        )
        if not joined:
            return found
        # The maximum over chunks has more terms than each of them, and edits come last.
        vectors, edits = self._prune(found.vectors, Role.DOCUMENT), self._edits[Role.DOCUMENT]
        if edits is not None:
            vectors, _ = edits.apply([document.full_text for document in found.documents], vectors)
        return replace(found, vectors=vectors)

    def reads(self, text: str, role: Role | str) -> ReadingCount:
        """How much of a text the model reads: its tokens, and its words, and those that the vocabulary lacks.

        Raises:
            DataError: the text is no string, or has a lone surrogate.
        """
        role = parse_role(role)
        reader, read = self._reader(role), text_of(text, 0)
        (counted,) = reader._tokens.tokenize([read], self.max_tokens[role])
        own = [term for term in counted.ids if term not in self.vocabulary.special]
        unknown = len(counted.ids) - len(own) - (reader._tokens.special if counted.ids else 0)
        return ReadingCount(counted.seen, counted.lost, len(own) + max(unknown, 0), max(unknown, 0))

    def trace(self, text: str | Document, role: Role | str) -> Trace:
        """Encode one text, or a document's whole text, and keep the token behind each term.

        Raises:
            DataError: the text is no string, or has a lone surrogate.
        """
        role = parse_role(role)
        encoding = self.encode([text], role)
        terms, weights = encoding.vectors.row(0)
        read = text_of(text, 0)
        return Trace(
            read,
            dict(zip(terms.tolist(), weights.tolist(), strict=True)),
            dict(zip(terms.tolist(), encoding.positions.tolist(), strict=True)),
            self._reader(role)._tokens.places(read, self.max_tokens[role]),
            int(encoding.tokens_lost[0]),
        )

    @property
    def at_once(self) -> int:
        """How many documents to hand in at a time, where they come in a stream; more for a GPU."""
        body = self._body_for(Role.DOCUMENT)
        return _WINDOW if isinstance(body, TorchBody) and body.head is not None else _AT_ONCE

    def pinned(self, role: Role | str) -> dict[str, str]:
        """The term of each text that is pinned (`Rules.pins`), as the vocabulary spells it."""
        edits = self._edits[parse_role(role)]
        return (
            {}
            if edits is None
            else {text: self.vocabulary.term(term) for term, text in edits.pinned.items()}
        )

    def readable(self, term: int) -> str:
        """A term as a person reads it: one that rules pinned as its text, another as `Vocabulary.text` has it."""
        for edits in self._edits.values():
            if edits is not None and term in edits.pinned:
                return edits.pinned[term]
        return self.vocabulary.text(term)

    def unpruned(self) -> Encoder:
        """The same encoder without rules of pruning, the contract's included."""
        other = copy(self)
        other.pruning = {role: () for role in Role}
        return other

    def encoding(self, documents: DocumentEncoding) -> Encoder:
        """The same encoder with documents encoded in another way; their transformer is loaded when it is needed.

        Raises:
            DataError, ModelError: see `Encoder.load`.
        """
        other = copy(self)
        documents, _, edits = _with_rules(documents, None, self._tokens)
        other.documents = _limited(documents.resolved(self.vocabulary), self.contract)
        other.space = replace(self.space, encoding=other.documents)
        other.max_tokens = {**self.max_tokens, Role.DOCUMENT: _length_of(other.documents)}
        asked = parse_pruning(other.documents.pruning, self.vocabulary)
        pruning = tuple(filter(None, (self.contract.pruning[Role.DOCUMENT], asked)))
        other.pruning = {**self.pruning, Role.DOCUMENT: pruning}
        other.dtypes = {**self.dtypes, Role.DOCUMENT: other.documents.dtype}
        other._edits = {**self._edits, Role.DOCUMENT: edits[Role.DOCUMENT]}
        return other

    def _unedited(self) -> Encoder:
        other = copy(self)
        other._edits = dict.fromkeys(Role)
        return other

    def passages(self, document: Document, overlap: int | None = None) -> Iterator[Chunk]:
        """A document in chunks as `Long.CHUNK` makes them, whatever `long` says; ``overlap`` is `LongDocuments`'s."""
        max_tokens = self.max_tokens[Role.DOCUMENT]
        return Chunker(
            self._tokens, max_tokens, LongDocuments(overlap=overlap).overlap_in(max_tokens)
        ).chunks(document)

    def _checked_mode(self, mode: QueryMode | str | None, default: QueryMode) -> QueryMode:
        if mode is None:
            return default
        mode = parse_query_mode(mode)
        if mode is QueryMode.LOOKUP:
            self._lookup_or_refuse()
        return mode

    def _lookup_or_refuse(self) -> Lookup:
        if self._lookup is None:
            raise ModelError(
                f"{self.contract.name} has no table of query weights to look up: see add_query_table"
            )
        return self._lookup

    def _reader(self, role: Role) -> Encoder:
        """Whose tokenizer, body and head read texts of a role."""
        return self if role is Role.DOCUMENT or self._for_queries is None else self._for_queries

    def _prune(self, vectors: SparseVectors, role: Role) -> SparseVectors:
        for rules in self.pruning[role]:
            vectors = rules.apply(vectors)
        return vectors

    def _encode(self, texts: Sequence[str | Document], role: Role, on_done: OnDone) -> Encoding:
        parts: list[Encoding] = []
        for start in range(0, len(texts) or 1, _WINDOW):
            window = [
                text_of(text, start + i) for i, text in enumerate(texts[start : start + _WINDOW])
            ]
            rows, tokenized = self._encode_window(window, role, on_done)
            encoding = from_rows(rows, tokenized, len(self.vocabulary), self.contract.model)
            if role is Role.DOCUMENT and self.title_weight:
                encoding = self._titled(encoding, texts[start : start + _WINDOW])
            parts.append(self._finished(encoding, window, role))
        return join(parts)

    def _titled(self, whole: Encoding, texts: Sequence[str | Document]) -> Encoding:
        """What was encoded, with the titles' vectors added."""
        titles = [title_of(text) for text in texts]
        if not any(titles):
            return whole
        rows, tokenized = self._encode_window(titles, Role.DOCUMENT, lambda _: None)
        found = from_rows(rows, tokenized, len(self.vocabulary), self.contract.model)
        return with_titles(whole, found, self.title_weight)

    def _finished(self, encoding: Encoding, texts: Sequence[str], role: Role) -> Encoding:
        """What a model gave, pruned and edited."""
        for rules in self.pruning[role]:
            encoding = encoding.pruned(rules)
        return encoding.edited(self._edits[role], texts)

    def _body_for(self, role: Role) -> Body | TorchBody:
        return self._bodies.get(self.dtypes[role])

    def _head_for(self, body: Body | TorchBody, tokens: int) -> _native.Head | TorchHead:
        """A GPU's own, else the native one."""
        if isinstance(body, TorchBody) and body.head is not None:
            return body.head
        return self._head.taking(tokens)

    def _encode_window(
        self, texts: list[str], role: Role, on_done: OnDone
    ) -> tuple[list[Row], Sequence[TokenizedText]]:
        reader = self._reader(role)
        if reader is not self:
            return reader._encode_window(texts, role, on_done)
        if self._cache is None:
            return self._run_window(texts, role, on_done)
        # Before pruning: other rules find the same vectors.
        made_by = {"model": self.contract.hash, "dtype": self.dtypes[role]}
        settings = {**made_by, "role": role, "max_tokens": self.max_tokens[role]}
        return through_cache(
            self._cache, settings, texts, lambda new: self._run_window(new, role, on_done), on_done
        )

    def _run_window(
        self, texts: list[str], role: Role, on_done: OnDone
    ) -> tuple[list[Row], Sequence[TokenizedText]]:
        tokenized = tokenize(self._tokens, texts, self.max_tokens[role], self.threads)
        body = self._body_for(role)
        head = self._head_for(body, sum(len(text.ids) for text in tokenized))
        return run(body, head, tokenized, self.threads, on_done), tokenized


# What `encoding` and its like change, and what a pickle has besides the settings that load the
# model.
_STATE = ("documents", "space", "max_tokens", "pruning", "dtypes", "query_mode", "rules", "_edits")


def _reload(
    model: ModelId,
    location: str,
    documents: DocumentEncoding,
    queries: QueryEncoding,
    rules: Rules,
    threads: int,
    device: str | None,
    cache: VectorCache | None,
) -> Encoder:
    """The encoder that was pickled, its model loaded again.

    Raises:
        ModelError: the folder is missing or damaged, or holds another model now.
    """
    loaded = Encoder.load(
        location, documents=documents, queries=queries, rules=rules, threads=threads, device=device
    )
    if loaded.contract.hash != model.hash:
        raise ModelError(
            f"{location} holds {loaded.contract.model.label} now, not {model.label}, which was pickled"
        )
    return loaded if cache is None else loaded.with_cache(cache)


def _with_rules(
    documents: DocumentEncoding, given: Rules | str | Path | None, tokens: Tokens
) -> tuple[DocumentEncoding, Rules, dict[Role, BoundRules | None]]:
    """The encoding of documents with its rules recorded, the rules of queries, and the edits of each role."""
    recorded = Rules.recorded(documents)
    rules = recorded if given is None else given if isinstance(given, Rules) else Rules.load(given)
    rules.check_pins(recorded)
    if not documents.rules:
        documents = documents.with_rules(rules.record())
    of_documents = recorded if recorded else rules
    edits = {
        Role.DOCUMENT: of_documents.bind(Role.DOCUMENT, tokens),
        Role.QUERY: rules.bind(Role.QUERY, tokens),
    }
    return documents, rules, edits


def _limited(documents: DocumentEncoding, contract: Contract) -> DocumentEncoding:
    """The encoding with the length that it cuts at: the model's own where it says none."""
    longest = contract.max_tokens[Role.DOCUMENT]
    length = longest if documents.max_tokens is None else documents.max_tokens
    if not 3 <= length <= longest:
        raise ModelError(
            f"max_tokens must be from 3 to {longest} for {contract.name}, got {length}"
        )
    documents.long.overlap_in(length)
    return replace(documents, max_tokens=length)


def _length_of(documents: DocumentEncoding) -> int:
    assert documents.max_tokens is not None
    return documents.max_tokens
