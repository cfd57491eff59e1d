"""How do I get a better encoder for my texts? Needs the extra `train`.

`objectives.py` and `regularizers.py` are the equations, and `head.py` is the SPLADE head without
logits. `autopilot.py` holds a budget of terms. `recipe.py` has the settings, and `training.py` runs
them with the trainer of sentence-transformers. `mining.py` and `scoring.py` prepare rows of data
(`rows.py`): hard negatives and scores of teachers. These three need no extra.

It is not for running models (`lexpand.encode`) or for importing them (`lexpand.models`).
"""

__all__: list[str] = []
