"""Documents longer than the model reads: chunks, their maximum, refusals, truncation reports."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand import (
    Document,
    DocumentEncoding,
    Encoder,
    Index,
    SparseVectors,
    ingest,
    open_retriever,
)
from lexpand.collection import IngestReport
from lexpand.data import Chunks, Long, LongDocuments, Pruning
from lexpand.encode.chunking import Chunk, Chunker
from lexpand.encode.long_documents import maximum
from lexpand.errors import DataError, ModelError, RowError
from lexpand.explanation import Origin, explain


def chunks_of(encoder: Encoder, document: Document, length: int, overlap: int = 0) -> list[Chunk]:
    return list(Chunker(encoder._tokens, length, overlap).chunks(document))


def ids_of(encoder: Encoder, text: str) -> list[int]:
    return encoder._tokens.own_ids([text], 10**9)[0]


WORDS = st.sampled_from(
    ["heart", "disease.", "Überraschend", "3.14", "(a)", "\n", "Why?", "東京。", "\u00a0", "…"]
)
TITLES = st.sampled_from(["", "A title", "long title " * 9])


@given(
    st.lists(WORDS, min_size=1, max_size=120).map(" ".join),
    TITLES,
    st.integers(18, 40),
    st.integers(0, 10),
)
def test_chunks_cover_the_tokens_of_the_document(
    encoder: Encoder, text: str, title: str, length: int, overlap: int
) -> None:
    document = Document("d", text, title)
    full, ids, covered = document.full_text, list[int](), 0
    for chunk in chunks_of(encoder, document, length, min(overlap, length // 4)):
        ids += ids_of(encoder, full[max(chunk.start, covered) : chunk.end])  # without the overlap
        covered = chunk.end
    assert ids == ids_of(encoder, full)


@given(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=400),
    TITLES,
    st.integers(8, 40),
    st.integers(0, 2),
)
def test_chunks_are_read_to_the_end(
    encoder: Encoder, text: str, title: str, length: int, overlap: int
) -> None:
    document = Document("d", text, title)
    found = chunks_of(encoder, document, length, overlap)
    counts = encoder._tokens.tokenize([chunk.text for chunk in found], length)
    assert [count.lost for count in counts] == [0] * len(found)
    spans = [(chunk.start, chunk.end) for chunk in found]
    assert spans == sorted(spans)
    covered = np.zeros(len(document.full_text), np.bool_)
    for start, end in spans:
        covered[start:end] = True
    starts, ends, _ = encoder._tokens.offsets(document.full_text)
    assert all(covered[start:end].all() for start, end in zip(starts, ends, strict=True))


SENTENCES = (
    "One two three four five. Six seven eight nine ten. Eleven twelve thirteen fourteen fifteen."
)


def test_a_chunk_ends_with_a_sentence(encoder: Encoder) -> None:
    found = chunks_of(encoder, Document("d", SENTENCES), 15)
    assert [chunk.text for chunk in found] == [
        "One two three four five. Six seven eight nine ten.",
        "Eleven twelve thirteen fourteen fifteen.",
    ]
    spans = [SENTENCES[chunk.start : chunk.end] for chunk in found]
    assert spans == [chunk.text for chunk in found]


def test_a_chunk_without_a_sentence_end_ends_between_two_words(encoder: Encoder) -> None:
    plain = SENTENCES.replace(".", "")
    found = chunks_of(encoder, Document("d", plain.replace("eight", "unbelievably")), 12)
    first = found[0].text.split()
    assert first == plain.split()[: len(first)]
    assert all(
        chunk.text.split()[0] in SENTENCES or chunk.text.startswith("unbelievably")
        for chunk in found
    )


def test_neighboring_chunks_overlap(encoder: Encoder) -> None:
    found = chunks_of(encoder, Document("d", "word " * 100), 22, overlap=5)
    assert [len(chunk.text.split()) for chunk in found[:3]] == [20, 20, 20]
    assert found[1].start == 15 * len("word ")


def test_every_chunk_begins_with_the_title(encoder: Encoder) -> None:
    document = Document("d", SENTENCES, "Numbers")
    found = chunks_of(encoder, document, 16)
    assert len(found) == 2
    assert all(chunk.text.startswith("Numbers ") for chunk in found)
    assert document.full_text[: found[0].end] == found[0].text
    assert "Numbers " + document.full_text[found[1].start : found[1].end] == found[1].text
    with_long_title = chunks_of(encoder, Document("d", SENTENCES, "title " * 9), 16)
    assert not with_long_title[1].text.startswith("title")


def test_a_word_longer_than_a_chunk_is_split(encoder: Encoder) -> None:
    found = chunks_of(encoder, Document("d", "0." * 60), 10)
    assert "".join(chunk.text for chunk in found) == "0." * 60


@given(
    st.lists(
        st.lists(
            st.dictionaries(st.integers(0, 9), st.floats(0, 9, width=32), max_size=5), min_size=1
        ),
        max_size=5,
    )
)
def test_the_maximum_keeps_the_largest_weight_of_each_term(
    groups: list[list[dict[int, float]]],
) -> None:
    expected = [
        {term: max(row[term] for row in rows if term in row) for term in sorted(set().union(*rows))}
        for rows in groups
    ]
    vectors = SparseVectors.from_rows([row for rows in groups for row in rows], 10)
    assert maximum(vectors, [len(rows) for rows in groups]) == SparseVectors.from_rows(expected, 10)


LONG_TEXT = " ".join(
    ["We speak of invoices and of taxes."] * 20
    + ["The printer is broken."]
    + ["Nothing here."] * 60
)
DOCUMENTS = [
    Document("short", "A note on the heart.", "Note"),
    Document("long", LONG_TEXT, "Office", {"team": "a"}, source="d.jsonl:2"),
    Document("void", " "),
]


def test_each_chunk_becomes_a_passage(encoder: Encoder) -> None:
    chunking = Encoder.load(
        documents=DocumentEncoding(max_tokens=64, long=LongDocuments(Long.CHUNK, overlap=8))
    )
    found = chunking.encode_long(DOCUMENTS)
    assert found.spans is not None
    assert [len(spans) for spans in found.spans] == [1, len(found.vectors) - 2, 1]
    assert found.spans[0] == [(0, len(DOCUMENTS[0].full_text))]
    assert len(found.spans[1]) > 5
    assert found.tokens_lost.tolist() == [0, 0, 0]
    assert found.tokens[1] == len(ids_of(encoder, DOCUMENTS[1].full_text)) + 2


def test_chunks_are_merged_into_one_vector() -> None:
    passages = Encoder.load(
        documents=DocumentEncoding(max_tokens=64, long=LongDocuments(Long.CHUNK))
    ).encode_long(DOCUMENTS)
    rules = Pruning(top=30)
    one = Encoder.load(
        documents=DocumentEncoding(max_tokens=64, long=LongDocuments(Long.CHUNK, Chunks.MAX))
    ).encode_long(DOCUMENTS)
    pruned = Encoder.load(
        documents=DocumentEncoding(
            max_tokens=64, long=LongDocuments(Long.CHUNK, Chunks.MAX), pruning=rules
        )
    )
    assert passages.spans is not None
    assert one.spans is None
    assert one.vectors == maximum(passages.vectors, [len(spans) for spans in passages.spans])
    assert pruned.encode_long(DOCUMENTS).vectors == rules.apply(one.vectors)


def test_refused_documents_are_reported_and_the_others_are_indexed(tmp_path: Path) -> None:
    encoder = Encoder.load(
        documents=DocumentEncoding(max_tokens=64, long=LongDocuments(Long.REFUSE))
    )
    with Index.create(tmp_path / "i", encoder.space) as index:
        report = ingest(index, encoder, DOCUMENTS)
        assert (report.added, report.truncated, report.empty) == (2, 0, 1)
        assert len(index) == 2
    (refused,) = report.refused
    assert isinstance(refused, RowError)
    assert (refused.place, refused.doc_id) == ("d.jsonl:2", "long")
    assert "must have at most 64 tokens, got " in refused.reason


def test_the_report_has_the_documents_that_lost_most_tokens(tmp_path: Path) -> None:
    encoder = Encoder.load(documents=DocumentEncoding(max_tokens=16))
    documents = [Document(f"d{n}", "word " * n) for n in (5, 20, 30, 90, 40, 50, 60)]
    with Index.create(tmp_path / "i", encoder.space) as index:
        report = ingest(index, encoder, documents, report=IngestReport())
    assert (report.truncated, report.tokens, report.tokens_lost) == (6, 295 + 14, 290 - 14 * 6)
    assert report.most_cut == [(76, "d90"), (46, "d60"), (36, "d50"), (26, "d40"), (16, "d30")]


@pytest.mark.parametrize("chunks", list(Chunks))
def test_a_search_over_chunks_returns_documents(tmp_path: Path, chunks: Chunks) -> None:
    encoder = Encoder.load(
        documents=DocumentEncoding(max_tokens=64, long=LongDocuments(Long.CHUNK, chunks))
    )
    others = [
        Document(f"o{i}", f"Printers and invoices, page {i}.", metadata={"team": "b"})
        for i in range(4)
    ]
    with Index.create(tmp_path / "i", encoder.space) as index:
        report = ingest(index, encoder, [*DOCUMENTS, *others])
        assert (report.passages > report.added == 7) == (chunks is Chunks.PASSAGES)
    with open_retriever(tmp_path / "i") as retriever:
        assert retriever.index.space.encoding == encoder.space.encoding
        hits = retriever.search("broken printer", 5)
        assert len({hit.doc_id for hit in hits}) == len(hits) == 5
        (hit,) = retriever.search("broken printer", 1, filter={"team": "a"})
        assert (hit.doc_id, "The printer is broken." in hit.snippet) == ("long", True)
        assert len(retriever.search("broken printer", 2, group_by="team")) == 2
        for found in hits:
            assert explain(retriever, "broken printer", found.doc_id).score == found.score
        parts = explain(retriever, "broken printer", "long").contributions
        words = {
            part.term: part.document.word for part in parts if part.document.origin is Origin.TEXT
        }
        assert words["printer"] == "printer"
        assert len(retriever.search("broken printer", 4, filter={"team": "b"})) == 4


def test_a_text_of_a_million_tokens_is_split_in_reasonable_time() -> None:
    """The chunks are not encoded, which would take minutes."""
    encoder = Encoder.load()
    text = "word " * 1_000_000
    start = time.perf_counter()
    count = sum(1 for _ in Chunker(encoder._tokens, 512, 0).chunks(Document("d", text)))
    assert count == -(-1_000_000 // 510)
    assert time.perf_counter() - start < 120
    assert encoder.encode_long([Document("d", text)]).tokens_lost.tolist() == [1_000_002 - 512]


@pytest.mark.parametrize(
    "values", [{"policy": "cut"}, {"chunks": "mean"}, {"overlap": -1}, {"overlap": 2.5}]
)
def test_an_invalid_policy_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(DataError, match="long documents"):
        LongDocuments(**values)  # type: ignore[arg-type]


def test_a_too_large_overlap_is_refused() -> None:
    with pytest.raises(DataError, match="overlap must be <= 16 tokens for chunks of 64, got 17"):
        Encoder.load(
            documents=DocumentEncoding(max_tokens=64, long=LongDocuments(Long.CHUNK, overlap=17))
        )
    with pytest.raises(ModelError):
        Encoder.load(documents=DocumentEncoding(max_tokens=2, long=LongDocuments(Long.CHUNK)))


def test_settings_survive_json() -> None:
    for long in (LongDocuments(Long.CHUNK, Chunks.MAX, 7), LongDocuments()):
        documents = DocumentEncoding(long=long)
        recorded = json.loads(json.dumps(documents.to_dict()))
        assert ("long" in recorded) == (long != LongDocuments())
        assert DocumentEncoding.from_dict(recorded) == documents
    assert np.all(Encoder.load().encode_long(DOCUMENTS).tokens > 0) is np.False_
