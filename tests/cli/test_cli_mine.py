"""`lexpand mine`: where negatives come from, the filter by a teacher, and refusals."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import write_rows
from reranker_makers import Weights, write_model

from lexpand import Index

TEXTS = {
    "how do I reset my password": "Open the sign-in page and reset the password with a code.",
    "password forgotten": "A forgotten password is changed in the settings of the account.",
    "printer does not print": "Turn the printer off, wait ten seconds, and turn it on again.",
    "where is my invoice": "Invoices are sent by e-mail on the first day of each month.",
    "change my e-mail": "The e-mail of an account is changed in its settings.",
}
ROWS = [
    {"query": query, "positive": text, "query_id": f"q{i}"}
    for i, (query, text) in enumerate(TEXTS.items())
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", ROWS)


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_negatives_come_from_the_positives(run: Callable, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"
    ran = run("mine", data, "--out", out, "--negatives", 2)
    assert (ran.code, ran.err) == (0, "")
    assert f"{out} has 5 rows, " in ran.out
    assert "5 candidates dropped that equal a positive of the query" in ran.out
    rows = read(out)
    assert [row["query_id"] for row in rows] == [row["query_id"] for row in ROWS]
    for row in rows:
        assert set(row["negatives"]) <= set(TEXTS.values()) - {row["positive"]}
        assert "scores" not in row
    assert rows[0]["negatives"][0] == TEXTS["password forgotten"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.jsonl", "rows.jsonl"]


def test_facts_as_json(run: Callable, data: Path, tmp_path: Path) -> None:
    facts = run("mine", data, "--out", tmp_path / "o", "--negatives", 9, "--json").json()
    assert sum(facts["rows_by_negatives"].values()) == facts["rows"] == 5
    assert facts["mined"] == sum(
        int(number) * rows for number, rows in facts["rows_by_negatives"].items()
    )
    assert set(facts["dropped"]) == {"positive", "near_positive", "teacher", "empty"}
    ran = run("mine", data, "--out", tmp_path / "p", "--negatives", 9)
    assert "a larger --depth may find more" in ran.out


def test_an_index_gives_the_candidates(
    run: Callable, data: Path, pages_index: Path, rows_file: Callable, tmp_path: Path
) -> None:
    out = tmp_path / "o.jsonl"
    assert run("mine", data, "--out", out, "--index", pages_index, "--negatives", 1).code == 0
    rows = read(out)
    with Index.open(pages_index) as index:  # without a BM25 field
        pages_of_index = {page.full_text for page in index.documents(range(4)).values()}
    assert all(len(row["negatives"]) == 1 for row in rows)
    assert {text for row in rows for text in row["negatives"]} <= pages_of_index
    assert not any(row["positive"] in row["negatives"] for row in rows)
    pages = tmp_path / "words.index"
    source = rows_file(*({"id": str(i), "text": text} for i, text in enumerate(TEXTS.values())))
    assert run("index", source, pages).code == 0
    found = {}
    for pipelines in (["bm25"], ["splade"], ["bm25", "splade"], []):
        options = [part for each in pipelines for part in ("--pipeline", each)]
        ran = run("mine", data, "--out", out, "--force", "--index", pages, *options, "--depth", 3)
        assert ran.code == 0, ran
        found["+".join(pipelines)] = read(out)
    # BM25 finds only texts with a word of the query.
    assert found["bm25"][2]["negatives"] == []
    assert found["splade"][2]["negatives"]
    assert set(found["bm25+splade"][0]["negatives"]) == {
        *found["bm25"][0]["negatives"],
        *found["splade"][0]["negatives"],
    }


def test_a_pipeline_that_does_not_exist_is_refused(
    run: Callable, data: Path, tmp_path: Path
) -> None:
    error = run("mine", data, "--out", tmp_path / "o", "--pipeline", "bm26").error()
    assert "pipeline must be one of hybrid, best, splade, bm25" in error


def test_a_run_gives_the_candidates(run: Callable, rows_file: Callable, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", ROWS)
    source = rows_file(*({"id": str(i), "text": text} for i, text in enumerate(TEXTS.values())))
    pages, ranking, out = tmp_path / "i", tmp_path / "r.trec", tmp_path / "o.jsonl"
    assert run("index", source, pages).code == 0
    ranking.write_text("q0 Q0 3 1 9.0 x\nq0 Q0 0 2 8.0 x\nq0 Q0 2 3 7.0 x\n")
    assert run("mine", data, "--out", out, "--index", pages, "--run", ranking).code == 0
    texts = list(TEXTS.values())
    assert [row["negatives"] for row in read(out)] == [[texts[3], texts[2]], [], [], [], []]
    options = ("--run", ranking, "--pipeline", "splade", "--force", "--negatives", 2)
    assert run("mine", data, "--out", out, "--index", pages, *options).code == 0
    first, second = read(out)[0]["negatives"]
    assert (first, second) == (texts[3], texts[1])  # in turns
    ranking.write_text("z Q0 3 1 9.0 x\n")
    error = run("mine", data, "--out", out, "--index", pages, *options).error()
    assert "rows must have a query_id that is in the run" in error


def test_the_index_of_the_positives_is_kept_and_extended(
    run: Callable, data: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.index"
    options = ("--keep-index", kept, "--words", "english")
    assert run("mine", data, "--out", tmp_path / "a", *options, "--model", "default").code == 0
    with data.open("a") as file:
        file.write('{"query": "new", "positive": "A password for the printer."}\n')
    assert run("mine", data, "--out", tmp_path / "b", *options).code == 0
    with Index.open(kept) as index:
        assert len(index) == 6
    assert "A password for the printer." in read(tmp_path / "b")[0]["negatives"]
    none = ("--words", "none", "--threads", 1)
    assert run("mine", data, "--out", tmp_path / "c", *none).code == 0
    assert read(tmp_path / "c")[2]["negatives"]


def test_depth_skip_and_replace(run: Callable, rows_file: Callable, tmp_path: Path) -> None:
    row = {**ROWS[0], "negatives": ["own"], "scores": [2, 1]}
    data, out = rows_file(row, *ROWS[1:]), tmp_path / "o.jsonl"
    base = ("mine", data, "--out", out, "--force", "--pipeline", "splade")
    run(*base)
    every = read(out)[0]
    assert every["negatives"][0] == "own"
    assert every["scores"] == [2, 1, *[None] * (len(every["negatives"]) - 1)]
    run(*base, "--skip", 2)
    assert read(out)[0]["negatives"] == ["own", *every["negatives"][2:]]
    run(*base, "--depth", 2)
    assert read(out)[0]["negatives"] == every["negatives"][:2]
    run(*base, "--replace")
    assert read(out)[0]["negatives"] == every["negatives"][1:]
    run(*base, "--negatives", 1)
    assert read(out)[0]["negatives"] == ["own"]
    error = run(*base, "--skip", 5, "--depth", 5).error()
    assert "skip must be below depth (5), got 5" in error


class TestTeacher:
    """The filter by a teacher."""

    @pytest.fixture
    def teacher(self, tmp_path: Path) -> Path:
        pytest.importorskip("onnx")
        return write_model(tmp_path / "cross", Weights())

    def test_likely_answers_are_dropped(
        self, run: Callable, data: Path, teacher: Path, tmp_path: Path
    ) -> None:
        out, cache = tmp_path / "o.jsonl", ("--cache", tmp_path / "cache")
        base = ("mine", data, "--out", out, "--teacher", teacher, "--force", *cache)
        ran = run(*base, "--json")
        assert ran.code == 0, ran
        rows, dropped = read(out), ran.json()["dropped"]["teacher"]
        assert dropped
        for row in rows:
            positive, *negatives = row["scores"]
            assert len(negatives) == len(row["negatives"])
            assert all(score <= positive for score in negatives)
        more = run(*base, "--margin", -100, "--json").json()
        assert (more["dropped"]["teacher"], more["mined"]) == (
            0,
            sum(len(row["negatives"]) for row in rows) + dropped,
        )
        ratio = run(*base, "--margin", -100, "--max-ratio", 0.5, "--json").json()
        for row in read(out):
            positive, *negatives = row["scores"]
            assert positive <= 0 or all(score <= 0.5 * positive for score in negatives)
        assert ratio["mined"] <= more["mined"]
        ran = run(*base)
        assert f"{dropped} candidates dropped that score too close to the positive" in ran.out
        assert "--depth may" not in ran.out
        ran = run("score", data, "--teacher", teacher, "--out", tmp_path / "s", *cache, "--json")
        assert ran.json()["scored"] == 0

    def test_settings_of_the_teacher_are_used(
        self, run: Callable, rows_file: Callable, tmp_path: Path, teacher: Path
    ) -> None:
        write_model(teacher, Weights(), output="both")
        data = rows_file({**ROWS[0], "scores": {"old": [1]}}, *ROWS[1:])
        out = tmp_path / "o.jsonl"
        base = ("mine", data, "--out", out, "--teacher", teacher)
        assert "name the kind" in run(*base).error()
        settings = ("--kind", "dense", "--query-prefix", "the ", "--document-prefix", "of ")
        more = ("--pooling", "cls", "--max-tokens", 16, "--name", "new")
        assert run(*base, *settings, *more).code == 0
        first, second, *_ = read(out)
        assert list(first["scores"]) == ["old", "new"]
        assert all(-1 <= score <= 1 for score in [*first["scores"]["new"], *second["scores"]])
        assert not list(tmp_path.glob("*.partial*"))

    def test_an_interrupted_run_keeps_the_scores(
        self,
        run: Callable,
        data: Path,
        teacher: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        from lexpand.train import scoring

        calls: list[object] = []
        score = scoring._Pairs.score

        def interrupted(self: scoring._Pairs, pairs: list) -> object:
            if len(calls) == 1:
                raise KeyboardInterrupt
            calls.append(pairs)
            return score(self, pairs)

        out = tmp_path / "o.jsonl"
        with monkeypatch.context() as patch:
            patch.setattr(scoring._Pairs, "score", interrupted)
            ran = run("mine", data, "--out", out, "--teacher", teacher)
        assert ran.code == 130
        assert f"{out}.partial has 5 scores; run the same command again" in ran.err
        assert not out.exists()
        assert run("mine", data, "--out", out, "--teacher", teacher).code == 0
        assert not list(tmp_path.glob("*.partial*"))


@pytest.mark.parametrize(
    "option",
    [
        ("--margin", 0),
        ("--max-ratio", 0.9),
        ("--kind", "dense"),
        ("--query-prefix", "q"),
        ("--document-prefix", "d"),
        ("--pooling", "cls"),
        ("--max-tokens", 64),
        ("--name", "n"),
        ("--cache", "c"),
    ],
    ids=lambda option: option[0],
)
def test_options_of_a_teacher_need_one(
    run: Callable, data: Path, tmp_path: Path, option: tuple
) -> None:
    ran = run("mine", data, "--out", tmp_path / "o", *option, columns=200)
    assert ran.code == 2
    assert f"{option[0]} needs --teacher" in ran.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--run", "r"), "--run needs --index"),
        (("--index", "i", "--keep-index", "k"), "leave out --index or --keep-index"),
        (("--index", "i", "--words", "none"), "leave out --index or --words"),
    ],
)
def test_options_that_contradict_are_refused(
    run: Callable, data: Path, tmp_path: Path, options: tuple, message: str
) -> None:
    ran = run("mine", data, "--out", tmp_path / "o", *options, columns=200)
    assert ran.code == 2
    assert message in ran.err


def test_unusable_rows_are_listed(run: Callable, data: Path, tmp_path: Path) -> None:
    with data.open("a") as file:
        file.write('{"query": "no positive"}\n')
    ran = run("mine", data, "--out", tmp_path / "o.jsonl.gz")
    assert ran.code == 3
    assert f"{data}:6: a row must have `positive`, or `text`, got the fields query" in ran.err
    assert (tmp_path / "o.jsonl.gz").read_bytes()[:2] == b"\x1f\x8b"


def test_the_output_is_checked_first(run: Callable, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "exists"
    out.write_text("")
    error = run("mine", data, "--out", out).error()
    assert "already exists: choose another name, or replace it with --force" in error
    assert run("mine", data, "--out", out, "--force").code == 0


def test_no_usable_row_is_an_error(run: Callable, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", [])
    error = run("mine", data, "--out", tmp_path / "o").error()
    assert "must have at least one usable row of query and positive, got none" in error


def test_an_index_that_does_not_exist_is_refused(run: Callable, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    assert "nowhere" in run("mine", data, "--out", out, "--index", "nowhere").error()
    assert not out.exists()
