"""The training data of the default model: nothing of a test collection gets in."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "tools" / "default" / "pairs.py"
RUN = "the quick brown fox jumps over the lazy dog near the old river bank"


def write(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines.encode()))
    else:
        path.write_text(lines, encoding="utf-8")


def pairs_of(data: Path, out: Path) -> tuple[list[dict[str, str]], str]:
    # Sources of the list that DATA lacks would be an error, so they are empty.
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        from pairs import SOURCES
    finally:
        sys.path.pop(0)
    for name in SOURCES:
        if not (data / "train" / name).is_dir() and not (data / name).is_dir():
            write(data / "train" / name / "pairs.jsonl.gz", [])
    ran = subprocess.run(
        [sys.executable, SCRIPT, data, out], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    with gzip.open(out, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines], ran.stdout


def row(query: str, text: str, title: str = "") -> dict[str, str]:
    return {"query": query, "title": title, "text": text}


def test_rows_that_share_text_with_a_test_collection_are_left_out(tmp_path: Path) -> None:
    data = tmp_path / "data"
    plain = [
        row(f"Question number {i} of many?", f"Answer {i} is a text of words.") for i in range(40)
    ]
    leaks = [
        row("Where is the Fox, exactly?", "Some text of five words."),  # a whole test query
        row("another", f"It says: {RUN}, and so on."),  # a run of 13 words
    ]
    write(data / "train" / "jargon" / "pairs.jsonl.gz", [*plain, *leaks * 5])
    # The judgments of a collection may be packed, or have another name.
    write(data / "foxes" / "corpus.jsonl.gz", [{"_id": "1", "title": "", "text": RUN}])
    write(data / "foxes" / "queries.jsonl.gz", [{"_id": "q", "text": "where is the fox exactly"}])
    kept, said = pairs_of(data, tmp_path / "pairs.jsonl.gz")
    assert len(kept) == 40
    assert not any("fox" in json.dumps(each).lower() for each in kept)
    assert "without 10 that share text with foxes" in said
    typed = [each["query"] for each in kept if not each["query"].endswith("?")]
    assert 5 < len(typed) < 30  # some are as people type them
    assert all(each == each.lower() for each in typed)
    again, _ = pairs_of(data, tmp_path / "again.jsonl.gz")
    assert again == kept


def test_a_title_that_repeats_the_query_is_left_out(tmp_path: Path) -> None:
    text = "Open the settings and choose accounts."
    rows = [row("reset a password", text, "Reset a password"), row("log in", text, "Accounts")]
    write(tmp_path / "data" / "train" / "jargon" / "pairs.jsonl.gz", rows)
    kept, _ = pairs_of(tmp_path / "data", tmp_path / "pairs.jsonl.gz")
    assert sorted(each["positive"] for each in kept) == [f"Accounts\n{text}", text]


def test_overlap_of_a_judged_source_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "medquad"
    write(
        folder / "corpus.jsonl",
        [
            {
                "_id": f"d{i}",
                "title": "",
                "text": "A text -LRB- of -RRB- some words -lrb- here -rrb- .",
            }
            for i in (1, 2)
        ],
    )
    write(folder / "queries.jsonl", [{"_id": f"q{i}", "text": f"what is {i}"} for i in (1, 2)])
    (folder / "qrels").mkdir()
    lines = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t1\n"
    (folder / "qrels" / "train.tsv").write_text(lines)
    (folder / "overlap.txt").write_text("q2\n")
    kept, _ = pairs_of(tmp_path / "data", tmp_path / "pairs.jsonl.gz")
    assert [each["positive"] for each in kept] == ["A text -LRB- of -RRB- some words ( here ) ."]
