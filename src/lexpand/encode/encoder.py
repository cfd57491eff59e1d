"""Texts to sparse vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand import _native
from lexpand.data import Document, SparseVectors, VectorSpace, Vocabulary
from lexpand.encode.batches import cores, text_of
from lexpand.encode.bodies import Bodies
from lexpand.encode.body import Body
from lexpand.encode.cache import VectorCache, through_cache
from lexpand.encode.chunking import Chunk, Chunker
from lexpand.encode.contract import Contract, QueryMode, Role
from lexpand.encode.dtypes import Dtype, dtype_record, parse_dtype
from lexpand.encode.encoding import Encoding, Row, Trace, from_rows, join
from lexpand.encode.folder import Backend, ModelFolder, check_backend, find_folder
from lexpand.encode.head import Head
from lexpand.encode.long_documents import (
    Chunks,
    EncodedDocuments,
    Long,
    LongDocuments,
    document_settings,
    encode_long,
)
from lexpand.encode.lookup import Lookup
from lexpand.encode.progress import OnDone, reporting
from lexpand.encode.pruning import Pruning, parse_pruning
from lexpand.encode.rules.bound import BoundRules
from lexpand.encode.rules.record import document_record
from lexpand.encode.rules.rules import Rules
from lexpand.encode.running import run, tokenize
from lexpand.encode.titles import SETTING, check_title_weight, title_of, with_titles
from lexpand.encode.tokens import TokenizedText
from lexpand.encode.torch.body import TorchBody
from lexpand.encode.torch.head import TorchHead
from lexpand.errors import ModelError

# Texts that are tokenized and sorted by length together: enough to fill batches without padding.
_WINDOW = 512

# Documents for a CPU at a time: what Ctrl-C can cost, about a second.
_AT_ONCE = 64


class Encoder:
    """A model that turns texts into sparse vectors, on ONNX Runtime and the native head.

    May be shared by threads.

    Attributes:
        contract: what the model promises.
        space: whose vectors it makes; what `Index.create` takes.
        vocabulary: its terms.
        threads: that one call may use.
        max_tokens: the longest text read, by role, in tokens, special ones included.
        query_mode: how queries are encoded where a call does not say otherwise.
        pruning: of each role, the rules that its vectors are pruned by, one after the other.
        rules: edits of the vectors, after pruning.
        long: what becomes of long documents in `encode_long`.
        dtypes: of each role, the arithmetic of the transformer.
        title_weight: times this, the vector of a document's title is added to its own.
    """

    def __init__(
        self,
        folder: ModelFolder,
        *,
        threads: int | None = None,
        max_tokens: int | None = None,
        query_mode: QueryMode | str | None = None,
        document_pruning: Pruning | str | None = None,
        query_pruning: Pruning | str | None = None,
        rules: Rules | str | Path | None = None,
        long: LongDocuments | None = None,
        title_weight: float = 0.0,
        cache: VectorCache | None = None,
        backend: Backend | None = None,
        device: str | None = None,
        dtype: Dtype | str = Dtype.FLOAT32,
        query_dtype: Dtype | str | None = None,
    ) -> None:
        self.contract: Contract = folder.contract
        self.vocabulary: Vocabulary = folder.tokens.vocabulary
        self.threads = threads or cores()
        asked = {
            role: parse_pruning(rules, self.vocabulary) if isinstance(rules, str) else rules or Pruning()
            for role, rules in ((Role.DOCUMENT, document_pruning), (Role.QUERY, query_pruning))
        }
        self.pruning = {role: tuple(filter(None, (self.contract.pruning[role], asked[role]))) for role in Role}
        self.rules = rules if isinstance(rules, Rules) else Rules.load(rules) if rules is not None else Rules()
        self._edits: dict[Role, BoundRules | None] = {role: self.rules.bind(role, folder.tokens) for role in Role}
        self.max_tokens = _limits(self.contract, max_tokens)
        self._cache = cache
        self.dtypes = {Role.DOCUMENT: parse_dtype(dtype), Role.QUERY: parse_dtype(query_dtype or dtype)}
        self.long = long or LongDocuments()
        self.long.overlap_in(self.max_tokens[Role.DOCUMENT])
        self.title_weight = check_title_weight(title_weight, self.long)
        self.space = VectorSpace(
            self.contract.model,
            self.vocabulary,
            folder.location,
            self.max_tokens[Role.DOCUMENT],
            document_settings(self.long, asked[Role.DOCUMENT])
            | ({SETTING: self.title_weight} if self.title_weight else {})
            | document_record(self.rules)
            | dtype_record(self.dtypes[Role.DOCUMENT]),
        )
        self._tokens = folder.tokens
        for each in self.dtypes.values():
            check_backend(backend, each)
        self._bodies = Bodies(folder, self.threads, backend, device)
        self._head = Head(folder.load_head(), folder.load_screening(), self.threads)
        queries = folder.query_folder()
        self._for_queries = None
        if queries is not None:
            self._for_queries = Encoder(
                queries,
                threads=threads,
                cache=cache,
                backend=backend,
                device=device,
                dtype=self.dtypes[Role.QUERY],
            )
        # One body at once, so that a bad graph is an error here; another dtype's is made by who first wants it.
        self._bodies.get(self.dtypes[Role.QUERY if queries is None else Role.DOCUMENT], folder)
        table = folder.load_query_table()
        self._lookup = None
        if table is not None:
            self._lookup = Lookup(folder.tokens, table, self.contract.model, self.max_tokens[Role.QUERY])
        self.query_mode = self._checked_mode(query_mode, self.contract.query_mode)

    @classmethod
    def load(
        cls,
        model: str | Path = "default",
        *,
        threads: int | None = None,
        max_tokens: int | None = None,
        query_mode: QueryMode | str | None = None,
        document_pruning: Pruning | str | None = None,
        query_pruning: Pruning | str | None = None,
        rules: Rules | str | Path | None = None,
        long: LongDocuments | None = None,
        title_weight: float = 0.0,
        cache: VectorCache | None = None,
        backend: Backend | None = None,
        device: str | None = None,
        dtype: Dtype | str = Dtype.FLOAT32,
        query_dtype: Dtype | str | None = None,
    ) -> Encoder:
        """Load a model.

        Args:
            model: ``default`` (the packaged one) or the path of a model folder.
            threads: that one call may use; all cores of this process by default.
            max_tokens: cut documents at fewer tokens than the model reads.
            query_mode: ``encoder`` or ``lookup``; what the contract says by default.
            document_pruning: rules that documents' vectors are pruned by, after those of the contract; or a text, as
                `parse_pruning` takes it.
            query_pruning: the same for queries.
            rules: edits of both roles' vectors, after pruning (docs/rules.md); or the path of a rules file.
            long: what `encode_long` does with documents that are longer than the model reads; cut them by default.
            title_weight: times this, the vector of the title alone is added to that of a `Document` with title and
                text, before pruning; 0.2 is good where titles say what documents are about (LOG.md). Not with chunks.
            cache: where vectors are kept; a text that it has is not encoded again.
            backend: what runs the transformer: ``onnx``, or ``torch`` (the extra) for folders without a graph and GPUs;
                by default ``torch`` for ``bfloat16``, else ``onnx``.
            device: of ``torch``: ``cpu``, ``cuda``, ``mps``; a GPU where there is one, by default.
            dtype: ``float32``; of ``onnx`` also ``int8``, where the body multiplies 8-bit integers: quicker, but
                weights differ in the second digit, also by the texts of a batch (LOG.md has what ranking loses); of
                ``torch`` also ``bfloat16``, with which weights differ in the third digit.
            query_dtype: that of queries; ``dtype`` by default.

        Raises:
            ModelError: the folder is missing, incomplete or damaged, or has no table for ``lookup``.
            DataError: rules of pruning that are none, rules with a term that the vocabulary lacks, an overlap of
                chunks that is too large, or a weight for titles that is none.
            SourceError: the rules file cannot be read.
            MissingExtra: the extra ``torch`` is not installed.
        """
        return cls(
            ModelFolder(find_folder(model)),
            threads=threads,
            max_tokens=max_tokens,
            query_mode=query_mode,
            document_pruning=document_pruning,
            query_pruning=query_pruning,
            rules=rules,
            long=long,
            title_weight=title_weight,
            cache=cache,
            backend=backend,
            device=device,
            dtype=dtype,
            query_dtype=query_dtype,
        )

    def encode_documents(self, documents: Sequence[str | Document], *, show_progress: bool = False) -> SparseVectors:
        """One vector a document, in order; of a `Document`, title and text are read.

        A document past the model's length is cut; `encode` tells which and by how much.

        Raises:
            DataError: an element is neither a string nor a Document.
        """
        with reporting(len(documents), "encoding documents", show_progress) as on_done:
            return self._encode(documents, Role.DOCUMENT, on_done).vectors

    def encode_queries(
        self, queries: Sequence[str], *, mode: QueryMode | str | None = None, show_progress: bool = False
    ) -> SparseVectors:
        """One vector a query, in order.

        Args:
            queries: the questions.
            mode: ``encoder`` or ``lookup``; `query_mode` by default.
            show_progress: a bar on standard error.

        Raises:
            DataError: an element is no string.
            ModelError: the model has no table for ``lookup``.
        """
        if self._checked_mode(mode, self.query_mode) is QueryMode.LOOKUP:
            texts = [text_of(query, i) for i, query in enumerate(queries)]
            vectors = self._prune(self._lookup_or_refuse().vectors(texts), Role.QUERY)
            edits = self._edits[Role.QUERY]
            return vectors if edits is None else edits.apply(texts, vectors)[0]
        with reporting(len(queries), "encoding queries", show_progress) as on_done:
            return self._encode(queries, Role.QUERY, on_done).vectors

    def document_frequencies(self, documents: Iterable[str | Document]) -> tuple[NDArray[np.int64], int]:
        """Of each term, how many documents have it among the tokens that the model reads; for `QueryTable.idf`.

        Returns:
            int64 [vocabulary_size], and the number of documents.

        Raises:
            DataError: an element is neither a string nor a Document.
        """
        counts, total, stream = np.zeros(len(self.vocabulary), np.int64), 0, iter(documents)
        while window := list(islice(stream, _WINDOW)):
            texts = [text_of(text, total + i) for i, text in enumerate(window)]
            for text in self._tokens.tokenize(texts, self.max_tokens[Role.DOCUMENT]):
                counts[np.unique(np.array(text.ids, np.int64))] += 1
            total += len(window)
        return counts, total

    def count_tokens(
        self, texts: Sequence[str | Document], role: Role
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Of each text its tokens, special ones included, and how many of them the model does not read.

        Returns:
            Both uint32 [texts]; 0 for a text without any token.

        Raises:
            DataError: an element is neither a string nor a Document.
        """
        counted = self._tokens.tokenize([text_of(text, i) for i, text in enumerate(texts)], self.max_tokens[role])
        seen, lost = [text.seen for text in counted], [text.lost for text in counted]
        return np.array(seen, np.uint32), np.array(lost, np.uint32)

    def normalise(self, text: str) -> str:
        """A text as the model's normalizer spells it; of a model without one, the text itself."""
        return self._tokens.normalise(text)

    def encode(self, texts: Sequence[str | Document], role: Role, *, on_done: OnDone | None = None) -> Encoding:
        """Vectors with positions and token counts.

        Args:
            texts: strings or documents.
            role: what they are encoded as.
            on_done: called after each batch with the number of texts in it.

        Raises:
            DataError: an element is neither a string nor a Document.
        """
        report = on_done or (lambda _: None)
        if role is Role.QUERY and self.query_mode is QueryMode.LOOKUP:
            checked = [text_of(text, i) for i, text in enumerate(texts)]
            encoding = self._lookup_or_refuse().encode(checked)
            report(len(texts))
            return self._finished(encoding, checked, role)
        return self._encode(texts, role, report)

    def encode_long(self, documents: Sequence[Document], *, on_done: OnDone | None = None) -> EncodedDocuments:
        """Documents to vectors for an index, the long ones as `long` says: cut, in chunks, or refused.

        Args:
            documents: the documents.
            on_done: called with the number of documents that were finished since the last call.
        """
        joined = self.long.policy is Long.CHUNK and self.long.chunks is Chunks.MAX
        encode = self._unedited().encode if joined else self.encode
        found = encode_long(documents, self.long, self._tokens, self.max_tokens[Role.DOCUMENT], encode, on_done)
        if not joined:
            return found
        # The maximum over chunks has more terms than each of them, and edits come last.
        vectors, edits = self._prune(found.vectors, Role.DOCUMENT), self._edits[Role.DOCUMENT]
        if edits is not None:
            vectors, _ = edits.apply([document.full_text for document in found.documents], vectors)
        return replace(found, vectors=vectors)

    def trace(self, text: str | Document, role: Role) -> Trace:
        """Encode one text, or a document's whole text, and keep the token behind each term.

        Raises:
            DataError: the text is no string, or has a lone surrogate.
        """
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

    def pinned(self, role: Role) -> dict[str, str]:
        """The term of each text that is pinned (`Rules.pins`), as the vocabulary spells it."""
        edits = self._edits[role]
        return {} if edits is None else {text: self.vocabulary.term(term) for term, text in edits.pinned.items()}

    def unpruned(self) -> Encoder:
        """The same encoder without rules of pruning, the contract's included."""
        other = copy(self)
        other.pruning = {role: () for role in Role}
        return other

    def documents_in(self, dtype: Dtype) -> Encoder:
        """The same encoder with documents in this dtype; its transformer is loaded when it is needed."""
        if self.dtypes[Role.DOCUMENT] is dtype:
            return self
        other = copy(self)
        other.dtypes = self.dtypes | {Role.DOCUMENT: dtype}
        settings = {name: value for name, value in self.space.document_settings.items() if name != "dtype"}
        other.space = replace(self.space, document_settings=settings | dtype_record(dtype))
        return other

    def with_title_weight(self, weight: float) -> Encoder:
        """The same encoder with another weight for titles; `space` stays what it is.

        Raises:
            DataError: it is neither 0 nor a number from 0.001 to 1,000.
        """
        other = copy(self)
        # To read a document as its index says, whatever this encoder would do with long ones.
        other.title_weight = check_title_weight(weight, LongDocuments())
        return other

    def _unedited(self) -> Encoder:
        other = copy(self)
        other._edits = dict.fromkeys(Role)
        return other

    def passages(self, document: Document, overlap: int | None = None) -> Iterator[Chunk]:
        """A document in chunks as `Long.CHUNK` makes them, whatever `long` says; ``overlap`` is `LongDocuments`'s."""
        max_tokens = self.max_tokens[Role.DOCUMENT]
        return Chunker(self._tokens, max_tokens, LongDocuments(overlap=overlap).overlap_in(max_tokens)).chunks(document)

    def _checked_mode(self, mode: QueryMode | str | None, default: QueryMode) -> QueryMode:
        if mode is None:
            return default
        try:
            mode = QueryMode(mode)
        except ValueError:
            raise ModelError(f"the query mode {mode!r}: it must be one of {', '.join(QueryMode)}") from None
        if mode is QueryMode.LOOKUP:
            self._lookup_or_refuse()
        return mode

    def _lookup_or_refuse(self) -> Lookup:
        if self._lookup is None:
            raise ModelError(f"{self.contract.name} has no table of query weights to look up: see add_query_table")
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
            window = [text_of(text, start + i) for i, text in enumerate(texts[start : start + _WINDOW])]
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
        return through_cache(self._cache, settings, texts, lambda new: self._run_window(new, role, on_done), on_done)

    def _run_window(self, texts: list[str], role: Role, on_done: OnDone) -> tuple[list[Row], Sequence[TokenizedText]]:
        tokenized = tokenize(self._tokens, texts, self.max_tokens[role], self.threads)
        body = self._body_for(role)
        head = self._head_for(body, sum(len(text.ids) for text in tokenized))
        return run(body, head, tokenized, self.threads, on_done), tokenized


def _limits(contract: Contract, max_tokens: int | None) -> dict[Role, int]:
    limits = dict(contract.max_tokens)
    if max_tokens is not None:
        if not 3 <= max_tokens <= limits[Role.DOCUMENT]:
            raise ModelError(f"a length of {max_tokens} tokens: {contract.name} reads 3 to {limits[Role.DOCUMENT]}")
        limits[Role.DOCUMENT] = max_tokens
    return limits
