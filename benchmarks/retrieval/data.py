"""The collections: folders with ``documents`` and one or more ``queries-NAME``, made once under build/bench/."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import splade_like
from lexpand import Encoder, SparseVectors, read_documents, read_queries
from lexpand.data import collection_path
from retrieval.truth import Truth
from retrieval.vectors import Rows, Vectors, write_vectors


@dataclass(frozen=True)
class Collection:
    """A name, and where its vectors are."""

    name: str
    folder: Path

    @property
    def documents(self) -> Vectors:
        """The documents' vectors."""
        return Vectors(self.folder / "documents")

    @property
    def query_sets(self) -> dict[str, Path]:
        """Folders by name."""
        return {
            path.name.removeprefix("queries-"): path
            for path in sorted(self.folder.glob("queries-*"))
        }

    def truth(self, queries: str, count: int) -> Truth:
        """Exact scores for the first ``count`` queries, computed once."""
        path = self.folder / f"truth-{queries}-{count}.npz"
        if not path.is_file():
            Truth.of(self.documents, Vectors(self.query_sets[queries]), count).save(path)
        return Truth.load(path)


def like(root: Path, documents: int) -> Collection:
    """SPLADE-like vectors."""
    folder = root / f"like-{documents}"
    if not (folder / "queries-B").is_dir():
        splade_like.write_collection(folder, documents)
    return Collection(folder.name, folder)


def encoded(root: Path, name: str, source: Path) -> Collection:
    """A collection that Lexpand's default model encoded; made again for another model."""
    encoder = Encoder.load()
    folder = root / f"{name}-{encoder.space.model.hash[:12]}"
    if not (folder / "queries-all").is_dir():
        documents = [document.full_text for document in read_documents(source)]
        queries = [query.text for query in read_queries(source)]
        for part, vectors in (
            ("documents", encoder.encode_documents(documents)),
            ("queries-all", encoder.encode_queries(queries)),
        ):
            write_vectors(folder / part, [_rows(vectors)], vectors.vocabulary_size)
    return Collection(name, folder)


def scifact(root: Path) -> Collection:
    """The collection that comes with Lexpand."""
    return encoded(root, "scifact", collection_path("scifact"))


def _rows(vectors: SparseVectors) -> Rows:
    return vectors.indptr, vectors.terms, vectors.weights
