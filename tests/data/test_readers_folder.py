import os
from pathlib import Path

import pytest

from lexpand.data import Document, Fields, read_documents
from lexpand.errors import RowError, SourceError


def fill(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def read_all(folder):
    bad = []
    documents = list(read_documents(folder, on_bad_row=bad.append))
    return documents, bad


def test_text_and_markdown_are_read_in_order_of_paths(tmp_path):
    names = ["b.txt", "a/z.md", "a-b.txt", "a/b/c.markdown", "a.txt", "B.TXT", "é.md"]
    skipped = ["x.png", ".hidden.txt", ".git/x.txt", "txt", "x.txt.bak"]
    fill(tmp_path, dict.fromkeys([*names, *skipped], "text"))
    documents = list(read_documents(tmp_path))
    assert [document.doc_id for document in documents] == sorted(names)
    assert documents[0] == Document("B.TXT", "text", "B", {"path": "B.TXT"})
    assert documents[0].source == str(tmp_path / "B.TXT")


@pytest.mark.parametrize(
    ("markdown", "title"),
    [
        ("# Reset your login\n\ntext", "Reset your login"),
        ("intro\n\n  # Second line ##\n# Third", "Second line"),
        ("## Lower\n# Upper", "Upper"),
        ("## Lower alone", "page"),
        ("```sh\n# a comment\n```\n# Heading", "Heading"),
        ("~~~\n```\n# a comment\n~~~\n# Heading", "Heading"),
        ("````md\n```\n# a comment\n```\n# too\n````\n# Heading", "Heading"),
        ("~~~~\n~~~\n# a comment\n~~~~~\n# Heading", "Heading"),
        ("```\n``` not closed\n# a comment\n```  \n# Heading", "Heading"),
        ("``` no `fence`\n# Heading", "Heading"),
        ("#hashtag\n#\n# C#", "C#"),
        ("#\tTab", "Tab"),
        ("    # code\n\t# code", "page"),
        ("# ##\n# Words", "Words"),
        ("# " + " \t" * 100_000, "page"),
        ("\ufeff# Marked\r\n", "Marked"),
        ("", "page"),
    ],
)
def test_the_first_heading_of_markdown_is_its_title(tmp_path, markdown, title):
    fill(tmp_path, {"page.md": markdown})
    (document,) = read_documents(tmp_path)
    assert document == Document(
        "page.md", markdown.removeprefix("\ufeff"), title, {"path": "page.md"}
    )


def test_a_text_file_has_no_headings(tmp_path):
    fill(tmp_path, {"v1.2.txt": "# heading"})
    assert [document.title for document in read_documents(tmp_path)] == ["v1.2"]


def test_invalid_files_are_named_and_valid_ones_kept(tmp_path):
    fill(
        tmp_path,
        {"a.txt": "good", "b.txt": b"a\0b", "c.md": b"ab\xff", "z/" + "n" * 240 + ".txt": "good"},
    )
    deep = "/".join(["d" * 200] * 3) + "/long.txt"
    fill(tmp_path, {deep: "an id of more than 512 bytes"})
    (tmp_path / "e.txt").symlink_to("nothing")
    os.mkfifo(tmp_path / "f.txt")
    documents, bad = read_all(tmp_path)
    assert [document.doc_id[:1] for document in documents] == ["a", "z"]
    reasons = {Path(row.place).name: row.reason for row in bad}
    assert list(reasons) == ["b.txt", "c.md", "long.txt", "e.txt", "f.txt"]
    assert "binary file" in reasons["b.txt"]
    assert "invalid UTF-8 at byte offset 2 (0xff)" in reasons["c.md"]
    assert "at most 512 bytes" in reasons["long.txt"]
    assert "cannot be read" in reasons["e.txt"]
    assert "not a regular file" in reasons["f.txt"]
    relative = {Path(row.place).relative_to(tmp_path).as_posix() for row in bad}
    assert {row.doc_id for row in bad} == relative, "the id of an unreadable file is its path"
    with pytest.raises(RowError, match=r"b\.txt \(id 'b\.txt'\): a binary file"):
        list(read_documents(tmp_path))


def test_a_file_name_that_is_not_utf8_is_refused(tmp_path):
    fill(tmp_path, {"a.txt": "good"})
    (tmp_path / os.fsdecode(b"b\xff.txt")).write_text("bad name")
    documents, bad = read_all(tmp_path)
    assert len(documents) == 1
    assert "lone surrogate" in bad[0].reason
    str(bad[0]).encode()


def test_unreadable_files_and_folders_are_named(tmp_path, monkeypatch):
    """Root may read all files, so the error is simulated."""
    fill(tmp_path, {"a.txt": "good", "b.txt": "locked", "c/d.txt": "locked"})
    scandir, read_bytes = os.scandir, Path.read_bytes

    def refuse(path, locked, otherwise):
        if Path(path).name == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return otherwise(path)

    monkeypatch.setattr(os, "scandir", lambda path: refuse(path, "c", scandir))
    monkeypatch.setattr(Path, "read_bytes", lambda path: refuse(path, "b.txt", read_bytes))
    documents, bad = read_all(tmp_path)
    assert [document.doc_id for document in documents] == ["a.txt"]
    assert [(Path(row.place).name, row.doc_id, row.reason) for row in bad] == [
        ("b.txt", "b.txt", "the file cannot be read: Permission denied"),
        ("c", None, "the folder cannot be read: Permission denied"),
    ]


def test_links_to_folders_are_not_followed(tmp_path):
    fill(tmp_path, {"a/x.txt": "once", "real.txt": "r"})
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "folder.txt").symlink_to("a")
    (tmp_path / "link.txt").symlink_to("real.txt")
    assert [document.doc_id for document in read_documents(tmp_path)] == [
        "a/x.txt",
        "link.txt",
        "real.txt",
    ]


def test_a_folder_without_text_files_is_refused(tmp_path):
    (tmp_path / "x.png").write_text("x")
    match = (
        r"is empty: it needs \*\.txt, \*\.md, .* files, or corpus\.jsonl; skipped 1 file: 1 \.png"
    )
    with pytest.raises(SourceError, match=match):
        list(read_documents(tmp_path))


def test_skipped_files_are_counted_by_suffix(tmp_path):
    names = [
        "a.txt",
        "b.PNG",
        "c/d.png",
        "e.pdf",
        "Makefile",
        "c/f.csv",
        ".hidden.pdf",
        "c/.git/g.pdf",
    ]
    fill(tmp_path, dict.fromkeys(names, "x"))
    notes = []
    documents = list(read_documents(tmp_path, on_note=notes.append))
    assert [document.doc_id for document in documents] == ["a.txt"]
    assert notes == [f"{tmp_path}: skipped 5 files: 2 .png, 1 without a suffix, 1 .csv, 1 .pdf"]
    fill(tmp_path, {f"x.k{number}": "x" for number in range(9)})
    list(read_documents(tmp_path, on_note=notes.append))
    assert notes[1].endswith(
        "skipped 14 files: 2 .png, 1 without a suffix, 1 .csv, 1 .k0, 1 .k1, 1 .k2, 1 .k3, 1 .k4, "
        "5 of other kinds"
    )


def test_a_folder_without_other_files_has_no_note(tmp_path):
    fill(tmp_path, {"a.txt": "x"})
    notes = []
    list(read_documents(tmp_path, on_note=notes.append))
    assert notes == []


@pytest.mark.parametrize("source", ["", "a.txt"])
def test_named_fields_are_not_ignored(tmp_path, source):
    """A wrong name raises one error, not one per file."""
    fill(tmp_path, {"a.txt": "x", "b.txt": "x"})
    match = r"missing field 'body' \(the header has: doc_id, text, title\)"
    with pytest.raises(SourceError, match=match):
        list(
            read_documents(
                tmp_path / source, fields=Fields(text="body"), on_bad_row=lambda row: None
            )
        )


def test_a_touched_file_is_unchanged_unless_its_time_is_metadata(tmp_path):
    fill(tmp_path, {"a.txt": "x"})

    def read(moment, **options):
        os.utime(tmp_path / "a.txt", (moment, moment + 0.9))
        (document,) = read_documents(tmp_path, **options)
        return document

    assert read(0).content_hash == read(10**9).content_hash
    assert read(10**9).metadata == {"path": "a.txt"}
    fields = Fields(modified=True)
    assert read(10**9, fields=fields).metadata == {
        "path": "a.txt",
        "modified": "2001-09-09T01:46:40Z",
    }
    assert read(0, fields=fields).content_hash != read(10**9, fields=fields).content_hash


@pytest.mark.parametrize("name", ["a.md", "a.markdown", "a.txt", "a.rst", "a.html", "a.HTM"])
def test_a_file_is_read_as_one_document(tmp_path, name):
    fill(tmp_path, {f"docs/{name}": "plain words"})
    (document,) = read_documents(tmp_path / "docs" / name)
    assert document == Document(name, "plain words", "a", {"path": name})
    assert list(read_documents(tmp_path / "docs")) == [document]


def test_the_error_of_a_file_has_its_id(tmp_path):
    fill(tmp_path, {"a.md": b"\xff"})
    with pytest.raises(RowError) as caught:
        list(read_documents(tmp_path / "a.md"))
    assert caught.value.doc_id == "a.md"
