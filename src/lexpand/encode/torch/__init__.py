"""The transformer and the head on PyTorch, for GPUs and folders without a graph; needs the extra `torch`.

`body.py` is the transformer, `head.py` the head's face and its choice between `kernel.py` (Triton)
and `chunked.py` (PyTorch alone). Not for CPUs: there the native head is faster, and stays.
"""
