import gzip
import stat

import pytest

from lexpand.data import streams
from lexpand.errors import SourceError, StorageError


@pytest.mark.parametrize("name", ["x.txt", "x.txt.gz", "x.txt.zst"])
def test_written_lines_are_read_back(tmp_path, name):
    streams.write_lines(tmp_path / name, ["a", "é", ""])
    assert list(streams.read_lines(tmp_path / name)) == [
        (1, b"a\n"),
        (2, "é\n".encode()),
        (3, b"\n"),
    ]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_equal_lines_give_equal_gzip_files(tmp_path):
    for name in ("a.gz", "b.gz"):
        streams.write_lines(tmp_path / name, ["x"])
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == b"x\n"


def test_a_byte_order_mark_is_dropped_only_at_the_start(tmp_path):
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbfa\n\xef\xbb\xbfb")
    assert [line for _, line in streams.read_lines(tmp_path / "x")] == [b"a\n", b"\xef\xbb\xbfb"]


def test_an_endless_line_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "LONGEST_LINE", 10)
    (tmp_path / "x").write_bytes(b"123456789\n12345678901\n")
    lines = streams.read_lines(tmp_path / "x")
    assert next(lines) == (1, b"123456789\n")
    with pytest.raises(SourceError, match=r"x:2: a line must have at most 10 bytes, got more"):
        next(lines)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    def lines():
        yield "new"
        raise KeyError("from the body")

    (tmp_path / "x").write_text("old")
    with pytest.raises(KeyError):
        streams.write_lines(tmp_path / "x", lines())
    assert (tmp_path / "x").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_write_through_a_link_keeps_the_link(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    streams.write_lines(tmp_path / "link", ["new"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new\n"


def test_files_get_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")
    streams.write_lines(tmp_path / "ours", [])
    rights = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "ours")]
    assert rights[0] == rights[1]


def test_a_file_cannot_replace_a_folder(tmp_path):
    with pytest.raises(StorageError, match="cannot write"):
        streams.write_lines(tmp_path, ["x"])
