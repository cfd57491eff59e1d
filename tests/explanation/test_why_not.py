"""Missing documents: each reason is tested by constructing it."""

from dataclasses import replace
from pathlib import Path

import pytest
from explain_cases import Collection

from lexpand import (
    Document,
    DocumentEncoding,
    Encoder,
    HybridRetriever,
    Index,
    QueryEncoding,
    SparseRetriever,
    SparseVectors,
    WordRetriever,
    ingest,
)
from lexpand.encode import Role
from lexpand.errors import DataError, UnknownDocument
from lexpand.explanation import Loss, LossKind, Origin, WhyNot, why_not


def losses(answer: WhyNot, kind: LossKind) -> dict[str, float]:
    return {loss.term: loss.gain for loss in answer.losses if loss.kind is kind}


def test_differences_sum_to_that_of_the_scores(collection: Collection) -> None:
    for retriever in (collection.sparse, collection.words):
        for query in collection.queries[:6]:
            ranking = [hit.doc_id for hit in retriever.search(query.text, 1000)]
            answer = why_not(retriever, query.text, ranking[-1])
            assert (answer.than.doc_id, answer.than_rank) == (ranking[0], 1)
            assert (answer.missing.doc_id, answer.missing_rank) == (ranking[-1], len(ranking))
            gap = answer.than.score - answer.missing.score
            assert sum(part.difference for part in answer.differences) == pytest.approx(
                gap, abs=1e-9
            )
            sizes = [abs(part.difference) for part in answer.differences]
            assert sizes == sorted(sizes, reverse=True)
            for part in answer.differences:
                sides = [side.contribution if side else 0.0 for side in (part.than, part.missing)]
                assert part.difference == sides[0] - sides[1]
                if part.missing is None:
                    assert part.reason.startswith("only the other has it")
                elif part.than is None:
                    assert part.reason.startswith("only this one has it")
                else:
                    assert part.reason.startswith(
                        f"weighs {part.than.document.weight:.2f} in the other"
                    )


def test_ranks_of_both_documents_are_exact(collection: Collection) -> None:
    query = collection.queries[0].text
    for retriever in (collection.sparse, collection.words, collection.sparse + collection.words):
        ranking = [hit.doc_id for hit in retriever.search(query, 1000)]
        assert len(ranking) > 110
        for rank in (1, 2, 101, len(ranking)):
            other = ranking[4]
            answer = why_not(retriever, query, ranking[rank - 1], other, k=3)
            assert (answer.missing_rank, answer.than_rank) == (rank, 5)
            among = "among" if rank <= 3 else "not among"
            assert answer.verdict == f"the document is at rank {rank}, {among} the best 3"
    best = why_not(collection.sparse, query, collection.sparse.search(query, 1)[0].doc_id, k=1)
    assert best.than_rank == 2


def test_the_parts_of_a_hybrid_sum_to_the_difference(collection: Collection) -> None:
    hybrid, query = 0.4 * collection.sparse + 0.6 * collection.words, collection.queries[1].text
    ranking = [hit.doc_id for hit in hybrid.search(query, 100)]
    answer = why_not(hybrid, query, ranking[50])
    assert answer.differences == ()
    assert {part.kind for part in answer.parts} == {"splade", "bm25"}
    gap = answer.than.score - answer.missing.score
    assert sum(part.difference for part in answer.parts) == pytest.approx(gap, abs=1e-9)
    for part in answer.parts:
        kinds = [inner for inner in answer.missing.parts if inner.kind == part.kind]
        assert part.missing == kinds[0].contribution
        assert part.differences


def test_terms_lost_to_pruning_are_reported(tmp_path: Path, pages: list[Document]) -> None:
    pruning = Encoder.load(documents=DocumentEncoding(pruning="top=8"))
    with Index.create(tmp_path / "i", pruning.space) as index:
        ingest(index, pruning, pages)
        whole = Encoder.load().trace(pages[3].full_text, Role.DOCUMENT).weights
        # The encoder of the retriever need not prune documents.
        for encoder in (pruning, Encoder.load()):
            query = "leave for two weeks asked of a manager"
            answer = why_not(SparseRetriever(index, encoder), query, "holiday")
            encoded = encoder.encode_queries([query]).as_dict(0)
            kept = set(index.vector("holiday").terms.tolist())
            term = encoder.vocabulary.term
            expected = {
                term(t): encoded[t] * w for t, w in whole.items() if t in encoded and t not in kept
            }
            assert losses(answer, LossKind.PRUNING) == pytest.approx(expected)
            assert len(expected) > 2
            assert not losses(answer, LossKind.TRUNCATION)
    assert "the document's weight" in answer.losses[0].detail


def test_a_lost_term_is_marked_in_the_differences(tmp_path: Path) -> None:
    encoder = Encoder.load(documents=DocumentEncoding(pruning="top=1"))
    documents = [
        Document("a", "The zebra sleeps and the printer burns."),
        Document("b", "printer printer"),
    ]
    with Index.create(tmp_path / "i", encoder.space) as index:
        ingest(index, encoder, documents)
        answer = why_not(SparseRetriever(index, encoder), "printer", "a")
    (printer,) = [part for part in answer.differences if part.term == "printer"]
    assert (printer.lost, printer.missing) == (LossKind.PRUNING, None)
    assert printer.reason == "only the other has it; lost to pruning"
    assert answer.verdict == "the document shares no term with the query"
    assert answer.missing_rank is None


def test_terms_lost_to_pruning_of_the_query_are_reported(small_index: Index) -> None:
    pruning, query = Encoder.load(queries=QueryEncoding(pruning="top=1")), "printer invoices crash"
    answer = why_not(SparseRetriever(small_index, pruning), query, "invoice")
    encoded = Encoder.load().encode_queries([query]).as_dict(0)
    (kept,) = pruning.encode_queries([query]).as_dict(0)
    vector = small_index.vector("invoice")
    stored = dict(zip(vector.terms.tolist(), vector.weights.tolist(), strict=True))
    term = pruning.vocabulary.term
    expected = {term(t): encoded[t] * w for t, w in stored.items() if t in encoded and t != kept}
    assert losses(answer, LossKind.QUERY_PRUNING) == pytest.approx(expected)
    assert expected


def test_terms_lost_to_truncation_are_reported(tmp_path: Path) -> None:
    """Unread words are found anywhere in the text, and words that were read are not lost."""
    encoder = Encoder.load(documents=DocumentEncoding(max_tokens=32))
    filler = "Nothing of interest stands on this page. " * 30
    documents = [
        Document("late", f"{filler} The volcano erupted. {filler}", "A report"),
        Document("early", "The volcano erupted. " + filler, "A report"),
        Document("short", "The volcano erupted.", "A report"),
    ]
    with Index.create(tmp_path / "i", encoder.space) as index:
        ingest(index, encoder, documents)
        retriever = SparseRetriever(index, encoder)
        late = why_not(retriever, "volcano", "late")
        assert losses(late, LossKind.TRUNCATION)["volcano"] > 2
        assert late.losses[0].kind is LossKind.TRUNCATION
        assert "in the unread text, 0.00 in the text that was read" in late.losses[0].detail
        assert any("tokens, of which the model reads 32" in note for note in late.missing.notes)
        assert [part.lost for part in late.differences if part.term == "volcano"] == [
            LossKind.TRUNCATION
        ]
        assert "volcano" not in losses(why_not(retriever, "volcano", "early"), LossKind.TRUNCATION)
        assert not losses(why_not(retriever, "volcano", "short"), LossKind.TRUNCATION)


def test_the_gain_of_truncated_terms_is_that_of_the_unread_passages(tmp_path: Path) -> None:
    encoder = Encoder.load(documents=DocumentEncoding(max_tokens=24))
    query = "a volcano on a page of interest"
    text = (
        "Pages of interest about a volcano. "
        + "Nothing of interest stands on this page. " * 9
        + "The volcano erupted."
    )
    with Index.create(tmp_path / "i", encoder.space) as index:
        ingest(index, encoder, [Document("d", text, "Volcano")])
        answer = why_not(SparseRetriever(index, encoder), query, "d")
    read = encoder.trace(f"Volcano {text}", Role.DOCUMENT)
    rest = Document("rest", f"Volcano {text}"[read.tokens[-2].end :])
    passages = list(
        encoder.encode_documents([chunk.text for chunk in encoder.passages(rest)]).as_dicts()
    )
    assert len(passages) > 2
    term, expected = encoder.vocabulary.term, {}
    for t, weight in encoder.encode_queries([query]).as_dict(0).items():
        more = max(passage.get(t, 0.0) for passage in passages) - read.weights.get(t, 0.0)
        if more > 0:
            expected[term(t)] = weight * more
    assert losses(answer, LossKind.TRUNCATION) == pytest.approx(expected)
    # Some of the terms were also read, with less weight.
    assert any(read.weights.get(encoder.vocabulary.id(name)) for name in expected)


def test_a_loss_to_quantization_is_reported(small_index: Index, encoder: Encoder) -> None:
    """The reported loss is the difference to the score of unrounded weights."""
    retriever, query = SparseRetriever(small_index, encoder), "printer crashes"
    answer = why_not(retriever, query, "printer")
    encoded = encoder.encode_queries([query]).as_dict(0)
    unrounded = encoder.encode_documents([small_index.document("printer")]).as_dict(0)
    exact = sum(weight * unrounded.get(term, 0.0) for term, weight in encoded.items())
    ((_, gain),) = losses(answer, LossKind.QUANTIZATION).items()
    assert gain == pytest.approx(exact - answer.missing.score, abs=1e-9)
    assert 0 < abs(gain) < 1e-3


def test_a_foreign_vector_has_no_loss_to_pruning_or_quantization(
    tmp_path: Path, encoder: Encoder
) -> None:
    """The vector is foreign: one weight is 1 % larger, and one term is missing."""
    document = Document("d", "The printer burns and the zebra sleeps.")
    (vector,) = encoder.encode_documents([document]).as_dicts()
    printer, zebra = (encoder.vocabulary.id(word) for word in ("printer", "zebra"))
    assert {printer, zebra} <= set(vector)
    for other in (vector[printer], vector[printer] * 1.01):
        changed = {term: weight for term, weight in vector.items() if term != zebra} | {
            printer: other
        }
        with Index.create(tmp_path / f"{other}", encoder.space) as index:
            index.add([document], SparseVectors.from_rows([changed], len(encoder.vocabulary)))
            index.commit()
            answer = why_not(SparseRetriever(index, encoder), "zebra, printer, burns", "d")
        same = other == vector[printer]
        assert bool(losses(answer, LossKind.PRUNING)) == same
        assert bool(losses(answer, LossKind.QUANTIZATION)) == same
        origins = {part.term: part.document.origin for part in answer.missing.contributions}
        assert origins.pop("printer") is (Origin.TEXT if same else Origin.UNKNOWN)
        assert len(origins) > 3 and Origin.UNKNOWN not in origins.values()


def test_documents_lost_to_effort_are_reported(collection: Collection) -> None:
    approximate = SparseRetriever(collection.index, collection.encoder, effort=0.02)
    found = 0
    for query in collection.queries:
        exact = [hit.doc_id for hit in collection.sparse.search(query.text, 12)]
        fast = {hit.doc_id for hit in approximate.search(query.text, 10)}
        for rank, doc_id in enumerate(exact, 1):
            answer = why_not(approximate, query.text, doc_id)
            lost = losses(answer, LossKind.EFFORT)
            assert bool(lost) == (rank <= 10 and doc_id not in fast)
            found += bool(lost)
            if lost:
                assert f"at rank {rank}; effort 0.02 missed it" in answer.verdict
                assert not losses(why_not(collection.sparse, query.text, doc_id), LossKind.EFFORT)
                hybrid = HybridRetriever([approximate, collection.words], depth=10)
                of_hybrid = why_not(hybrid, query.text, doc_id)
                assert losses(of_hybrid, LossKind.EFFORT)
                assert "effort" not in of_hybrid.verdict
        if found > 3:
            return
    pytest.fail("no effort was small enough to lose anything")


def test_a_document_lost_to_a_filter_is_reported(small_index: Index, encoder: Encoder) -> None:
    retriever = SparseRetriever(small_index, encoder)
    answer = why_not(retriever, "printer", "printer", filter={"team": "finance"})
    assert answer.missing_rank is None
    verdict = "the filter excludes the document; without the filter it is at rank 1"
    assert answer.verdict == verdict
    assert list(losses(answer, LossKind.FILTER)) == [""]
    let_through = why_not(retriever, "invoice", "invoice", filter={"team": "finance"})
    assert (let_through.missing_rank, let_through.than) == (1, None)
    assert not losses(let_through, LossKind.FILTER)


def test_an_invalid_k_is_refused(small_index: Index, encoder: Encoder) -> None:
    with pytest.raises(DataError, match="k must be >= 1, got 0"):
        why_not(SparseRetriever(small_index, encoder), "printer", "printer", k=0)


def test_unknown_and_deleted_documents_are_refused(small_index: Index, encoder: Encoder) -> None:
    retriever = SparseRetriever(small_index, encoder)
    for arguments in (("absent",), ("printer", "absent")):
        with pytest.raises(UnknownDocument, match="has no document 'absent'"):
            why_not(retriever, "printer", *arguments)
    small_index.delete(["printer"])
    small_index.commit()
    with pytest.raises(UnknownDocument, match="has no document 'printer'"):
        why_not(retriever, "printer", "printer")


def test_bm25_has_no_losses(collection: Collection) -> None:
    answer = why_not(collection.words, collection.queries[0].text, collection.documents[0].doc_id)
    assert answer.losses == ()


def test_k_must_be_an_integer(collection: Collection) -> None:
    retriever = WordRetriever(collection.index)
    with pytest.raises(DataError, match="k must be an integer >= 1, got '3'"):
        why_not(retriever, "x", collection.documents[0].doc_id, k="3")  # type: ignore[arg-type]


def test_a_negligible_loss_to_quantization_is_not_printed(
    small_index: Index, encoder: Encoder
) -> None:
    answer = why_not(SparseRetriever(small_index, encoder), "printer crashes", "printer")
    assert losses(answer, LossKind.QUANTIZATION)
    assert "quantization" not in str(answer) + answer.to_html()
    large = Loss(LossKind.QUANTIZATION, "", "", answer.missing.score / 2, "the total over all")
    assert "lost to quantization" in str(replace(answer, losses=(large,)))
