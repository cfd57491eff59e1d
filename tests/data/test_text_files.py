"""Reading Markdown with front matter, HTML and reStructuredText."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand.data import Document, read_documents
from lexpand.data.readers.front_matter import split_front_matter
from lexpand.data.readers.html_text import parse_html
from lexpand.data.readers.markdown import parse_markdown
from lexpand.data.readers.rst import rst_title


def test_front_matter_becomes_metadata(tmp_path):
    (tmp_path / "page.md").write_text(
        "---\ntitle: \"Reset: a login\"\ntags: [login, 'two words', 7]\n"
        "date: 2024-05-01\ndraft: false\n"
        "weight: 3\nauthors:\n  - Ada\n  - Grace # the admiral\n---\n\n# Heading\n\ntext\n"
    )
    (document,) = read_documents(tmp_path)
    metadata = {
        "path": "page.md",
        "tags": ["login", "two words", 7],
        "date": "2024-05-01",
        "draft": False,
        "weight": 3,
        "authors": ["Ada", "Grace"],
    }
    assert document == Document("page.md", "# Heading\n\ntext\n", "Reset: a login", metadata)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a: b", {"a": "b"}),
        ("a:   b c  # comment", {"a": "b c"}),
        ("a: C# and F#", {"a": "C# and F#"}),
        ("a: 'it''s'", {"a": "it's"}),
        (r'a: "x \"y\" \n z"', {"a": 'x "y" \n z'}),
        ('"a b": 1', {"a b": 1}),
        ("'a': 1", {"a": 1}),
        ("last updated : 1", {"last updated": 1}),
        ("url: https://example.org/#top", {"url": "https://example.org/#top"}),
        (
            "a: true\nb: False\nc: null\nd: ~\ne:",
            {"a": True, "b": False, "c": None, "d": None, "e": None},
        ),
        (
            "a: 1.5\nb: 1.10\nc: 007\nd: -3\ne: 1e5",
            {"a": 1.5, "b": "1.10", "c": "007", "d": -3, "e": "1e5"},
        ),
        ("a: []\nb: [x]\nc: [x, ]", {"a": [], "b": ["x"], "c": ["x"]}),
        ('a: ["x, y", z]', {"a": ["x, y", "z"]}),
        ("a: [[x], y]", {"a": "[[x], y]"}),
        ("a: [x", {"a": "[x"}),
        ("a: {b: c}", {"a": "{b: c}"}),
        ("a:\n- x\n- y: z\nb: 1", {"a": ["x", "y: z"], "b": 1}),
        ("a:\n  b: c\n  d:\n    e", {"a": "b: c\nd:\n  e"}),
        ("a: |\n  one\n\n  two\nb: 1", {"a": "one\n\ntwo", "b": 1}),
        ("a: >-\n  one\n  two", {"a": "one\ntwo"}),
        ("a: one\n  two", {"a": "one\ntwo"}),
        ("# comment\na: 1", {"a": 1}),
        ("a: 1\na: 2", {"a": 1, "front_matter": "a: 2"}),
        ("a: 1\nno colon\n  below", {"a": 1, "front_matter": "no colon\n  below"}),
        ("b: 1\nfront_matter: x\n!odd", {"b": 1, "front_matter": "x\n!odd"}),
    ],
)
def test_values_of_front_matter_are_parsed(line, expected):
    assert split_front_matter(f"---\n{line}\n---\ntext") == (expected, "text")
    assert split_front_matter(f"---\n{line}\n...\ntext") == (expected, "text")
    windows = f"---\n{line}\n---\ntext".replace("\n", "\r\n")
    assert split_front_matter(windows) == (expected, "text")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "---",
        "---\n",
        "---\na: 1\n",
        "--- \ntext\n---\n",
        "text\n---\na: 1\n---\n",
        "----\na: 1\n---\n",
        " ---\na: 1\n---",
    ],
)
def test_a_text_without_front_matter_is_unchanged(text):
    assert split_front_matter(text) == ({}, text)


@given(st.text(st.sampled_from("ab:-#[]{},'\"|> \t\n\\&1.~é")), st.text(max_size=5))
def test_front_matter_never_fails(block, text):
    metadata, rest = split_front_matter(f"---\n{block}\n---\n{text}")
    Document("a", rest, metadata=metadata)


@given(st.lists(st.text(st.sampled_from("abé -:#'")), max_size=4))
def test_no_word_of_front_matter_is_lost(lines):
    block = "\n".join(line.replace("#", "") for line in lines)
    metadata, rest = split_front_matter(f"---\nkey: 1\n{block}\n---\n")
    found = f"{metadata}{rest}"
    for word in block.replace("'", " ").replace(":", " ").replace("-", " ").split():
        assert word in found


@pytest.mark.parametrize(
    "line", ["a" + " " * 200_000 + "b", "a: [" + " " * 200_000 + "{", "a: [" + "x " * 100_000 + "{"]
)
def test_front_matter_is_parsed_in_linear_time(line):
    start = time.perf_counter()
    split_front_matter(f"---\nkey: 1\n{line}\n---\n")
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
    ("markdown", "title"),
    [
        ("---\ntitle: 2024\n---\n# H", "2024"),
        ("---\ntitle: 1.10\n---\n# H", "1.10"),
        ("---\ntitle:\n---\n# H", "H"),
        ("---\ntitle: ' '\n---\n# H", "H"),
        ("---\ntitle: [a, b]\n---\n# H", "H"),
        ("---\ntags: x\n---\n", ""),
    ],
)
def test_the_title_of_front_matter_precedes_the_heading(markdown, title):
    assert parse_markdown(markdown)[0] == title


def test_front_matter_does_not_replace_the_id_or_the_text(tmp_path):
    (tmp_path / "a.md").write_text(
        "---\nid: intro\ndoc_id: x\ntext: y\npath: /docs/intro\n---\nreal text"
    )
    (document,) = read_documents(tmp_path)
    metadata = {"id": "intro", "doc_id": "x", "text": "y", "path": "/docs/intro"}
    assert document == Document("a.md", "real text", "a", metadata)


@pytest.mark.parametrize(
    ("html", "title", "text"),
    [
        ("<p>one</p><p>two</p>", "", "one\ntwo"),
        ("<p>one  <b>t</b>wo\n three</p>", "", "one two three"),
        ("a <i>b</i> c<br>d", "", "a b c\nd"),
        ("<title>T &amp; U</title><h1>H</h1>text", "T & U", "H\ntext"),
        ("<title> </title><h1></h1><h1>The <i>H</i></h1>text<h1>I</h1>", "The H", "The H\ntext\nI"),
        ("<title>first</title><svg><title>icon</title></svg>x", "first", "x"),
        ("<title>one</title><p>x</p><title>two</title>", "one", "x"),
        (
            "<head><meta charset='utf-8'><style>p {}</style>"
            "<script>if (a < b) '<p>'</script></head>x",
            "",
            "x",
        ),
        (
            "<script>'</p>'</script>a<style>b</style>c<template>d</template><noscript>e</noscript>",
            "",
            "ac",
        ),
        ("<svg><svg>a</svg>b</svg>c<svg/>d", "", "cd"),
        ("&eacute;&#233;&#x1F600;&nbsp;x &lt;b&gt;", "", "éé\U0001f600\u00a0x <b>"),
        ("<pre>  a\n   b  </pre>c", "", "  a\n   b\nc"),
        ("<ul><li>a<li>b</ul>", "", "a\nb"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "", "a\nb"),
        ("a<!-- <p>hidden</p> -->b<![CDATA[c]]>", "", "ab"),
        ("unclosed <b>x", "", "unclosed x"),
        ("1 < 2 &amp; 3 > 2", "", "1 < 2 & 3 > 2"),
        ("<!DOCTYPE html><html><body><p hidden>x</body></html>", "", "x"),
        ("", "", ""),
    ],
)
def test_the_visible_text_of_html_is_extracted(html, title, text):
    assert parse_html(html) == (title, text)


def test_html_files_in_a_folder_are_read(tmp_path):
    (tmp_path / "a.html").write_text("<title>Reset a login</title><p>words</p>")
    (tmp_path / "b.htm").write_text("<p>words</p>")
    documents = list(read_documents(tmp_path))
    assert [(document.title, document.text) for document in documents] == [
        ("Reset a login", "words"),
        ("b", "words"),
    ]


@given(st.text(st.sampled_from("<>/!-p&;#x='\" \nscript")))
def test_html_never_fails(html):
    title, text = parse_html(html)
    assert "\n\n" not in text
    assert title == title.strip()


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Title\n=====\n\ntext", "Title"),
        ("=====\nTitle\n=====\n", "Title"),
        ("=======\n Title\n=======\n", "Title"),
        ("intro\n\nTitle\n-----\n\nNext\n====", "Title"),
        (".. comment\n\n.. _label:\n\nTitle\n~~~~~~", "Title"),
        ("Long title\n===\n", ""),
        ("a paragraph\nof two lines\n------------\n", ""),
        ("text::\n\n    Code\n    ====\n", ""),
        ("text\n\n----\n\nmore", ""),
        ("Über\n====", "Über"),
        ("", ""),
    ],
)
def test_the_first_section_title_of_rst_is_its_title(tmp_path, text, title):
    assert rst_title(text) == title
    (tmp_path / "page.rst").write_text(text)
    assert list(read_documents(tmp_path)) == [
        Document("page.rst", text, title or "page", {"path": "page.rst"})
    ]
