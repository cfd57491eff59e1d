"""The parts of benchmarks/search.py that need no peer."""
