"""PostgreSQL with pgvector: filters, limits, addresses, and tables of others."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import filter_cases as cases
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import lexpand
from lexpand.collection import Collection
from lexpand.data import ModelId
from lexpand.engines import (
    Credentials,
    EngineSchema,
    PostgresEngine,
    engine_pipeline,
    open_engine,
    push,
)
from lexpand.engines.jsonpath import filter_condition
from lexpand.engines.records import Record
from lexpand.errors import DataError, EngineError, FilterError
from lexpand.index.filters import Expression, matches, parse_text

psycopg = pytest.importorskip("psycopg")

pytestmark = pytest.mark.slow  # `make test-engines` runs them

MODEL = ModelId("m", "ab" * 32)


@pytest.fixture(scope="module")
def connection(postgres: str) -> Iterator[Any]:
    host = parse_qs(urlsplit(postgres).query)["host"][0]
    with psycopg.connect(host=host, dbname="postgres", user="postgres", autocommit=True) as found:
        yield found


@pytest.fixture
def table(postgres: str, connection: Any) -> Iterator[str]:
    """The address of a table that is dropped."""
    yield postgres.replace("TABLE", "own")
    connection.execute("DROP TABLE IF EXISTS own")


def record(name: str, **others: object) -> Record:
    content: dict[str, Any] = {
        "title": "T",
        "text": "text",
        "metadata": {},
        "terms": np.array([7, 1037], np.uint32),
        "weights": np.array([0.5, 1.7], np.float32),
        **others,
    }
    return Record(name, name, 0, **content)


def holds(connection: Any, expression: Expression, metadata: dict[str, Any]) -> bool:
    condition, values = filter_condition(expression, "metadata")
    query = f"SELECT {condition} FROM (SELECT %s::jsonb AS metadata) AS one"
    ((found,),) = connection.execute(query, [*values, json.dumps(metadata)]).fetchall()
    assert isinstance(found, bool)
    return found


def exact(value: object) -> bool:
    """Whether PostgreSQL, which reads numbers as decimals, compares all of them as Python does."""
    if isinstance(value, dict):
        return all(exact(each) for each in value.values())
    if isinstance(value, list):
        return all(map(exact, value))
    return not isinstance(value, float) or abs(value) < 2**53


@given(expression=cases.joined(cases.conditions(cases.paths)), metadata=cases.metadata)
@settings(max_examples=300, deadline=None)
def test_filters_agree_with_the_reference(
    connection: Any,
    expression: Expression,
    metadata: dict[str, Any],
) -> None:
    bounds = [
        value
        for condition in expression.conditions
        for value in (
            *getattr(condition, "values", ()),
            *(bound.value for bound in getattr(condition, "bounds", ())),
        )
    ]
    assume("\\u0000" not in json.dumps([metadata, str(expression)]) and "\0" not in str(expression))
    assume(exact(metadata) and exact(bounds))
    assert holds(connection, expression, metadata) == matches(expression, metadata)


@given(
    expression=cases.conditions(st.just(("a",))),
    value=cases.scalars | st.lists(cases.scalars | st.none() | st.lists(cases.scalars), max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_conditions_on_one_field_agree_with_the_reference(
    connection: Any,
    expression: Expression,
    value: object,
) -> None:
    bounds = [
        *getattr(expression, "values", ()),
        *(bound.value for bound in getattr(expression, "bounds", ())),
    ]
    assume("\\u0000" not in json.dumps([value, bounds]))
    assume(exact(value) and exact(bounds))
    assert holds(connection, expression, {"a": value}) == matches(expression, {"a": value})


def test_any_field_filters_and_its_text_is_only_in_the_parameters() -> None:
    text, values = filter_condition(parse_text('author.name = "x\'y" and not exists(doi)'), "m")
    assert "x'y" not in text and text.count("%s") == len(values) == 11
    with pytest.raises(FilterError, match="has the character U"):
        filter_condition(parse_text('a = "b\\u0000"'), "m")
    assert filter_condition(parse_text('a = "b\\\\u0000"'), "m")  # a backslash and letters


def test_refused_records_are_listed_and_the_others_kept(table: str) -> None:
    many = np.arange(16_001, dtype=np.uint32)
    with open_engine(table) as engine:
        engine.create(EngineSchema(MODEL, 30_522))
        refused, _ = engine.write(
            [
                record("good"),
                record("nul", text="a\0b"),
                record("deep", metadata={"a": ["\0"]}),
                record("long", terms=many, weights=np.ones(16_001, np.float32)),
                record("wide", terms=np.array([30_522], np.uint32), weights=np.ones(1, np.float32)),
                record("esc", metadata={"a": ["write \\u0000", {"\\\\u0000": 1}]}),
                record("key", metadata={"a\0": 1}),
                record("last", title="tab\tnew\nline\\ \\N", text="", metadata={"n": None}),
            ]
        )
        reasons = {each.record_id: each.reason for each in refused}
        assert set(reasons) == {"nul", "deep", "long", "wide", "key"}
        assert "U+0000" in reasons["nul"] and "U+0000" in reasons["deep"]
        assert "16000" in reasons["long"] and "index" in reasons["wide"]
        kept = engine.stored(["good", "last", "nul", "esc"])
        assert set(kept) == {"good", "last", "esc"}
        assert kept["esc"].metadata == {"a": ["write \\u0000", {"\\\\u0000": 1}]}
        assert kept["last"].title == "tab\tnew\nline\\ \\N" and kept["last"].metadata == {"n": None}
        np.testing.assert_array_equal(kept["good"].weights, np.array([0.5, 1.7], np.float32))
        assert engine.digests(["good", "gone", "nul\0"]) == {"good": record("good").digest()}


def test_a_table_that_something_else_made_is_not_touched(
    table: str,
    connection: Any,
    support: Collection,
) -> None:
    connection.execute("CREATE TABLE own (id integer)")
    connection.execute("INSERT INTO own VALUES (1)")
    with open_engine(table) as engine:
        with pytest.raises(EngineError, match="something else made it: choose another name"):
            push(support.index, engine)
        with pytest.raises(EngineError, match="has no table own with splade"):
            engine.rank(["x"], 3) if engine.encoder else engine.write([record("a")])
    assert connection.execute("SELECT * FROM own").fetchall() == [(1,)]


def test_an_old_version_of_a_refused_record_is_deleted(table: str, tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "printer"}, {"id": "b", "text": "paper"}]
    with lexpand.create(tmp_path / "r.index", rows) as kb, open_engine(table) as engine:
        assert push(kb.index, engine).uploaded == 2
        kb.replace([{"id": "b", "text": "paper\0jam"}])
        report = push(kb.index, engine)
        assert [each.record_id for each in report.refused] == ["b"] and report.deleted == 1
        assert list(engine.record_ids()) == ["a"]


def test_a_switch_keeps_privileges_and_views(postgres: str, connection: Any) -> None:
    """Of a table with the same columns, and of one with vectors of another size."""
    reader = f"reader_{uuid.uuid4().hex[:8]}"
    connection.execute(f"CREATE ROLE {reader}")
    try:
        names = ("blue", "green", "large")
        for name, size in zip(names, (30_522, 30_522, 50_000), strict=True):
            with open_engine(postgres.replace("TABLE", name)) as engine:
                engine.create(EngineSchema(MODEL, size))
        with open_engine(postgres.replace("TABLE", "blue")) as engine:
            engine.alias("live")
            with pytest.raises(DataError, match="at most 63 bytes, got 70"):
                engine.alias("x" * 70)
        connection.execute(f"GRANT SELECT ON live TO {reader}")
        for name in ("green", "large", "blue"):
            with open_engine(postgres.replace("TABLE", name)) as engine:
                engine.alias("live")
            (allowed,) = connection.execute(
                "SELECT has_table_privilege(%s, 'live', 'SELECT')", [reader]
            ).fetchone()
            assert allowed, name
        connection.execute("CREATE VIEW mine AS SELECT doc_id FROM live")
        with open_engine(postgres.replace("TABLE", "green")) as engine:
            assert engine.alias("live") == "blue"
        with (
            open_engine(postgres.replace("TABLE", "live")) as engine,
            pytest.raises(EngineError, match="live is an alias of green: name that instead"),
        ):
            engine.alias("second")
    finally:
        connection.execute("DROP VIEW IF EXISTS mine, live")
        connection.execute("DROP TABLE IF EXISTS blue, green, large")
        connection.execute(f"DROP ROLE {reader}")


def test_there_is_no_bm25(table: str, support: Collection) -> None:
    with open_engine(table, support.encoder) as engine:
        push(support.index, engine)
        with pytest.raises(EngineError, match="has no BM25 that Lexpand can use"):
            engine_pipeline(engine, "hybrid").rank(["x"], 3)


def test_a_push_goes_on_after_connections_are_lost(
    table: str,
    connection: Any,
    tmp_path: Path,
    support: Collection,
) -> None:
    rows = [
        {"id": f"{page.doc_id}-{i}", "text": page.text}
        for i in range(4)
        for page in (support.get(doc_id) for doc_id in support.index.doc_ids())
    ]
    killed: list[int] = []
    with lexpand.create(tmp_path / "many.index", rows) as kb, open_engine(table) as engine:

        def interrupt(_: int) -> None:
            (found,) = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE application_name = 'lexpand'"
            ).fetchone()
            killed.append(found)

        report = push(kb.index, engine, threads=2, on_done=interrupt)
        assert sum(killed) > 0 and report.uploaded == len(rows) and not report.refused
        assert sorted(engine.record_ids()) == sorted(kb.index.doc_ids())


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgresql://localhost/database", "must be postgresql://HOST:PORT/DATABASE/TABLE"),
        ("postgresql://localhost/a/b/c", "must be postgresql://HOST:PORT/DATABASE/TABLE"),
        ("postgresql://localhost/a/b?sslmode=disable", "must be postgresql://HOST:PORT"),
        ("postgresql://me:secret@localhost/a/b", "must not have a password"),
        (f"postgresql://localhost/a/{'p' * 64}", "must have at most 63 bytes, got 64"),
        ("postgres+x://me:secret@localhost/a/b", "address of an engine must be such as"),
        ("elastic://me:secret@localhost/a", "address of an engine must be such as"),
        ("https://me:secret@localhost:9200/", "must be URL/INDEX"),
        ("https://me:secret@[localhost/a", "is no valid address"),
    ],
)
def test_addresses_that_are_refused(address: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        open_engine(address)
    assert "secret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_named_at_once() -> None:
    with pytest.raises(EngineError, match=r"localhost/a cannot be reached: .*refused"):
        open_engine("postgresql://localhost:1/a/b")
    with pytest.raises(DataError, match="needs a user and a password, not an API key"):
        PostgresEngine("postgresql://localhost:1/a/b", credentials=Credentials(api_key="x"))


def test_another_machine_is_reached_over_verified_tls_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def connect(**options: object) -> None:
        asked.append(options)
        raise psycopg.OperationalError("no route")

    monkeypatch.setattr(psycopg, "connect", connect)
    for ca, expected in ((None, "system"), (Path("own.pem"), "own.pem")):
        with pytest.raises(EngineError, match="no route"):
            open_engine("postgresql://db.example.org/a/b", ca=ca)
        assert asked[-1]["sslmode"] == "verify-full" and asked[-1]["sslrootcert"] == expected
