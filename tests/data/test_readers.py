"""Behavior of all kinds of sources: dispatch, fields, invalid rows, compression, streaming."""

import gzip
import itertools
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand.data import Document, Fields, Query, collection_path, read_documents, read_queries
from lexpand.data.streams import write_lines
from lexpand.errors import RowError, SourceError


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read_all(source, **options):
    """Return the documents, and the errors of invalid rows as text."""
    bad = []
    documents = list(read_documents(source, on_bad_row=bad.append, **options))
    return documents, [str(row) for row in bad]


def test_scifact_is_read():
    documents = list(read_documents(collection_path("scifact")))
    assert len(documents) == len({document.doc_id for document in documents}) == 5183
    assert documents[0].doc_id == "4983"
    assert documents[0].title.startswith("Microstructural development")
    assert documents[0].source.endswith("corpus.jsonl.gz:1")
    queries = list(read_queries(collection_path("scifact")))
    assert len(queries) == 300
    assert queries[0] == Query("1", "0-dimensional biomaterials show inductive properties.")


def test_the_packaged_collection_is_small_and_named():
    files = [path for path in collection_path("scifact").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 3_000_000
    with pytest.raises(SourceError, match="no collection 'nq' is packaged; there are: scifact"):
        collection_path("nq")


@pytest.mark.parametrize(
    "suffix", [".jsonl", ".ndjson", ".json", ".JSONL", ".jsonl.gz", ".jsonl.zst"]
)
def test_all_json_suffixes_are_read(tmp_path, suffix):
    path = tmp_path / f"docs{suffix}"
    write_lines(path, ['{"id": "a", "text": "b"}'])
    (document,) = read_documents(str(path))
    assert document == Document("a", "b")
    assert document.source == f"{path}:1"


@pytest.mark.parametrize(
    "name", ["docs.xml", "docs", "docs.gz", "docs.parquet.gz", "docs.md.gz", "docs.txt"]
)
def test_an_unknown_kind_is_refused_at_once(tmp_path, name):
    (tmp_path / name).write_text("x")
    if name != "docs.txt":
        with pytest.raises(SourceError, match=r"known suffix, got .+: use one of \.jsonl"):
            read_documents(tmp_path / name)
    with pytest.raises(SourceError, match="must have a known suffix"):
        read_queries(tmp_path / name)


def test_a_missing_source_is_refused_at_once(tmp_path):
    for read in (read_documents, read_queries):
        with pytest.raises(SourceError, match=r"gone\.jsonl does not exist"):
            read(tmp_path / "gone.jsonl")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl", b""),
        ("x.jsonl", b"\n \n"),
        ("x.csv", b""),
        ("x.csv", b"id,text\n"),
        ("x.tsv", b"id\ttext\n"),
        ("x.jsonl.gz", b""),
    ],
)
def test_an_empty_source_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match="is empty"):
        list(read_documents(tmp_path / name))


def test_a_source_with_only_invalid_rows_is_not_empty(tmp_path):
    (tmp_path / "x.jsonl").write_text("bad\n")
    assert read_all(tmp_path / "x.jsonl")[0] == []


def test_the_first_invalid_row_raises_after_the_valid_ones(tmp_path):
    documents = read_documents(write(tmp_path / "x.jsonl", {"id": "a", "text": "b"}, {"id": "c"}))
    assert next(documents).doc_id == "a"
    with pytest.raises(RowError) as caught:
        next(documents)
    assert caught.value.place == f"{tmp_path / 'x.jsonl'}:2"
    assert caught.value.doc_id == "c"
    assert (
        "missing field 'text' (the row has: id); name it with fields (--text-field on the command"
        " line)" in caught.value.reason
    )


def test_errors_of_the_callback_propagate(tmp_path):
    def fail(row):
        raise EOFError("of the callback")

    with pytest.raises(EOFError, match="of the callback"):
        list(read_documents(write(tmp_path / "x.jsonl", {}), on_bad_row=fail))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {"doc_id": "a", "id": "b", "_id": "c", "text": "t"},
            Document("a", "t", metadata={"id": "b", "_id": "c"}),
        ),
        ({"_id": "c", "contents": "t"}, Document("c", "t")),
        ({"id": "c", "content": "t"}, Document("c", "t")),
        ({"id": "c", "body": "t", "title": "T"}, Document("c", "t", "T")),
        ({"id": 7, "text": "t"}, Document("7", "t")),
        ({"id": -(10**30), "text": "t"}, Document("-1" + "0" * 30, "t")),
        ({"id": "a", "text": "t", "title": None}, Document("a", "t")),
        (
            {"id": None, "_id": "a", "text": None, "body": "t"},
            Document("a", "t", metadata={"id": None, "text": None}),
        ),
        (
            {"id": "a", "text": "t", "n": [1, {"x": None}]},
            Document("a", "t", metadata={"n": [1, {"x": None}]}),
        ),
        (
            {"id": "a", "text": "t", "metadata": {"y": 1}, "x": 2},
            Document("a", "t", metadata={"x": 2, "y": 1}),
        ),
        (
            {"id": "a", "text": "t", "metadata": {"text": "u"}},
            Document("a", "t", metadata={"text": "u"}),
        ),
        ({"id": "a", "text": "t", "metadata": "u"}, Document("a", "t", metadata={"metadata": "u"})),
    ],
)
def test_the_default_fields_are_found(tmp_path, row, expected):
    assert list(read_documents(write(tmp_path / "x.jsonl", row))) == [expected]


def test_named_fields_are_used(tmp_path):
    path = write(
        tmp_path / "x.jsonl", {"key": 1, "id": "i", "summary": "s", "text": "t", "name": "n"}
    )
    fields = Fields(doc_id="key", text="summary", title="name")
    assert list(read_documents(path, fields=fields)) == [
        Document("1", "s", "n", {"id": "i", "text": "t"})
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            Fields(doc_id="key"),
            r"x.jsonl:1: missing field 'key' \(the row has: id, text\).*--id-field",
        ),
        (Fields(text="body"), r"x.jsonl:1 \(id 'a'\): missing field 'body' .*--text-field"),
        (Fields(title="name"), r"missing field 'name' .*--title-field"),
    ],
)
def test_a_named_field_must_exist(tmp_path, fields, message):
    with pytest.raises(RowError, match=message):
        list(read_documents(write(tmp_path / "x.jsonl", {"id": "a", "text": "t"}), fields=fields))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "missing field 'doc_id' (the row has: no fields)"),
        ({"text": "t"}, "missing field 'doc_id' (the row has: text)"),
        ({"id": None, "text": "t"}, "field 'id' must not be null"),
        ({"id": True, "text": "t"}, "id must be a non-empty string, got True"),
        ({"id": 1.5, "text": "t"}, "id must be a non-empty string, got 1.5"),
        ({"id": "", "text": "t"}, "id must be a non-empty string, got ''"),
        ({"id": ["a"], "text": "t"}, "id must be a non-empty string, got ['a']"),
        ({"id": "x" * 513, "text": "t"}, "must have at most 512 bytes, got 513 bytes"),
        ({"id": "a\0b", "text": "t"}, "has a NUL character"),
        ({"id": "\ud800", "text": "t"}, "id has a lone surrogate, U+D800"),
        ({"id": "a", "text": None}, "(id 'a'): field 'text' must not be null"),
        ({"id": "a", "text": 5}, "(id 'a'): text must be a string, got 5 (int)"),
        ({"id": "a", "text": ["t"]}, "(id 'a'): text must be a string, got ['t'] (list)"),
        (
            {"id": "a", "text": "t\udc00"},
            "(id 'a'): text has a lone surrogate, U+DC00 at character 1",
        ),
        ({"id": "a", "text": "t", "title": 5}, "(id 'a'): title must be a string, got 5"),
        ({"id": "a", "text": "t", "title": "\ud800"}, "(id 'a'): title has a lone surrogate"),
        ({"id": "a", "text": "t", "x": "\ud800"}, "(id 'a'): metadata['x'] has a lone surrogate"),
        ({"id": "a", "text": "t", "x": float("nan")}, "(id 'a'): metadata['x'] is nan"),
        ({"id": "a", "text": "t", "x": [float("-inf")]}, "(id 'a'): metadata['x'][0] is -inf"),
        (
            {"id": "a", "text": "t", "x": 1, "metadata": {"x": 1}},
            "(id 'a'): field 'x' is in the row and in its metadata",
        ),
    ],
)
def test_invalid_rows_are_named_and_valid_ones_kept(tmp_path, row, message):
    good = {"id": "good", "text": "t"}
    documents, bad = read_all(write(tmp_path / "x.jsonl", good, row, good))
    assert [document.source[-2:] for document in documents] == [":1", ":3"]
    assert len(bad) == 1
    assert bad[0].startswith(f"{tmp_path / 'x.jsonl'}:2")
    assert message in bad[0]


def test_messages_can_always_be_printed(tmp_path):
    _, bad = read_all(
        write(tmp_path / "x.jsonl", {"\ud800": 1}, {"id": "\ud800"}, {"id": "a", "\ud800": 1})
    )
    assert len(bad) == 3
    "".join(bad).encode()


@given(
    st.text(),
    st.text(),
    st.dictionaries(st.text(max_size=5), st.text() | st.integers() | st.none(), max_size=3),
)
def test_json_lines_round_trip(tmp_path_factory, text, title, metadata):
    document = Document("a", text, title, {"metadata.": metadata})
    path = tmp_path_factory.mktemp("json") / "x.jsonl.zst"
    row = {"id": "a", "text": text, "title": title, "metadata": document.metadata}
    write_lines(path, [json.dumps(row, ensure_ascii=False)])
    assert list(read_documents(path)) == [document]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_truncated_stream_yields_its_valid_rows_first(tmp_path, suffix, kind):
    path = tmp_path / f"x.{kind}{suffix}"
    rows = [
        {"id": str(number), "text": f"{number * 7919 % 100_003} " * 20} for number in range(20_000)
    ]
    lines = (
        map(json.dumps, rows) if kind == "jsonl" else (f"{row['id']},{row['text']}" for row in rows)
    )
    write_lines(path, itertools.chain([] if kind == "jsonl" else ["id,text"], lines))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    documents = []
    with pytest.raises(
        SourceError, match=r"is damaged or cut short after line \d+ .*make it again"
    ):
        documents.extend(iter_into(documents, read_documents(path)))
    assert 1000 < len(documents) < 20_000
    assert [document.text for document in documents] == [
        row["text"] for row in rows[: len(documents)]
    ]


def iter_into(taken, documents):
    for document in documents:
        taken.append(document)
    return []


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".gz", b"no gzip"),
        (".zst", b"no zstd"),
        (".zst", b""),
        (".gz", gzip.compress(b"x", mtime=0)[:12]),
    ],
)
def test_a_wrong_compression_suffix_is_refused(tmp_path, suffix, content):
    path = tmp_path / f"x.jsonl{suffix}"
    path.write_bytes(content)
    with pytest.raises(SourceError, match="damaged or cut short after line 0"):
        list(read_documents(path))


def test_a_flipped_byte_in_a_gzip_stream_is_detected(tmp_path):
    path = tmp_path / "x.jsonl.gz"
    write_lines(path, ('{"id": "a", "text": "b"}' for _ in range(10)))
    content = bytearray(path.read_bytes())
    content[len(content) - 6] ^= 1  # in the CRC
    path.write_bytes(content)
    with pytest.raises(SourceError, match="damaged"):
        list(read_documents(path))


@pytest.mark.parametrize("name", ["big.jsonl", "big.jsonl.gz", "big.csv", "big.tsv"])
def test_memory_does_not_grow_with_the_file(tmp_path, name):
    path, count = tmp_path / name, 30
    text = "x" * 1_000_000
    body = {"jsonl": f'{{"id": "a", "text": "{text}"}}', "csv": f'a,"{text}"', "tsv": f"a\t{text}"}
    header = {"jsonl": [], "csv": ["id,text"], "tsv": ["id\ttext"]}
    kind = name.split(".")[1]
    write_lines(path, itertools.chain(header[kind], itertools.repeat(body[kind], count)))
    tracemalloc.start()
    try:
        assert sum(len(document.text) for document in read_documents(path)) == count * len(text)
        assert tracemalloc.get_traced_memory()[1] < 15_000_000
    finally:
        tracemalloc.stop()


def test_documents_are_read_lazily(tmp_path):
    path = write(tmp_path / "x.jsonl", *({"id": str(n), "text": "t" * 1000} for n in range(1000)))
    documents = read_documents(path)
    assert next(documents).doc_id == "0"
    with path.open("a") as file:
        file.write('{"id": "later", "text": "t"}\n')
    assert [document.doc_id for document in documents][-1] == "later"


def test_a_beir_folder_is_read(tmp_path):
    write(
        tmp_path / "corpus.jsonl", {"_id": "a", "title": "T", "text": "t", "metadata": {"url": "u"}}
    )
    write(tmp_path / "queries.jsonl", {"_id": "q", "text": "t", "metadata": {}})
    (tmp_path / "readme.md").write_text("not a document")
    assert list(read_documents(tmp_path)) == [Document("a", "t", "T", {"url": "u"})]
    assert list(read_queries(tmp_path)) == [Query("q", "t")]


def test_a_compressed_beir_folder_is_read(tmp_path):
    write_lines(tmp_path / "corpus.jsonl.zst", ['{"_id": "a", "text": "t"}'])
    assert [document.doc_id for document in read_documents(tmp_path)] == ["a"]
    with pytest.raises(SourceError, match=r"has no queries\.jsonl"):
        read_queries(tmp_path)


@pytest.mark.parametrize(
    "content", ['1\thow many?\r\n\n2\t"what?\n', 'query_id\ttext\n1\thow many?\n2\t"what?']
)
def test_queries_are_read_from_a_table(tmp_path, content):
    (tmp_path / "x.tsv").write_bytes(content.encode())
    assert list(read_queries(tmp_path / "x.tsv")) == [Query("1", "how many?"), Query("2", '"what?')]


def test_invalid_queries_are_named(tmp_path):
    (tmp_path / "x.tsv").write_bytes(b"1\ta\tb\n2\n\tc\n\xff\tc\n5\tgood\n")
    bad = []
    assert list(read_queries(tmp_path / "x.tsv", on_bad_row=bad.append)) == [Query("5", "good")]
    assert [row.place.rsplit(":")[-1] for row in bad] == ["1", "2", "3", "4"]
    assert "a line must have 2 columns (query_id, a tab, text), got 3" in bad[0].reason
    with pytest.raises(RowError, match=r"x\.tsv:1"):
        list(read_queries(tmp_path / "x.tsv"))


def test_queries_are_read_from_json_lines(tmp_path):
    rows = [
        {"qid": 1, "query": "a"},
        {"query_id": "2", "text": "b", "other": 1},
        {"id": "3"},
        {"text": "c"},
    ]
    bad = []
    queries = list(read_queries(write(tmp_path / "x.jsonl", *rows), on_bad_row=bad.append))
    assert queries == [Query("1", "a"), Query("2", "b")]
    assert [(row.place[-2:], row.doc_id) for row in bad] == [(":3", "3"), (":4", None)]
