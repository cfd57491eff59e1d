"""Bulk encoding in this process: shards, resumption, bad rows, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lexpand
from lexpand import Encoder
from lexpand.data import Fields
from lexpand.engines import BulkJob, Shard, encode_shards
from lexpand.errors import DataError, SourceError, StorageError
from lexpand.index.exchange import import_vectors, read_vectors

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("fsspec")


def write(path: Path, rows: list[dict], group: int = 4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=group)


def pages(first: int, count: int) -> list[dict]:
    words = ["reset my login", "printer paper jam", "wireless access for guests", "expense claim"]
    return [
        {"id": f"d{i}", "title": f"Page {i}", "text": f"{words[i % 4]} {i}", "year": 2000 + i}
        for i in range(first, first + count)
    ]


@pytest.fixture
def job(tmp_path: Path) -> BulkJob:
    """Ten and six rows in two files, in shards of eight rows or more."""
    write(tmp_path / "pages" / "a.parquet", pages(0, 10))
    write(tmp_path / "pages" / "more" / "b.parquet", pages(10, 6))
    write(tmp_path / "pages" / "_scratch.parquet", pages(50, 1))
    return BulkJob(str(tmp_path / "pages"), str(tmp_path / "out"), shard_rows=8)


def test_shards_are_whole_row_groups(job: BulkJob) -> None:
    shards = job.shards()
    assert [(each.groups, each.first_row, each.rows) for each in shards] == [
        ((0, 2), 0, 8),
        ((2, 3), 8, 2),
        ((0, 2), 0, 6),
    ]
    assert [each.part for each in shards][2] == "part-000002.parquet"
    assert shards[2].path.endswith("/more/b.parquet")


def test_parts_are_imported_like_one_file(job: BulkJob, tmp_path: Path, encoder: Encoder) -> None:
    reports = list(encode_shards(job, job.prepare(), "here"))
    assert [(each.number, each.documents, each.refused) for each in reports] == [
        (0, 8, 0),
        (1, 2, 0),
        (2, 6, 0),
    ]
    report = import_vectors(tmp_path / "pages.index", job.target)
    assert (report.added, report.refused) == (16, [])
    with lexpand.open(tmp_path / "pages.index") as kb:
        assert kb.get("d15").metadata == {"year": 2015} and kb.get("d15").title == ""
        for row in pages(0, 16):
            stored = kb.index.vector(row["id"])
            weights = dict(zip(stored.terms.tolist(), stored.weights.tolist(), strict=True))
            (own,) = encoder.encode_documents([f"{row['title']} {row['text']}"]).as_dicts()
            assert weights.keys() == own.keys()
            np.testing.assert_allclose(
                list(weights.values()), [own[term] for term in weights], atol=1e-3
            )
        assert kb.search("reset my login", 1, pipeline="splade")[0].doc_id in {"d0", "d4", "d8"}


def test_a_job_goes_on_where_it_stopped_and_gives_the_same_bytes(job: BulkJob) -> None:
    list(encode_shards(job, job.prepare(), "here"))
    parts = {path.name: path.read_bytes() for path in Path(job.target).glob("part-*")}
    assert len(parts) == 3 and job.prepare() == []
    (Path(job.target) / "part-000001.parquet").unlink()
    (Path(job.target) / "part-000009.parquet.1f.partial").write_bytes(b"half")
    missing = job.prepare()
    assert [each.number for each in missing] == [1]
    list(encode_shards(job, missing, "here"))
    again = {path.name: path.read_bytes() for path in Path(job.target).glob("part-*.parquet")}
    assert again == parts


def test_a_repeated_shard_is_one_file(job: BulkJob) -> None:
    """As when a worker dies after its write and before its report."""
    shards = job.prepare()
    list(encode_shards(job, [*shards, *shards], "here"))
    ids = [
        each
        for path in sorted(Path(job.target).glob("*.parquet"))
        for each in read_vectors(path).ids
    ]
    assert ids == [f"d{i}" for i in range(16)]


def test_bad_rows_are_listed_and_the_others_encoded(tmp_path: Path) -> None:
    rows = [*pages(0, 3), {"id": None, "text": "no id"}, {"id": "empty", "text": None}]
    rows.append({"id": "d1", "text": "a repeated id"})
    write(tmp_path / "rows.parquet", rows, group=10)
    job = BulkJob(str(tmp_path / "rows.parquet"), str(tmp_path / "out"))
    (report,) = encode_shards(job, job.prepare(), "here")
    assert (report.documents, report.refused) == (3, 3)
    assert all("rows.parquet, rows from 0: " in each for each in report.listed)
    assert any("d1" in each for each in report.listed)
    assert job.prepare() == [] and job.refused() == (3, list(report.listed))


def test_a_shard_without_a_valid_row_stops_nothing(tmp_path: Path) -> None:
    rows = [{"id": "bad", "text": None}, {"id": "good", "text": "printer"}]
    write(tmp_path / "rows.parquet", rows, group=1)
    job = BulkJob(str(tmp_path / "rows.parquet"), str(tmp_path / "out"), shard_rows=1)
    list(encode_shards(job, job.prepare(), "here"))
    assert import_vectors(tmp_path / "pages.index", job.target).added == 1


def test_an_unfinished_job_is_not_imported(job: BulkJob, tmp_path: Path) -> None:
    list(encode_shards(job, job.prepare()[:2], "here"))
    assert [each.number for each in job.missing()] == [2]
    with pytest.raises(SourceError, match="has 2 of 3 parts: run the same `lexpand encode --on`"):
        import_vectors(tmp_path / "pages.index", job.target)


def test_paths_are_absolute_for_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    job = BulkJob("pages/", "out")
    assert (job.source, job.target) == (str(tmp_path / "pages"), str(tmp_path / "out"))
    assert BulkJob("s3://bucket/x/", "memory://y").source == "s3://bucket/x"


def test_a_store_without_folders_is_prepared(job: BulkJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """As S3, where a prefix does not exist before its first object."""
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    own = type(memory).ls

    def ls(self: object, path: str, **options: object) -> list:
        found = own(self, path, **options)
        if not found:
            raise FileNotFoundError(path)
        return found

    monkeypatch.setattr(type(memory), "ls", ls)
    other = replace(job, target="memory://fresh/vectors")
    assert len(list(encode_shards(other, other.prepare(), "here"))) == 3
    assert other.missing() == []


def test_columns_can_be_named(tmp_path: Path) -> None:
    write(tmp_path / "rows.parquet", [{"key": 7, "body": "reset my login", "text": "other"}])
    fields = Fields(doc_id="key", text="body")
    job = BulkJob(str(tmp_path / "rows.parquet"), str(tmp_path / "out"), fields=fields)
    list(encode_shards(job, job.prepare(), "here"))
    assert read_vectors(tmp_path / "out" / "part-000000.parquet").ids == ["7"]


def test_stores_of_fsspec_are_read_and_written(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    write(tmp_path / "a.parquet", pages(0, 3))
    memory.pipe_file("/bucket/pages/a.parquet", (tmp_path / "a.parquet").read_bytes())
    job = BulkJob("memory://bucket/pages", "memory://bucket/out")
    (report,) = encode_shards(job, job.prepare(), "here")
    assert report.documents == 3 and job.prepare() == []
    names = {path.rpartition("/")[2] for path in memory.ls("/bucket/out", detail=False)}
    assert names == {"_job.json", "part-000000.parquet"}
    with pytest.raises(SourceError, match="nosuch://x cannot be opened"):
        BulkJob("nosuch://x", "memory://y").prepare()


def test_another_job_and_other_files_are_not_overwritten(job: BulkJob, tmp_path: Path) -> None:
    list(encode_shards(job, job.prepare(), "here"))
    with pytest.raises(DataError, match=r"has the parts of another job \(shards: 3, not 2"):
        replace(job, shard_rows=100).prepare()
    with pytest.raises(DataError, match=r"has the parts of another job \(encoding: "):
        replace(job, encoding={"max_tokens": 16}).prepare()
    write(tmp_path / "pages" / "c.parquet", pages(90, 1))
    with pytest.raises(DataError, match="shards: 3, not 4"):
        replace(job).prepare()
    (tmp_path / "pages" / "c.parquet").unlink()
    write(tmp_path / "pages" / "a.parquet", pages(20, 10))  # other texts, as many rows
    with pytest.raises(DataError, match="a file of the source has another size or time than then"):
        replace(job).prepare()
    (Path(job.target) / "_job.json").write_text("{half")
    with pytest.raises(StorageError, match=r"_job\.json is damaged"):
        replace(job).prepare()
    other = tmp_path / "mine"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"must be empty, and has notes\.txt"):
        BulkJob(str(tmp_path / "pages"), str(other)).prepare()
    assert sorted(path.name for path in other.iterdir()) == ["notes.txt"]


def test_sources_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(SourceError, match="must be a Parquet file or a folder of them"):
        BulkJob(str(tmp_path / "none"), str(tmp_path / "out")).prepare()
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(SourceError, match=r"bad\.parquet is not a Parquet file, or is damaged"):
        BulkJob(str(tmp_path / "bad.parquet"), str(tmp_path / "out")).prepare()
    with pytest.raises(SourceError, match="cannot be read"):
        BulkJob("x", "y").encode(Shard(0, str(tmp_path / "bad.parquet"), (0, 1), 0, 1))
