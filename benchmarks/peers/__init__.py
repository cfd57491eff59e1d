"""One process a system: it builds, opens and searches when asked by a line of JSON. Started by retrieval/workers.py."""
