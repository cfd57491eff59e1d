"""The run store: what it keeps, and what it says about damage."""

import json
import multiprocessing
import os
from datetime import datetime
from pathlib import Path

import pytest

from lexpand import Qrels, Query, Run
from lexpand.errors import CorruptRun, DataError, NewerFormat, StorageError
from lexpand.evaluation import evaluate_run
from lexpand.evaluation.store import RunCard, RunStore, StoredRun, read_run

QRELS = Qrels({"q1": {"a": 1, "b": 0}, "q 2": {"c d": 2}})
RUN = Run({"q1": [("a", 2.5), ("b", 0.1)], "q 2": [("50% off\u00a0page", 3.0), ("c d", 1.0)]})
QUERIES = [Query("q1", "first"), Query("q 2", "zweite Frage ü")]


def add(store: RunStore, name: str = "bm25") -> StoredRun:
    values = evaluate_run(RUN, QRELS, ["nDCG@10", "RR@10"]).values
    card = RunCard(name=name, measures={"nDCG@10": 0.5}, k=100, facts={"machine": {"cores": 2}})
    return store.add(card, RUN, values, QUERIES, QRELS)


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    add(RunStore(tmp_path / "runs"))
    stored = RunStore(tmp_path / "runs").find("bm25")
    assert stored.run() == RUN
    assert stored.qrels() == QRELS
    assert stored.queries() == QUERIES
    assert stored.values() == evaluate_run(RUN, QRELS, ["nDCG@10", "RR@10"]).values
    assert stored.card.measures == {"nDCG@10": 0.5}
    assert stored.card.facts == {"machine": {"cores": 2}}


def test_ids_with_white_space_are_escaped_only_if_needed(tmp_path: Path) -> None:
    assert add(RunStore(tmp_path)).card.escaped_ids
    plain = Run({"q": [("100%", 1.0)]})
    card = RunCard(name="plain", measures={}, k=1)
    stored = RunStore(tmp_path).add(card, plain, {}, [Query("q", "x")], Qrels({"q": {"a": 1}}))
    assert not stored.card.escaped_ids
    assert stored.run() == plain


def test_the_files_are_readable_without_lexpand(tmp_path: Path) -> None:
    folder = add(RunStore(tmp_path)).folder
    assert {path.name for path in folder.iterdir()} == {
        "card.json",
        "run.trec.gz",
        "qrels.tsv.gz",
        "queries.jsonl.gz",
        "values.tsv",
    }
    assert (folder / "values.tsv").read_text().splitlines()[:2] == [
        "query_id\tnDCG@10\tRR@10",
        "q1\t1.0\t1.0",
    ]
    assert json.loads((folder / "card.json").read_text())["version"] == 1


def test_a_run_is_found_by_tag_name_id_and_last(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    first, second, third = add(store), add(store, "hybrid"), add(store)
    assert store.find("last").card.run_id == third.card.run_id
    assert store.find("bm25").card.run_id == third.card.run_id
    assert store.find(second.card.run_id).card.name == "hybrid"
    assert store.tag(first.card.run_id, "baseline").tags == ("baseline",)
    assert store.find("baseline").card.run_id == first.card.run_id
    store.tag("hybrid", "baseline")
    assert store.find("baseline").card.name == "hybrid"
    store.untag("baseline")
    with pytest.raises(DataError, match="has no run 'baseline'"):
        store.find("baseline")


def test_the_beginning_of_an_id_must_be_unique(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    ids = [add(store).card.run_id for _ in range(2)]
    with pytest.raises(DataError, match="must be named uniquely"):
        store.find(ids[0][:4])
    assert [each.card.run_id for each in store.runs()] == ids


def test_removing_a_run_removes_its_tags(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    add(store)
    store.tag("bm25", "baseline")
    store.remove("baseline")
    assert store.runs() == []
    assert json.loads((tmp_path / "tags.json").read_text()) == {}
    with pytest.raises(DataError, match="has no runs: evaluate something first"):
        store.find("last")


@pytest.mark.parametrize("name", ["run.trec.gz", "qrels.tsv.gz", "queries.jsonl.gz", "values.tsv"])
@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_damage_is_named(tmp_path: Path, name: str, damage: str) -> None:
    path = add(RunStore(tmp_path)).folder / name
    path.write_bytes(path.read_bytes()[:-1]) if damage == "changed" else path.unlink()
    stored = RunStore(tmp_path).find("last")
    read = {
        "run.trec.gz": stored.run,
        "qrels.tsv.gz": stored.qrels,
        "queries.jsonl.gz": stored.queries,
        "values.tsv": stored.values,
    }[name]
    with pytest.raises(CorruptRun, match=f"{name} .*{damage}"):
        read()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "card.json cannot be read"),
        ("[]", "must be a JSON object"),
        ("{}", "must have a version >= 1, got None"),
        ('{"version": 1, "name": "x"}', "is damaged"),
        ('{"version": 0}', "must have a version >= 1, got 0"),
    ],
)
def test_a_damaged_card_is_named_and_the_other_runs_are_read(
    tmp_path: Path, content: str, message: str
) -> None:
    store = RunStore(tmp_path)
    damaged, other = add(store), add(store, "other")
    (damaged.folder / "card.json").write_text(content)
    assert [each.card.name for each in store.runs()] == ["other"]
    assert store.find("other").run() == other.run()
    with pytest.raises(CorruptRun, match=message):
        store.find(damaged.card.run_id)
    assert store.remove(damaged.card.run_id) == damaged.card.run_id
    assert not store.damaged() and len(store.runs()) == 1


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    add(RunStore(tmp_path))
    marker = tmp_path / "store.json"
    marker.write_text(json.dumps({"format": "lexpand-runs", "version": 2}))
    with pytest.raises(NewerFormat, match="has version 2, and this Lexpand reads up to 1: upgrade"):
        RunStore(tmp_path)


def test_a_run_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    stored = add(RunStore(tmp_path))
    path = stored.folder / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 9}))
    with pytest.raises(NewerFormat, match="has version 9"):
        RunStore(tmp_path).find(stored.card.run_id)
    assert list(RunStore(tmp_path).damaged()) == [stored.card.run_id]


def test_names_and_tags_hide_no_other_run(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    first, second = add(store), add(store, "hybrid")
    for tag in ("hybrid", second.card.run_id):
        with pytest.raises(DataError, match="must not be the name or the id of another run"):
            store.tag("bm25", tag)
    assert store.tag("bm25", "bm25").tags == ("bm25",)
    for name in ("last", first.card.run_id):
        with pytest.raises(DataError, match="must not be 'last' or the id of a run"):
            add(store, name)


def test_a_run_file_of_a_store_is_read_with_its_own_ids(tmp_path: Path) -> None:
    stored = add(RunStore(tmp_path))
    assert read_run(stored.folder / "run.trec.gz") == RUN
    assert "%20" in str(Run.read_trec(stored.folder / "run.trec.gz").rankings)
    assert "c%20d" in str(Qrels.read(stored.folder / "qrels.tsv.gz").judgments)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_cannot_be_written_is_noticed_first(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="cannot"):
        RunStore(tmp_path / "runs").prepare()


def test_a_folder_with_other_files_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(DataError, match="must be a run store or an empty folder"):
        RunStore(tmp_path)


@pytest.mark.parametrize("name", ["", "a b", "-x", "ä", "x" * 65, "../up"])
def test_names_that_are_no_file_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="must have 1 to 64 letters, digits"):
        add(RunStore(tmp_path), name)
    add(RunStore(tmp_path))
    with pytest.raises(DataError, match="a tag must have"):
        RunStore(tmp_path).tag("last", name)


def test_the_tag_last_is_taken(tmp_path: Path) -> None:
    add(RunStore(tmp_path))
    with pytest.raises(DataError, match="a tag must not be 'last'"):
        RunStore(tmp_path).tag("bm25", "last")


def _write_many(path: Path, number: int) -> None:
    store = RunStore(path)
    for i in range(5):
        run_id = add(store, f"p{number}").card.run_id
        store.tag(run_id, f"t{number}-{i}")


def test_two_processes_can_write_one_store(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_many, args=(tmp_path, i)) for i in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    runs = RunStore(tmp_path).runs()
    assert len(runs) == 10
    assert sorted(tag for each in runs for tag in each.tags) == sorted(
        f"t{number}-{i}" for number in range(2) for i in range(5)
    )
    assert all(each.run() == RUN for each in runs)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".partial")]


def test_a_store_that_another_process_is_creating_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".0123456789abcdef.tmp").write_text("{", encoding="utf-8")  # the marker to be
    assert RunStore(tmp_path).runs() == []

    other, look = RunStore(tmp_path), RunStore._holds_files

    def while_another_creates(store: RunStore) -> bool:
        other._create()
        return look(store)

    monkeypatch.setattr(RunStore, "_holds_files", while_another_creates)
    assert RunStore(tmp_path).runs() == []


def test_an_id_that_is_taken_is_not_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RunStore(tmp_path)
    first = add(store).card.run_id
    moment, mark = first.rsplit("-", 1)
    (tmp_path / f".{moment}-0001.partial").mkdir()
    marks = iter([mark, "0001", "0002"])
    monkeypatch.setattr("lexpand.evaluation.store.secrets.token_hex", lambda _: next(marks))
    then = datetime.strptime(moment, "%Y%m%d-%H%M%S")
    run_id, partial = store._new_folder(then)
    assert (run_id, partial.name) == (f"{moment}-0002", f".{moment}-0002.partial")
    assert sorted(path.name for path in tmp_path.glob(".*.partial")) == [
        f".{moment}-0001.partial",
        f".{moment}-0002.partial",
    ]
    assert store.find(first).run() == RUN


def test_the_golden_store_of_version_1_is_read() -> None:
    """The store was written by `add` and `tag` of the version that introduced the format."""
    stored = RunStore(Path(__file__).parents[1] / "golden" / "runs_v1").find("baseline")
    assert (stored.card.name, stored.card.k, stored.card.escaped_ids) == ("bm25", 100, True)
    assert (stored.run(), stored.qrels(), stored.queries()) == (RUN, QRELS, QUERIES)
    assert stored.values() == {
        "nDCG@10": {"q1": 1.0, "q 2": pytest.approx(0.6309297)},
        "RR@10": {"q1": 1.0, "q 2": 0.5},
    }
