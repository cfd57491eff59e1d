"""Adapters for LangChain, LlamaIndex and Haystack.

Each framework has a module, which needs the extra of the same name: `langchain.py`,
`llama_index.py`, `haystack/`. The modules pass queries to a `Retriever` and return its hits
(`passages.py`). They compute nothing.

This package is not for search engines, which keep vectors of their own (`lexpand.engines`).
"""

__all__: list[str] = []
