"""Folders of baseline models: which kind each is, and the retriever that it makes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from lexpand.collection import Collection
from lexpand.errors import DataError, ModelError
from lexpand.experiments.baselines import DenseReranker, LateInteractionReranker
from lexpand.experiments.dense import DenseRetriever, encode_documents
from lexpand.search import CrossEncoder, Retriever
from lexpand.search.rerank.model_files import ModelFiles
from lexpand.search.reranking import RERANK_DEPTH

SETTINGS = "baseline.json"
"""The file in a model folder that states its kind, its pooling and its prefixes."""

_KEPT_BYTES = 4_000_000_000  # of token vectors

_KEYS = {"kind", "pooling", "query_prefix", "document_prefix"}


class Kind(StrEnum):
    """The kind of a baseline."""

    DENSE = "dense"
    """A bi-encoder with one vector a text, which searches all documents."""

    LATE = "late-interaction"
    """A model with a vector for each token (ColBERT), which reranks."""

    CROSS = "cross-encoder"
    """A model that reads query and document together, which reranks: a ceiling."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline model.

    Attributes:
        name: the name of its folder.
        folder: the folder.
        kind: its kind.
        settings: pooling and prefixes of a dense model.
        note: how the kind was found, for people.
    """

    name: str
    folder: Path
    kind: Kind
    settings: Mapping[str, Any]
    note: str = ""

    def retriever(
        self,
        kb: Collection,
        first: Retriever,
        *,
        threads: int | None = None,
        cache: Path | None = None,
        on_done: Callable[[int], None] | None = None,
    ) -> Retriever:
        """Return the retriever of the baseline over a collection.

        Args:
            kb: the collection.
            first: the retriever whose first 100 documents a reranker reorders.
            threads: the number of threads of the model.
            cache: a folder for the vectors of a dense model; None for no cache.
            on_done: a function that takes the number of documents encoded since its last call.

        Raises:
            ModelError: a file of the model is missing or invalid.
            StorageError: the cache cannot be written.
        """
        if self.kind is Kind.CROSS:
            return first >> CrossEncoder.load(self.folder, threads=threads)
        if self.kind is Kind.LATE:
            model = LateInteractionReranker.load(
                self.folder, threads=threads, kept_bytes=_KEPT_BYTES
            )
            return first >> model
        dense = DenseReranker.load(self.folder, threads=threads, **self.settings)
        file = None if cache is None else cache / f"{self._key(kb)}.npy"
        return DenseRetriever(kb, dense, encode_documents(kb, dense, file, on_done))

    def _key(self, kb: Collection) -> str:
        """Return the name of the file of vectors, which tells model, settings and documents."""
        digest = hashlib.blake2b(digest_size=12)
        digest.update(ModelFiles.find(self.folder).graph.read_bytes())
        digest.update(repr(sorted(self.settings.items())).encode())
        digest.update(kb.index.fingerprint().encode())
        return f"{self.name}-{digest.hexdigest()}"

    def described(self) -> str:
        """Return what the baseline does, for people."""
        if self.kind is Kind.DENSE:
            return f"{self.name} is a dense model and searches all documents{self.note}"
        what = f"{self.name} is a {self.kind} model and reranks the first {RERANK_DEPTH} documents"
        kept = ", whose token vectors it keeps in memory" if self.kind is Kind.LATE else ""
        return f"{what}{kept}{self.note}"


def find_baselines(folder: Path) -> list[Baseline]:
    """Return the baselines of a folder: the folder itself, or each model folder in it.

    The kind is stated in ``baseline.json``, or found: a graph with one output is a cross-encoder, a
    folder with *colbert* in its name is a late-interaction model, others are dense models.

    Raises:
        DataError: the folder has no model, or a ``baseline.json`` is invalid.
        ModelError: a model folder lacks its graph or tokenizer.
    """
    folders = list(_model_folders(folder))
    if not folders:
        raise DataError(
            f"{folder} must have model folders with tokenizer.json and an ONNX file, and has none"
        )
    return [_baseline(each) for each in folders]


def _model_folders(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder} must be a folder of model folders, and is not a folder")
    if (folder / "tokenizer.json").is_file():
        yield folder
        return
    for each in sorted(folder.iterdir()):
        if (each / "tokenizer.json").is_file():
            yield each


def _baseline(folder: Path) -> Baseline:
    files = ModelFiles.find(folder)
    settings = dict(files.json(SETTINGS))
    unknown = sorted(set(settings) - _KEYS)
    if unknown:
        raise DataError(f"{folder / SETTINGS} has the unknown key {unknown[0]!r}")
    kind = settings.pop("kind", None)
    graph = files.graph  # A missing graph is said before the first model runs.
    if kind is not None:
        try:
            return Baseline(folder.name, folder, Kind(kind), settings)
        except ValueError:
            raise DataError(
                f"{folder / SETTINGS}: kind must be one of {', '.join(Kind)}, got {kind!r}"
            ) from None
    if _scores_pairs(graph):
        return Baseline(folder.name, folder, Kind.CROSS, settings)
    if "colbert" in folder.name.lower():
        return Baseline(folder.name, folder, Kind.LATE, settings)
    pooled = "pooling" in settings or (folder / "1_Pooling" / "config.json").is_file()
    note = "" if pooled else f" (pooling by the mean; {SETTINGS} can name another)"
    return Baseline(folder.name, folder, Kind.DENSE, settings, note)


def _scores_pairs(graph: Path) -> bool:
    """Return whether a graph has one score for each input."""
    try:
        CrossEncoder.load(graph, threads=1)
    except ModelError:
        return False
    return True
