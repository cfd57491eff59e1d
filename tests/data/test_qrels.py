import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand.data import Qrels, collection_path
from lexpand.errors import DataError, RowError, SourceError

plain = st.characters(codec="utf-8", exclude_characters="\0\t\n\r")
beir_ids = st.text(plain, min_size=1, max_size=9)
trec_ids = st.text(
    st.characters(codec="utf-8", exclude_characters="\0 \t\n\r\x0b\x0c"), min_size=1, max_size=9
)
grades = st.integers(-2, 10**12)


def judgments(ids):
    return st.dictionaries(
        ids, st.dictionaries(ids, grades, min_size=1, max_size=4), min_size=1, max_size=4
    )


@given(judgments(trec_ids))
def test_trec_files_round_trip(tmp_path_factory, judged):
    path = tmp_path_factory.mktemp("qrels") / "x.qrels.gz"
    Qrels(judged).write_trec(path)
    assert Qrels.read(path) == Qrels(judged)


@given(judgments(beir_ids))
def test_beir_tables_round_trip(tmp_path_factory, judged):
    path = tmp_path_factory.mktemp("qrels") / "x.tsv.zst"
    Qrels(judged).write_beir(path)
    assert Qrels.read(path) == Qrels(judged)


def test_the_qrels_of_scifact_round_trip(tmp_path):
    path = collection_path("scifact") / "qrels" / "test.tsv"
    qrels = Qrels.read(path)
    assert len(qrels.judgments) == 300
    assert sum(map(len, qrels.judgments.values())) == 339
    assert qrels.judgments["1"] == {"31715818": 1}
    qrels.write_beir(tmp_path / "again.tsv")
    assert (tmp_path / "again.tsv").read_text() == path.read_text()


def test_windows_line_ends_and_blank_lines_are_accepted(tmp_path):
    (tmp_path / "x").write_bytes(b"query-id\tcorpus-id\tscore\r\n\r\na b\tc d\t2\r\n")
    assert Qrels.read(tmp_path / "x").judgments == {"a b": {"c d": 2}}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (b"q 0 a", "x:1: a line must have 4 columns .query_id 0 doc_id grade., got 3"),
        (b"q 0 a 1\nq 0 b 1 2", "x:2: a line must have 4 columns .*, got 5"),
        (b"q 0 a 1.5", "x:1: the grade must be a whole number, got '1.5'; correct the line"),
        (b"q 0 a yes", "the grade must be a whole number, got 'yes'"),
        (b"q 0 a 1_0", "got '1_0'"),
        (b"q 0 a .0", "got '.0'"),
        (
            b"q 0 a 1\n\nq 0 a 2",
            r"x:3 \(id 'a'\): judged 1 and 2 for query 'q': keep one of the lines",
        ),
        (
            b"query-id\tcorpus-id\tscore\nq\ta\t1\nq\ta\t0",
            r"x:3 \(id 'a'\): judged 1 and 0 for query 'q'",
        ),
        (b"q # a 1.5", "got '1.5'"),
        (b"q 0 a 1\nquery-id\tcorpus-id\tscore\n", "x:2: a line must have 4 columns .*, got 3"),
        (b"q 0 \xff 1", "x:1: invalid UTF-8 at byte offset 4"),
        (b"query-id\tcorpus-id\tscore\nq a 1", "x:2: a line must have 3 columns .*, got 1"),
        (b"query-id\tcorpus-id\tscore\n\ta\t1", "x:2: query_id must be a non-empty string, got ''"),
    ],
)
def test_invalid_lines_are_named(tmp_path, lines, message):
    (tmp_path / "x").write_bytes(lines)
    with pytest.raises(RowError, match=message):
        Qrels.read(tmp_path / "x")


@pytest.mark.parametrize("head", [b"", b"query-id\tcorpus-id\tscore\n"])
def test_comments_repeated_lines_and_decimal_grades_are_accepted(tmp_path, head):
    lines = [
        b"# made by hand",
        b"q 0 a 1.0",
        b"",
        b"#q 0 b grade",
        b"q 0 a 1",
        b"  ",
        b"q 0 c -1.",
        b"q 0 a 1.00",
    ]
    if head:
        lines = [line.replace(b" 0 ", b"\t").replace(b" ", b"\t") for line in lines]
    (tmp_path / "x").write_bytes(head + b"\n".join(lines))
    assert Qrels.read(tmp_path / "x").judgments == {"q": {"a": 1, "c": -1}}


def test_a_comment_may_precede_the_header(tmp_path):
    (tmp_path / "x").write_bytes(b"# a comment\nquery-id\tcorpus-id\tscore\nq\ta b\t1\n")
    assert Qrels.read(tmp_path / "x").judgments == {"q": {"a b": 1}}


def test_an_id_may_start_with_a_number_sign(tmp_path):
    (tmp_path / "x").write_bytes(b"# judged in June\n#1 0 a 1\n")
    assert Qrels.read(tmp_path / "x").judgments == {"#1": {"a": 1}}


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"# no judgment\n", b"query-id\tcorpus-id\tscore\n"]
)
def test_a_file_without_judgments_is_refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(SourceError, match="has no judgments"):
        Qrels.read(tmp_path / "x")


def test_invalid_judgments_are_refused():
    with pytest.raises(DataError, match=r"the grades of query 'q' must be a mapping .* got 'abc'"):
        Qrels({"q": "abc"})
    with pytest.raises(DataError, match=r"judgments must be a mapping .* got \['q'\]"):
        Qrels(["q"])
    with pytest.raises(
        DataError, match=r"query 'q', document 'a': the grade must be an integer, got 1.5"
    ):
        Qrels({"q": {"a": 1.5}})
    with pytest.raises(DataError, match="query_id must be a non-empty string, got ''"):
        Qrels({"": {"a": 1}})
    with pytest.raises(DataError, match="doc_id must be a non-empty string, got ''"):
        Qrels({"q": {"": 1}})


def test_ids_that_a_format_cannot_represent_are_refused(tmp_path):
    with pytest.raises(DataError, match="white space"):
        Qrels({"a b": {"c": 1}}).write_trec(tmp_path / "x")
    with pytest.raises(DataError, match="tab or a line end"):
        Qrels({"a": {"c\td": 1}}).write_beir(tmp_path / "x")
    assert not list(tmp_path.iterdir())
