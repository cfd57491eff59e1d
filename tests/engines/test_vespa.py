"""The files for Vespa, as its documentation describes them: no Vespa ran here."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import lexpand
from lexpand.engines.records import records_of
from lexpand.engines.vespa import feed_document, query_body, write_application
from lexpand.errors import DataError


@pytest.fixture
def kb(tmp_path: Path) -> lexpand.Collection:
    rows = [
        {
            "id": "a/1 x",
            "title": "Reset",
            "text": "Reset my login",
            "year": 2020,
            "by": {"team": "a"},
        },
        {"id": "b", "text": "printer paper jam", "color": "red"},
    ]
    columns = {"year": "integer", "by.team": "keyword"}
    return lexpand.create(tmp_path / "v.index", rows, columns=columns)


def test_an_application_and_its_feed_are_written(kb: lexpand.Collection, tmp_path: Path) -> None:
    done: list[int] = []
    assert write_application(kb.index, tmp_path / "out", on_done=done.append) == sum(done) == 2
    root = ET.parse(tmp_path / "out" / "application" / "services.xml").getroot()
    assert [each.get("type") for each in root.iter("document")] == ["passage"]
    schema = (tmp_path / "out" / "application" / "schemas" / "passage.sd").read_text()
    assert schema.count("{") == schema.count("}")
    assert dict(re.findall(r"field (\w+) type (\S+) \{", schema)) == {
        "doc_id": "string",
        "passage": "int",
        "title": "string",
        "text": "string",
        "metadata": "string",
        "meta_year": "array<long>",
        "meta_by_team": "array<string>",
        "terms": "weightedset<string>",
        "splade": "tensor<float>(term{})",
    }
    assert kb.index.space.model.hash[:12] in schema
    lines = (tmp_path / "out" / "feed.jsonl").read_text().splitlines()
    first, second = map(json.loads, lines)
    assert first["put"] == "id:lexpand:passage::a%2F1%20x"
    assert first["fields"]["meta_year"] == [2020] and first["fields"]["meta_by_team"] == ["a"]
    assert "meta_year" not in second["fields"]
    assert json.loads(second["fields"]["metadata"]) == {"color": "red"}
    stored = next(records_of(kb.index.searcher()))
    weights = stored.weight_by_term()
    assert first["fields"]["terms"] == {
        str(term): max(1, round(100 * weight)) for term, weight in weights.items()
    }
    assert first["fields"]["splade"]["cells"] == pytest.approx(
        {str(term): weight for term, weight in weights.items()}
    )


def test_integers_order_documents_almost_as_weights_do(kb: lexpand.Collection) -> None:
    """The first phase finds by integers, and the second scores by the weights."""
    query = kb.encoder.encode_queries(["reset my login"]).as_dict(0)
    body = query_body(query, 5)
    asked = json.loads(body["terms"])
    for record in records_of(kb.index.searcher()):
        fields = feed_document(record, {})["fields"]
        first = sum(weight * fields["terms"].get(term, 0) for term, weight in asked.items())
        second = sum(
            weight * fields["splade"]["cells"].get(term, 0.0)
            for term, weight in body["input.query(terms)"].items()
        )
        assert first / 100**2 == pytest.approx(second, rel=0.02, abs=0.02)
    assert "{targetHits: 1000}wand(terms, @terms)" in body["yql"] and "max(5)" in body["yql"]


def test_other_files_are_not_overwritten(kb: lexpand.Collection, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="must be a new or empty folder"):
        write_application(kb.index, tmp_path / "mine")
    rows = [{"id": "a", "text": "x", "the year": 1}]
    with (
        lexpand.create(tmp_path / "w.index", rows, columns={'"the year"': "integer"}) as other,
        pytest.raises(DataError, match='got the column "the year"'),
    ):
        write_application(other.index, tmp_path / "new")
