"""One process a system: it loads a model and encodes when asked by a line of JSON. Started by retrieval/workers.py."""
