"""Progress while documents in chunks are encoded: told as batches finish, a document each at last."""

from pathlib import Path

import pytest

from lexpand import Document, DocumentEncoding, Encoder
from lexpand.cli import ingesting
from lexpand.data import LongDocuments


@pytest.mark.parametrize("chunks", ["passages", "max"])
def test_documents_are_told_as_their_chunks_are_encoded(chunks: str) -> None:
    encoder = Encoder.load(
        documents=DocumentEncoding(32, long=LongDocuments("chunk", chunks)),  # type: ignore[arg-type]
        threads=1,
    )
    documents = [Document(f"d{i}", "one sentence of the long document. " * 60) for i in range(20)]
    told: list[int] = []
    found = encoder.encode_long(documents, on_done=told.append)
    assert sum(told) == len(found.documents) == 20
    assert len(told) > 3
    assert all(count > 0 for count in told)


def test_no_documents(encoder: Encoder) -> None:
    told: list[int] = []
    Encoder.load(documents=DocumentEncoding(long="chunk")).encode_long([], on_done=told.append)  # type: ignore[arg-type]
    assert sum(told) == 0


def test_totals_that_are_cheap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    totals = {
        path.name: ingesting.total_of(path)
        for path in (
            folder,
            beir,
            tmp_path / "a.csv",
            tmp_path / "a.tsv",
            tmp_path / "a.json",
            Path("-"),
        )
    }
    assert totals == {"docs": 2, "beir": 2, "a.csv": 2, "a.tsv": 2, "a.json": None, "-": None}
