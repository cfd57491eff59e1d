"""Field names in any case, the JSON form of `Fields`, and rows without ids."""

import json

import pytest

from lexpand.data import Document, Fields, read_documents
from lexpand.errors import DataError, RowError, SourceError


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("row", "fields", "expected"),
    [
        ({"ID": "a", "Text": "t", "TITLE": "T"}, Fields(), Document("a", "t", "T")),
        ({"Doc_Id": "a", "Body": "t"}, Fields(), Document("a", "t")),
        ({"ID": "a", "_id": "b", "text": "t"}, Fields(), Document("b", "t", metadata={"ID": "a"})),
        (
            {"Id": "a", "id": "b", "Text": "t", "text": "u"},
            Fields(),
            Document("b", "u", metadata={"Id": "a", "Text": "t"}),
        ),
        ({"KEY": "a", "text": "t"}, Fields(doc_id="key"), Document("a", "t")),
        (
            {"KEY": "a", "key": "b", "text": "t"},
            Fields(doc_id="KEY"),
            Document("a", "t", metadata={"key": "b"}),
        ),
        ({"id": "a", "STRASSE": "t"}, Fields(text="straße"), Document("a", "t")),
        ({"id": "a", "text": "t", "NAME": "n"}, Fields(title="name"), Document("a", "t", "n")),
        (
            {"id": "a", "text": "t", "Title": "n", "title": None},
            Fields(),
            Document("a", "t", metadata={"Title": "n"}),
        ),
    ],
)
def test_names_match_in_any_case_and_exact_matches_win(tmp_path, row, fields, expected):
    assert list(read_documents(write(tmp_path / "x.jsonl", row), fields=fields)) == [expected]


def test_a_csv_header_may_have_capitals(tmp_path):
    (tmp_path / "x.csv").write_text("ID,Text\n7,words\n")
    assert list(read_documents(tmp_path / "x.csv")) == [Document("7", "words")]


@pytest.mark.parametrize(
    "row", [{"ID": "a", "Id": "b", "text": "t"}, {"id": "a", "TEXT": "t", "Text": "u"}]
)
def test_two_names_that_differ_only_in_case_are_refused(tmp_path, row):
    with pytest.raises(
        RowError, match=r"fields '\w+' and '\w+' both match '\w+': rename one, or name the one"
    ):
        list(read_documents(write(tmp_path / "x.jsonl", row)))


@pytest.mark.parametrize(
    "fields",
    [
        Fields(),
        Fields(doc_id="key"),
        Fields("a", "b", "c"),
        Fields(modified=True),
        Fields(text="é", modified=True),
    ],
)
def test_fields_round_trip_as_json(fields):
    settings = fields.to_dict()
    assert Fields.from_dict(json.loads(json.dumps(settings))) == fields
    assert None not in settings.values()


def test_defaults_are_not_recorded():
    assert Fields().to_dict() == {}
    assert Fields(text="body", modified=True).to_dict() == {"text": "body", "modified": True}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"id": "key"}, "a key of fields must be doc_id, text, title or modified, got 'id'"),
        ({"doc_id": 7}, "doc_id of fields must be the name of a field, got 7"),
        ({"modified": "yes"}, "modified of fields must be true or false, got 'yes'"),
    ],
)
def test_invalid_settings_are_refused(settings, message):
    with pytest.raises(DataError, match=message):
        Fields.from_dict(settings)


def test_rows_without_ids_get_the_hash_of_their_content(tmp_path):
    notes = []
    rows = [{"text": "a", "n": 1}, {"text": "a", "n": 1}, {"body": "b", "title": "T"}]
    documents = list(read_documents(write(tmp_path / "x.jsonl", *rows), on_note=notes.append))
    assert documents == [
        Document("d5abf52e6b627a7a4b700c79279ebd1a", "a", metadata={"n": 1}),
        Document("d5abf52e6b627a7a4b700c79279ebd1a", "a", metadata={"n": 1}),
        Document.from_content("b", "T"),
    ]
    assert documents[2].doc_id == documents[2].content_hash.hex()
    assert len(notes) == 1
    assert notes[0].startswith(
        f"{tmp_path / 'x.jsonl'} has no ids (doc_id, id, _id): the id of a document is the hash"
    )


@pytest.mark.parametrize("place", [0, 1, 2, 40])
def test_a_row_without_an_id_is_refused_if_another_has_one(tmp_path, place):
    rows = [{"text": f"t{number}"} for number in range(41)]
    rows[place]["Id"] = "here"
    bad, notes = [], []
    documents = list(
        read_documents(
            write(tmp_path / "x.jsonl", *rows), on_bad_row=bad.append, on_note=notes.append
        )
    )
    assert documents == [Document("here", f"t{place}")]
    assert len(bad) == 40
    assert "missing field 'doc_id' (the row has: text)" in bad[0].reason
    assert notes == []


def test_a_null_id_is_not_a_missing_field(tmp_path):
    with pytest.raises(RowError, match="field 'id' must not be null"):
        list(read_documents(write(tmp_path / "x.jsonl", {"id": None, "text": "a"})))


def test_a_named_id_field_must_exist(tmp_path):
    with pytest.raises(RowError, match="missing field 'key'"):
        list(
            read_documents(write(tmp_path / "x.jsonl", {"text": "a"}), fields=Fields(doc_id="key"))
        )


def test_only_the_first_rows_are_searched_for_an_id(tmp_path):
    """The first 64 rows decide that a source has no ids; a later id is still used."""
    rows = [*({"text": f"t{number}"} for number in range(100)), {"id": "late", "text": "t"}]
    documents = list(read_documents(write(tmp_path / "x.jsonl", *rows)))
    assert len(documents) == 101
    assert documents[100].doc_id == "late"


def test_rows_before_damage_are_yielded_first(tmp_path):
    (tmp_path / "x.json").write_text('[{"text": "a"}, {"text": "b"}, {"text": ')
    documents = read_documents(tmp_path / "x.json")
    assert [next(documents).text, next(documents).text] == ["a", "b"]
    with pytest.raises(SourceError, match="item 3 is invalid JSON"):
        next(documents)
