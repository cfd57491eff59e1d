"""Ingestion: its report, its commits, and the cost of an early end."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from index_toys import SPACE

from lexpand import Document, Encoder, Index, SparseVectors, ingest
from lexpand.collection import IngestReport, OnDuplicate
from lexpand.encode import Role
from lexpand.errors import ContractMismatch, DataError, IndexLocked, RowError, SourceError


class Spy:
    """Records encoded documents and commits, in order."""

    def __init__(self, encoder: Encoder, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
        self.encoded: list[str] = []
        self.events: list[int | str] = []
        encode, commit = encoder.encode, index.commit

        def recording_encode(documents: list[Document], *arguments: Any, **options: Any) -> Any:
            self.encoded.extend(document.doc_id for document in documents)
            self.events.append(len(documents))
            return encode(documents, *arguments, **options)

        def recording_commit() -> Any:
            before = len(index)
            found = commit()
            if len(index) > before:
                self.events.append("commit")
            return found

        monkeypatch.setattr(encoder, "encode", recording_encode)
        monkeypatch.setattr(index, "commit", recording_commit)


def short_documents(count: int, first: int = 0) -> list[Document]:
    return [
        Document(f"d{i}", f"note {i}", source=f"notes:{i}") for i in range(first, first + count)
    ]


@pytest.fixture
def index(tmp_path: Path, encoder: Encoder) -> Iterator[Index]:
    with Index.create(tmp_path / "i", encoder.space) as index:
        yield index


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Encoder, "at_once", 4)


def committed(index: Index) -> list[str]:
    """Return the ids that another reader finds, in order."""
    with Index.open(index.path) as reader:
        documents = reader.documents(range(len(reader)))
    return [documents[row].doc_id for row in sorted(documents)]


def test_the_report_counts_documents_and_tokens(index: Index, encoder: Encoder) -> None:
    first = [
        Document("a", "one"),
        Document("b", "two"),
        Document("long", "word " * 600),
        Document("void", " \n"),
    ]
    report = ingest(index, encoder, first)
    assert (report.added, report.unchanged, report.skipped, report.refused) == (4, 0, 0, [])
    assert (report.truncated, report.tokens, report.tokens_lost, report.empty) == (
        1,
        3 + 3 + 602,
        602 - 512,
        1,
    )
    assert report.encode_seconds > 0
    again = [Document("a", "one"), Document("b", "changed", source="b.txt:7"), Document("c", "new")]
    report = ingest(index, encoder, again)
    assert (report.added, report.unchanged, report.skipped, report.tokens) == (1, 1, 0, 3)
    (refused,) = report.refused
    assert isinstance(refused, RowError)
    assert (refused.place, refused.doc_id) == ("b.txt:7", "b")
    assert "taken by a document with different content" in refused.reason
    assert "with on_duplicate (--on-duplicate on the command line)" in refused.reason
    report = ingest(index, encoder, again, on_duplicate=OnDuplicate.SKIP)
    assert (report.added, report.unchanged, report.skipped, report.refused) == (0, 2, 1, [])
    assert committed(index) == ["a", "b", "long", "void", "c"]
    assert index.document("b").text == "two"


def test_documents_get_their_own_vectors(
    index: Index, encoder: Encoder, pages: list[Document]
) -> None:
    ingest(index, encoder, [pages[0], pages[0], *pages])
    for page in pages:
        (expected,) = encoder.encode_documents([page]).as_dicts()
        stored = index.vector(page.doc_id)
        assert stored.terms.tolist() == list(expected)
        assert stored.weights.tolist() == pytest.approx(list(expected.values()), abs=1e-3)


def test_duplicates_within_one_chunk_are_not_encoded(
    index: Index, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(encoder, index, monkeypatch)
    given = [Document("a", "one"), Document("a", "one"), Document("a", "two"), Document("b", "one")]
    report = ingest(index, encoder, given)
    assert (report.added, report.unchanged, [error.doc_id for error in report.refused]) == (
        2,
        1,
        ["a"],
    )
    assert report.refused[0].place == "documents"
    assert spy.encoded == ["a", "b"]
    assert index.document("a").text == "one"


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 9])
def test_documents_are_encoded_in_chunks(
    index: Index, encoder: Encoder, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    spy = Spy(encoder, index, monkeypatch)
    done: list[int] = []
    report = ingest(index, encoder, iter(short_documents(count)), on_done=done.append)
    chunks = [4] * (count // 4) + [count % 4] * (count % 4 > 0)
    assert sum(done) == count
    assert spy.events == [*chunks, "commit"][: None if count else 0]
    assert report.added == len(index) == count
    assert committed(index) == [f"d{i}" for i in range(count)]


@pytest.mark.usefixtures("small_chunks")
def test_commits_come_at_intervals(
    index: Index, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(encoder, index, monkeypatch)
    report = ingest(index, encoder, short_documents(18), commit_every=8)
    assert spy.events == [4, 4, "commit", 4, 4, "commit", 2, "commit"]
    assert (report.added, index.info().segments) == (18, 3)
    # Documents that are already in the index do not count for the interval.
    spy.events.clear()
    report = ingest(index, encoder, short_documents(26), commit_every=6)
    assert spy.events == [2, 4, "commit", 2, "commit"]
    assert (report.added, report.unchanged) == (8, 18)


@pytest.mark.usefixtures("small_chunks")
def test_no_document_is_encoded_twice(
    index: Index, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(encoder, index, monkeypatch)
    for given in (short_documents(10), short_documents(15), short_documents(15) * 2):
        ingest(index, encoder, given)
    assert spy.encoded == [f"d{i}" for i in range(15)]


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    "error", [SourceError("the file ends in the middle"), OSError("the disk fails")]
)
def test_a_failing_source_keeps_earlier_documents(
    index: Index, encoder: Encoder, error: Exception
) -> None:
    def source() -> Iterator[Document]:
        yield from short_documents(6)
        raise error

    with pytest.raises(type(error), match=str(error)):
        ingest(index, encoder, source())
    assert committed(index) == [f"d{i}" for i in range(6)]  # the unfinished chunk too
    assert ingest(index, encoder, short_documents(9)).added == 3


@pytest.mark.usefixtures("small_chunks")
def test_a_failing_encoder_keeps_earlier_chunks(
    index: Index, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = encoder.encode

    def failing(documents: list[Document], role: Role, **options: Any) -> Any:
        if documents[0].doc_id == "d8":
            raise MemoryError("too much")
        return encode(documents, role, **options)

    with monkeypatch.context() as patch, pytest.raises(MemoryError, match="too much"):
        patch.setattr(encoder, "encode", failing)
        ingest(index, encoder, short_documents(12))
    assert committed(index) == [f"d{i}" for i in range(8)]


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("where", ["source", "encoder", "progress"])
def test_an_interrupted_ingestion_is_resumed(
    index: Index, encoder: Encoder, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Ctrl-C loses the current chunk; the next call encodes only that chunk and later ones."""
    documents = short_documents(14)

    def interrupted() -> Iterator[Document]:
        for document in documents:
            if document.doc_id == "d9" and where == "source":
                signal.raise_signal(signal.SIGINT)
            yield document

    def interrupt_encoding(chunk: list[Document], role: Role, **options: Any) -> Any:
        if chunk[0].doc_id == "d8":
            signal.raise_signal(signal.SIGINT)
        return encode(chunk, role, **options)

    def interrupt_progress(_: int) -> None:
        if where == "progress" and index.waiting == 8:
            signal.raise_signal(signal.SIGINT)

    encode = encoder.encode
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if where == "encoder":
            patch.setattr(encoder, "encode", interrupt_encoding)
        ingest(index, encoder, interrupted(), on_done=interrupt_progress)
    assert committed(index) == [f"d{i}" for i in range(8)]
    spy = Spy(encoder, index, monkeypatch)
    report = ingest(index, encoder, documents)
    assert (report.added, report.unchanged) == (6, 8)
    assert spy.encoded == [f"d{i}" for i in range(8, 14)]
    assert committed(index) == [f"d{i}" for i in range(14)]


def test_another_model_is_refused_before_the_source_is_read(
    tmp_path: Path, encoder: Encoder
) -> None:
    read = []

    def source() -> Iterator[Document]:
        read.append("a document")
        yield Document("a", "one")

    with Index.create(tmp_path / "toys", SPACE) as index:
        with pytest.raises(
            ContractMismatch, match=r"holds vectors of toy \(0{12}\), not of splade-tiny"
        ):
            ingest(index, encoder, source())
        assert read == []


def test_an_index_with_another_writer_is_refused(index: Index, encoder: Encoder) -> None:
    with Index.open(index.path) as other:
        index.add([Document("a", "one")], SparseVectors.empty(1, len(index.space.vocabulary)))
        with pytest.raises(IndexLocked):
            ingest(other, encoder, short_documents(1))
    index.commit()
    assert committed(index) == ["a"]


def test_a_commit_interval_below_the_chunk_size_is_kept(
    index: Index, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interval is smaller than the number of documents that are encoded at a time."""
    spy = Spy(encoder, index, monkeypatch)
    ingest(index, encoder, short_documents(7), commit_every=3)
    assert spy.events == [3, "commit", 3, "commit", 1, "commit"]


def test_the_report_is_filled_during_the_work(index: Index, encoder: Encoder) -> None:
    def failing() -> Iterator[Document]:
        yield from [
            Document("a", "one"),
            Document("a", "two", source="here:2"),
            Document("b", "three"),
        ]
        raise DataError("the source ends here")

    report = IngestReport()
    with pytest.raises(DataError, match="ends here"):
        ingest(index, encoder, failing(), report=report)
    assert (report.added, [row.place for row in report.refused]) == (2, ["here:2"])
