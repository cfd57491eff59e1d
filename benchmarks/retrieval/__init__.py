"""The part of benchmarks/search.py that runs without any peer installed."""
