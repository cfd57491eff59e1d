"""The collections that are measured, written once under build/bench/.

A collection is a folder with ``documents`` and one or more ``queries-NAME``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import splade_like
from lexpand import Encoder, SparseVectors, read_documents, read_queries
from lexpand.data import collection_path
from measured_model import MODEL
from retrieval.truth import Truth
from retrieval.vectors import Rows, Vectors, write_vectors


@dataclass(frozen=True)
class Collection:
    """The name of a collection and the folder of its vectors."""

    name: str
    folder: Path

    @property
    def documents(self) -> Vectors:
        """The vectors of the documents."""
        return Vectors(self.folder / "documents")

    @property
    def query_sets(self) -> dict[str, Path]:
        """The folders of the query sets, by name."""
        return {
            path.name.removeprefix("queries-"): path
            for path in sorted(self.folder.glob("queries-*"))
        }

    def truth(self, queries: str, count: int) -> Truth:
        """Return the exact scores of the first ``count`` queries, computed once and saved."""
        path = self.folder / f"truth-{queries}-{count}.npz"
        if not path.is_file():
            Truth.of(self.documents, Vectors(self.query_sets[queries]), count).save(path)
        return Truth.load(path)


def like(root: Path, documents: int) -> Collection:
    """Return a collection of SPLADE-like vectors."""
    folder = root / f"like-{documents}"
    if not (folder / "queries-B").is_dir():
        splade_like.write_collection(folder, documents)
    return Collection(folder.name, folder)


def encoded(root: Path, name: str, source: Path) -> Collection:
    """Return a collection encoded by `MODEL`. Another model gets another folder."""
    encoder = Encoder.load(MODEL)
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
    """Return SciFact, which is packaged with Lexpand."""
    return encoded(root, "scifact", collection_path("scifact"))


def _rows(vectors: SparseVectors) -> Rows:
    return vectors.indptr, vectors.terms, vectors.weights
