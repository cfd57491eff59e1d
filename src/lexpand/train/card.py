"""The model card of a trained model: data, licenses, settings, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_BARS = "▁▂▃▄▅▆▇█"


def write_card(
    name: str, facts: Mapping[str, Any], *, license: str | None, base_notice: str
) -> str:
    """Return a model card in Markdown, with the front matter that model hubs read.

    Args:
        name: the name of the model.
        facts: what ``training.json`` has: recipe, data, curve, evaluation.
        license: the license of the weights; None if it is not stated.
        base_notice: the license and the origin of the base model.
    """
    recipe, curve = facts["recipe"], facts["curve"]
    front = ["---", "library_name: sentence-transformers", "pipeline_tag: feature-extraction"]
    front += ["tags: [sparse-encoder, splade, lexpand]"]
    front += [f"license: {license.lower()}"] if license else []
    lines = [*front, "---", "", f"# {name}", "", _summary(recipe), ""]
    lines += ["## Data", "", "| source | examples | weight | refused rows |", "|---|---|---|---|"]
    lines += [
        f"| {each['name']} | {each['examples']:,} | {each['weight']:g} | {each['refused']:,} |"
        for each in facts["data"]
    ]
    stated = license or "not stated; see the licenses of the data and of the base before sharing it"
    lines += ["", "## Licenses", "", f"* Weights: {stated}.", f"* Base: {base_notice}.", ""]
    lines += ["## Curves", "", *_curves(curve), ""]
    if facts["evaluation"]:
        lines += ["## Evaluation during training", "", "| step | nDCG@10 |", "|---|---|"]
        lines += [f"| {step:,} | {value:.4f} |" for step, value in facts["evaluation"]]
        lines += [
            "",
            f"Measured on {facts['evaluated_on']}; step {facts['kept_step']:,} was kept.",
            "",
        ]
    lines += ["## Settings", "", "| setting | value |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in recipe.items() if key != "about"]
    lines += ["", "## Use", "", "```python", "import lexpand", ""]
    lines += [f'kb = lexpand.create("pages.index", "pages.jsonl", model="{name}")', "```", ""]
    lines += ["```python", "from sentence_transformers import SparseEncoder", ""]
    lines += [f'model = SparseEncoder("{name}")', "```"]
    return "\n".join(lines)


def _summary(recipe: Mapping[str, Any]) -> str:
    queries = "looked up in a table of weights" if recipe["lookup"] else "encoded"
    about = " ".join(str(recipe["about"]).split())
    return (
        f"A SPLADE model, trained with Lexpand by the recipe {recipe['name']} from the base"
        f" {recipe['base'] or 'default'}. Queries are {queries}. {about}"
    )


def _curves(curve: Sequence[Mapping[str, float]]) -> list[str]:
    if not curve:
        return ["No step was reported."]
    lines = ["| | first | last | curve |", "|---|---|---|---|"]
    for key, label in (
        ("loss", "loss"),
        ("document_terms", "terms of a document"),
        ("query_terms", "terms of a query"),
        ("document_lambda", "lambda of documents"),
    ):
        values = [point[key] for point in curve]
        if any(values):
            lines.append(f"| {label} | {values[0]:.4g} | {values[-1]:.4g} | {sparkline(values)} |")
    return [*lines, "", f"One point every {_distance(curve)} steps."]


def _distance(curve: Sequence[Mapping[str, float]]) -> int:
    return int(curve[1]["step"] - curve[0]["step"]) if len(curve) > 1 else int(curve[0]["step"])


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """Return a line of bars, one for each of at most ``width`` values."""
    chosen = [values[i * len(values) // width] for i in range(width)]
    chosen = list(values) if len(values) <= width else chosen
    low, high = min(chosen), max(chosen)
    span = (high - low) or 1.0
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in chosen)
