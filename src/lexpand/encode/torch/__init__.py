"""The transformer and the head on PyTorch, for GPUs and for folders without a graph.

`body.py` is the transformer. `head.py` is the head, which runs `kernel.py` (Triton) or `chunked.py`
(PyTorch alone). On a CPU the native head is faster and is used instead. Needs the extra `torch`.
"""
