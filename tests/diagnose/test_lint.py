"""Each finding of `lint`, an index without findings, and many passages."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lexpand import (
    Document,
    DocumentEncoding,
    Encoder,
    Index,
    ModelId,
    SparseVectors,
    VectorSpace,
    Vocabulary,
    ingest,
)
from lexpand.data import Long, LongDocuments
from lexpand.diagnose.finding import Finding, Severity
from lexpand.diagnose.linting import lint
from lexpand.diagnose.scripts import language_of, script_of
from lexpand.encode import Rules
from lexpand.errors import ContractMismatch, DataError

MODEL = ModelId("toy", "0" * 64)
SPACE = VectorSpace(MODEL, Vocabulary([f"t{i}" for i in range(200)]))


def kinds(findings: list[Finding]) -> dict[str, Finding]:
    assert len({finding.kind for finding in findings}) == len(findings)
    for finding in findings:
        assert finding.count and finding.advice and finding.what
    return {finding.kind: finding for finding in findings}


def toy(
    path: Path, rows: list[dict[int, float]], texts: list[str] | None = None, commit: int = 1000
) -> Index:
    """Return an index of these vectors; without ``texts``, its texts trigger no check."""
    index = Index.create(path / "toy.index", SPACE)
    texts = texts or [str(i) for i in range(len(rows))]
    for first in range(0, len(rows), commit):
        part = slice(first, first + commit)
        documents = [Document(f"d{first + i}", text) for i, text in enumerate(texts[part])]
        plain = SparseVectors.from_rows(rows[part], 200)
        index.add(documents, SparseVectors(plain.indptr, plain.terms, plain.weights, 200, MODEL))
        index.commit()
    return index


def disjoint(count: int) -> list[dict[int, float]]:
    """Return vectors of which no two share a term."""
    return [{2 * i: 1.0, 2 * i + 1: 1.5} for i in range(count)]


def test_sound_vectors_have_no_finding(tmp_path: Path) -> None:
    with toy(tmp_path, disjoint(30)) as index:
        (finding,) = lint(index, None)
        assert (finding.kind, finding.severity) == ("unchecked", Severity.NOTE)


def test_an_empty_index_has_no_finding(tmp_path: Path, encoder: Encoder) -> None:
    with Index.create(tmp_path / "i", encoder.space) as index:
        assert lint(index, encoder) == []


def test_empty_vectors_are_an_error(tmp_path: Path) -> None:
    rows = disjoint(12)
    rows[3] = rows[7] = {}
    with toy(tmp_path, rows, commit=5) as index:
        finding = kinds(lint(index, None))["empty"]
        assert (finding.count, finding.examples, finding.severity) == (
            2,
            ("d3", "d7"),
            Severity.ERROR,
        )
        index.delete(["d3", "d7"])
        index.commit()
        assert "empty" not in kinds(lint(index, None))


def test_terms_above_the_share_are_hubs(tmp_path: Path) -> None:
    rows = [{**row, 199: 0.5, 198: 0.5} for row in disjoint(40)]
    for row in rows[:30]:
        del row[198]
    with toy(tmp_path, rows, commit=15) as index:
        assert "hubs" not in kinds(lint(index, None)), "hubs are checked only on request"
        finding = kinds(lint(index, None, hub_share=0.2))["hubs"]
        assert (finding.count, finding.examples) == (2, ("t199 100.0%", "t198 25.0%"))
        assert kinds(lint(index, None, hub_share=0.25))["hubs"].examples == ("t199 100.0%",)
        assert "hubs" not in kinds(lint(index, None, hub_share=1.0))


def test_few_passages_have_no_hubs(tmp_path: Path) -> None:
    with toy(tmp_path, [{**row, 199: 0.5} for row in disjoint(19)]) as index:
        assert "hubs" not in kinds(lint(index, None, hub_share=0.2))


def test_an_extreme_scale_is_found(tmp_path: Path) -> None:
    rows = disjoint(21)
    rows[4] = {8: 16.0, 9: 0.01}
    rows[6] = {12: 45.0}
    rows[9] = {18: 14.9}
    with toy(tmp_path, rows) as index:
        finding = kinds(lint(index, None))["scale"]
        assert (finding.count, finding.examples) == (2, ("d6 30 times", "d4 11 times"))


def test_equal_texts_are_duplicates(tmp_path: Path) -> None:
    texts = ["the same", "other", "the  same\n", "third", "the same", "third"]
    with toy(tmp_path, disjoint(6), texts, commit=4) as index:
        finding = kinds(lint(index, None))["duplicates"]
        assert (finding.count, finding.examples) == (3, ("d0 = d2 = d4", "d3 = d5"))


def test_nearly_equal_vectors_are_near_duplicates(tmp_path: Path) -> None:
    rows = disjoint(12)
    rows[5] = {4: 1.0, 5: 1.6}  # cosine 0.9995 with d2
    rows[6] = {0: 1.0, 1: 0.7}  # cosine 0.93 with d0
    with toy(tmp_path, rows, commit=4) as index:
        finding = kinds(lint(index, None))["near-duplicates"]
        assert (finding.count, finding.examples) == (2, ("d2 ~ d5 1.000",))
        assert "near-duplicates" not in kinds(lint(index, None, sample=0))


def test_duplicates_are_not_reported_as_near_duplicates(tmp_path: Path) -> None:
    rows = disjoint(6)
    rows[5] = rows[0]
    with toy(tmp_path, rows, ["same", "1", "2", "3", "4", "same"]) as index:
        found = kinds(lint(index, None))
        assert "near-duplicates" not in found and found["duplicates"].count == 1


@pytest.fixture
def texts() -> list[Document]:
    english = (
        "This is the page that we have for you, and it is of use to those who are in the office"
    )
    german = (
        "Das ist die Seite, die wir für dich haben, und sie ist nicht ohne Nutzen für die, "
        "die im Haus sind"
    )
    russian = "Это страница, которую мы сделали для вас"
    return [
        *(Document(f"e{i}", f"{english} {i}") for i in range(4)),
        Document("g", german),
        Document("r", russian),
        Document("n", "12345"),
    ]


@pytest.fixture
def mixed(texts: list[Document], encoder: Encoder, tmp_path: Path) -> Iterator[Index]:
    with Index.create(tmp_path / "mixed", encoder.space) as index:
        ingest(index, encoder, texts)
        yield index


def test_minority_scripts_and_languages_are_found(mixed: Index, encoder: Encoder) -> None:
    found = kinds(lint(mixed, encoder))
    assert (found["scripts"].count, found["scripts"].examples) == (1, ("Cyrillic 1, r",))
    assert (found["languages"].count, found["languages"].examples[0]) == (1, "German 1, g")
    assert "English" in found["languages"].what and "Latin" in found["scripts"].what


def test_the_script_and_language_of_a_text_are_recognized() -> None:
    assert [script_of(text) for text in ("word", "слово word", "123 !", "", "登录")] == [
        "LATIN",
        "CYRILLIC",
        None,
        None,
        "CJK",
    ]
    assert language_of("the cat") is None, "too few stop words"
    assert language_of("it is the one that was of use to those who were in it") == "english"


def test_truncated_documents_are_found(tmp_path: Path) -> None:
    short = Encoder.load(documents=DocumentEncoding(max_tokens=16))
    long = [
        Document("long", "word " * 30),
        Document("longer", "word " * 40),
        Document("short", "word"),
    ]
    with Index.create(tmp_path / "i", short.space) as index:
        ingest(index, short, long)
        finding = kinds(lint(index, short))["truncated"]
        assert (finding.count, finding.examples) == (2, ("longer 26 tokens", "long 16 tokens"))
        assert "42 of all 77 tokens" in finding.what
    chunking = Encoder.load(
        documents=DocumentEncoding(max_tokens=16, long=LongDocuments(Long.CHUNK))
    )
    with Index.create(tmp_path / "j", chunking.space) as index:
        ingest(index, chunking, long)
        found = kinds(lint(index, chunking))
        assert "truncated" not in found, "chunks lose nothing"
        assert "duplicates" not in found, "chunks of a document are not duplicates"


def test_special_tokens_with_weight_are_found_but_not_pins(tmp_path: Path) -> None:
    rules = Rules.from_dict({"version": 1, "pin": [{"text": "err_42"}]})
    pinning = Encoder.load(
        documents=DocumentEncoding(pruning="ban=special,ban=unused"), rules=rules
    )
    with Index.create(tmp_path / "i", pinning.space) as index:
        ingest(index, pinning, [Document("d", "The display shows ERR_42.")])
        assert "special" not in kinds(lint(index, pinning))
        plain = Encoder.load()
        finding = kinds(lint(index, plain))["special"]
        assert finding.examples == ("[unused0] 100.0%",)


def test_invalid_arguments_are_refused(mixed: Index, encoder: Encoder, tmp_path: Path) -> None:
    for invalid in ({"hub_share": 0.0}, {"hub_share": 1.5}, {"sample": -1}):
        with pytest.raises(DataError, match="hub_share must be > 0 and <= 1 and sample must be"):
            lint(mixed, encoder, **invalid)  # type: ignore[arg-type]
    with toy(tmp_path, disjoint(2)) as index, pytest.raises(ContractMismatch):
        lint(index, encoder)


def test_progress_counts_passages_and_the_sample(tmp_path: Path) -> None:
    done: list[int] = []
    with toy(tmp_path, disjoint(30)) as index:
        lint(index, None, sample=7, on_done=done.append)
    assert sum(done) == 37


def test_the_sample_has_the_requested_size_and_is_the_same_each_time(tmp_path: Path) -> None:
    rows = [
        {i % 100: 1.0, 100 + i // 100: 1.0 + i % 7}
        for i in np.random.default_rng(0).permutation(3000).tolist()
    ]
    with toy(tmp_path, rows, commit=1500) as index:
        first, second = (lint(index, None, sample=50) for _ in range(2))
    assert first == second
    assert " of 50 " in f" {kinds(first)['near-duplicates'].what} "
