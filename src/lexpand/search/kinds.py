"""The kinds of retriever over an index: their names, and their form in a pipeline file.

To add a kind, write its retriever and the dataclass of its settings in a file, and list them here.
Its inquiry, which explains it, is listed in `lexpand.explanation.explaining`.
"""

from __future__ import annotations

from dataclasses import dataclass

from lexpand.search.hybrid import HybridRetriever
from lexpand.search.parts import Part, Splade, Words
from lexpand.search.retriever import LocalRetriever, Retriever
from lexpand.search.sparse import SparseRetriever
from lexpand.search.words import WordRetriever


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of retriever.

    Attributes:
        name: what files and explanations call it.
        retriever: the class.
        part: the class of its settings as a part of a pipeline; None for one that is no part.
    """

    name: str
    retriever: type[LocalRetriever]
    part: type[Part] | None


KINDS = (
    Kind("splade", SparseRetriever, Splade),
    Kind("bm25", WordRetriever, Words),
    Kind("hybrid", HybridRetriever, None),
)


PARTS: dict[str, type[Part]] = {kind.name: kind.part for kind in KINDS if kind.part is not None}
"""The settings of a part by the field that it searches."""


def kind_of(retriever: Retriever) -> Kind | None:
    """The kind of a retriever; None for one that is not listed."""
    return next((kind for kind in KINDS if isinstance(retriever, kind.retriever)), None)
