"""The model of the benchmarks that compare programs or settings rather than models."""

MODEL = "splade-tiny"
"""The small packaged model, which the figures of docs/benchmarks.md are of unless they say so."""
