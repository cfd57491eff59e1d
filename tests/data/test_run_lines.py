"""The fast reader of run files against the reference implementation, which reads one line."""

from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lexpand.data import Run, run_lines, streams
from lexpand.errors import RowError, SourceError

USUAL = (b"q Q0 %s %d %s t", b"p\tQ0\t%s\t%d\t%s\tt")
ids = st.sampled_from([b"a", b"b", b"c", b"d", "\u00e4\u00a0".encode(), b"#", b"x" * 512])
scores = st.sampled_from([b"1", b"1.0", b"2.5", b"-1e3", b"0", b"-0.0", b"1_0", b" 3 "])
usual_lines = st.builds(
    lambda form, document, rank, score: form % (document, rank, score),
    st.sampled_from(USUAL),
    ids,
    st.integers(0, 3),
    scores,
)
unusual_lines = st.sampled_from(
    [
        b"",
        b" \t",
        b"\r",
        b"q Q0 e 1 1 t\r",
        b"  q  Q0 e 1 1 t ",
        b"q Q0 e +1 1 t",
        b"q Q0 e 1.0 1 t",
        b"q Q0 e 0001 1 t",
        b"q Q0 e 1234567890123456789 1 t",
        b"q Q0 e 1_0 1 t",
        "q Q0 e 1 \uff11 t".encode(),
        "q Q0 e 1 1\u00a0 t".encode(),
        b"q Q0 e 1 nan t",
        b"q Q0 e 1 1e999 t",
        b"q Q0 e one 1 t",
        b"q Q0 e 1 one t",
        b"q Q0 e 1 1",
        b"q Q0 e 1 1 t t",
        b"q Q0 e\0 1 1 t",
        b"q Q0 \0 1 1 t",
        b"q Q0 e 1 1 \0",
        b"q Q0 e 1 1\0",
        b"\0",
        b"q Q0 e 1 1 \xff",
        b"q Q0 \xff 1 1 t",
        b"q Q0 " + b"x" * 513 + b" 1 1 t",
        b"q" * 513 + b" Q0 e 1 1 t",
    ]
)


def outcome(path: Path) -> object:
    """Return the run, with its queries in order, or the message of the error."""
    try:
        return list(Run.read_trec(path).rankings.items())
    except (RowError, SourceError) as error:
        return str(error)


def one_by_one(path: Path) -> object:
    with patch.object(run_lines, "add_block", lambda found, block: 0):
        return outcome(path)


@given(
    st.lists(usual_lines | usual_lines | usual_lines | unusual_lines, max_size=12),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.sampled_from([b"", b"\n"]),
    st.sampled_from([1, 20, 2**17]),
)
@example([b"q Q0 a 1 1", b"q Q0 b 2 1 t t"], b"", b"", 2**17)  # twelve cells in two lines
@example([b"q Q0 a 1 1", b"t q Q0 b 2 1 t"], b"", b"", 2**17)
@example([b"q Q0 a 1 1 t \0 q Q0 b 2 1 t"], b"", b"", 2**17)
@example([b"q Q0 a 1 1 t", b"p Q0 a 1 1 t", b"q Q0 a 1 1 t", b"q Q0 b"], b"", b"", 2**17)
def test_both_read_the_same_or_raise_the_same_error(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    start: bytes,
    end: bytes,
    block: int,
) -> None:
    path = tmp_path_factory.mktemp("run") / "x"
    path.write_bytes(start + b"\n".join(lines) + end)
    with patch.object(streams, "_BLOCK", block):
        assert outcome(path) == one_by_one(path)


def test_usual_lines_are_read_by_the_block(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"q Q0 a 1 1 t\np\tQ0\ta\t1\t1e-3\tt\r\nq Q0 b 2 2 t\n")
    with patch.object(run_lines, "_add_line") as add_line, patch.object(streams, "_BLOCK", 30):
        run = Run.read_trec(tmp_path / "x")
    assert [tuple(hit) for hit in run.rankings["q"]] == [("b", 2.0), ("a", 1.0)]
    assert add_line.call_count == 0


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", []),
        (b"\n", [(1, b"")]),
        (b"a\nb", [(1, b"a"), (2, b"b")]),
        (b"a\nb\n", [(1, b"a"), (2, b"b")]),
        (b"\xef\xbb\xbfa\n\n\nb\n", [(1, b"a"), (2, b""), (3, b""), (4, b"b")]),
        (b"\xef\xbb\xbf", [(1, b"")]),
    ],
)
@pytest.mark.parametrize("block", [1, 3, 2**17])
def test_blocks_have_all_lines(
    tmp_path: Path, content: bytes, found: list[tuple[int, bytes]], block: int
) -> None:
    (tmp_path / "x").write_bytes(content)
    with patch.object(streams, "_BLOCK", block):
        blocks = list(streams.read_blocks(tmp_path / "x"))
    lines = [
        (number + place, line)
        for number, text in blocks
        for place, line in enumerate(text.split(b"\n"))
    ]
    assert lines == found
    if content:
        expected = [
            (number, line.rstrip(b"\n")) for number, line in streams.read_lines(tmp_path / "x")
        ]
        assert lines == expected


def test_a_line_must_not_fill_the_memory(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"q Q0 a 1 1 t\n" + b"x" * 200)
    with (
        patch.object(streams, "_BLOCK", 16),
        patch.object(streams, "LONGEST_LINE", 100),
        pytest.raises(SourceError, match="x:2: a line must have at most 100 bytes, got more"),
    ):
        Run.read_trec(tmp_path / "x")
