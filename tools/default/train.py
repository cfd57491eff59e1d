"""Train a packaged model from its data: pairs, graft, training, 8 bits.

    train.py DATA --body MINILM --work WORK [--model NAME] [--steps N] [--limit N]

DATA is a folder as pairs.py takes it, and MINILM a folder of all-MiniLM-L6-v2: the teacher, and
the body of lexpand-mini. lexpand-tiny starts from splade-tiny and needs no graft. Each stage writes
into WORK and is skipped if its result is there, so an interrupted run continues. The result is
WORK/NAME, a packed model folder. Two cores take hours. All random numbers have seeds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lexpand.data.streams import write_lines
from lexpand.train.rows import read_rows

HERE = Path(__file__).parent
LEXPAND = str(Path(sys.executable).parent / "lexpand")
RECIPE = HERE / "lexpand.toml"
GRAFTED = "lexpand-mini"
"""The model whose base is a grafted MiniLM."""

SETTINGS = {
    GRAFTED: [],
    "lexpand-tiny": [
        "base=splade-tiny",
        "steps=1000",
        "learning_rate=3e-4",
        "document_terms=300",
        "query_terms=120",
        "budget_steps=500",
        "bank_encoded=96",
    ],
}
"""What the recipe of each model changes, by its name."""

SHORTEST = 150
"""The shortest passage that the head is fitted to, in characters."""

LICENSE = "Apache-2.0"
TERMS = 200
"""The terms of a document at most."""

QUERY_TERMS = 128
"""The terms of a query at most."""


def main() -> None:
    """Run the stages that are not done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--body", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", choices=SETTINGS, default=GRAFTED, help="the model to train")
    parser.add_argument("--steps", type=int, help="fewer steps, for a trial")
    parser.add_argument("--limit", type=int, help="rows of each source at most, for a trial")
    parser.add_argument("--evaluate", type=Path, help="a development collection for the curve")
    arguments = parser.parse_args()
    work = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    check_same(work, {name: str(value) for name, value in vars(arguments).items()})
    pairs, grafted, trained = work / "pairs.jsonl.gz", work / "grafted", work / "trained"
    settings = [*SETTINGS[arguments.model], f"batch_teacher={arguments.body}"]
    limit = ["--limit", str(arguments.limit)] if arguments.limit else []
    stage(pairs, [sys.executable, str(HERE / "pairs.py"), str(arguments.data), str(pairs), *limit])
    if arguments.model == GRAFTED:
        if not grafted.exists():
            write_lines(work / "passages.jsonl", passages(pairs))
        graft = [LEXPAND, "model", "graft", str(arguments.body), str(grafted)]
        stage(grafted, [*graft, "--texts", str(work / "passages.jsonl"), "--passages", "2560"])
        settings.append(f"base={grafted}")
    settings += [f"steps={arguments.steps}"] if arguments.steps else []
    train = [LEXPAND, "train", str(RECIPE), "--data", str(pairs)]
    train += ["--out", str(trained), "--license", LICENSE, "--save-every", "200"]
    train += ["--evaluate", str(arguments.evaluate)] if arguments.evaluate else []
    stage(trained, train + [part for each in settings for part in ("--set", each)])
    packed = work / arguments.model
    pack = [LEXPAND, "model", "pack", str(trained), str(packed), "--name", arguments.model]
    pack += ["--prune", f"top={TERMS}", "--prune-queries", f"top={QUERY_TERMS}"]
    stage(packed, [*pack, "--query-mode", "encoder"])
    print(f"{packed} is the model")


def check_same(work: Path, arguments: dict[str, str]) -> None:
    """Record the arguments in WORK, and refuse others: the results of a trial are not the model."""
    record = work / "arguments.json"
    if record.is_file() and json.loads(record.read_text(encoding="utf-8")) != arguments:
        sys.exit(f"{work} has the results of other arguments ({record}): choose another --work")
    write_lines(record, [json.dumps(arguments)])


def passages(pairs: Path) -> Iterator[str]:
    """Yield the longer texts of the pairs as documents, JSON lines."""
    for place, row in enumerate(read_rows([pairs], on_bad_row=lambda _: None)):
        if len(row.documents[0]) >= SHORTEST:
            yield json.dumps({"id": str(place), "text": row.documents[0]})


def stage(result: Path, command: list[str]) -> None:
    """Run a command unless its result exists."""
    if result.exists():
        print(f"{result} is there")
        return
    print(" ".join(command), flush=True)
    if subprocess.run(command, check=False).returncode not in (0, 3):  # 3: some rows were refused
        sys.exit(f"{result} could not be made: see above, then run this again to continue")


if __name__ == "__main__":
    main()
