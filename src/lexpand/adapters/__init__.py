"""How does a framework ask? Retrievers and encoders in the forms of LangChain, LlamaIndex and Haystack.

A module a framework, each with the extra of its name: `langchain.py`, `llama_index.py`,
`haystack.py`. They hand questions to a `Retriever` and hits back (`passages.py`); nothing is
computed here.

The room is not for search engines, which hold vectors of their own (`lexpand.engines`).
"""

__all__: list[str] = []
