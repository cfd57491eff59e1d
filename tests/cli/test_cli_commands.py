"""The text and JSON output of each command."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import lexpand
from lexpand import Document, Encoder, Index, ingest, open_retriever, read_queries
from lexpand.cli import demo
from lexpand.collection import open as open_collection
from lexpand.data import collection_path
from lexpand.encode import WordAnalyzer
from lexpand.search.pipeline import NAMED

SMALL = ("--max-length", "16")


def test_index_prints_a_summary(run: Callable, pages_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.index"
    ran = run("index", pages_file, path)
    assert (ran.code, ran.err) == (0, "")
    first, second = ran.out.splitlines()
    assert re.fullmatch(r"5 documents added in [\d.]+ s \(encoded [\d,.]+ documents/s\)", first)
    assert second == f"{path} holds 5 documents"


def test_indexing_again_skips_and_counts_documents(
    run: Callable, rows_file: Callable, tmp_path: Path
) -> None:
    path = tmp_path / "new.index"
    source = rows_file(
        {"id": "a", "text": "one"}, {"id": "b", "text": "two words " * 20}, {"id": "c", "text": ""}
    )
    report = run("index", source, path, *SMALL, "--json").json()
    assert report["added"] == report["documents"] == 3
    assert (report["truncated"], report["empty"], report["refused"]) == (1, 1, [])
    assert report["tokens"] == 3 + 42  # with two special tokens each; an empty text has none
    assert report["tokens_lost"] == 42 - 16
    assert report["seconds"] >= report["encode_seconds"] >= 0
    again = run("index", source, path, "--json").json()
    assert (again["added"], again["unchanged"], again["documents"]) == (0, 3, 3)
    text = run("index", source, path)
    assert text.out.splitlines()[1:] == [
        "  3 skipped: already in the index with the same content",
        f"{path} holds 3 documents",
    ]
    assert "second encoded" not in text.out


def test_index_reports_cut_texts_and_texts_without_a_term(
    run: Callable, rows_file: Callable, tmp_path: Path
) -> None:
    source = rows_file({"id": "b", "text": "two words " * 20}, {"id": "c", "text": " "})
    ran = run("index", source, tmp_path / "i", *SMALL)
    assert "  1 truncated at 16 tokens: 26 of 42 tokens were not read; --long chunk " in ran.out
    assert "  1 without a term: no query can find them\n" in ran.out


def test_index_reads_the_named_fields(run: Callable, rows_file: Callable, tmp_path: Path) -> None:
    source = rows_file({"key": 7, "words": "a printer", "name": "The title", "text": "ignored"})
    fields = ("--id-field", "key", "--text-field", "words", "--title-field", "name")
    assert run("index", source, tmp_path / "i", *fields).code == 0
    with Index.open(tmp_path / "i") as index:
        assert index.document("7") == Document("7", "a printer", "The title", {"text": "ignored"})


@pytest.mark.parametrize("compression", ["", ".gz", ".zst"])
@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv"])
def test_index_reads_every_file_format(
    run: Callable, tmp_path: Path, kind: str, compression: str
) -> None:
    from lexpand.data.streams import write_lines

    lines = {
        "jsonl": ['{"id": "a", "text": "x"}'],
        "csv": ["id,text", "a,x"],
        "tsv": ["id\ttext", "a\tx"],
    }
    source = tmp_path / f"docs.{kind}{compression}"
    write_lines(source, lines[kind])
    assert run("index", source, tmp_path / "i", "--json").json()["added"] == 1


def test_index_reads_folders(run: Callable, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    (notes / "deep").mkdir(parents=True)
    (notes / "a.txt").write_text("words")
    (notes / "deep" / "b.md").write_text("# Title\nwords")
    assert run("index", notes, tmp_path / "i", "--json").json()["added"] == 2
    with Index.open(tmp_path / "i") as index:
        assert index.document("deep/b.md").title == "Title"


def test_paths_may_have_spaces_and_non_latin_letters(
    run: Callable, rows_file: Callable, tmp_path: Path
) -> None:
    source, path = (
        rows_file({"id": "日本", "text": "x"}, name="dö c.jsonl"),
        tmp_path / "ein ïndex 漢",
    )
    assert run("index", source, path).out.endswith(f"{path} holds 1 document\n")
    assert run("info", path, "--json").json()["path"] == str(path)


def test_commit_every_sets_the_interval_of_commits(
    run: Callable, rows_file: Callable, tmp_path: Path
) -> None:
    source = rows_file(*({"id": str(i), "text": f"word {i}"} for i in range(300)))
    run("index", source, tmp_path / "i", *SMALL, "--commit-every", "1")
    assert run("info", tmp_path / "i", "--json").json()["segments"] > 1
    run("index", source, tmp_path / "j", *SMALL)
    assert run("info", tmp_path / "j", "--json").json()["segments"] == 1


def test_search_prints_hits(run: Callable, pages_index: Path) -> None:
    ran = run("search", pages_index, "account recovery code", "-k", "2")
    # The index has no BM25 field, which the default pipeline would search.
    said = (
        "the index has no BM25 field, so the pipeline splade searched instead of hybrid: "
        "create a new index with a BM25 field to use hybrid\n"
    )
    assert (ran.code, ran.err) == (0, said)
    assert run("search", pages_index, "account recovery code", "--pipeline", "splade").err == ""
    lines = ran.out.splitlines()
    assert re.fullmatch(r"  1\. Account recovery  recovery  \d+\.\d{3}", lines[0])
    assert lines[1] == "     Choose 'I cannot get in' and we send a code to your phone."
    assert re.fullmatch(r"2 documents in [\d.]+ ms", lines[-1])


def test_search_returns_the_hits_of_the_library(run: Callable, pages_index: Path) -> None:
    found = run("search", pages_index, "printer month", "--json").json()
    with open_retriever(pages_index) as retriever:
        hits = retriever.search("printer month")
    assert found["query"] == "printer month"
    assert found["milliseconds"] > 0
    assert [hit["doc_id"] for hit in found["hits"]] == [hit.doc_id for hit in hits]
    assert [hit["score"] for hit in found["hits"]] == [hit.score for hit in hits]
    invoice = next(hit for hit in found["hits"] if hit["doc_id"] == "invoice")
    assert invoice["metadata"] == {"team": "finance", "page": 3}
    names = {
        "rank",
        "score",
        "doc_id",
        "title",
        "text",
        "span",
        "snippet",
        "metadata",
        "terms",
        "passages",
    }
    assert set(invoice) == names
    (hit,) = [hit for hit in hits if hit.doc_id == "invoice"]
    assert invoice == json.loads(json.dumps(hit.to_dict()))


def test_search_leaves_out_scores_below_the_minimum(run: Callable, pages_index: Path) -> None:
    options = ("turn on the printer each month", "--pipeline", "splade")
    every = run("search", pages_index, *options, "--json").json()["hits"]
    least = every[1]["score"]
    found = run("search", pages_index, *options, "--min-score", repr(least), "--json").json()[
        "hits"
    ]
    assert found == every[:2]
    ran = run("search", pages_index, *options, "--min-score", 99)
    assert (ran.code, ran.out) == (0, "nothing found: no document has a score of at least 99\n")


def test_search_shows_passages(run: Callable, rows_file: Callable, tmp_path: Path) -> None:
    text = (
        "Invoices are sent on the first day. " * 4
        + "The printer is broken. "
        + "Nothing here. " * 9
    )
    source = rows_file({"id": "long", "text": text}, {"id": "short", "text": "The printer."})
    assert run("index", source, tmp_path / "i", *SMALL, "--long", "chunk").code == 0
    hits = run("search", tmp_path / "i", "broken printer", "--passages", 3, "--json").json()["hits"]
    (hit,) = [each for each in hits if each["doc_id"] == "long"]
    assert [len(each["passages"]) for each in hits if each["doc_id"] == "short"] == [0]
    assert [text[slice(*passage["span"])] for passage in hit["passages"]] == [
        each["text"] for each in hit["passages"]
    ]
    assert (len(hit["passages"]), hit["passages"][0]["text"]) == (3, hit["text"])
    plain, more = (
        run("search", tmp_path / "i", "broken printer", "--passages", n).out.splitlines()
        for n in (1, 3)
    )
    assert len(more) == len(plain) + 2


@pytest.mark.parametrize("k", [1, 3, 2**32 - 1])
def test_search_returns_at_most_k_hits(run: Callable, pages_index: Path, k: int) -> None:
    every = run("search", pages_index, "turn on the printer each month", "--json").json()["hits"]
    assert len(every) >= 3
    assert (
        run("search", pages_index, "turn on the printer each month", "-k", k, "--json").json()[
            "hits"
        ]
        == every[:k]
    )
    assert (
        run("search", pages_index, "turn on the printer each month", "--top", k, "--json").json()[
            "hits"
        ]
        == every[:k]
    )


def test_search_explains_its_hits(run: Callable, pages_index: Path) -> None:
    text = run("search", pages_index, "printer", "-k", "1", "--explain").out.splitlines()[2]
    assert text.startswith("     printer ")
    found = run("search", pages_index, "printer", "--explain", "--json").json()
    for hit in found["hits"]:
        assert hit["explanation"]["score"] == hit["score"]
        parts = hit["explanation"]["contributions"]
        assert sum(part["contribution"] for part in parts) == pytest.approx(hit["score"], rel=1e-9)


@pytest.mark.parametrize("query", ["", "   ", "\t\n"])
def test_a_query_without_words_finds_nothing(run: Callable, pages_index: Path, query: str) -> None:
    ran = run("search", pages_index, query)
    assert (ran.code, ran.out) == (0, "nothing found: the query has no words\n")
    assert run("search", pages_index, query, "--json").json()["hits"] == []


def test_search_prints_why_nothing_was_found(
    run: Callable, pages_index: Path, encoder: Encoder, tmp_path: Path
) -> None:
    assert (
        run("search", pages_index, "\x01\x02").out
        == "nothing found: no document shares a term with the query\n"
    )
    Index.create(tmp_path / "empty", encoder.space).close()
    assert (
        run("search", tmp_path / "empty", "printer").out
        == "nothing found: the index holds no document\n"
    )


def test_a_query_may_begin_with_a_dash(run: Callable, pages_index: Path) -> None:
    ran = run("search", pages_index, "--json", "--", "-printer")
    assert ran.json()["hits"][0]["doc_id"] == "printer"


def test_explain_shows_terms_and_their_origins(run: Callable, pages_index: Path) -> None:
    ran = run("explain", pages_index, "account recovery code", "recovery", "--terms", "2")
    lines = ran.out.splitlines()
    assert lines[0].startswith("Account recovery recovery scores ")
    assert lines[0].endswith(" for account recovery code")
    assert lines[1].split() == ["contribution", "term", "query", "document"]
    assert (
        len([line for line in lines if re.match(r"\d+\.\d{3} +\S", line)]) == 3
    )  # two terms, and the rest
    assert re.search(r"^\d+\.\d{3} from \d+ more terms?$", ran.out, re.MULTILINE)
    assert "in the query, not in the document: " in ran.out


def test_explain_as_json_has_every_term(run: Callable, pages_index: Path) -> None:
    found = run(
        "explain", pages_index, "account recovery code", "recovery", "--terms", "1", "--json"
    ).json()
    score = run("search", pages_index, "account recovery code", "--json").json()["hits"][0]["score"]
    assert (found["doc_id"], found["title"], found["score"]) == (
        "recovery",
        "Account recovery",
        score,
    )
    assert len(found["contributions"]) > 1
    strongest = found["contributions"][0]
    assert set(strongest) == {"term", "label", "contribution", "query", "document", "statistics"}
    assert set(strongest["query"]) == {"weight", "origin", "word", "spans"}
    assert "text" not in found
    for first, end in found["snippet"]["marks"]:
        assert found["snippet"]["text"][first:end].strip()


def test_info_describes_the_index(run: Callable, pages_index: Path) -> None:
    facts = run("info", pages_index, "--json").json()
    with Index.open(pages_index) as index:
        info = index.info()
    assert facts["documents"] == facts["passages"] == 4
    assert (facts["commit"], facts["segments"]) == (1, 1)
    assert facts["committed_at"].startswith("20")
    assert facts["model"] == "splade-tiny"
    assert facts["contract_hash"] == info.space.model.hash
    assert facts["vocabulary_size"] == 30_522
    assert facts["stored_weights"] == info.nnz > 0
    on_disk = sum(path.stat().st_size for path in (pages_index / "segments").iterdir())
    assert facts["segment_bytes"] == on_disk
    text = run("info", pages_index).out
    assert "vocabulary size   30,522\n" in text
    assert [line[:16].strip().replace(" ", "_") for line in text.splitlines()] == list(facts)
    assert facts["path"] == str(pages_index)
    assert (facts["pipeline"], facts["words"], facts["columns"]) == ("splade", None, {})
    assert facts == json.loads(json.dumps(open_collection(pages_index).info().to_dict()))


def test_encode_prints_terms_with_their_origin(run: Callable, encoder: Encoder) -> None:
    ran = run("encode", "crashes", "--role", "query")
    first, *terms = ran.out.splitlines()
    assert first == "crashes"
    weights = [float(line.split()[0]) for line in terms]
    assert weights == sorted(weights, reverse=True)
    assert any(line.endswith(" from 'crashes'") for line in terms)
    query = ("--json", "--role", "query", "--model", "lexpand-mini")
    by_mode = [
        run("encode", "crashes", *query, "--query-mode", mode).json()["terms"]
        for mode in ("encoder", "lookup")
    ]
    assert len(by_mode[0]) > len(by_mode[1]) > 0
    wrong = run("encode", "crashes", "--query-mode", "lookup")
    assert wrong.code == 2 and "needs --role query" in wrong.err
    found = run("encode", "crashes", "--json", "--role", "query").json()
    vector = encoder.encode_queries(["crashes"])
    assert sorted(found["terms"].values()) == pytest.approx(sorted(vector.weights.tolist()))
    assert found["text"] == "crashes"


def test_encode_reads_standard_input_at_the_dash(run: Callable) -> None:
    ran = run("encode", "first", "-", "last", "--json", stdin="one\r\n\ntwo é".encode())
    rows = [json.loads(line) for line in ran.out.splitlines()]
    assert [row["text"] for row in rows] == ["first", "one", "", "two é", "last"]
    assert rows[2]["terms"] == {}


def test_encode_names_the_line_that_is_not_utf8(run: Callable) -> None:
    ran = run("encode", "-", "--json", stdin=b"good\nb\xffd\n")
    assert ran.code == 1
    assert json.loads(ran.out)["text"] == "good"
    assert (
        ran.err == "error: standard input, line 2: invalid UTF-8 (invalid start byte): give UTF-8\n"
    )


# The number of abstracts in `small_demo`, of 5,183.
FEW = 21


@pytest.fixture
def small_demo(monkeypatch: pytest.MonkeyPatch, scifact: list[Document]) -> None:
    """Restrict the demo to a few abstracts, with the answers to its questions, and a few claims."""
    answers = {"13734012", "12486491", "1180972"}
    few = [page for i, page in enumerate(scifact) if page.doc_id in answers or i % 300 == 0]
    claims = [
        claim
        for claim in read_queries(collection_path("scifact"))
        if claim.query_id in demo.QUESTIONS
    ]
    monkeypatch.setattr(demo, "read_documents", lambda _: iter(few))
    monkeypatch.setattr(demo, "read_queries", lambda _: iter(claims))


@pytest.fixture
def demo_index(tmp_path: Path, encoder: Encoder) -> Path:
    """An empty index for the demo."""
    Index.create(tmp_path / "demo", encoder.space, words=WordAnalyzer("english")).close()
    return tmp_path / "demo"


@pytest.mark.usefixtures("small_demo")
def test_the_demo_indexes_answers_and_measures(run: Callable, demo_index: Path) -> None:
    ran = run("demo", "--index", demo_index)
    assert ran.code == 0, ran
    assert ran.err == f"indexing {FEW} abstracts of SciFact into {demo_index}\n"
    for name in NAMED:
        assert re.search(
            rf"^{name} +[01]\.\d{{3}} +[01]\.\d{{3}} +[\d.]+ ms +[\d.]+ ms *$",
            ran.out,
            re.MULTILINE,
        )
    assert re.search(r"^encoded [\d,.]+ documents/s$", ran.out, re.MULTILINE)
    assert ran.out.count(" scores ") == len(demo.QUESTIONS)
    assert re.search(
        rf"^  \S+ search {re.escape(str(demo_index))} 'does smoking", ran.out, re.MULTILINE
    )
    again = run("demo", "--index", demo_index, "--json")
    facts = again.json()
    assert again.err == ""
    assert (facts["documents"], facts["added"], facts["queries"]) == (FEW, 0, 3)
    assert list(facts["pipelines"]) == list(NAMED)
    for measured in facts["pipelines"].values():
        assert 0 < measured["nDCG@10"] < 1
        assert 0 < measured["R@100"] < 1
        assert 0 < measured["query_ms_p50"] <= measured["query_ms_p99"]


@pytest.mark.usefixtures("small_demo")
def test_the_demo_does_not_change_other_indexes(
    run: Callable, encoder: Encoder, demo_index: Path
) -> None:
    with Index.open(demo_index) as index:
        ingest(index, encoder, [Document("mine", "a page of my own")])
    assert (
        run("demo", "--index", demo_index)
        .error()
        .endswith(
            f"{demo_index} holds documents that are not of the demo: "
            "name another folder with --index"
        )
    )
    assert run("info", demo_index, "--json").json()["documents"] == 1


def test_version_prints_the_version(run: Callable) -> None:
    assert run("--version").out == f"lexpand {lexpand.__version__}\n"
