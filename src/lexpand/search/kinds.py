"""The kinds of retriever over an index: their names, and their settings in a pipeline file.

To add a kind, write its retriever and a dataclass of its settings in a new file, and list both
here. The inquiry that explains the kind is listed in `lexpand.explanation.explaining`.
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
        name: the name in files and explanations.
        retriever: the class of the retriever.
        part: the class of its settings in a pipeline; None if it cannot be a part of a pipeline.
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
"""The class of a part's settings, by the field that the part searches."""


def kind_of(retriever: Retriever) -> Kind | None:
    """Return the kind of a retriever, or None if no kind matches."""
    return next((kind for kind in KINDS if isinstance(retriever, kind.retriever)), None)
