"""A training step next to sentence-transformers' SpladeLoss: memory, time and gradients.

    python benchmarks/train.py [--quick] [--batch N] [--tokens N] [--rounds N] [--json]

The body is a BERT of 6 layers, 384 wide, with random weights and a vocabulary of 30,522. A step has
N queries of 16 tokens and N documents of 256 tokens, InfoNCE in the batch, and FLOPS regularizers;
forward and backward, without the optimizer. Each way runs in a process of its own, and the ways
take turns. Times are the fastest of the rounds; memory is the largest resident set of a step minus
that of the loaded model.

* ``st``: SpladeLoss with SparseMultipleNegativesRankingLoss, at its fastest chunk_size of those
  tried.
* ``lexpand``: the same step by `lexpand.train`, with all columns.
* ``sampled``: queries looked up, columns of the batch's queries and a sample of 2,048 others.
* ``body``: the transformer of the documents alone, forward and backward.

--quick takes 8 queries and two rounds. The last line of --json has ``memory_vs_st`` and
``step_vs_st`` (lexpand / st), ``step_sampled_vs_body`` (sampled / body), and ``grad_max_error``,
the largest difference of a gradient from the plain head in float64.

Needs the environment of `make .venv-train/ready`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from measured_model import MODEL

CHUNKS = (0, 32, 128)
"""Values of chunk_size for sentence-transformers; 0 for none."""


def make_base(folder: Path) -> None:
    """Write a masked language model with random weights and the packaged tokenizer."""
    from transformers import BertConfig, BertForMaskedLM

    from lexpand.encode.folder import find_folder

    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
        vocab_size=30522,
    )
    model = BertForMaskedLM(config)
    # About as many active logits as a SPLADE model has early in training.
    model.cls.predictions.bias.data.fill_(-1.0)
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((find_folder(MODEL) / name).read_bytes())


def make_features(batch: int, tokens: int) -> list[dict[str, Tensor]]:
    """Return random token ids of queries and of documents."""
    random = torch.Generator().manual_seed(1)

    def ids(length: int) -> dict[str, Tensor]:
        return {
            "input_ids": torch.randint(1000, 30522, (batch, length), generator=random),
            "attention_mask": torch.ones(batch, length, dtype=torch.int64),
            "token_type_ids": torch.zeros(batch, length, dtype=torch.int64),
        }

    return [ids(16), ids(tokens)]


def step_of(way: str, chunk: int, base: Path, batch: int, tokens: int) -> Callable[[], None]:
    """Return a function that runs a forward and a backward pass."""
    from sentence_transformers.sparse_encoder import losses

    from lexpand.train.loss import SpladeObjective
    from lexpand.train.recipe import Recipe
    from lexpand.train.student import Student, make_student

    features = make_features(batch, tokens)
    settings: dict[str, Any] = {"lookup": True, "sampled_columns": 2048} if way == "sampled" else {}
    recipe = Recipe(
        query_lambda=1e-3, document_lambda=1e-3, ramp_steps=1, max_tokens=tokens, **settings
    )
    model = make_student(recipe, base)
    student = Student(model)
    if way == "st":
        model[1].chunk_size = chunk or None
        loss = losses.SpladeLoss(
            model,
            losses.SparseMultipleNegativesRankingLoss(model, scale=1.0),
            document_regularizer_weight=1e-3,
            query_regularizer_weight=1e-3,
        )
        model.train()

        def st() -> None:
            copies = [dict(each) for each in features]
            sum(loss(copies, None).values()).backward()
            model.zero_grad()

        return st
    if way == "body":

        def body() -> None:
            hidden, _ = student.states(features[1])
            hidden.sum().backward()
            model.zero_grad()

        return body
    objective = SpladeObjective(student, recipe)

    def lexpand() -> None:
        sum(objective(features, None).values()).backward()
        model.zero_grad()

    return lexpand


def worker(arguments: list[str]) -> None:
    """Answer each line of standard input with the seconds and megabytes of a step."""
    way, chunk, base, batch, tokens, threads = arguments
    torch.set_num_threads(int(threads))
    step = step_of(way, int(chunk), Path(base), int(batch), int(tokens))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(json.dumps({"seconds": seconds, "mb": peak / 1024}), flush=True)


def gradient_error() -> float:
    """Return the largest difference of a gradient from the plain head's, in float64."""
    from lexpand.train.head import plain_head, splade_head

    random = torch.Generator().manual_seed(2)
    shapes = ((4, 24, 32), (2000, 32), (2000,))
    inputs = [
        torch.randn(*shape, generator=random, dtype=torch.float64).requires_grad_()
        for shape in shapes
    ]
    mask = torch.arange(24)[None] < torch.tensor([24, 10, 1, 17])[:, None]
    gradients = []
    for head in (lambda *x: splade_head(*x)[0], plain_head):
        weights = head(inputs[0], mask, inputs[1], inputs[2])
        gradients.append(torch.autograd.grad(weights.square().sum(), inputs))
    return max(float((one - other).abs().max()) for one, other in zip(*gradients, strict=True))


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.batch, options.rounds = 8, 2
    ways = [("lexpand", 0), ("sampled", 0), ("body", 0), *(("st", chunk) for chunk in CHUNKS)]
    found: dict[tuple[str, int], list[dict[str, float]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        make_base(Path(folder))
        for _ in range(options.rounds):
            for way, chunk in ways:
                command = [sys.executable, __file__, "--worker", way, str(chunk), folder]
                command += [str(options.batch), str(options.tokens), str(options.threads)]
                done = subprocess.run(
                    command, input="\n\n", capture_output=True, text=True, check=True
                )
                found[way, chunk] += [json.loads(line) for line in done.stdout.splitlines()]
                print(way, chunk or "", found[way, chunk][-1], file=sys.stderr, flush=True)
    seconds = {way: min(each["seconds"] for each in steps) for way, steps in found.items()}
    memory = {way: max(each["mb"] for each in steps) for way, steps in found.items()}
    fastest = min((("st", chunk) for chunk in CHUNKS), key=lambda way: seconds[way])
    smallest = min(memory["st", chunk] for chunk in CHUNKS)
    print(f"{'way':<10}{'chunk':>6}{'seconds':>10}{'MB':>10}")
    for way in ways:
        print(f"{way[0]:<10}{way[1] or '':>6}{seconds[way]:>10.2f}{memory[way]:>10,.0f}")
    figures = {
        "memory_vs_st": memory["lexpand", 0] / smallest,
        "step_vs_st": seconds["lexpand", 0] / seconds[fastest],
        "step_sampled_vs_body": seconds["sampled", 0] / seconds["body", 0],
        "grad_max_error": gradient_error(),
    }
    print(json.dumps(figures) if options.json else figures)


if __name__ == "__main__":
    main()
