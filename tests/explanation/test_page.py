"""Explanations as HTML: texts are escaped, nothing is loaded, and the right words are marked."""

import json
from html.parser import HTMLParser

import pytest
from explain_cases import Collection

from lexpand import (
    Document,
    Encoder,
    HybridRetriever,
    Index,
    SparseRetriever,
    WordRetriever,
    ingest,
)
from lexpand.encode import WordAnalyzer
from lexpand.explanation import Contribution, Explanation, Origin, Side, Unmatched, explain, why_not
from lexpand.explanation.page import explanation_page

VOID = {"meta", "hr", "br"}


class Page(HTMLParser):
    """The tags of a page, which must nest; the texts and titles of its marks; and all its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.marks: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):  # type: ignore[no-untyped-def]
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "mark":
            self.marks.append(("", dict(attrs)["title"]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):  # type: ignore[no-untyped-def]
        assert self.open.pop() == tag

    def handle_data(self, data):  # type: ignore[no-untyped-def]
        if "style" not in self.open:
            self.text += data
        if self.open and self.open[-1] == "mark":
            self.marks[-1] = (self.marks[-1][0] + data, self.marks[-1][1])


PAGE = {"html", "head", "meta", "title", "body", "div", "style", "h1", "h2", "p", "mark", "hr"}
ALLOWED = PAGE | {"table", "thead", "tbody", "tr", "th", "td"}
NASTY = '</p><script>alert("1")</script> & <img src=x onerror=alert(1)> "printer\' off'


@pytest.fixture
def nasty(tmp_path, encoder: Encoder):  # type: ignore[no-untyped-def]
    documents = [
        Document(NASTY, f"{NASTY} The printer is off.", f"<b>title</b> {NASTY}"),
        Document("other", "The printer was switched off & on again."),
    ]
    with Index.create(tmp_path / "i", encoder.space, words=WordAnalyzer()) as index:
        ingest(index, encoder, documents)
        sparse = SparseRetriever(index, encoder)
        yield sparse + HybridRetriever([sparse], fusion="rrf") + WordRetriever(index)


def test_texts_are_escaped(nasty: HybridRetriever) -> None:
    query = f"printer <script>{NASTY}"
    answers = [why_not(nasty, query, NASTY, "other"), why_not(nasty, query, "other")]
    for retriever in (nasty, *nasty.local):
        answers += [explain(retriever, query, NASTY), why_not(retriever, query, NASTY)]
    for answer in answers:
        for page in (answer.to_html(), answer._repr_html_()):
            found = Page(page)
            assert found.tags <= ALLOWED
            assert found.attributes <= {
                "lang",
                "charset",
                "name",
                "content",
                "class",
                "style",
                "title",
            }
            assert NASTY in found.text
            assert "url(" not in page and "@import" not in page and "//" not in page
        assert "prefers-color-scheme:dark" in page
        json.dumps(answer.to_dict())


def test_labels_notes_and_ids_are_escaped() -> None:
    """Labels, words, notes and ids, which may come from a foreign vocabulary."""
    text = f"{NASTY} word {NASTY}"
    place = (len(NASTY) + 1, len(NASTY) + 5)
    sides = [
        Side(1.0, Origin.EXPANSION, NASTY, spans) for spans in ((place,), (place, (0, len(NASTY))))
    ]
    terms = (Contribution(NASTY, NASTY, 1.0, *sides),)
    explanation = Explanation(
        text,
        NASTY,
        NASTY,
        text,
        (0, len(text)),
        1.0,
        terms,
        (Unmatched(NASTY, NASTY, 1.0),),
        (),
        (NASTY,),
    )
    page = explanation_page(explanation)
    found = Page(page)
    assert found.tags <= ALLOWED
    assert found.attributes <= {"lang", "charset", "name", "content", "class", "style", "title"}
    # Title; heading (title and id); note; query; text; a row of the table; unmatched terms.
    assert found.text.count(NASTY) == 1 + 2 + 1 + 2 + 2 + 1 + 1
    assert [mark for mark, _ in found.marks] == ["word", NASTY, "word"]
    assert {title for _, title in found.marks} == {f"{NASTY} 1.00"}


def test_marks_are_the_words_behind_the_terms(collection: Collection) -> None:
    query = collection.queries[0].text
    for retriever in (collection.sparse, collection.words, collection.sparse + collection.words):
        for hit in retriever.search(query, 3):
            explanation = explain(retriever, query, hit.doc_id)
            page = Page(explanation.to_html())
            sides = [
                (side, part)
                for inner in [explanation, *(part.explanation for part in explanation.parts)]
                for part in inner.contributions
                for side in (part.query, part.document)
                if side.word is not None
            ]
            # BM25 shows the first word of a stem and marks all of them.
            marked = {mark for mark, _ in page.marks}
            assert {side.word for side, _ in sides} <= marked
            titles = " ".join(title for _, title in page.marks)
            for _, part in sides:
                assert f"{part.label} {part.contribution:.2f}" in titles
            assert explanation.text in page.text
            assert f"{explanation.score:.3f}" in page.text


def test_a_long_text_is_cut_with_a_note(tmp_path, encoder: Encoder) -> None:  # type: ignore[no-untyped-def]
    with Index.create(tmp_path / "i", encoder.space) as index:
        ingest(index, encoder, [Document("long", "printer " * 10_000)])
        page = Page(explain(SparseRetriever(index, encoder), "printer", "long").to_html())
    assert "cut here: the text has 80,000 characters" in page.text
    assert len(page.text) < 25_000


def test_the_snippet_holds_the_words_behind_the_score(small_index: Index, encoder: Encoder) -> None:
    retriever = SparseRetriever(small_index, encoder)
    passage = explain(retriever, "vacation", "holiday").snippet()
    assert passage.text == small_index.document("holiday").text
    marked = {passage.text[first:end] for first, end in passage.marks}
    # The text has no word of the query. The marked words produced "vacation", or a term that
    # "vacation" produced.
    assert marked and marked <= set(passage.text.replace(".", "").split())
    filler = "Nothing of interest stands here. " * 40
    document = Document("far", f"{filler}Holidays are asked for here. {filler}", "Leave of absence")
    small_index.replace([document], encoder.encode_documents([document]))
    small_index.commit()
    found = explain(retriever, "vacation requests", "far").snippet()
    assert "Holidays are asked for here." in found.text
    assert found.text.startswith("… ") and found.text.endswith(" …")
    assert "Holidays" in {found.text[first:end] for first, end in found.marks}
    only_title = Document("bare", "", "Vacation requests")
    small_index.replace([only_title], encoder.encode_documents([only_title]))
    small_index.commit()
    assert explain(retriever, "vacation", "bare").snippet().text == "Vacation requests"
    assert explain(retriever, "", "holiday").snippet() == (small_index.document("holiday").text, ())
