"""The progress of encoding documents in chunks, and the totals of progress bars."""

from pathlib import Path

import pytest

from lexpand import Document, DocumentEncoding, Encoder
from lexpand.cli import ingesting
from lexpand.data import LongDocuments


@pytest.mark.parametrize("chunks", ["passages", "max"])
def test_progress_is_reported_in_documents_while_chunks_are_encoded(chunks: str) -> None:
    encoder = Encoder.load(
        documents=DocumentEncoding(32, long=LongDocuments("chunk", chunks)),  # type: ignore[arg-type]
        threads=1,
    )
    documents = [Document(f"d{i}", "one sentence of the long document. " * 60) for i in range(20)]
    reported: list[int] = []
    found = encoder.encode_long(documents, on_done=reported.append)
    assert sum(reported) == len(found.documents) == 20
    assert len(reported) > 3
    assert all(count > 0 for count in reported)


def test_no_documents_are_reported_for_an_empty_list(encoder: Encoder) -> None:
    reported: list[int] = []
    chunking = Encoder.load(documents=DocumentEncoding(long="chunk"))  # type: ignore[arg-type]
    chunking.encode_long([], on_done=reported.append)
    assert sum(reported) == 0


def test_a_total_is_known_for_sources_that_are_cheap_to_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingesting, "is_watched", lambda: True)
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in ("a.md", "b.txt", "c.bin"):
        (folder / name).write_text("text")
    beir = tmp_path / "beir"
    beir.mkdir()
    (beir / "corpus.jsonl").write_text("{}\n\n{}\n")
    for name in ("a.csv", "a.tsv"):
        (tmp_path / name).write_text("id,text\n1,a\n2,b\n")
    (tmp_path / "a.json").write_text("[]")
    files = [tmp_path / name for name in ("a.csv", "a.tsv", "a.json")]
    paths = [folder, beir, *files, Path("-")]
    totals = {path.name: ingesting.total_of(path) for path in paths}
    assert totals == {"docs": 2, "beir": 2, "a.csv": 2, "a.tsv": 2, "a.json": None, "-": None}
