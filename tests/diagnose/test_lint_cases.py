"""`lint` finds boilerplate, and nothing in sound collections."""

from pathlib import Path

import pytest

import lexpand
from lexpand import Document, Encoder, Index
from lexpand.diagnose.boilerplate import Boilerplate
from lexpand.diagnose.linting import lint

FOOTER = (
    "Copyright 2024 Acme Corporation. All rights reserved. Was this article helpful? "
    "Contact your administrator."
)


def found(documents: list[Document]) -> list:
    check = Boilerplate()
    check.see(documents)
    return list(check.findings())


def test_a_footer_in_every_document_is_boilerplate(scifact: list[Document]) -> None:
    documents = [
        Document(each.doc_id, f"{each.text} {FOOTER}", each.title) for each in scifact[:40]
    ]
    (finding,) = found(documents)
    assert (finding.kind, finding.count) == ("boilerplate", 1)
    assert finding.examples[0].startswith(
        "100% have 'copyright 2024 acme corporation all rights reserved was this"
    )
    assert finding.examples[0].endswith(f"such as {documents[0].doc_id}")


@pytest.mark.parametrize(("footers", "count"), [(60, 1), (19, 0)])
def test_a_footer_is_boilerplate_in_a_fifth_of_the_documents(
    scifact: list[Document], footers: int, count: int
) -> None:
    documents = [
        Document(each.doc_id, f"{FOOTER if place < footers else ''} {each.text}", each.title)
        for place, each in enumerate(scifact[:100])
    ]
    assert sum(finding.count for finding in found(documents)) == count


def test_a_header_and_a_footer_are_two_passages(scifact: list[Document]) -> None:
    header = "Knowledge base of the internal service desk for employees and contractors"
    documents = [Document(each.doc_id, f"{header}. {each.text} {FOOTER}") for each in scifact[:40]]
    (finding,) = found(documents)
    assert finding.count == len(finding.examples) == 2


def test_few_documents_have_no_boilerplate(scifact: list[Document]) -> None:
    assert found([Document(each.doc_id, FOOTER) for each in scifact[:19]]) == []


def test_a_sound_collection_has_no_boilerplate(scifact: list[Document]) -> None:
    assert found(scifact[:2000]) == []


def test_hubs_are_found_only_on_request(
    tmp_path: Path, scifact: list[Document], encoder: Encoder
) -> None:
    documents = [Document(each.doc_id, each.text[:300], each.title) for each in scifact[:30]]
    kb = lexpand.create(tmp_path / "kb", documents)
    assert lint(kb.index, kb.encoder) == []
    assert [finding.kind for finding in lint(kb.index, kb.encoder, hub_share=0.3)] == ["hubs"]
    footed = lexpand.create(
        tmp_path / "b", [Document(each.doc_id, f"{each.text} {FOOTER}") for each in documents]
    )
    with Index.open(footed.path) as index:
        assert [finding.kind for finding in lint(index, footed.encoder)] == ["boilerplate"]
