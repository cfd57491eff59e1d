"""Explanations of real documents, against search and against slow reference implementations."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from explain_cases import TOKENS, Collection
from tokenizers import Tokenizer

from lexpand import (
    Document,
    DocumentEncoding,
    Encoder,
    Index,
    Role,
    SparseRetriever,
    ingest,
    read_queries,
)
from lexpand.data import collection_path
from lexpand.encode.folder import ModelFolder, find_folder
from lexpand.errors import UnknownDocument
from lexpand.explanation import Explanation, Origin, explain


@dataclass
class PlainText:
    """What the model reads of a text, computed with the tokenizer's file alone."""

    text: str
    limit: int

    def __post_init__(self) -> None:
        encoding = tokenizer().encode(self.text)
        # The last token is [SEP], wherever the text is cut.
        keep = [*range(min(len(encoding.ids), self.limit) - 1), len(encoding.ids) - 1]
        self.ids = [encoding.ids[i] for i in keep]
        self.words: list[str | None] = []
        self.spans: list[tuple[tuple[int, int], ...]] = []
        for i in keep:
            span = (
                None
                if encoding.word_ids[i] is None
                else encoding.word_to_chars(encoding.word_ids[i])
            )
            self.words.append(None if span is None else self.text[slice(*span)])
            self.spans.append(() if span is None else (span,))

    @property
    def input_terms(self) -> set[int]:
        return {term for term, word in zip(self.ids, self.words, strict=True) if word is not None}

    def logits(self, encoder: Encoder) -> np.ndarray:
        """Return every logit of every token, float64 [tokens, terms]."""
        hidden, _ = encoder._body_for(Role.DOCUMENT).run([self.ids])
        weights, head = model_folder().tensors, encoder.contract
        return (
            hidden[0].astype(np.float64) @ weights[head.head_weight].astype(np.float64).T
            + weights[head.head_bias]
        )


@cache
def tokenizer() -> Tokenizer:
    found = Tokenizer.from_file(str(find_folder("default") / "tokenizer.json"))
    found.no_padding()
    found.no_truncation()
    return found


@cache
def model_folder() -> ModelFolder:
    return ModelFolder(find_folder("default"))


def check_sides(collection: Collection, explanation: Explanation, document: Document) -> int:
    """Check the origin and the word of every contribution; return the number of expansion terms.

    An input term is in the text. The word is that with the largest logit.
    """
    encoder, expansions = collection.encoder, 0
    query, text = PlainText(explanation.query, 512), PlainText(document.full_text, TOKENS)
    query_logits, text_logits = query.logits(encoder), text.logits(encoder)
    for part in explanation.contributions:
        term = encoder.vocabulary.id(part.term)
        assert term is not None
        for side, plain, logits in (
            (part.query, query, query_logits),
            (part.document, text, text_logits),
        ):
            assert side.origin is (
                Origin.TEXT if term in plain.input_terms else Origin.EXPANSION
            ), part
            # If two logits are nearly equal, either word is correct.
            best = np.flatnonzero(logits[:, term] > logits[:, term].max() - 1e-4)
            assert side.word in {plain.words[i] for i in best}, part
            assert side.spans in {plain.spans[i] for i in best}, part
            assert side.weight == pytest.approx(np.log1p(logits[:, term].max()), abs=1e-3)
            expansions += side.origin is Origin.EXPANSION
    return expansions


def test_scores_equal_those_of_search(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every hit of every query has the same score to the bit, and the parts sum to it."""
    trace = cache(collection.encoder.trace)  # a text has the same trace in all explanations
    monkeypatch.setattr(collection.encoder, "trace", trace)
    retriever, count = SparseRetriever(collection.index, collection.encoder), 0
    for query in collection.queries:
        for hit in retriever.search(query.text, 1000):
            explanation = explain(collection.sparse, query.text, hit.doc_id)
            assert explanation.score == hit.score
            assert (explanation.query, explanation.doc_id, explanation.title) == (
                query.text,
                hit.doc_id,
                hit.title,
            )
            parts = [part.contribution for part in explanation.contributions]
            assert sum(parts) == pytest.approx(hit.score, rel=1e-9)
            assert parts == sorted(parts, reverse=True)
            for part in explanation.contributions:
                assert part.contribution == part.query.weight * part.document.weight > 0
            count += 1
    assert count > 3000


def test_terms_of_real_hits_have_the_words_behind_them(collection: Collection) -> None:
    retriever = SparseRetriever(collection.index, collection.encoder)
    expansions = 0
    for query in collection.queries[:8]:
        for hit in retriever.search(query.text, 2):
            explanation = explain(collection.sparse, query.text, hit.doc_id)
            expansions += check_sides(
                collection, explanation, collection.index.document(hit.doc_id)
            )
    assert expansions > 50


def test_every_term_of_a_document_has_the_word_behind_it(collection: Collection) -> None:
    """A query that is the beginning of a document shares all its terms."""
    for document in collection.documents[:4]:
        beginning = tokenizer().encode(document.full_text).offsets[TOKENS - 2][1]
        query = document.full_text[:beginning]
        explanation = explain(collection.sparse, query, document.doc_id)
        stored = collection.index.vector(document.doc_id)
        shared = {collection.encoder.vocabulary.id(part.term) for part in explanation.contributions}
        assert len(shared & set(stored.terms.tolist())) > 0.9 * len(stored.terms)
        assert check_sides(collection, explanation, document) > 10


def test_weights_are_those_of_the_index_and_the_query(collection: Collection) -> None:
    document, query = collection.documents[0], collection.queries[0].text
    stored = collection.index.vector(document.doc_id)
    weights = dict(zip(stored.terms.tolist(), stored.weights.tolist(), strict=True))
    (encoded,) = collection.encoder.encode_queries([query]).as_dicts()
    for part in explain(collection.sparse, query, document.doc_id).contributions:
        term = collection.encoder.vocabulary.id(part.term)
        assert (part.document.weight, part.query.weight) == (weights[term], encoded[term])


def test_unmatched_terms_are_those_that_the_document_lacks(collection: Collection) -> None:
    vocabulary = collection.encoder.vocabulary
    for query, document in zip(collection.queries[:10], collection.documents, strict=False):
        explanation = explain(collection.sparse, query.text, document.doc_id)
        (encoded,) = collection.encoder.encode_queries([query.text]).as_dicts()
        stored = set(collection.index.vector(document.doc_id).terms.tolist())
        expected = {
            vocabulary.term(term): weight for term, weight in encoded.items() if term not in stored
        }
        assert {lacking.term: lacking.weight for lacking in explanation.unmatched} == expected
        weights = [lacking.weight for lacking in explanation.unmatched]
        assert weights == sorted(weights, reverse=True)
        assert len(explanation.unmatched) + len(explanation.contributions) == len(encoded)


def test_a_document_that_is_not_a_hit_is_explained(small_index: Index, encoder: Encoder) -> None:
    explanation = explain(
        SparseRetriever(small_index, encoder), "quantum chromodynamics", "invoice"
    )
    found = {
        hit.doc_id: hit.score
        for hit in SparseRetriever(small_index, encoder).search("quantum chromodynamics")
    }
    assert explanation.score == found.get("invoice", 0.0)
    empty = explain(SparseRetriever(small_index, encoder), "", "invoice")
    assert (empty.score, empty.contributions, empty.unmatched) == (0.0, (), ())


LEAVE = "Ask your manager for leave before it begins"


def test_documents_are_read_as_the_index_records(small_index: Index, encoder: Encoder) -> None:
    """The document settings of the retriever's encoder have no effect."""
    other = Encoder.load(documents=DocumentEncoding(max_tokens=4, pruning="top=2"))
    explanation = explain(SparseRetriever(small_index, other), LEAVE, "holiday")
    assert explanation == explain(SparseRetriever(small_index, encoder), LEAVE, "holiday")
    assert Origin.UNKNOWN not in {part.document.origin for part in explanation.contributions}


def test_words_are_unknown_if_the_text_does_not_give_the_stored_weights(
    tmp_path: Path, pages: list[Document], encoder: Encoder
) -> None:
    """The stored weights count, and a note tells that their words are unknown."""
    short = Encoder.load(documents=DocumentEncoding(max_tokens=4))
    with Index.create(tmp_path / "i", short.space) as index:
        index.add(pages, encoder.encode_documents(pages))
        index.commit()
        retriever = SparseRetriever(index, short)
        explanation = explain(retriever, LEAVE, "holiday")
        expected = {hit.doc_id: hit.score for hit in retriever.search(LEAVE)}["holiday"]
    assert explanation.score == expected
    # Only "Vacation requests" is read, and without the rest it has other weights.
    sides = [part.document for part in explanation.contributions]
    assert {(side.origin, side.word, side.spans) for side in sides} == {(Origin.UNKNOWN, None, ())}
    beginning = f"{len(sides)} of {len(sides)} terms have no word in the document"
    assert any(note.startswith(beginning) for note in explanation.notes)


def test_a_contribution_shows_words_and_origins_of_both_sides(
    small_index: Index, encoder: Encoder
) -> None:
    explanation = explain(SparseRetriever(small_index, encoder), "my printers", "printer")
    (part,) = [part for part in explanation.contributions if part.term == "printer"]
    assert (part.query.word, part.query.origin, part.query.spans) == (
        "printers",
        Origin.EXPANSION,
        ((3, 11),),
    )
    assert (part.document.word, part.document.origin, part.document.spans) == (
        "Printer",
        Origin.TEXT,
        ((0, 7),),
    )
    assert explanation.title == "Printer does not print"


def test_an_unknown_document_is_refused(small_index: Index, encoder: Encoder) -> None:
    with pytest.raises(UnknownDocument, match="has no document 'absent'"):
        explain(SparseRetriever(small_index, encoder), "a question", "absent")


def test_a_document_is_read_up_to_its_own_limit(collection: Collection) -> None:
    """A document is read as a document, up to its own limit."""
    read = collection.encoder.trace(collection.documents[1].full_text, Role.DOCUMENT)
    assert len(read.tokens) == TOKENS
    assert PlainText(collection.documents[1].full_text, TOKENS).ids == [
        token.term for token in read.tokens
    ]


def test_a_piece_is_shown_with_its_word(small_index: Index, encoder: Encoder) -> None:
    explanation = explain(SparseRetriever(small_index, encoder), "crashes of the log file", "crash")
    labels = {part.term: part.label for part in explanation.contributions}
    assert labels["crash"] == "crash"
    pieces = explain(SparseRetriever(small_index, encoder), "forgetful about invoices", "invoice")
    found = {part.term: part.label for part in pieces.contributions if part.term != part.label}
    # The vocabulary has "in", "##vo", "##ices" for "invoices", but not "invoice" or "Invoices".
    assert found == {term: f"{term} (in 'Invoices')" for term in found}
    assert "##vo" in found
    assert all(part.document.word for part in pieces.contributions if part.term in found)


@pytest.mark.slow
def test_every_hit_of_every_test_query_is_explained(
    scifact: list[Document], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """SciFact at full length: contributions sum to the score, and every term has a known origin."""
    encoder, path = Encoder.load(), tmp_path_factory.mktemp("all") / "i"
    queries = list(read_queries(collection_path("scifact")))
    with Index.create(path, encoder.space) as index:
        ingest(index, encoder, scifact)
        retriever, hits = SparseRetriever(index, encoder), 0
        for query in queries:
            for hit in retriever.search(query.text, 10):
                explanation = explain(retriever, query.text, hit.doc_id)
                assert explanation.score == hit.score
                total = sum(part.contribution for part in explanation.contributions)
                assert abs(total - hit.score) < 1e-9
                origins = {
                    side.origin
                    for part in explanation.contributions
                    for side in (part.query, part.document)
                }
                assert origins <= {Origin.TEXT, Origin.EXPANSION}
                hits += 1
    assert hits == 10 * len(queries) == 3000
