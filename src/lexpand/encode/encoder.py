"""Encode texts as sparse vectors."""

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
    Pruning,
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
from lexpand.encode.query_table import QueryTable
from lexpand.encode.rules.bound import BoundRules
from lexpand.encode.rules.rules import Rules
from lexpand.encode.running import run, tokenize
from lexpand.encode.titles import title_of, with_titles
from lexpand.encode.tokens import TokenizedText, Tokens
from lexpand.encode.torch.body import TorchBody
from lexpand.encode.torch.head import TorchHead
from lexpand.errors import ModelError

# Texts that are tokenized and sorted by length together: enough to fill batches with little
# padding.
_WINDOW = 512

# Documents that a CPU should encode in one call: about a second of work, which Ctrl-C can lose.
_AT_ONCE = 64


class ReadingCount(NamedTuple):
    """The numbers of tokens and words of a text that a model reads.

    Attributes:
        tokens: the number of tokens, special tokens included.
        tokens_lost: the number of tokens past the maximum length, which are not read.
        words: the number of words and word pieces that are read.
        unknown: the number of words among them that the vocabulary lacks.
    """

    tokens: int
    tokens_lost: int
    words: int
    unknown: int


class Encoder:
    """A model that encodes texts as sparse vectors, on ONNX Runtime or PyTorch.

    Threads may share an encoder. It can be pickled; unpickling loads the model from its folder
    again.

    Attributes:
        contract: the contract of the model.
        space: the vector space, for `Index.create`.
        vocabulary: the terms of the model.
        threads: the number of threads that one call may use.
        max_tokens: the longest text that is read, by role, in tokens, special tokens included.
        query_mode: the default way to encode queries.
        query_table: the weights of inference-free queries; None if the model has none.
        pruning: the pruning rules of each role, in the order in which they apply.
        rules: the rules for query vectors, which apply after pruning.
        documents: the settings for encoding documents.
        dtypes: the arithmetic of the transformer, by role.
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
        self.max_tokens = {
            **self.contract.max_tokens,
            Role.DOCUMENT: _max_tokens_of(self.documents),
        }
        requested = {Role.DOCUMENT: self.documents.pruning, Role.QUERY: queries.pruning}
        self.pruning = {role: self._pruning_for(role, requested[role]) for role in Role}
        self.dtypes = {Role.DOCUMENT: self.documents.dtype, Role.QUERY: queries.dtype}
        self._cache: VectorCache | None = None
        self._tokens = folder.tokens
        mode = queries.mode and parse_query_mode(queries.mode)
        self._load(folder, device, mode or self.contract.query_mode)
        self.query_mode = self._checked_mode(mode, self.contract.query_mode)

    def __copy__(self) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __reduce__(self) -> tuple[object, ...]:
        queries = QueryEncoding(dtype=self.dtypes[Role.QUERY])
        arguments = (
            self.contract.model,
            self._location,
            self.documents,
            queries,
            self.rules,
            self.threads,
            self._device,
            self._cache,
        )
        return _reload, arguments, {name: getattr(self, name) for name in _STATE}

    def _pruning_for(self, role: Role, requested: Pruning | str) -> tuple[Pruning, ...]:
        """Return the rules of the contract and those requested, without empty ones."""
        rules = (self.contract.pruning[role], parse_pruning(requested, self.vocabulary))
        return tuple(filter(None, rules))

    def _load(self, folder: ModelFolder, device: str | None, mode: QueryMode) -> None:
        """Load the transformer, the head, the separate query encoder and the query table.

        Queries that are looked up need neither transformer nor head. With this mode, both are
        loaded on first use.
        """
        backend, torch_device = parse_device(device)
        self._location, self._device = folder.location, device
        for dtype in self.dtypes.values():
            check_backend(backend, dtype)
        self._bodies = Bodies(folder, self.threads, backend, torch_device)
        self._head = Head(folder, self.threads)
        queries = folder.query_folder()
        self._for_queries = None
        if queries is not None:
            encoding = DocumentEncoding(dtype=self.dtypes[Role.QUERY])
            self._for_queries = Encoder(
                queries, documents=encoding, threads=self.threads, device=device
            )
        if mode is not QueryMode.LOOKUP:
            # Load one body now, so that a damaged graph is an error here. The body of another dtype
            # is loaded on first use.
            self._head.get(0, folder)
            self._bodies.get(self.dtypes[Role.QUERY if queries is None else Role.DOCUMENT], folder)
        self.query_table: QueryTable | None = folder.load_query_table()
        self._lookup = None
        if self.query_table is not None:
            self._lookup = Lookup(
                folder.tokens, self.query_table, self.contract.model, self.max_tokens[Role.QUERY]
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
            model: ``default`` for the packaged model, or the path of a model folder.
            documents: the settings for encoding documents: maximum length, the policy for longer
                documents, pruning, titles and dtype. Those of an index are
                ``index.space.encoding``.
            queries: the settings for encoding queries.
            rules: edits of the vectors of both roles, after pruning (docs/rules.md), or the path of
                a rules file. The default is the rules that ``documents`` records. If it records
                some, documents keep them, and ``rules`` applies to queries only.
            threads: the number of threads that one call may use. The default is all cores of this
                process.
            device: ``onnx`` runs ONNX Runtime on the CPU and is the default for float32 and int8.
                The other values run PyTorch (the extra ``torch``), for GPUs and for folders without
                a graph: ``torch`` (a GPU if there is one), ``cpu``, ``cuda`` or ``mps``. bfloat16
                runs on PyTorch only.

        Raises:
            ModelError: the folder is missing, incomplete or damaged, or has no table for
                ``lookup``.
            DataError: a rule names a term that the vocabulary lacks, the pins differ from those
                that ``documents`` records, or the overlap of chunks is too large.
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
        """Return a copy that reads vectors from a cache and stores new ones in it."""
        other = copy(self)
        other._cache = cache
        if self._for_queries is not None:
            other._for_queries = self._for_queries.with_cache(cache)
        return other

    @property
    def long(self) -> LongDocuments:
        """The policy for long documents in `encode_long`."""
        return self.documents.long

    @property
    def title_weight(self) -> float:
        """The factor by which the vector of a title is added to that of its document."""
        return self.documents.title_weight

    def encode_documents(
        self, documents: Sequence[str | Document], *, show_progress: bool = False
    ) -> SparseVectors:
        """Encode documents.

        Args:
            documents: strings, or Documents, whose title and text are read. A longer document than
                the model reads is truncated. `encode` returns which ones, and by how much.
            show_progress: show a progress bar on standard error.

        Returns:
            One vector for each document, in order.

        Raises:
            DataError: ``documents`` is a single text, or an element is neither a string nor a
                Document.
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
        """Encode queries.

        Args:
            queries: the queries.
            mode: ``encoder`` or ``lookup``. The default is `query_mode`.
            show_progress: show a progress bar on standard error.

        Returns:
            One vector for each query, in order.

        Raises:
            DataError: ``queries`` is a single text, or an element is not a text.
            ModelError: the mode is unknown, or the model has no table for ``lookup``.
        """
        checked = check_texts(queries, "queries")
        if self._checked_mode(mode, self.query_mode) is QueryMode.LOOKUP:
            texts = [text_of(query, i) for i, query in enumerate(checked)]
            # A position that is looked up gives one term.
            vectors = self._prune_again(self._require_lookup().vectors(texts), Role.QUERY)
            edits = self._edits[Role.QUERY]
            return vectors if edits is None else edits.apply(texts, vectors)[0]
        with reporting(len(checked), "encoding queries", show_progress) as on_done:
            return self._encode(checked, Role.QUERY, on_done).vectors

    def document_frequencies(
        self, documents: Iterable[str | Document]
    ) -> tuple[NDArray[np.int64], int]:
        """Count the documents that contain each term, for `QueryTable.idf`.

        Only tokens that the model reads are counted.

        Returns:
            The counts, int64 [vocabulary_size], and the number of documents.

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
        """Count the tokens of texts, special tokens included.

        Returns:
            The number of tokens of each text, and the number of tokens that are not read, uint32
            [texts] each. Both are 0 for a text without tokens of its own.

        Raises:
            DataError: an element is neither a string nor a Document, or the role is unknown.
        """
        checked = [text_of(text, i) for i, text in enumerate(check_texts(texts, "texts"))]
        tokenized = self._tokens.tokenize(checked, self.max_tokens[parse_role(role)])
        seen, lost = [text.seen for text in tokenized], [text.lost for text in tokenized]
        return np.array(seen, np.uint32), np.array(lost, np.uint32)

    def normalize(self, text: str) -> str:
        """Apply the normalizer of the tokenizer. Without one, the text is returned unchanged."""
        return self._tokens.normalize(text)

    def encode(
        self, texts: Sequence[str | Document], role: Role | str, *, on_done: OnDone | None = None
    ) -> Encoding:
        """Encode texts, with token positions and token counts.

        Args:
            texts: strings or Documents.
            role: ``query`` or ``document``.
            on_done: called after each batch with the number of texts in it.

        Raises:
            DataError: ``texts`` is a single text, an element is neither a string nor a Document, or
                the role is unknown.
        """
        report, role = on_done or (lambda _: None), parse_role(role)
        texts = check_texts(texts, "texts")
        if role is Role.QUERY and self.query_mode is QueryMode.LOOKUP:
            checked = [text_of(text, i) for i, text in enumerate(texts)]
            encoding = self._require_lookup().encode(checked)
            report(len(texts))
            return self._finished(encoding, checked, role)
        return self._encode(texts, role, report)

    def encode_long(
        self, documents: Sequence[Document], *, on_done: OnDone | None = None
    ) -> EncodedDocuments:
        """Encode documents for an index, and apply the policy `long` to long ones.

        Args:
            documents: the documents.
            on_done: called with the number of documents that were finished since the last call.

        Raises:
            DataError: ``documents`` is a single text, or an element is not a Document.
        """
        documents = check_documents(documents)
        merged = self.long.policy is Long.CHUNK and self.long.chunks is Chunks.MAX
        encode = self._unedited().encode if merged else self.encode
        encoded = encode_long(
            documents, self.long, self._tokens, self.max_tokens[Role.DOCUMENT], encode, on_done
        )
        if not merged:
            return encoded
        # The maximum over chunks can have more terms than each chunk, so it is pruned again. Rules
        # apply last.
        vectors = self._prune_again(encoded.vectors, Role.DOCUMENT)
        edits = self._edits[Role.DOCUMENT]
        if edits is not None:
            texts = [document.full_text for document in encoded.documents]
            vectors, _ = edits.apply(texts, vectors)
        return replace(encoded, vectors=vectors)

    def reads(self, text: str, role: Role | str) -> ReadingCount:
        """Count the tokens and words of a text that the model reads, and its unknown words.

        Raises:
            DataError: the text is neither a string nor a Document, or has a lone surrogate.
        """
        role = parse_role(role)
        reader, checked = self._reader(role), text_of(text, 0)
        (tokenized,) = reader._tokens.tokenize([checked], self.max_tokens[role])
        known = sum(term not in self.vocabulary.special for term in tokenized.ids)
        # The unknown token is a special token too, beyond those that frame the text.
        frame = reader._tokens.special if tokenized.ids else 0
        unknown = max(len(tokenized.ids) - known - frame, 0)
        return ReadingCount(tokenized.seen, tokenized.lost, known + unknown, unknown)

    def trace(self, text: str | Document, role: Role | str) -> Trace:
        """Encode a text, or the full text of a Document, and keep the token behind each term.

        Raises:
            DataError: the text is neither a string nor a Document, or has a lone surrogate.
        """
        role = parse_role(role)
        encoding = self.encode([text], role)
        terms, weights = encoding.vectors.row(0)
        full_text = text_of(text, 0)
        return Trace(
            full_text,
            dict(zip(terms.tolist(), weights.tolist(), strict=True)),
            dict(zip(terms.tolist(), encoding.positions.tolist(), strict=True)),
            self._reader(role)._tokens.places(full_text, self.max_tokens[role]),
            int(encoding.tokens_lost[0]),
        )

    @property
    def at_once(self) -> int:
        """The number of documents from a stream to encode in one call. It is larger on a GPU."""
        body = self._body_for(Role.DOCUMENT)
        return _WINDOW if isinstance(body, TorchBody) and body.head is not None else _AT_ONCE

    def pinned(self, role: Role | str) -> dict[str, str]:
        """Return the token of each pinned text (`Rules.pins`), by text."""
        edits = self._edits[parse_role(role)]
        if edits is None:
            return {}
        return {text: self.vocabulary.term(term) for term, text in edits.pinned.items()}

    def readable(self, term: int) -> str:
        """Return a term for display: the text of a pin, else as `Vocabulary.text` returns it."""
        for edits in self._edits.values():
            if edits is not None and term in edits.pinned:
                return edits.pinned[term]
        return self.vocabulary.text(term)

    def without_pruning(self) -> Encoder:
        """Return a copy without pruning rules, those of the contract included."""
        other = copy(self)
        other.pruning = {role: () for role in Role}
        return other

    def encoding(self, documents: DocumentEncoding) -> Encoder:
        """Return a copy with other settings for documents.

        If the dtype differs, its transformer is loaded on first use.

        Raises:
            DataError, ModelError: see `Encoder.load`.
        """
        other = copy(self)
        documents, _, edits = _with_rules(documents, None, self._tokens)
        other.documents = _limited(documents.resolved(self.vocabulary), self.contract)
        other.space = replace(self.space, encoding=other.documents)
        other.max_tokens = {**self.max_tokens, Role.DOCUMENT: _max_tokens_of(other.documents)}
        pruning = self._pruning_for(Role.DOCUMENT, other.documents.pruning)
        other.pruning = {**self.pruning, Role.DOCUMENT: pruning}
        other.dtypes = {**self.dtypes, Role.DOCUMENT: other.documents.dtype}
        other._edits = {**self._edits, Role.DOCUMENT: edits[Role.DOCUMENT]}
        return other

    def _unedited(self) -> Encoder:
        other = copy(self)
        other._edits = dict.fromkeys(Role)
        return other

    def passages(self, document: Document, overlap: int | None = None) -> Iterator[Chunk]:
        """Yield the chunks of a document that the policy `Long.CHUNK` makes.

        Args:
            document: the document.
            overlap: the overlap, as in `LongDocuments`. The policy `long` is ignored.
        """
        max_tokens = self.max_tokens[Role.DOCUMENT]
        overlap = LongDocuments(overlap=overlap).overlap_in(max_tokens)
        return Chunker(self._tokens, max_tokens, overlap).chunks(document)

    def _checked_mode(self, mode: QueryMode | str | None, default: QueryMode) -> QueryMode:
        if mode is None:
            return default
        mode = parse_query_mode(mode)
        if mode is QueryMode.LOOKUP:
            self._require_lookup()
        return mode

    def _require_lookup(self) -> Lookup:
        if self._lookup is None:
            raise ModelError(
                f"{self.contract.name} has no table of query weights: add one with "
                "add_query_table, or use the mode 'encoder'"
            )
        return self._lookup

    def _reader(self, role: Role) -> Encoder:
        """Return the encoder whose tokenizer, body and head read texts of a role."""
        return self if role is Role.DOCUMENT or self._for_queries is None else self._for_queries

    def _prune_again(self, vectors: SparseVectors, role: Role) -> SparseVectors:
        """Apply the rules to vectors without positions, in which no position has too many terms."""
        for rules in self.pruning[role]:
            vectors = replace(rules, position=None).apply(vectors)
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
        """Add the vectors of titles to the encoding of whole texts."""
        titles = [title_of(text) for text in texts]
        if not any(titles):
            return whole
        rows, tokenized = self._encode_window(titles, Role.DOCUMENT, lambda _: None)
        of_titles = from_rows(rows, tokenized, len(self.vocabulary), self.contract.model)
        return with_titles(whole, of_titles, self.title_weight)

    def _finished(self, encoding: Encoding, texts: Sequence[str], role: Role) -> Encoding:
        """Apply pruning and rules to the output of the model."""
        for rules in self.pruning[role]:
            encoding = encoding.pruned(rules)
        return encoding.edited(self._edits[role], texts)

    def _body_for(self, role: Role) -> Body | TorchBody:
        return self._bodies.get(self.dtypes[role])

    def _head_for(self, body: Body | TorchBody, tokens: int) -> _native.Head | TorchHead:
        """Return the head on the GPU of the body, else the native head."""
        if isinstance(body, TorchBody) and body.head is not None:
            return body.head
        return self._head.get(tokens)

    def _encode_window(
        self, texts: list[str], role: Role, on_done: OnDone
    ) -> tuple[list[Row], Sequence[TokenizedText]]:
        reader = self._reader(role)
        if reader is not self:
            return reader._encode_window(texts, role, on_done)
        if self._cache is None:
            return self._run_window(texts, role, on_done)
        # The cache holds vectors before pruning, so other pruning rules reuse them.
        settings = {
            "model": self.contract.hash,
            "dtype": self.dtypes[role],
            "role": role,
            "max_tokens": self.max_tokens[role],
        }
        return through_cache(
            self._cache,
            settings,
            texts,
            lambda missing: self._run_window(missing, role, on_done),
            on_done,
        )

    def _run_window(
        self, texts: list[str], role: Role, on_done: OnDone
    ) -> tuple[list[Row], Sequence[TokenizedText]]:
        tokenized = tokenize(self._tokens, texts, self.max_tokens[role], self.threads)
        body = self._body_for(role)
        head = self._head_for(body, sum(len(text.ids) for text in tokenized))
        return run(body, head, tokenized, self.threads, on_done), tokenized


# The attributes that copies such as `encoding` change. A pickle holds them, in addition to the
# settings that load the model.
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
    """Restore a pickled encoder by loading its model again.

    Raises:
        ModelError: the folder is missing or damaged, or holds another model now.
    """
    loaded = Encoder.load(
        location, documents=documents, queries=queries, rules=rules, threads=threads, device=device
    )
    if loaded.contract.hash != model.hash:
        raise ModelError(
            f"{location} must hold the pickled model {model.label}, got "
            f"{loaded.contract.model.label}: restore the folder, or pickle the encoder again"
        )
    return loaded if cache is None else loaded.with_cache(cache)


def _with_rules(
    documents: DocumentEncoding, requested: Rules | str | Path | None, tokens: Tokens
) -> tuple[DocumentEncoding, Rules, dict[Role, BoundRules | None]]:
    """Combine the rules that documents record with those requested.

    Returns:
        The document settings with their rules recorded, the rules of queries, and the bound rules
        of each role.
    """
    recorded = Rules.recorded(documents)
    if requested is None:
        rules = recorded
    else:
        rules = requested if isinstance(requested, Rules) else Rules.load(requested)
    rules.check_pins(recorded)
    if not documents.rules:
        documents = documents.with_rules(rules.record())
    document_rules = recorded if recorded else rules
    edits = {
        Role.DOCUMENT: document_rules.bind(Role.DOCUMENT, tokens),
        Role.QUERY: rules.bind(Role.QUERY, tokens),
    }
    return documents, rules, edits


def _limited(documents: DocumentEncoding, contract: Contract) -> DocumentEncoding:
    """Return the settings with ``max_tokens`` filled in and checked against the contract."""
    longest = contract.max_tokens[Role.DOCUMENT]
    length = longest if documents.max_tokens is None else documents.max_tokens
    if not 3 <= length <= longest:
        raise ModelError(
            f"max_tokens must be from 3 to {longest} for {contract.name}, got {length}"
        )
    documents.long.overlap_in(length)
    return replace(documents, max_tokens=length)


def _max_tokens_of(documents: DocumentEncoding) -> int:
    assert documents.max_tokens is not None
    return documents.max_tokens
