"""What every engine must do: push, search, filter, explain, verify, and find planted faults."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_nodes import SUPPORT, Target, lexpand_command

import lexpand
from lexpand.collection import Collection
from lexpand.data import read_judged
from lexpand.engines import (
    Engine,
    EngineSchema,
    Verdict,
    explain_in_engine,
    open_engine,
    push,
    verify,
)
from lexpand.engines.records import Record, records_of
from lexpand.engines.targets import RefusedRecord
from lexpand.engines.verifying import Check, Verification
from lexpand.errors import (
    ContractMismatch,
    DataError,
    EngineError,
    FilterError,
    UnknownDocument,
)
from lexpand.experiments.evaluating import evaluate_retriever

pytestmark = pytest.mark.slow  # `make test-engines` runs them


def test_a_push_is_verified_and_evaluates_like_the_index(
    engine: Engine, target: Target, support: Collection
) -> None:
    report = push(support.index, engine)
    assert (report.uploaded, report.refused, engine.info().records) == (160, [], 160)
    judged = read_judged(SUPPORT / "questions.csv")
    found = verify(engine, support.encoder, support.index, judged.queries)
    assert found.verdict is target.verdict and found.differences == ()
    assert found.overlap is not None and found.overlap > 0.98
    assert 0 < found.largest_score_error <= max(engine.precision, 1e-5)
    here, there = (
        evaluate_retriever(each, judged, ["nDCG@10"], cost=False).means["nDCG@10"]
        for each in (support.retriever("splade"), engine)
    )
    assert there == pytest.approx(here, abs=0.003 if engine.precision else 0.001)
    assert verify(engine, support.encoder).verdict is target.verdict


def test_ids_like_those_of_passages_do_not_collide(
    engine: Engine, target: Target, tmp_path: Path
) -> None:
    filler = "The weather was grey and nothing happened. " * 12
    rows = [
        {"id": "guide", "text": f"{filler} Reset the router. {filler}"},
        {"id": "guide#1", "text": "Invoices are sent each month."},
        {"id": "guide#0", "text": "Printers jam."},
        {"id": "guide##0", "text": "Oranges are sweet."},
        {"id": "guide#", "text": f"{filler} Apples are sour. {filler}"},
    ]
    settings = {"long": "chunk", "max_tokens": 32}
    with lexpand.create(tmp_path / "ids.index", rows, encoding=settings) as kb:
        push(kb.index, engine)
        again = push(kb.index, engine)
        assert engine.info().records == again.unchanged == kb.index.live_passages > 4
        engine.encoder = kb.encoder
        assert verify(engine, kb.encoder, kb.index).verdict is target.verdict
        texts = {row["id"]: row["text"] for row in rows}
        for query, doc_id in (
            ("reset the router", "guide"),
            ("invoices", "guide#1"),
            ("oranges", "guide##0"),
            ("apples are sour", "guide#"),
        ):
            (found,) = engine.rank([query], 1)
            assert list(found.doc_ids) == [doc_id]
            assert engine.documents([doc_id])[doc_id].text.startswith(texts[doc_id][:9])
            local = kb.explain(query, doc_id, pipeline="splade").score
            assert explain_in_engine(engine, query, doc_id).score == pytest.approx(local, rel=0.01)


def test_a_target_of_a_newer_version_is_refused(
    engine: Engine, support: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr("lexpand.engines.targets._CARD_VERSION", 2)
        engine.create(EngineSchema(support.index.space.model, len(support.index.space.vocabulary)))
    with pytest.raises(EngineError, match="was made by a newer version of Lexpand: upgrade"):
        push(support.index, engine)


def test_an_old_version_stays_while_the_engine_is_busy(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"id": "a", "text": "printer"}, {"id": "b", "text": "paper"}]
    with lexpand.create(tmp_path / "r.index", rows) as kb:
        push(kb.index, engine)
        kb.replace([{"id": "b", "text": "paper jam"}])
        kb.delete(["a"])

        def busy(records: list[Record]) -> tuple[list[RefusedRecord], int]:
            return [RefusedRecord(each.record_id, "busy", busy=True) for each in records], 1

        with monkeypatch.context() as patched:
            patched.setattr(engine, "write", busy)
            report = push(kb.index, engine)
        assert (report.uploaded, report.deleted, len(report.refused)) == (0, 1, 1)
        assert list(engine.record_ids()) == ["b"]
        assert engine.documents(["b"])["b"].text == "paper"
        assert push(kb.index, engine).uploaded == 1
        assert engine.documents(["b"])["b"].text == "paper jam"


class Kept(Record):
    """A record that something else changed: the engine keeps the digest of the old one."""

    def digest(self) -> str:
        return KEPT[self.record_id]


KEPT: dict[str, str] = {}


def test_a_target_that_something_else_changed_is_found_and_repaired(
    engine: Engine, target: Target, tmp_path: Path
) -> None:
    rows = [{"id": f"d{i}", "title": f"Page {i}", "text": f"text number {i}"} for i in range(5)]
    with lexpand.create(tmp_path / "r.index", rows) as kb:
        push(kb.index, engine)
        for record in records_of(kb.index.searcher()):
            KEPT[record.record_id] = record.digest()
        fields = ("record_id", "doc_id", "passage", "title", "text", "metadata", "terms", "weights")
        one, other = list(records_of(kb.index.searcher()))[:2]
        text = Kept(**{name: getattr(one, name) for name in fields} | {"text": "changed"})
        vector = {name: getattr(other, name) for name in fields} | {"weights": other.weights * 3}
        engine.write([text, Kept(**vector)])
        engine.refresh()
        found = verify(engine, kb.encoder, kb.index)
        said = {each.check.value: each.said for each in found.differences}
        assert said["texts"] == "1 passage is stored with another text: d0"
        assert "vectors" in said
        assert push(kb.index, engine).unchanged == 5
        again = push(kb.index, engine, again=True)
        assert (again.uploaded, again.unchanged, again.deleted) == (5, 0, 0)
        assert verify(engine, kb.encoder, kb.index).verdict is target.verdict


def test_an_empty_index_equals_its_target(engine: Engine, tmp_path: Path) -> None:
    with lexpand.create(tmp_path / "r.index", []) as kb:
        push(kb.index, engine)
        assert verify(engine, kb.encoder, kb.index).verdict is Verdict.EQUAL


def test_an_empty_target_is_not_equal(engine: Engine, support: Collection) -> None:
    engine.create(EngineSchema(support.index.space.model, len(support.index.space.vocabulary)))
    found = verify(engine, support.encoder)
    assert found.verdict is Verdict.DIFFERENT and found.scores == 0
    assert "nothing could be compared" in found.differences[-1].said


def test_other_columns_and_types_are_refused(engine: Engine, tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "printer", "year": 2020}]
    with lexpand.create(tmp_path / "a.index", rows, columns={"year": "integer"}) as kb:
        push(kb.index, engine)
        engine.encoder = kb.encoder
        with pytest.raises(FilterError, match="year is an integer column and must be compared"):
            engine.rank(["printer"], 3, filter="year = '2020'")
    with (
        lexpand.create(tmp_path / "b.index", rows) as plain,
        pytest.raises(
            EngineError, match=r"made for the columns year \(integer\), and the index has none"
        ),
    ):
        push(plain.index, engine)


def test_a_second_push_writes_what_changed(engine: Engine, target: Target, tmp_path: Path) -> None:
    rows = [{"id": f"d{i}", "title": f"Page {i}", "text": f"text number {i}"} for i in range(9)]
    with lexpand.create(tmp_path / "a.index", rows) as kb:
        assert push(kb.index, engine).uploaded == 9
        again = push(kb.index, engine)
        assert (again.uploaded, again.unchanged, again.deleted) == (0, 9, 0)
        kb.delete(["d0", "d1"])
        kb.replace([{"id": "d2", "title": "Page 2", "text": "another text"}])
        third = push(kb.index, engine)
        assert (third.uploaded, third.unchanged, third.deleted) == (1, 6, 2)
        assert sorted(engine.record_ids()) == [f"d{i}" for i in range(2, 9)]
        assert engine.documents(["d2", "gone"])["d2"].text == "another text"
        assert verify(engine, kb.encoder, kb.index).verdict is target.verdict


def test_passages_are_ranked_by_document(engine: Engine, target: Target, tmp_path: Path) -> None:
    filler = "The weather was grey and nothing happened. " * 12
    rows = [
        {
            "id": "long",
            "title": "Networks at home",
            "text": f"{filler} Reset the router with a paper clip. {filler}",
        },
        {"id": "short", "text": "Invoices are sent each month."},
    ]
    settings = {"long": "chunk", "max_tokens": 32}
    with lexpand.create(tmp_path / "chunks.index", rows, encoding=settings) as kb:
        push(kb.index, engine)
        assert engine.info().records == kb.index.live_passages > 2
        engine.encoder = kb.encoder
        for k in (1, 2, 10):
            (matches,) = engine.rank(["reset the router weather"], k)
            here = kb.search("reset the router weather", k, pipeline="splade")
            assert list(matches.doc_ids) == [hit.doc_id for hit in here]
        assert verify(engine, kb.encoder, kb.index).verdict is target.verdict
        assert verify(engine, kb.encoder).verdict is target.verdict
        there = explain_in_engine(engine, "reset the router", "long")
        local = kb.explain("reset the router", "long", pipeline="splade")
        assert there.score == pytest.approx(local.score, rel=max(1e-4, engine.precision))
        assert {part.term for part in there.contributions} == {
            part.term for part in local.contributions
        }
        assert there.text[slice(*there.span)].strip() in local.text


def test_declared_columns_filter(engine: Engine, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": f"d{i}", "text": "printer paper jam", "year": 2015 + i, "team": "ab"[i % 2]}
        for i in range(6)
    ]
    rows[0]["team"] = ["a", "c"]
    rows[1] |= {"by": {"name": "ann"}, "the size": 5}
    columns = {"year": "integer", "team": "keyword", "by.name": "keyword", '"the size"': "integer"}
    filters = [
        "year >= 2018",
        "team = a and year < 2018",
        "not team = a",
        "year in (2015)",
        "team = c or 2016 < year <= 2018",
        "exists(team)",
        "by.name = ann",
        '"the size" >= 5',
        'exists("the size") or by.name = bob',
    ]
    with lexpand.create(tmp_path / "f.index", rows, columns=columns) as kb:
        push(kb.index, engine)
        for text in filters:
            here = {hit.doc_id for hit in kb.search("printer", 10, filter=text, pipeline="splade")}
            (there,) = engine.rank(["printer"], 10, filter=text)
            assert set(there.doc_ids) == here, text


def test_an_explanation_is_that_of_the_index(engine: Engine, support: Collection) -> None:
    push(support.index, engine)
    for query, doc_id in (("reset my login", "SA091"), ("dd-am04", "SA037")):
        there = explain_in_engine(engine, query, doc_id)
        here = support.explain(query, doc_id, pipeline="splade")
        assert there.score == pytest.approx(here.score, rel=max(1e-5, engine.precision))
        assert {(part.term, part.document.word) for part in there.contributions} == {
            (part.term, part.document.word) for part in here.contributions
        }
        assert any("rounds weights" in note for note in there.notes) == bool(engine.precision)
    with pytest.raises(UnknownDocument, match="has no document 'gone'"):
        explain_in_engine(engine, "x", "gone")


def test_another_model_is_refused(engine: Engine, support: Collection) -> None:
    push(support.index, engine)
    other = support.index.space.model._replace(hash="0" * 64, name="other")
    with pytest.raises(ContractMismatch, match=r"holds vectors of splade-tiny .*, not of other"):
        engine.check_model(other)


def filled(
    engine: Engine, kb: Collection, change: Callable[[Record], Record | None]
) -> Verification:
    """Fill an engine with changed records, as a faulty export would, and verify it."""
    space = kb.index.space
    engine.create(EngineSchema(space.model, len(space.vocabulary)))
    changed = [found for record in records_of(kb.index) if (found := change(record)) is not None]
    refused, _ = engine.write(changed)
    assert not refused
    engine.refresh()
    return verify(engine, kb.encoder, kb.index)


def weights(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Record], Record]:
    return lambda record: replace(record, weights=change(record.weights).astype(np.float32))


FACTORS = np.random.default_rng(5).uniform(0.3, 1.0, 1000).astype(np.float32)


def unpooled(record: Record) -> Record:
    """Keep a fifth of the terms, with the smaller weights of some position."""
    kept = np.arange(len(record.terms)) % 5 == 0
    return replace(
        record, terms=record.terms[kept], weights=record.weights[kept] * FACTORS[: kept.sum()]
    )


def folded(record: Record) -> Record:
    folds: dict[int, float] = {}
    for term, weight in zip(record.terms.tolist(), record.weights.tolist(), strict=True):
        folds[term % 16384] = max(folds.get(term % 16384, 0.0), weight)
    terms = np.array(sorted(folds), np.uint32)
    return replace(
        record, terms=terms, weights=np.array([folds[int(t)] for t in terms], np.float32)
    )


def shifted(record: Record) -> Record:
    return replace(record, terms=record.terms + np.uint32(1))


def pruned(record: Record) -> Record:
    kept = np.sort(np.argsort(-record.weights)[:20])
    return replace(record, terms=record.terms[kept], weights=record.weights[kept])


def shuffled(record: Record) -> Record:
    """The vector of another model: other terms."""
    terms = np.sort((record.terms.astype(np.int64) * 7919 + 13) % 30522).astype(np.uint32)
    return replace(record, terms=terms)


@pytest.mark.parametrize(
    ("change", "check", "said"),
    [
        (unpooled, Check.VECTORS, "lack the maximum over positions: 2[01]%"),
        (folded, Check.VECTORS, "term ids are folded modulo 16,384"),
        (shifted, Check.VECTORS, r"shifted by \+1: ids start at 0 here, and at 1 in pgvector"),
        (pruned, Check.VECTORS, "are pruned: .* the largest weights"),
        (weights(np.expm1), Check.VECTORS, r"another activation: relu instead of log1p"),
        (weights(np.log1p), Check.VECTORS, "another activation: log1p twice"),
        (weights(lambda found: found * 100), Check.VECTORS, r"are multiplied by (100|99\.[89])"),
        (shuffled, Check.VECTORS, "of another model or of other texts"),
        (
            lambda record: replace(record, record_id=record.record_id.lower()),
            Check.RECORDS,
            "160 ids were lower-cased: SA001",
        ),
        (
            lambda record: None if record.doc_id == "SA004" else record,
            Check.RECORDS,
            "1 passage is missing: SA004",
        ),
    ],
    ids=[
        "unpooled",
        "folded",
        "shifted",
        "pruned",
        "relu",
        "twice",
        "scaled",
        "model",
        "lower",
        "missing",
    ],
)
def test_planted_faults_are_found(
    engine: Engine,
    support: Collection,
    change: Callable[[Record], Record | None],
    check: Check,
    said: str,
) -> None:
    found = filled(engine, support, change)
    assert found.verdict is Verdict.DIFFERENT
    named = [each.said for each in found.differences if each.check is check]
    assert any(re.search(said, each) for each in named), found.differences


def test_a_target_of_another_model_is_named(engine: Engine, support: Collection) -> None:
    space = support.index.space
    engine.create(EngineSchema(space.model._replace(hash="f" * 64), len(space.vocabulary)))
    engine.write(list(records_of(support.index)))
    engine.refresh()
    found = verify(engine, support.encoder)
    assert [each.check for each in found.differences] == [Check.MODEL]


def test_targets_and_encoders_that_are_missing_are_named(
    engine: Engine, target: Target, support: Collection
) -> None:
    with pytest.raises(EngineError, match="push to it first"):
        verify(engine, support.encoder)
    with pytest.raises(EngineError, match="push without --seismic"):  # no plugin, or no such thing
        engine.create(EngineSchema(support.index.space.model, 30522, seismic=3.0))
    assert engine.info().records is None
    push(support.index, engine)
    with pytest.raises(EngineError, match="exists: drop it, or push to it"):
        engine.create(EngineSchema(support.index.space.model, 30522))
    engine.encoder = None
    with pytest.raises(DataError, match="needs an encoder for queries in words"):
        engine.rank(["x"], 3)


def test_the_commands_push_verify_search_and_explain(target: Target, support_path: Path) -> None:
    url = target.address
    pushed = lexpand_command("push", support_path, url)
    assert pushed.returncode == 0 and "160 passages written" in pushed.stdout, pushed
    again = json.loads(lexpand_command("push", support_path, url, "--json").stdout)
    assert (again["uploaded"], again["unchanged"]) == (0, 160)
    for source in (support_path, "default"):
        found = lexpand_command("verify", source, url)
        assert found.returncode == 0 and found.stdout.startswith(str(target.verdict)), found
    hits = json.loads(lexpand_command("search", url, "dd-am04", "-k", "1", "--json").stdout)
    assert [hit["doc_id"] for hit in hits["hits"]] == ["SA037"]
    explained = json.loads(lexpand_command("explain", url, "dd-am04", "SA037", "--json").stdout)
    assert explained["score"] == pytest.approx(hits["hits"][0]["score"], rel=0.01)
    store = support_path.parent / f"{target.kind}-runs"
    measured = lexpand_command(
        "evaluate", url, SUPPORT / "questions.csv", "--store", store, "--json"
    )
    (run,) = json.loads(measured.stdout)["runs"]
    assert run["measures"]["nDCG@10"] > 0.3, measured
    no = lexpand_command("evaluate", url, SUPPORT / "questions.csv", "--baselines", store)
    assert no.returncode == 2 and "an engine is searched as it is" in no.stderr
    other = lexpand_command("search", url, "x", "--pipeline", "best")
    assert other.returncode == 1
    assert "must be one of splade, bm25, hybrid, engine-hybrid, got best" in other.stderr
    with open_engine(url) as engine:
        engine.delete(["SA037"])
        engine.refresh()
    broken = lexpand_command("verify", support_path, url)
    assert broken.returncode == 1 and "1 passage is missing: SA037" in broken.stdout
    refused = lexpand_command("explain", url, "x", "SA037", "--why-not")
    assert refused.returncode == 2 and "an engine has vectors alone" in refused.stderr
    with open_engine(url) as engine:
        engine.drop()
