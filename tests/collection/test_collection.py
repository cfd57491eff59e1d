"""Collections: create, fill, search, synchronize and open them."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import lexpand
from lexpand import Collection, Document, Encoder, Fields, Index
from lexpand.encode import VectorCache
from lexpand.errors import (
    DataError,
    FilterError,
    IndexStateError,
    LexpandWarning,
    NotAnIndex,
    SourceError,
    StorageError,
    UnknownDocument,
)
from lexpand.search import Note, Reason
from lexpand.search.pipeline import NAMED

LEAVE, INVOICE = "Ask your manager two weeks ahead.", "Invoices go out on the first."


@pytest.fixture(scope="module", autouse=True)
def _load_the_model_once(encoder: Encoder) -> Iterator[None]:
    load = Encoder.load

    def loaded(model: str = "default", **settings: object) -> Encoder:
        plain = all(settings.get(name) in (None, default) for name, default in PLAIN.items())
        return encoder if plain else load(model, **settings)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Encoder, "load", loaded)
        yield


PLAIN = {
    "documents": lexpand.DocumentEncoding(),
    "queries": lexpand.QueryEncoding(),
    "rules": None,
    "device": None,
}


@pytest.fixture
def kb(tmp_path: Path) -> Iterator[Collection]:
    with lexpand.create(tmp_path / "kb.index", [LEAVE, INVOICE]) as collection:
        yield collection


def test_the_example_of_the_readme_works(tmp_path: Path) -> None:
    kb = lexpand.create(tmp_path / "kb.index", [LEAVE, INVOICE])
    hits = kb.search("when can I take a holiday?", k=3)
    assert hits[0].text == LEAVE
    assert hits[0].title == ""
    assert hits[0].score > hits[-1].score > 0
    assert kb.explain("holiday", hits[0].doc_id).score > 0
    kb.close()
    with lexpand.open(tmp_path / "kb.index") as again:
        assert again.search("when can I take a holiday?", k=3) == hits


def test_missing_ids_are_hashes_of_the_content(kb: Collection) -> None:
    before = kb.index.commit_info
    report = kb.add([LEAVE])
    assert (report.added, report.unchanged, len(kb)) == (0, 1, 2)
    assert kb.index.commit_info == before
    assert {len(doc_id) for doc_id in kb.index.doc_ids()} == {32}


def test_texts_rows_documents_and_files_can_be_added(kb: Collection, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("key;body\nr1;Printers are on the second floor.\n", encoding="utf-8")
    rows = {"id": "row", "text": "A row.", "team": "finance"}
    assert kb.add([rows, Document("doc", "A document."), "A text."]).added == 3
    assert kb.add(iter(["Another text."])).added == 1
    assert kb.add(table, fields=Fields(doc_id="key", text="body")).added == 1
    assert kb.get("row").metadata == {"team": "finance"}
    assert kb.get("r1").text == "Printers are on the second floor."
    report = kb.add(["good", 7, {"title": "no text"}])
    assert (report.added, len(report.refused)) == (1, 2)
    assert report is kb.report
    with pytest.raises(SourceError, match="pass a list"):
        kb.add("no such file, but a text")


def test_arrow_tables_can_be_added(kb: Collection) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table({"id": ["a", "b"], "text": ["one", "two"], "n": [1, 2]})
    assert kb.add(table).added == 2
    assert kb.get("b").metadata == {"n": 2}


def test_documents_are_replaced_and_deleted(kb: Collection) -> None:
    kb.add(
        [{"id": "a", "text": "first", "team": "red"}, {"id": "b", "text": "second", "team": "blue"}]
    )
    assert kb.add([{"id": "a", "text": "other"}]).refused[0].doc_id == "a"
    assert kb.replace([{"id": "a", "text": "other", "team": "red"}]).replaced == 1
    assert kb.get("a").text == "other"
    assert kb.delete(["a", "nothing"]) == 1
    assert "a" not in kb and "b" in kb
    assert kb.delete(filter="team = 'blue'") == 1
    with pytest.raises(DataError, match="give one of them"):
        kb.delete()
    with pytest.raises(FilterError, match="has the field teem"):
        kb.delete(filter="not teem = red")
    assert len(kb) == 2


def test_compact_removes_deleted_texts_from_disk(tmp_path: Path) -> None:
    """The deleted rows span several words and blocks of the bit set."""
    texts = [{"id": f"d{i}", "text": f"page number {i} zebra{i}secret"} for i in range(130)]
    with lexpand.create(tmp_path / "i", texts) as kb:
        kb.delete(["d7", "d64", "d128"])
        kb.compact()
        assert len(kb) == 127
        assert kb.index.check() == []
        assert [hit.doc_id for hit in kb.search("zebra64secret", pipeline="bm25")] == []
        assert kb.search("zebra65secret", 1)[0].doc_id == "d65"
    for file in (tmp_path / "i").rglob("*"):
        assert not file.is_file() or b"zebra7secret" not in file.read_bytes()


def test_sync_makes_the_collection_equal_to_the_source(kb: Collection) -> None:
    rows = [{"id": str(number), "text": f"page {number}"} for number in range(4)]
    with pytest.raises(
        IndexStateError, match=r"lacks 2 of the 2 documents .* force=True \(--yes on the"
    ):
        kb.sync(rows)
    assert len(kb) == 2, "nothing is changed if the source can be read twice"
    assert kb.sync(rows, force=True).deleted == 2
    rows[1]["text"] = "page one"
    plan = kb.plan_sync(rows[:3])
    assert (plan.new, plan.changed, plan.unchanged, plan.gone, plan.held) == (0, 1, 2, ["3"], 4)
    report = kb.sync(rows[:3])
    assert (report.ingest.replaced, report.ingest.unchanged, report.deleted) == (1, 2, 1)
    before = kb.index.commit_info
    assert kb.sync(rows[:3]).ingest.added == 0
    assert kb.index.commit_info == before, "a second run does nothing"


def test_sync_refuses_a_repeated_id_and_is_stable(kb: Collection) -> None:
    rows = [{"id": "a", "text": "one"}, {"id": "a", "text": "two"}, {"id": "b", "text": "three"}]
    for added in (2, 0):
        report = kb.sync(rows, force=True)
        assert report.ingest.added == added
        assert [(row.doc_id, "must be unique" in row.reason) for row in report.ingest.refused] == [
            ("a", True)
        ]
    assert kb.get("a").text == "one"


def test_the_default_is_hybrid_and_a_fallback_is_noted(kb: Collection, tmp_path: Path) -> None:
    assert kb.pipeline == NAMED["hybrid"]
    assert kb.info().pipeline == "hybrid"
    with lexpand.create(tmp_path / "plain", [LEAVE], words="none") as plain:
        assert plain.pipeline == NAMED["splade"]
        notes = plain.search("manager").notes
        assert [note.reason for note in notes] == [Reason.FALLBACK]
        assert "no BM25 field, so the pipeline splade searched instead of hybrid" in str(notes[0])
        with pytest.raises(IndexStateError, match="has no BM25 field"):
            plain.search("manager", pipeline="hybrid")


@pytest.mark.parametrize("pipeline", [*NAMED, "HYBRID"])
def test_named_pipelines_can_be_used(kb: Collection, pipeline: str) -> None:
    assert kb.search("invoices", 1, pipeline=pipeline)[0].text == INVOICE
    if pipeline in NAMED:
        assert (
            kb.explain("invoices", kb.search("invoices", 1)[0].doc_id, pipeline=pipeline).score > 0
        )


def test_hits_carry_texts_metadata_and_terms(kb: Collection) -> None:
    kb.add([{"id": "leave", "title": "Vacation requests", "text": LEAVE, "team": "people"}])
    hit = kb.search("vacation", 1)[0]
    assert (hit.doc_id, hit.title, hit.text, hit.metadata) == (
        "leave",
        "Vacation requests",
        LEAVE,
        {"team": "people"},
    )
    assert kb.get("leave").full_text[slice(*hit.span)] == LEAVE
    assert "vacation" in dict(hit.terms)
    found = kb.search("vacation", 2)
    assert json.loads(json.dumps(found.to_dict()))["hits"][0]["text"] == LEAVE
    assert "Vacation requests" in str(found)
    assert kb.search_many(["vacation", "invoices"], 2)[0] == found
    assert kb.search("vacation", 10, min_score=found[0].score) == found[:1]


def test_a_hit_carries_several_passages(tmp_path: Path) -> None:
    long = " ".join(
        f"Sentence {i} is about {'printers' if i % 9 == 0 else 'nothing much'}." for i in range(60)
    )
    encoding = {"max_tokens": 64, "long": "chunk"}
    with lexpand.create(
        tmp_path / "i", [{"id": "long", "text": long}, INVOICE], encoding=encoding
    ) as kb:
        hit = kb.search("printers", 1, passages=3)[0]
        assert len(hit.passages) == 3
        assert hit.passages[0].text == hit.text != long
        assert all(long[slice(*passage.span)] == passage.text for passage in hit.passages)
        assert kb.search("printers", 1)[0].passages == ()


def test_unusual_queries_have_notes(kb: Collection) -> None:
    assert kb.search("manager").notes == ()
    assert "no document has a word of the query" in str(kb.search("zzzqqq").notes[0])
    assert any(
        "tokens, of which the model reads" in str(note)
        for note in kb.search("manager " * 600).notes
    )
    assert any(
        "knows no word of the query" in str(note)
        for note in kb.search("\U0001f600 \U0001f601").notes
    )
    (note,) = kb.search("is the of", pipeline="bm25").notes
    assert note == Note(Reason.QUERY, detail="the query has only stop words, which BM25 leaves out")


def test_unknown_fields_in_filters_are_refused(kb: Collection) -> None:
    kb.add([{"id": "a", "text": "text", "n": "3", "kind": "man"}])
    for filter, message in (
        ("nosuch = 1", "no document of .* has the field nosuch: the fields are kind, n"),
        ("n > 2", r"compares n with a number, but no document .* has one there"),
        ("2020 <= nosuch", "has the field nosuch"),
    ):
        with pytest.raises(FilterError, match=message):
            kb.search("text", filter=filter)
    with pytest.raises(FilterError, match="field nosuch to group by"):
        kb.search("text", group_by="nosuch")
    assert [hit.doc_id for hit in kb.search("text", filter="kind = 'man'")] == ["a"]


def test_exist_decides_about_an_existing_index(kb: Collection, tmp_path: Path) -> None:
    path = tmp_path / "kb.index"
    with pytest.raises(
        IndexStateError,
        match=r'open it with `lexpand.open`, add to it with exist="open", or replace it',
    ):
        lexpand.create(path, ["other"])
    kb.close()
    with lexpand.create(path, ["other"], exist="open") as again:
        assert len(again) == 3
    with lexpand.create(path, ["all new"], exist="replace") as again:
        assert [again.get(doc_id).text for doc_id in again.index.doc_ids()] == ["all new"]
        assert again.report.added == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["kb.index"]
    with pytest.raises(DataError, match="exist must be one of error, open, replace"):
        lexpand.create(path, exist="maybe")


def test_a_failed_replacement_keeps_the_old_index(kb: Collection, tmp_path: Path) -> None:
    kb.close()
    with pytest.raises(SourceError):
        lexpand.create(tmp_path / "kb.index", tmp_path / "nowhere.csv", exist="replace")
    with lexpand.open(tmp_path / "kb.index") as still:
        assert len(still) == 2


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "documents",
    [[{"id": "b", "txt": "x"}], [], iter([{"title": "no text"}]), ["good", "bad \ud800"]],
    ids=["all rows refused", "no rows", "an iterator of refused rows", "one row usable"],
)
def test_only_a_source_with_a_usable_row_replaces_an_index(
    kb: Collection, tmp_path: Path, documents: list[object]
) -> None:
    kb.close()
    before = _contents(tmp_path)
    if isinstance(documents, list) and "good" in documents:
        with (
            pytest.warns(LexpandWarning, match="1 of the documents were refused"),
            lexpand.create(tmp_path / "kb.index", documents, exist="replace") as again,
        ):
            assert len(again) == 1
        return
    with pytest.raises(DataError, match=r"must have a usable row to replace .*kb.index, got none"):
        lexpand.create(tmp_path / "kb.index", documents, exist="replace")
    assert _contents(tmp_path) == before
    with lexpand.open(tmp_path / "kb.index") as still:
        assert len(still) == 2


def test_an_empty_collection_replaces_an_index_if_documents_are_left_out(
    kb: Collection, tmp_path: Path
) -> None:
    kb.close()
    with lexpand.create(tmp_path / "kb.index", exist="replace") as again:
        assert len(again) == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SourceError])
def test_a_replacement_that_fails_midway_changes_nothing(
    kb: Collection, tmp_path: Path, error: type[BaseException]
) -> None:
    def rows() -> Iterator[str]:
        yield "a good row"
        raise error("midway")

    kb.close()
    before = _contents(tmp_path)
    with pytest.raises(error, match="midway"):
        lexpand.create(tmp_path / "kb.index", rows(), exist="replace")
    assert _contents(tmp_path) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["kb.index"]


def test_an_index_stays_if_the_new_one_cannot_be_moved(
    kb: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.suffix == ".new":
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    kb.close()
    before = _contents(tmp_path)
    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(StorageError, match=r"cannot be replaced .Permission denied.: it is as it"):
        lexpand.create(tmp_path / "kb.index", ["new"], exist="replace")
    assert _contents(tmp_path) == before


def test_a_replacement_touches_no_folder_of_a_similar_name(kb: Collection, tmp_path: Path) -> None:
    """A user may keep a copy as kb.index.old."""
    kb.index.backup(tmp_path / "kb.index.old")
    kb.index.backup(tmp_path / "kb.index.new")
    kb.close()
    lexpand.create(tmp_path / "kb.index", ["all new"], exist="replace").close()
    for name in ("kb.index.old", "kb.index.new"):
        with lexpand.open(tmp_path / name) as copy:
            assert len(copy) == 2


def test_a_replacement_follows_a_link_and_uses_the_cache(kb: Collection, tmp_path: Path) -> None:
    kb.close()
    link, cache = tmp_path / "link", tmp_path / "cache"
    link.symlink_to(tmp_path / "kb.index")
    lexpand.create(link, ["all new"], exist="replace", cache=cache).close()
    assert link.is_symlink()
    with lexpand.open(tmp_path / "kb.index") as again, VectorCache(cache) as vectors:
        assert (len(again), len(vectors)) == (1, 1)


def test_other_settings_than_those_of_the_index_are_refused(kb: Collection, tmp_path: Path) -> None:
    kb.close()
    path = tmp_path / "kb.index"
    for settings, message in (
        ({"encoding": {"long": "chunk"}}, "long truncate, got chunk"),
        ({"encoding": {"title_weight": 0.2}}, "title_weight none, got 0.2|title_weight 0, got 0.2"),
        ({"words": "german"}, "was made with words english and columns none"),
        ({"columns": {"n": "integer"}}, "columns none"),
    ):
        with pytest.raises(IndexStateError, match=message):
            lexpand.create(path, exist="open", **settings)  # type: ignore[arg-type]
    with pytest.raises(NotAnIndex):
        lexpand.open(tmp_path / "nowhere")


def test_the_index_records_the_fields_of_a_source(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("Key,Body,n\nr1,Printers are here.,3\n", encoding="utf-8")
    fields = Fields(doc_id="key", text="body")
    with lexpand.create(tmp_path / "i", table, fields=fields, columns={"n": "integer"}) as kb:
        assert kb.get("r1").metadata == {"n": 3}
        assert [hit.doc_id for hit in kb.search("printers", filter="n > 2")] == ["r1"]
    table.write_text("Key,Body,n\nr1,Printers are here.,3\nr2,Invoices too.,4\n", encoding="utf-8")
    with lexpand.open(tmp_path / "i") as kb:
        assert kb.sync(table).ingest.added == 1
        assert kb.get("r2").metadata == {"n": 4}


WRONG: list[tuple[dict[str, object], str]] = [
    ({"k": "3"}, "k must be an integer >= 0, got '3' .str.: pass an integer, such as k=1"),
    ({"k": 2.5}, "k must be an integer >= 0, got 2.5 .float."),
    ({"k": None}, "k must be an integer >= 0, got None"),
    ({"k": True}, "k must be an integer >= 0, got True"),
    ({"k": -1}, "^k must be >= 0, got -1$"),
    ({"passages": "2"}, "passages must be an integer >= 1, got '2' .str."),
    ({"passages": 0}, "^passages must be >= 1, got 0$"),
    ({"min_score": "a"}, "min_score must be a number, got 'a' .str.: pass a number, such as"),
    ({"min_score": float("nan")}, "min_score must be a number, got nan"),
    ({"group_by": 5}, "the name of a field must be a string, got 5 .int."),
    ({"filter": 5}, "a filter must be a mapping or a text, got 5 .int.: write a condition"),
    ({"pipeline": ""}, "must be one of hybrid, .*, or the path of a TOML file, got ''$"),
    ({"pipeline": "."}, "or the path of a TOML file, got '.' .a folder.$"),
    ({"pipeline": 5}, "or the path of a TOML file, got 5 .int."),
]


@pytest.mark.parametrize("pipeline", ["hybrid", "best", "splade", "bm25"])
@pytest.mark.parametrize(("wrong", "message"), WRONG, ids=str)
def test_an_invalid_argument_of_a_search_is_refused(
    kb: Collection, pipeline: str, wrong: dict[str, object], message: str
) -> None:
    settings: dict[str, object] = {"pipeline": pipeline, **wrong}
    with pytest.raises(DataError, match=message):
        kb.search("holiday", **settings)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="threads must be an integer >= 1, got '2'"):
        kb.search_many(["holiday"], pipeline=pipeline, threads="2")  # type: ignore[arg-type]


def test_integers_of_numpy_are_valid_and_k_may_be_0(kb: Collection) -> None:
    assert len(kb.search("holiday", np.int64(1))) == 1  # type: ignore[arg-type]
    assert kb.search("holiday", min_score=np.float32(-1), passages=np.uint8(1))  # type: ignore[arg-type]
    assert list(kb.search("holiday", 0)) == []


def test_commit_every_must_be_an_integer(kb: Collection) -> None:
    with pytest.raises(DataError, match="commit_every must be an integer >= 1, got 'all'"):
        kb.add(["a"], commit_every="all")  # type: ignore[arg-type]


def test_refused_rows_are_listed_in_the_order_of_the_source(kb: Collection, tmp_path: Path) -> None:
    """Unreadable rows are found before repeated ids, which are compared in chunks."""
    rows = [{"id": "a", "text": "first"}, *({"id": "a", "text": f"other {i}"} for i in range(4))]
    lines = [json.dumps(row) for row in rows]
    source = tmp_path / "rows.jsonl"
    source.write_text("\n".join([*lines, "{", *lines[1:3], *["{"] * 4]), encoding="utf-8")
    report = kb.add(source)
    numbers = [int(row.place.rpartition(":")[2]) for row in report.refused]
    assert numbers == list(range(2, 13))
    synced = kb.sync(source, force=True).ingest
    assert [row.place for row in synced.refused] == [row.place for row in report.refused]


def test_documents_without_a_word_in_their_text_are_counted(kb: Collection, tmp_path: Path) -> None:
    """The title of a text file is its name, so an empty file has terms."""
    (tmp_path / "nl.txt").write_text("\n", encoding="utf-8")
    report = kb.add(tmp_path / "nl.txt")
    assert (report.added, report.empty, report.wordless) == (1, 0, 1)
    report = kb.add(["", " \n", "?!", "a word", "слово", {"title": "title", "text": ""}])
    assert (report.added, report.wordless) == (6, 4)
    assert report.to_dict()["wordless"] == 4


def test_refused_rows_cause_a_warning(tmp_path: Path) -> None:
    with (
        pytest.warns(LexpandWarning, match="1 of the documents were refused, the first: documents"),
        lexpand.create(tmp_path / "i", ["good", {"title": "no text"}]) as kb,
    ):
        assert len(kb) == 1


def test_unknown_documents_raise(kb: Collection) -> None:
    for read in (
        kb.get,
        lambda doc_id: kb.explain("x", doc_id),
        lambda doc_id: kb.why_not("x", doc_id),
    ):
        with pytest.raises(UnknownDocument):
            read("nothing")


def test_searches_work_while_another_thread_writes(kb: Collection) -> None:
    stop, errors = threading.Event(), list[BaseException]()

    def search() -> None:
        try:
            while not stop.is_set():
                for hit in kb.search("page about printers", 5):
                    assert hit.text
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(12):
        kb.replace([{"id": f"p{number % 4}", "text": f"page {number} about printers"}])
        kb.compact()
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []


def test_an_index_of_vectors_can_be_opened(tmp_path: Path, encoder: Encoder) -> None:
    Index.create(tmp_path / "i", encoder.space).close()
    with lexpand.open(tmp_path / "i") as kb:
        assert kb.search("anything") == []
        assert "0 documents" in repr(kb)
        assert kb.info().to_dict()["words"] is None
