"""Milvus: filters, addresses, words, fusion and foreign collections, by its emulator."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import filter_cases as cases
import numpy as np
import pytest
from engine_nodes import SUPPORT, lexpand_command, milvus_address, require_milvus
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import lexpand
from lexpand import Encoder
from lexpand.collection import Collection
from lexpand.data import ModelId, SparseVectors, read_judged
from lexpand.engines import (
    Credentials,
    Engine,
    EngineSchema,
    Fields,
    MilvusEngine,
    Verdict,
    engine_pipeline,
    milvus_collection,
    open_engine,
    push,
    verify,
)
from lexpand.engines.milvus_client import MilvusAddress, Refused, connected, explained
from lexpand.engines.milvus_filters import keys_filter, milvus_filter, quoted
from lexpand.engines.milvus_schema import VECTOR_SEARCH, index_params
from lexpand.engines.ranking import document_matches
from lexpand.engines.records import Record
from lexpand.errors import DataError, EngineError, FilterError, MissingExtra, SourceError
from lexpand.experiments.evaluating import evaluate_retriever
from lexpand.index.filters import Expression, Not, OneOf, Range, matches, parse_text
from lexpand.index.filters.values import kind_of, values_at

MODEL = ModelId("m", "ab" * 32)

METADATA: list[dict[str, Any]] = [
    {},
    {"a": None},
    {"a": {"b": 1}},
    *({"a": value} for value in [0, 1, 1.0, -1, 0.5, 2**53, 2**53 + 1, 2**62, 1e300]),
    *({"a": value} for value in ["", "a", "1", "true", 'say "x"', "é", "\U0001f600", "back\\"]),
    *({"a": value} for value in [[1, "a"], [2010, 2030], ["b", None]]),
    {"a.b": 1, "é ü": "x", "2020": 7, "it's": 3, "[0]": 2, "": 1},
]
KEYS = ["a", "a.b", "é ü", "2020", "it's", "[0]", ""]


def vectors(*rows: dict[int, float]) -> SparseVectors:
    indptr = np.cumsum([0, *map(len, rows)])
    terms = np.array([term for row in rows for term in sorted(row)], np.uint32)
    weights = np.array([row[term] for row in rows for term in sorted(row)], np.float32)
    return SparseVectors(indptr.astype(np.int64), terms, weights, 30522, MODEL)


def record(name: str, metadata: dict[str, Any] | None = None, text: str = "text") -> Record:
    terms, weights = np.array([7, 1037], np.uint32), np.array([0.5, 1.7], np.float32)
    return Record(name, name, 0, "T", text, metadata or {}, terms, weights)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A collection with the metadata above; the ids are their places."""
    require_milvus()
    with open_engine(milvus_address(tmp_path_factory.mktemp("milvus"))) as engine:
        engine.create(EngineSchema(MODEL, 30522))
        refused, _ = engine.write([record(str(i), each) for i, each in enumerate(METADATA)])
        assert not refused
        yield engine


@pytest.fixture
def engine(tmp_path: Path, encoder: Encoder) -> Iterator[Engine]:
    require_milvus()
    with open_engine(milvus_address(tmp_path), encoder) as found:
        yield found


numbers = st.sampled_from([0, 1, -1, 1.0, 0.5, 3, 2010, 2020, 2030, 2**53, 2**53 + 1, 2**62, 1e300])
values = numbers | st.sampled_from(["", "a", "b", "1", "true", 'say "x"', "é", "back\\"])
fields = st.sampled_from([("a", "b"), *((key,) for key in KEYS)])


def conditions() -> st.SearchStrategy[Expression]:
    bounds = cases.ranges(numbers) | cases.ranges(st.sampled_from(["", "a", "b", "é"]))
    return cases.conditions(fields, values) | st.builds(
        lambda field, pair: Range(field, *pair), fields, bounds
    )


@given(expression=cases.joined(conditions()))
@settings(max_examples=300, deadline=None)
def test_filters_agree_with_the_reference(filled: Engine, expression: Expression) -> None:
    for condition in expression.conditions:
        limits = [bound.value for bound in condition.bounds] if isinstance(condition, Range) else []
        values = [*limits, *(condition.values if isinstance(condition, OneOf) else [])]
        assume(not any(isinstance(each, bool) for each in values))  # True is 1 in Milvus Lite
        assume(not any(isinstance(each, int) and abs(each) >= 2**63 for each in values))
        assume(not any(isinstance(each, str) and min(each, default="~") < " " for each in values))
        assume(not any(min(key, default="~") < " " for key in condition.field))
    answer = filled._collection._client.query(  # type: ignore[attr-defined]
        filled.target, filter=milvus_filter(expression), output_fields=["record_id"], limit=100
    )
    ranges = [each for each in expression.conditions if isinstance(each, Range)]
    compared = {i for i, each in enumerate(METADATA) if all(is_single(each, r) for r in ranges)}
    expected = {i for i in compared if matches(expression, METADATA[i])}
    assert {int(row["record_id"]) for row in answer} & compared == expected


def is_single(metadata: dict[str, Any], condition: Range) -> bool:
    """Return whether a field has no value, or one of the type of the range."""
    found = values_at(metadata, condition.field)
    kind = kind_of(condition.bounds[0].value)
    return not isinstance(metadata.get("a"), list) and all(kind_of(each) == kind for each in found)


def test_filters_are_those_of_the_documentation() -> None:
    """https://milvus.io/docs/json-operators.md and basic-operators.md."""
    assert milvus_filter(parse_text("by.name = 'it'")) == (
        '(exists metadata["by"]["name"] and (metadata["by"]["name"] == "it"'
        ' or json_contains_any(metadata["by"]["name"], ["it"])))'
    )
    assert milvus_filter(Not(parse_text("2016 < year <= 2018"))) == (
        '(not (exists metadata["year"] and (metadata["year"] > 2016 and metadata["year"] <= 2018)))'
    )
    with pytest.raises(FilterError, match=r"cannot filter by control characters, got 'a\\tb'"):
        milvus_filter(OneOf(("a",), ("a\tb",)))
    with pytest.raises(FilterError, match="integers of 64 bits, which cannot hold 9223372036854"):
        milvus_filter(OneOf(("a",), (2**63,)))


@pytest.mark.parametrize(
    ("address", "uri", "collection"),
    [
        ("milvus+https://db.example.org:19530/pages", "https://db.example.org:19530", "pages"),
        ("milvus+http://localhost:19530/_a1", "http://localhost:19530", "_a1"),
        ("milvus-lite:/x/a.db/pages", "/x/a.db", "pages"),
    ],
)
def test_addresses(address: str, uri: str, collection: str) -> None:
    found = MilvusAddress.parse(address)
    assert (found.uri, found.collection) == (uri, collection)
    assert found.is_lite == address.startswith("milvus-lite:")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("milvus+http://localhost/pages", r"must be milvus\+https://HOST:PORT/COLLECTION"),
        ("milvus+http://localhost:x/pages", r"must be milvus\+https://HOST:PORT/COLLECTION"),
        ("milvus+http://localhost:19530/pages?a=1", r"must be milvus\+https://HOST:PORT"),
        ("milvus+http://localhost:19530/my-pages", "letters, digits and _, got 'my-pages'"),
        ("milvus+http://localhost:19530/", "letters, digits and _, got ''"),
        ("milvus+http://me:pw@localhost:19530/pages", "must not have credentials"),
        ("milvus-lite:pages.db", r"must be milvus-lite:FOLDER\.db/COLLECTION"),
        ("milvus-lite:folder/pages", r"must be milvus-lite:FOLDER\.db/COLLECTION"),
        ("milvus-lite:/nowhere/at/all.db/pages", "/nowhere/at must be a folder, in which"),
    ],
)
def test_wrong_addresses_are_explained(address: str, said: str) -> None:
    if "nowhere" in address:
        require_milvus()
    with pytest.raises(DataError, match=said):
        open_engine(address)


def test_failures_to_connect_are_explained(tmp_path: Path) -> None:
    require_milvus()
    with pytest.raises(
        EngineError, match=r"http://127\.0\.0\.1:1 cannot be opened: .* that Milvus"
    ):
        open_engine("milvus+http://127.0.0.1:1/pages")
    remote = MilvusAddress.parse("milvus+http://db.example.org:19530/pages")
    with pytest.raises(DataError, match=r"must not be sent to db\.example\.org without TLS"):
        connected(remote, Credentials("me", "secret"), None)
    with pytest.raises(SourceError, match="must be a file of certificates in PEM"):
        connected(remote, Credentials(), tmp_path / "none.pem")
    (tmp_path / "other.db").write_text("mine")
    with pytest.raises(DataError, match=r"other\.db must be a folder of Milvus Lite, and is some"):
        open_engine(f"milvus-lite:{tmp_path / 'other.db'}/pages")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(MissingExtra, match=r"needs pymilvus: pip install 'lexpand\[milvus\]'"):
        open_engine("milvus+http://localhost:19530/pages")


def test_a_missing_emulator_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pymilvus")
    monkeypatch.setitem(sys.modules, "milvus_lite", None)
    with pytest.raises(MissingExtra, match=r"needs milvus-lite: pip install 'lexpand\[milvus-lite"):
        open_engine("milvus-lite:a.db/pages")


def test_a_folder_is_opened_by_one_process_at_a_time(tmp_path: Path) -> None:
    require_milvus()
    address = milvus_address(tmp_path)
    other = (
        f"from lexpand.engines import open_engine; print(open_engine({address!r}).info().records)"
    )
    with open_engine(address) as engine:
        engine.create(EngineSchema(MODEL, 30522))
        refused = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True)
        assert "one process at a time can open a folder of Milvus Lite" in refused.stderr
        with pytest.raises(DataError, match="Milvus Lite has one shard, got 3"):
            engine.drop()
            engine.create(EngineSchema(MODEL, 30522, shards=3))
        engine.create(EngineSchema(MODEL, 30522))
    opened = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True)
    assert opened.stdout == "0\n", opened.stderr


def test_indexes_and_searches_drop_no_weight(filled: Engine) -> None:
    import pymilvus

    indexes = [each.to_dict() for each in index_params(pymilvus, "splade")]
    assert {each["index_type"] for each in indexes} == {"SPARSE_INVERTED_INDEX"}
    assert [each["metric_type"] for each in indexes] == ["IP", "BM25"]
    assert {each["drop_ratio_build"] for each in indexes} == {0.0}
    assert VECTOR_SEARCH == {"metric_type": "IP", "params": {"drop_ratio_search": 0.0}}
    many = {7: 1.0} | {term: 1e-4 for term in range(2000, 3000)}
    (found,) = filled.search_vectors(vectors(many | {1037: 1e-3}), 1)
    assert found.scores[0] == pytest.approx(0.5 + 1.7e-3, abs=1e-6)


IDS = [
    "o'neil",
    "C:\\new\\a.txt",
    "a','b",
    "a",
    "b",
    "x'] or passage in [0] or record_id in ['",
    'y"] or passage in [0] or record_id in ["',
    'say "x"',
    "back\\",
    "two\nlines\rand\ta tab",
    "\x01 \x7f \u2028",
    "\\u4e2d\u4e2d \U0001f600",
    "\\\\'\"",
    "plain",
]


def test_ids_are_no_part_of_an_expression(engine: Engine) -> None:
    engine.create(EngineSchema(MODEL, 30522))
    assert engine.write([record(each) for each in IDS]) == ([], 0)
    assert set(engine.digests(IDS)) == set(engine.stored(IDS)) == set(IDS)
    for each in IDS:
        assert list(engine.digests([each])) == [each]
        engine.delete([each])
        left = IDS[IDS.index(each) + 1 :]
        assert sorted(engine.record_ids()) == sorted(left), each


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
@settings(max_examples=300, deadline=None)
def test_texts_are_quoted_as_milvus_lite_reads_them(text: str) -> None:
    require_milvus()
    from milvus_lite.search.filter import parse_expr

    (found,) = parse_expr(keys_filter("record_id", [text])).values.elements
    assert found.value == text


def test_texts_are_quoted_by_the_grammar_of_milvus() -> None:
    """Plan.g4 of Milvus: a literal has no line break, and these escapes."""
    assert quoted('a"b\\c\nd\re\tf') == '"a\\"b\\\\c\\nd\\re\tf"'
    assert keys_filter("key", [-1, 2]) == "key in [-1, 2]"


@pytest.mark.parametrize("page", [1, 3])
def test_all_rows_are_read_in_pages_that_end_with_any_id(
    engine: Engine, tmp_path: Path, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milvus_collection, "_PAGE", page)
    rows = [{"id": each, "text": f"printer {i}"} for i, each in enumerate(IDS)]
    with lexpand.create(tmp_path / "a.index", rows) as kb:
        assert push(kb.index, engine).uploaded == len(IDS)
        assert sorted(engine.record_ids()) == sorted(IDS)
        assert verify(engine, kb.encoder, kb.index).verdict is Verdict.EQUAL
        assert sorted(row["doc_id"] for row in engine.exported()) == sorted(IDS)
        gone = IDS[::2]
        kb.delete(gone)
        report = push(kb.index, engine)
        assert (report.uploaded, report.unchanged, report.deleted) == (0, 7, 7)
        assert sorted(engine.record_ids()) == sorted(set(IDS) - set(gone))
        assert verify(engine, kb.encoder, kb.index).verdict is Verdict.EQUAL


def test_long_ids_of_documents_are_kept(engine: Engine) -> None:
    engine.create(EngineSchema(MODEL, 30522))
    long = replace(record("hash"), doc_id="https://example.org/" + "a" * 600)
    assert engine.write([long]) == ([], 0)
    assert engine.stored(["hash"])["hash"].doc_id == long.doc_id


def test_a_folder_is_released_by_its_last_engine(tmp_path: Path) -> None:
    require_milvus()
    address = milvus_address(tmp_path)
    other = (
        f"from lexpand.engines import open_engine; print(open_engine({address!r}).info().records)"
    )
    first, second = open_engine(address), open_engine(address.replace(".db/", ".db//../pages.db/"))
    first.create(EngineSchema(MODEL, 30522))
    first.close()
    first.close()
    assert second.write([record("a")]) == ([], 0)
    second.close()
    opened = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True)
    assert opened.stdout == "1\n", opened.stderr


def test_a_message_that_is_too_large_is_split(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    grpc = pytest.importorskip("grpc")
    assert isinstance(engine, MilvusEngine)
    engine.create(EngineSchema(MODEL, 30522))
    client = engine._collection._client
    upsert, sizes = client.upsert, []

    class Exhausted(grpc.RpcError):  # type: ignore[misc]
        def details(self) -> str:
            return "grpc: received message larger than max (5 vs. 2)"

    def limited(name: str, rows: list[Any], **options: Any) -> Any:
        sizes.append(len(rows))
        if len(rows) > 2:
            raise Exhausted
        return upsert(name, rows, **options)

    monkeypatch.setattr(client, "upsert", limited)
    assert engine.write([record(str(i)) for i in range(5)]) == ([], 0)
    assert (sizes, sorted(engine.record_ids())) == ([5, 2, 3, 1, 2], list("01234"))


def test_a_quota_is_no_refusal() -> None:
    grpc = pytest.importorskip("grpc")

    class Exhausted(grpc.RpcError):  # type: ignore[misc]
        def details(self) -> str:
            return "the quota of requests is exhausted"

    raising = pytest.raises(EngineError, match="quota of requests")
    with raising as raised, explained("here", refusing=True):
        raise Exhausted
    assert not isinstance(raised.value, Refused)


def test_records_that_milvus_refuses_are_listed(engine: Engine) -> None:
    engine.create(EngineSchema(MODEL, 30522))
    records = [record("a"), record("long", text="x" * 70_000), record("b", {"n": 10**30})]
    refused, _ = engine.write([*records, record("c")])
    assert sorted(each.record_id for each in refused) == ["b", "long"]
    assert sorted(engine.record_ids()) == ["a", "c"]
    assert all(each.reason for each in refused)


def test_a_document_without_terms_is_kept_and_not_found(engine: Engine, tmp_path: Path) -> None:
    rows = [{"id": "empty", "text": ""}, {"id": "a", "text": "printer paper jam"}]
    with lexpand.create(tmp_path / "a.index", rows) as kb:
        push(kb.index, engine)
        assert verify(engine, kb.encoder, kb.index).verdict is Verdict.EQUAL
        assert engine.stored(["empty"])["empty"].weight_by_term() == {}
        (found,) = engine.rank(["printer"], 10)
        assert list(found.doc_ids) == ["a"]


def test_words_and_the_fusion_of_milvus(engine: Engine, support: Collection) -> None:
    push(support.index, engine)
    judged = read_judged(SUPPORT / "questions.csv")
    means = {
        name: evaluate_retriever(
            engine_pipeline(engine, name), judged, ["nDCG@10"], cost=False
        ).means["nDCG@10"]
        for name in ("splade", "bm25", "engine-hybrid")
    }
    assert means["engine-hybrid"] > min(means["splade"], means["bm25"]) > 0.2
    (words,) = engine_pipeline(engine, "bm25").rank(["DD-AM04"], 3)
    assert words.doc_ids[0] == "SA037"
    hits = engine_pipeline(engine, "engine-hybrid").search("reset my login", 5)
    assert [note.detail for note in hits.notes] == [
        "the engine's own fusion, which is not equal to Lexpand's hybrid"
    ]
    parts = [
        engine_pipeline(engine, name).search("reset my login", 500) for name in ("splade", "bm25")
    ]
    ranks = [{hit.doc_id: hit.rank for hit in part} for part in parts]
    for hit in hits:  # the reciprocal ranks of Cormack et al. 2009
        expected = sum(1 / (60 + part[hit.doc_id]) for part in ranks if hit.doc_id in part)
        assert hit.score == pytest.approx(expected, abs=1e-3)
    assert len(engine_pipeline(engine, "engine-hybrid").rank(["", "router"], 3)[1].doc_ids) == 3
    engine.encoder = None
    with pytest.raises(DataError, match="needs an encoder for queries in words"):
        engine_pipeline(engine, "engine-hybrid").rank(["x"], 3)


def test_words_and_fusions_are_filtered(engine: Engine, tmp_path: Path) -> None:
    rows = [{"id": f"d{i}", "text": "printer paper jam", "year": 2015 + i} for i in range(4)]
    with lexpand.create(tmp_path / "f.index", rows, columns={"year": "integer"}) as kb:
        push(kb.index, engine)
        for name in ("bm25", "engine-hybrid"):
            (found,) = engine_pipeline(engine, name).rank(["printer"], 9, filter="year >= 2017")
            assert set(found.doc_ids) == {"d2", "d3"}


def test_an_engine_without_a_fusion_says_so(tmp_path: Path, support: Collection) -> None:
    pytest.importorskip("qdrant_edge")
    with open_engine(f"qdrant-edge:{tmp_path / 'shard'}", support.encoder) as engine:
        push(support.index, engine)
        with pytest.raises(EngineError, match=r"qdrant-edge .* has no fusion of its own"):
            engine_pipeline(engine, "engine-hybrid").rank(["x"], 3)


def test_the_command_says_whose_fusion_it_is(tmp_path: Path, support_path: Path) -> None:
    require_milvus()
    address = milvus_address(tmp_path)
    assert lexpand_command("push", support_path, address).returncode == 0
    found = lexpand_command("search", address, "dd-am04", "-k", "1", "--pipeline", "engine-hybrid")
    assert "SA037" in found.stdout and "not equal to Lexpand's hybrid" in found.stderr, found


def test_a_collection_that_something_else_filled(
    engine: Engine, support: Collection, tmp_path: Path
) -> None:
    import pymilvus

    assert isinstance(engine, MilvusEngine)
    client = engine._collection._client
    kinds = pymilvus.DataType
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("key", kinds.INT64, is_primary=True)
    schema.add_field("sparse", kinds.SPARSE_FLOAT_VECTOR)
    indexes = client.prepare_index_params()
    indexes.add_index("sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
    client.create_collection(engine.target, schema=schema, index_params=indexes)
    texts = {-3: "reset the router", 2: "the printer has no paper"}
    encoded = support.encoder.encode_documents(list(texts.values())).as_dicts()
    rows = [
        {"key": key, "content": text, "sparse": vector}
        for (key, text), vector in zip(texts.items(), encoded, strict=True)
    ]
    client.upsert(engine.target, rows)
    with pytest.raises(EngineError, match="must be made by a push to be searched by words"):
        engine.search_words(["x"], 3)
    engine.fields = Fields("sparse", "content")
    assert engine.info().model is None and sorted(engine.record_ids()) == ["-3", "2"]
    others = ["²", "+2", "02", "1_0", "x", str(2**63)]
    assert sorted(engine.stored(["-3", "2", "7", *others])) == ["-3", "2"]
    found = verify(engine, support.encoder)
    assert (found.verdict, found.vectors) == (Verdict.EQUAL, 2)
    (ranked,) = engine.rank(["printer"], 1)
    assert list(ranked.doc_ids) == ["2"]
    assert list(engine.exported()) == [
        {"_id": str(key), "key": key, "content": text} for key, text in texts.items()
    ]
    with pytest.raises(EngineError, match="must be made by a push, because a push deletes"):
        push(support.index, engine)


def test_aliases(engine: Engine, tmp_path: Path) -> None:
    engine.create(EngineSchema(MODEL, 30522))
    engine.write([record("a")])
    assert engine.alias("live") is None and engine.alias("live") == engine.target
    with pytest.raises(EngineError, match="is a collection, so it cannot be an alias"):
        engine.alias(engine.target)
    with pytest.raises(DataError, match="an alias of Milvus must be letters, digits and undersc"):
        engine.alias("bad-name")
    with open_engine(milvus_address(tmp_path)) as folded:
        folded.create(EngineSchema(MODEL, 30522, folded=True))
        with pytest.raises(EngineError, match="live points to a target with no folded query weig"):
            folded.alias("live")
        assert engine.alias("live") == engine.target


def test_more_than_a_window_of_results_is_refused(filled: Engine) -> None:
    with pytest.raises(EngineError, match="at most 16,384 passages of a query, and 16,385 doc"):
        filled.search_vectors(vectors({7: 1.0}), 16_385)


def test_documents_of_many_passages_are_searched_deeper() -> None:
    passages = [*[("a", 9.0)] * 30, ("b", 1.0), ("c", 0.5)]
    limits: list[int] = []

    def search(asked: list[str], limit: int) -> list[list[tuple[str, float]]]:
        limits.append(limit)
        return [passages[:limit] for _ in asked]

    (empty, found) = document_matches(search, ["", "x"], 2)
    assert (list(empty.doc_ids), list(found.doc_ids), limits) == ([], ["a", "b"], [2, 14, 38])
    with pytest.raises(EngineError, match="at most 20 passages of a query, and 2 documents need"):
        document_matches(search, ["x"], 2, most=20)
