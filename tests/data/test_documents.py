import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand.data import Document, Query, check_id
from lexpand.errors import DataError

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
documents = st.builds(
    Document,
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=120),
    st.text(),
    st.text(),
    st.dictionaries(st.text(), json_values, max_size=3),
)


@pytest.mark.parametrize("doc_id", ["a", "x" * 512, "é" * 256, "with space", "\u00a0", "0"])
def test_valid_ids_are_accepted(doc_id):
    assert check_id(doc_id, "doc_id") == doc_id
    assert Query(doc_id, "").query_id == doc_id


@pytest.mark.parametrize(
    ("doc_id", "message"),
    [
        ("", "doc_id must be a non-empty string, got ''"),
        (7, "doc_id must be a non-empty string, got 7"),
        (None, "doc_id must be a non-empty string, got None"),
        ("x" * 513, "doc_id must have at most 512 bytes, got 513 bytes: shorten"),
        ("é" * 257, "514 bytes"),
        ("a\0b", "NUL"),
        ("a\ud800", r"lone surrogate, U\+D800 at character 1"),
    ],
)
def test_invalid_ids_are_refused(doc_id, message):
    with pytest.raises(DataError, match=message):
        Document(doc_id, "text")
    with pytest.raises(DataError, match=message.replace("doc_id", "query_id")):
        Query(doc_id, "text")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"text": None}, "text must be a string, got None"),
        ({"text": b"bytes"}, "bytes"),
        ({"title": None}, "title must be a string, got None"),
        ({"text": "a\udfff"}, r"text has a lone surrogate, U\+DFFF"),
        ({"title": "\ud800"}, "title has a lone surrogate"),
        ({"metadata": [1]}, "must be a mapping"),
        ({"metadata": {1: "a"}}, "a key of metadata must be a string, got 1"),
        ({"metadata": {"a": {None: 1}}}, r"a key of metadata\['a'\] must be a string, got None"),
        ({"metadata": {"a": float("nan")}}, r"metadata\['a'\] is nan"),
        ({"metadata": {"a": [1, float("inf")]}}, r"metadata\['a'\]\[1\] is inf"),
        ({"metadata": {"a": "\ud800"}}, "lone surrogate"),
        ({"metadata": {"\ud800": 1}}, "a key of metadata has a lone surrogate"),
        ({"metadata": {"a": {1, 2}}}, "is a set"),
        ({"metadata": {"a": b"x"}}, "is a bytes"),
        ({"metadata": {"a": 10**5000}}, "an integer of"),
    ],
)
def test_invalid_fields_are_refused(fields, message):
    with pytest.raises(DataError, match=message):
        Document(**{"doc_id": "a", "text": "b", **fields})


def test_metadata_depth_is_limited():
    def nested(depth):
        return {"a": nested(depth - 1)} if depth else {}

    Document("a", "b", metadata=nested(63))
    with pytest.raises(DataError, match="deeper than 64"):
        Document("a", "b", metadata=nested(64))


def test_a_text_may_contain_nul():
    assert Document("a", "x\0y", "t\0").full_text == "t\0 x\0y"


def test_full_text_joins_title_and_text():
    assert Document("a", "text", "title").full_text == "title text"
    assert Document("a", "text").full_text == "text"
    assert Document("a", "", "title").full_text == "title"
    assert Document("a", "").full_text == ""


def test_the_source_does_not_affect_equality():
    first, second = Document("a", "b", source="x.jsonl:1"), Document("a", "b", source="y.jsonl:2")
    assert first == second
    assert hash(first) == hash(second)
    assert "jsonl" not in repr(first)


def test_a_document_keeps_its_own_metadata():
    tags = ["new"]
    document = Document("a", "b", metadata={"tags": tags})
    tags.append("changed")
    assert document.metadata == {"tags": ["new"]}


def test_content_hash_never_changes():
    """Indexes store the hash. With another value, every stored document would count as changed."""
    document = Document("a", "text", "title", {"b": [1, 2.5, None], "a": "é"})
    assert document.content_hash.hex() == "97d970cc90a71b85eddeb88e9fd1eb1d"


def test_content_hash_covers_only_the_content():
    base = Document("a", "text", "title", {"k": 1})
    assert Document("b", "text", "title", {"k": 1}, "elsewhere").content_hash == base.content_hash
    others = [
        Document("a", "text2", "title", {"k": 1}),
        Document("a", "text", "title2", {"k": 1}),
        Document("a", "text", "title", {"k": 2}),
        Document("a", "titletext", "", {"k": 1}),
        Document("a", "", "titletext", {"k": 1}),
    ]
    assert len({base.content_hash, *(other.content_hash for other in others)}) == 6


def test_content_hash_does_not_depend_on_the_order_of_keys():
    first = Document("a", "b", metadata={"x": 1, "y": {"p": 1, "q": 2}})
    second = Document("a", "b", metadata={"y": {"q": 2, "p": 1}, "x": 1})
    assert first.content_hash == second.content_hash


@given(documents)
def test_any_document_hashes_and_pickles(document):
    again = pickle.loads(pickle.dumps(document))
    assert again == document
    assert len(document.content_hash) == 16
    assert again.content_hash == document.content_hash


@given(st.text(max_size=3), st.text(max_size=3), st.text(max_size=3), st.text(max_size=3))
def test_content_hash_separates_title_and_text(text, title, other_text, other_title):
    same = (text, title) == (other_text, other_title)
    assert (
        Document("a", text, title).content_hash
        == Document("a", other_text, other_title).content_hash
    ) == same


def test_text_is_not_normalized():
    composed, decomposed = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    assert Document("a", composed).content_hash != Document("a", decomposed).content_hash
