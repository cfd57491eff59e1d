"""Parts of hybrid.py and reweighting.py: collections, ways of joining two rankings, and how one is chosen."""
