"""Documents that are read back from the catalog equal those that were added."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_toys import EVERYTHING, SPACE, ids_in, toy_vectors

from lexpand import Document, Index

texts = st.text(st.characters(codec="utf-8"), max_size=40)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
documents = st.builds(
    Document,
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=120),
    texts,
    texts,
    st.dictionaries(texts, json_values, max_size=3),
)


def round_trip(path: Path, *documents: Document) -> list[Document]:
    """Return documents from an index that was committed, closed and opened again."""
    with Index.create(path, SPACE) as index:
        index.add(documents, toy_vectors([{0: 1.0}] * len(documents)))
        index.commit()
    with Index.open(path) as index:
        assert set(ids_in(index)) == {document.doc_id for document in documents}
        return [index.document(document.doc_id) for document in documents]


def identical(found: Document, expected: Document) -> bool:
    """Return whether documents are equal, also in what == ignores.

    These are the types of 1, 1.0 and True, the sign of 0.0, and the order of keys.
    """
    return (
        found == expected
        and repr(found) == repr(expected)
        and found.content_hash == expected.content_hash
    )


@settings(max_examples=40)
@given(st.lists(documents, min_size=1, max_size=8, unique_by=lambda document: document.doc_id))
def test_random_documents_are_restored(expected: list[Document]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = round_trip(Path(folder) / "i", *expected)
    assert all(identical(*pair) for pair in zip(found, expected, strict=True))


METADATA: dict[str, Any] = {
    "null": None,
    "true": True,
    "one": 1,
    "float": 1.0,
    "negative zero": -0.0,
    "tenth": 0.1,
    "tiny": 5e-324,
    "large": 1.7976931348623157e308,
    "integer": 2**200,
    "text": 'line\nend \0 nul \u2028 "quoted" \\ 日本語 😀',
    "list": [1, [2, {"deep": []}], "", {}],
    "": {"empty key": ""},
    "b": 1,
    "a": 2,
}


@pytest.mark.parametrize(
    "document",
    [
        Document("metadata", "text", "title", METADATA),
        Document("nul", "a\0b\0\0", "\0"),
        Document("empty", "", ""),
        Document("é" * 256, "an id of 512 bytes"),
        Document("x" * 512, "an id of 512 bytes"),
        Document("'; DROP TABLE documents; --", "an id with SQL"),
        Document("a\tb\nc d", "an id with white space"),
        Document(
            "scripts", "Ελληνικά עברית العربية हिन्दी 中文 한국어 👩‍👩‍👧‍👦 \U0010ffff e\u0301 é"
        ),
    ],
    ids=lambda document: document.doc_id[:12],
)
def test_unusual_documents_are_restored(tmp_path: Path, document: Document) -> None:
    (found,) = round_trip(tmp_path / "i", document)
    assert identical(found, document)


def test_similar_ids_are_distinct(tmp_path: Path) -> None:
    ids = ["a", "A", "é", "e\u0301", " a", "a ", "1", "01", "1.0"]
    found = round_trip(tmp_path / "i", *(Document(doc_id, f"of {doc_id}") for doc_id in ids))
    assert [document.text for document in found] == [f"of {doc_id}" for doc_id in ids]


def test_a_text_of_ten_megabytes_is_restored(tmp_path: Path) -> None:
    document = Document("long", "ten megabytes \0 " * 655_360, "a title")
    assert len(document.text) > 10_000_000
    (found,) = round_trip(tmp_path / "i", document)
    assert found == document


def test_the_source_of_a_document_is_not_stored(tmp_path: Path) -> None:
    (found,) = round_trip(tmp_path / "i", Document("a", "b", source="docs.jsonl:1"))
    assert found.source == ""


def test_more_documents_than_sql_variables_are_read_and_added(tmp_path: Path) -> None:
    """There are more documents than SQLite allows variables in a statement."""
    many = [Document(f"d{i}", f"text {i}") for i in range(2500)]
    with Index.create(tmp_path / "i", SPACE) as index:
        index.add(many, toy_vectors([{0: 1.0}] * 2500))
        index.commit()
        (found,) = index.search(EVERYTHING, 2500)
        assert [match.doc_id for match in found] == [document.doc_id for document in many]
        assert list(index.documents(range(2500)).values()) == many
        assert index.add(many, toy_vectors([{0: 1.0}] * 2500)) == 0
