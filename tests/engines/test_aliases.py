"""Aliases: a new model or index beside the live one, verified, and then switched to."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_nodes import KINDS, Node, lexpand_command
from fake_cluster import FakeCluster, running

import lexpand
from lexpand import Encoder
from lexpand.collection import Collection
from lexpand.engines import Engine, EngineSchema, Verdict, open_engine, push, verify
from lexpand.errors import ContractMismatch, EngineError


@pytest.fixture(params=[*KINDS, "postgres"])
def base(
    request: pytest.FixtureRequest, start_node: Callable[[str], Node], encoder: Encoder
) -> Iterator[str]:
    """The address of targets, with the word TABLE for the name."""
    if request.param == "postgres":
        yield str(request.getfixturevalue("postgres"))
        return
    address = f"{start_node(request.param).url}/TABLE"
    yield address
    for name in ("blue", "green", "other"):
        with open_engine(address.replace("TABLE", name)) as engine:
            engine.drop()


def named(base: str, name: str, encoder: Encoder | None = None) -> Engine:
    return open_engine(base.replace("TABLE", name), encoder)


@pytest.mark.slow
def test_searches_follow_an_alias_and_go_back(
    base: str, support: Collection, tmp_path: Path
) -> None:
    rows = [{"id": "new", "title": "Reset", "text": "How to reset my login"}]
    with lexpand.create(tmp_path / "green.index", rows) as green:
        with named(base, "blue") as engine:
            push(support.index, engine)
            assert engine.alias("live") is None
        with named(base, "green") as engine:
            push(green.index, engine)
        live = named(base, "live", support.encoder)
        assert live.info().records == 160 and live.info().model == support.index.space.model
        assert verify(live, support.encoder, support.index).verdict is not Verdict.DIFFERENT
        url = base.replace("TABLE", "green")
        refused = lexpand_command("switch", url, "live", "--verify", support.index.path)
        assert refused.returncode == 1 and "live was not switched" in refused.stderr
        assert live.info().records == 160
        done = lexpand_command("switch", url, "live", "--verify", tmp_path / "green.index")
        assert done.returncode == 0, done
        assert "live points to green, no longer to blue" in done.stdout
        (found,) = live.rank(["reset my login"], 3)
        assert list(found.doc_ids) == ["new"]
        with named(base, "blue") as engine:
            assert engine.alias("live") == "green"
        assert open_engine(base.replace("TABLE", "live")).info().records == 160
        with (
            named(base, "live") as engine,
            pytest.raises(EngineError, match="live is an alias of blue: name that instead"),
        ):
            engine.alias("second")
        with named(base, "gone") as engine, pytest.raises(EngineError, match="push to it first"):
            engine.alias("live")
        with named(base, "green") as engine, pytest.raises(EngineError, match="blue is"):
            engine.alias("blue")
        live.close()
        if base.startswith("postgres"):
            psycopg_drop(base, "live")
            for name in ("blue", "green"):
                with named(base, name) as engine:
                    engine.drop()


def psycopg_drop(base: str, view: str) -> None:
    with open_engine(base.replace("TABLE", view)) as engine:
        engine._run(f"DROP VIEW {view}")  # type: ignore[attr-defined]


@pytest.mark.slow
def test_an_alias_does_not_move_between_folded_and_other_weights(
    base: str, support: Collection
) -> None:
    """A search that runs has read which of both the alias is."""
    with named(base, "blue") as blue, named(base, "green") as green, named(base, "other") as other:
        try:
            model = support.index.space.model
            blue.create(EngineSchema(model, 30522))
            green.create(EngineSchema(model, 30522, folded=True))
            other.create(EngineSchema(model, 30522, folded=True))
            assert blue.alias("live") is None and green.alias("folded") is None
            with pytest.raises(EngineError, match="live points to a target with no folded query"):
                green.alias("live")
            with pytest.raises(EngineError, match="folded points to a target with folded query w"):
                blue.alias("folded")
            assert blue.alias("live") == "blue" and other.alias("folded") == "green"
        finally:
            if base.startswith("postgres"):
                for view in ("live", "folded"):
                    psycopg_drop(base, view)
            for each in (blue, green, other):
                each.drop()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_alias_of_two_models_is_refused(
    kind: str, start_node: Callable[[str], Node], support: Collection
) -> None:
    base = f"{start_node(kind).url}/TABLE"
    model = support.index.space.model
    with named(base, "blue") as blue, named(base, "other") as other:
        try:
            blue.create(EngineSchema(model, 30522))
            other.create(EngineSchema(model._replace(name="other", hash="0" * 64), 30522))
            for each in (blue, other):
                add = {"add": {"index": each.target, "alias": "both"}}
                each._connection.request("POST", "/_aliases", {"actions": [add]})  # type: ignore[attr-defined]
            with pytest.raises(ContractMismatch, match="both is an alias of blue, other, whose"):
                named(base, "both").info()
            assert blue.alias("both") == "blue, other"
            assert named(base, "both").info().model == model
        finally:
            blue.drop()
            other.drop()


def test_an_alias_of_a_qdrant_server_is_switched_in_one_request() -> None:
    """https://api.qdrant.tech: no server ran here."""
    root = (200, {"title": "qdrant - vector search engine", "version": "1.16.0"})
    listed = [{"alias_name": "live", "collection_name": "blue"}]
    with running(FakeCluster({"GET /": [root]})) as cluster:
        model = {"version": 1, "model": "m", "contract_hash": "0" * 64, "columns": {}}
        own = {"id": 1, "payload": {"lexpand": model}}
        cluster.answers |= {
            "GET /collections/green": [(200, {"result": {}})],
            "POST /collections/green/points": [(200, {"result": [own]})],
            "POST /collections/green/points/count": [(200, {"result": {"count": 3}})],
            "POST /collections/blue/points": [(200, {"result": []})],
            "GET /aliases": [(200, {"result": {"aliases": listed}})],
            "POST /collections/aliases": [(200, {"result": True})],
        }
        with open_engine(f"{cluster.url}/green") as engine:
            assert engine.alias("live") == "blue"
            assert json.loads(cluster.asked[-1][3]) == {
                "actions": [
                    {"delete_alias": {"alias_name": "live"}},
                    {"create_alias": {"collection_name": "green", "alias_name": "live"}},
                ]
            }
            card = {"id": 1, "payload": {"lexpand": {**model, "folded": True}}}
            cluster.answers["POST /collections/blue/points"] = [(200, {"result": [card]})]
            with pytest.raises(EngineError, match="live points to a target with folded query weig"):
                engine.alias("live")
            assert all(path != "/collections/aliases" for _, path, *_ in cluster.asked[-3:])
            cluster.answers["GET /collections/page"] = [(200, {"result": {}})]
            with pytest.raises(EngineError, match="page is a collection, so it cannot be an alias"):
                engine.alias("page")
            cluster.answers["POST /collections/green/points"] = [(200, {"result": []})]
            with pytest.raises(EngineError, match=r"green on .* must be made by a push before"):
                engine.alias("live")
            listed.append({"alias_name": "green", "collection_name": "blue"})
            with pytest.raises(EngineError, match="green is an alias of blue: name that instead"):
                engine.alias("live")


def test_a_folder_has_no_aliases(tmp_path: Path, support: Collection) -> None:
    pytest.importorskip("qdrant_edge")
    with open_engine(f"qdrant-edge:{tmp_path / 'shard'}") as engine:
        with pytest.raises(EngineError, match="push to it first"):
            engine.alias("live")
        engine.create(EngineSchema(support.index.space.model, 30522))
        with pytest.raises(EngineError, match="has no aliases: rename folders"):
            engine.alias("live")
