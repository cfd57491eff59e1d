import gzip
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand.data import Run, ScoredDocument
from lexpand.errors import DataError, RowError, SourceError

trec_ids = st.text(
    st.characters(codec="utf-8", exclude_characters="\0 \t\n\r\x0b\x0c"), min_size=1, max_size=9
)
scores = st.floats(allow_nan=False, allow_infinity=False)


def pairs(ranking):
    return [tuple(hit) for hit in ranking]


def test_documents_are_ranked_by_score_and_ties_keep_their_order():
    run = Run({"q": [("a", 1), ("b", 2.0), ("c", 1.0), ("d", np.float32(2)), ("e", -1.0)]})
    assert pairs(run.rankings["q"]) == [("b", 2.0), ("d", 2.0), ("a", 1.0), ("c", 1.0), ("e", -1.0)]
    assert isinstance(run.rankings["q"][0], ScoredDocument)
    assert all(type(hit.score) is float for hit in run.rankings["q"])


@pytest.mark.parametrize(
    ("rankings", "message"),
    [
        ({"q": [("a", 1.0), ("a", 2.0)]}, "query 'q': document 'a' is in the ranking twice"),
        (
            {"q": [("a", math.nan)]},
            "query 'q': the score of document 'a' must be a finite number, got nan",
        ),
        ({"q": [("a", math.inf)]}, "must be a finite number, got inf"),
        ({"q": [("a", "1")]}, "must be a finite number, got '1'"),
        (
            {"q": "ab"},
            r"query 'q': a ranking must be a list of \(doc_id, score\) pairs, got the item 'a'",
        ),
        ({"q": [("a",)]}, r"got the item \('a',\)"),
        ({"q": ["ab"]}, "got the item 'ab'"),
        ({"q": {"a": 1.0}}, r"got {'a': 1.0}; pass its items\(\)"),
        ([("q", [])], "rankings must be a mapping from query_id to pairs, got"),
        ({"": []}, "query_id must be a non-empty string, got ''"),
        ({"q": [("", 1.0)]}, "doc_id must be a non-empty string, got ''"),
    ],
)
def test_invalid_rankings_are_refused(rankings, message):
    with pytest.raises(DataError, match=message):
        Run(rankings)


@given(
    st.dictionaries(trec_ids, st.dictionaries(trec_ids, scores, min_size=1, max_size=5), max_size=4)
)
def test_trec_files_round_trip(tmp_path_factory, rankings):
    run = Run({query: ranking.items() for query, ranking in rankings.items()})
    path = tmp_path_factory.mktemp("run") / "run.trec"
    run.write_trec(path, tag="lexpand")
    assert Run.read_trec(path) == run


@pytest.mark.parametrize("name", ["run.trec.gz", "run.trec.zst"])
def test_compressed_files_round_trip(tmp_path, name):
    run = Run({"q": [("a", 0.1)]})
    run.write_trec(tmp_path / name, "t")
    assert Run.read_trec(str(tmp_path / name)) == run


def test_scores_and_ranks_are_written(tmp_path):
    Run({"1": [("a", 0.5), ("b", 2)], "2": []}).write_trec(tmp_path / "x.gz", "tag")
    assert (
        gzip.decompress((tmp_path / "x.gz").read_bytes()) == b"1 Q0 b 1 2.0 tag\n1 Q0 a 2 0.5 tag\n"
    )


def test_reading_orders_by_score_and_then_by_rank(tmp_path):
    (tmp_path / "x").write_text(
        "q Q0 a 3 1.0 t\nq Q0 b 2 1.0 t\nq Q0 c 9 5 t\n\nq Q0 d 1 0.5 t\nq Q0 e 2 1 t\n"
    )
    assert [hit.doc_id for hit in Run.read_trec(tmp_path / "x").rankings["q"]] == [
        "c",
        "b",
        "e",
        "a",
        "d",
    ]


def test_lines_of_a_query_need_not_be_adjacent(tmp_path):
    (tmp_path / "x").write_bytes(b"q\tQ0\ta\t1\t1\tt\r\np Q0 a 1 1 t\nq Q0 b 2 2 t\n")
    run = Run.read_trec(tmp_path / "x")
    assert list(run.rankings) == ["q", "p"]
    assert pairs(run.rankings["q"]) == [("b", 2.0), ("a", 1.0)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            b"q Q0 a 1 1.0",
            "x:2: a line must have 6 columns .query_id Q0 doc_id rank score tag., got 5",
        ),
        (b"q Q0 a 1 1.0 t u", "must have 6 columns .*, got 7"),
        (b"q Q0 a 1 high t", "the score must be a finite number, got 'high'"),
        (b"q Q0 a 1 nan t", "the score must be a finite number, got 'nan'"),
        (b"q Q0 a 1 1e999 t", "the score must be a finite number, got '1e999'"),
        (b"q Q0 a first 1 t", "the rank must be a whole number, got 'first'"),
        (b"q Q0 a 1.5 1 t", "the rank must be a whole number, got '1.5'"),
        (b"q Q0 \xff 1 1 t", "invalid UTF-8 at byte offset 5"),
        (b"q Q0 a\0 1 1 t", "has a NUL character"),
        (b"q Q0 z 1 1 t", r"x:2 \(id 'z'\): the document is in the ranking of query 'q' twice"),
        (b"q Q0 " + b"x" * 513 + b" 1 1 t", "513 bytes"),
    ],
)
def test_invalid_lines_are_named(tmp_path, line, message):
    (tmp_path / "x").write_bytes(b"q Q0 z 1 1 t\n" + line + b"\n")
    with pytest.raises(RowError, match=message):
        Run.read_trec(tmp_path / "x")


def test_white_space_cannot_be_written(tmp_path):
    for run, tag in [
        (Run({"a b": [("x", 1)]}), "t"),
        (Run({"q": [("x\ty", 1)]}), "t"),
        (Run({}), "a b"),
        (Run({}), ""),
    ]:
        with pytest.raises(DataError, match="white space"):
            run.write_trec(tmp_path / "x", tag)
    assert not list(tmp_path.iterdir())


def test_a_missing_or_damaged_file_is_refused(tmp_path):
    with pytest.raises(SourceError, match="cannot open"):
        Run.read_trec(tmp_path / "gone")
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"q Q0 a 1 1 t\n")[:-4])
    with pytest.raises(SourceError, match="damaged or cut short"):
        Run.read_trec(tmp_path / "x.gz")
