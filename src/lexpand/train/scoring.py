"""Score query-text pairs with a teacher: a cross-encoder or a dense model on ONNX Runtime."""

from __future__ import annotations

import glob
import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand.data.documents import shown
from lexpand.encode.progress import OnDone
from lexpand.errors import DataError, ModelError
from lexpand.experiments import DensePooling, DenseReranker
from lexpand.search.rerank import CrossEncoder
from lexpand.search.rerank.graph import output_shapes
from lexpand.search.rerank.model_files import ModelFiles
from lexpand.train.rows import FIRST, UNNAMED, Row
from lexpand.train.score_cache import Pair, ScoreCache

_BATCH = 64
"""Pairs of a call of the teacher. An interruption loses at most one call."""

_VECTORS = 100_000
"""Vectors that a dense teacher keeps: 150 MB at 384 dimensions."""


class Kind(StrEnum):
    """The kind of a teacher."""

    CROSS_ENCODER = "cross-encoder"
    """It reads query and text together. The score is its logit."""

    DENSE = "dense"
    """It encodes query and text apart. The score is the cosine of their vectors."""


@dataclass(frozen=True, slots=True)
class TeacherOptions:
    """The settings of a teacher.

    Attributes:
        kind: the kind; None to read it off the outputs of the graph.
        query_prefix: a prefix of queries, for dense teachers.
        document_prefix: a prefix of texts, for dense teachers.
        pooling: the vector of a text, for dense teachers; see `DenseReranker.load`.
        max_tokens: a shorter maximum length than that of the model.
        threads: the number of threads; all cores of this process by default.
    """

    kind: Kind | None = None
    query_prefix: str = ""
    document_prefix: str = ""
    pooling: DensePooling | None = None
    max_tokens: int | None = None
    threads: int | None = None


class Teacher(ABC):
    """The protocol of teachers, which score pairs of query and text.

    Attributes:
        digest: a hash of everything that determines a score.
    """

    digest: bytes

    @abstractmethod
    def score(self, pairs: Sequence[Pair]) -> Sequence[float]:
        """Return the score of each pair; larger is better."""


def load_teacher(model: str | Path, options: TeacherOptions = TeacherOptions()) -> Teacher:
    """Load a teacher from a model folder or an ONNX file; see `CrossEncoder.load`.

    Raises:
        ModelError: a file is missing or invalid, the kind cannot be read off the graph, or the
            model is of another kind.
        DataError: a prefix or a pooling is given for a cross-encoder.
    """
    files = ModelFiles.find(model)
    kind = options.kind or _kind_of(files.graph)
    options = replace(options, kind=kind)
    if kind is Kind.DENSE:
        return _Dense(files, options)
    if options.query_prefix or options.document_prefix or options.pooling:
        raise DataError(
            f"prefixes and pooling must be for a dense teacher, {files.folder} is a cross-encoder:"
            " leave them out"
        )
    return _Pairs(files, options)


def score_pairs(
    teacher: Teacher,
    pairs: Iterable[Pair],
    cache: ScoreCache | None = None,
    on_done: OnDone = lambda _: None,
) -> dict[Pair, float]:
    """Return the score of each distinct pair. Pairs of the cache are not scored again.

    Args:
        teacher: the teacher.
        pairs: the pairs.
        cache: new scores are committed to it batch by batch.
        on_done: called with the number of distinct pairs that have a score since its last call.

    Raises:
        ModelError: the teacher returned a score that is not finite.
        StorageError: the cache cannot be used.
    """
    distinct = dict.fromkeys(pairs)
    found = {} if cache is None else cache.get(teacher.digest, distinct)
    on_done(len(found))
    # Similar lengths together, longest first. Equal texts are neighbors, for dense teachers.
    missing = sorted(
        (pair for pair in distinct if pair not in found),
        key=lambda pair: (len(pair[1]), pair[1], len(pair[0])),
        reverse=True,
    )
    for start in range(0, len(missing), _BATCH):
        batch = missing[start : start + _BATCH]
        scores = dict(zip(batch, map(float, teacher.score(batch)), strict=True))
        if cache is not None:
            cache.put(teacher.digest, {pair: s for pair, s in scores.items() if math.isfinite(s)})
        _check_finite(scores)
        found |= scores
        on_done(len(batch))
    return found


def with_scores(row: Row, scores: Mapping[Pair, float], name: str, *, add: bool = False) -> Row:
    """Return a row with the scores of a teacher.

    Args:
        row: the row.
        scores: the score of each of its pairs.
        name: the name of the teacher.
        add: keep the scores of other teachers. A plain list gets the name `FIRST`. If false, the
            scores are a plain list and replace all others.

    Raises:
        DataError: the name is empty, or is that of the plain list of the row.
    """
    found = tuple(scores[row.query, text] for text in row.documents)
    if not add:
        return replace(row, scores={UNNAMED: found})
    if not name or (name == FIRST and UNNAMED in row.scores):
        raise DataError(
            f"the name of a teacher must not be empty or {FIRST!r}, the name of scores without"
            f" one, got {name!r}: choose another with --name"
        )
    named = {each or FIRST: known for each, known in row.scores.items()}
    return replace(row, scores={**named, name: found})


class _Pairs(Teacher):
    """A cross-encoder."""

    def __init__(self, files: ModelFiles, options: TeacherOptions) -> None:
        self._model = CrossEncoder.load(
            files.named or files.folder, threads=options.threads, max_tokens=options.max_tokens
        )
        self.digest = _digest(files, options)

    def score(self, pairs: Sequence[Pair]) -> Sequence[float]:
        scores: list[float] = self._model.score_pairs(pairs).tolist()
        return scores


class _Dense(Teacher):
    """A dense model, which encodes each distinct text once."""

    def __init__(self, files: ModelFiles, options: TeacherOptions) -> None:
        self._model = DenseReranker.load(
            files.named or files.folder,
            threads=options.threads,
            max_tokens=options.max_tokens,
            query_prefix=options.query_prefix,
            document_prefix=options.document_prefix,
            pooling=options.pooling,
        )
        self.digest = _digest(files, options)
        self._queries: dict[str, NDArray[np.float32]] = {}
        self._texts: dict[str, NDArray[np.float32]] = {}

    def score(self, pairs: Sequence[Pair]) -> Sequence[float]:
        queries, texts = zip(*pairs, strict=True)
        _encode(queries, self._queries, self._model.query_vectors)
        _encode(texts, self._texts, self._model.document_vectors)
        return [float(self._queries[query] @ self._texts[text]) for query, text in pairs]


def _encode(
    texts: Iterable[str],
    known: dict[str, NDArray[np.float32]],
    encode: Callable[[Sequence[str]], NDArray[np.float32]],
) -> None:
    """Add the vectors of texts to the known ones. If these are many, keep only the new ones."""
    distinct = dict.fromkeys(texts)
    if len(known) + len(distinct) > _VECTORS:
        kept = {text: known[text] for text in distinct if text in known}
        known.clear()
        known.update(kept)
    missing = [text for text in distinct if text not in known]
    if missing:
        known.update(zip(missing, encode(missing), strict=True))


def _kind_of(graph: Path) -> Kind:
    shapes = output_shapes(graph)
    logit = any(len(shape) == 2 and shape[1] == 1 for shape in shapes.values())
    states = any(len(shape) == 3 for shape in shapes.values())
    if logit == states:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ModelError(
            f"{graph} must have either one logit or the states of tokens as output, got {listed}:"
            " name the kind (--kind cross-encoder or --kind dense)"
        )
    return Kind.CROSS_ENCODER if logit else Kind.DENSE


def _digest(files: ModelFiles, options: TeacherOptions) -> bytes:
    """Return the hash of a model's files and of the settings that change its scores."""
    settings = {name: each for name, each in asdict(options).items() if name != "threads"}
    digest = hashlib.blake2b(repr(sorted(settings.items())).encode(), digest_size=32)
    names = ("tokenizer.json", "tokenizer_config.json", "config.json", "1_Pooling/config.json")
    # A graph of more than 2 GB has its weights in files that begin with its name.
    data = files.graph.parent.glob(f"{glob.escape(files.graph.stem)}*data")
    for path in [*(files.folder / name for name in names), files.graph, *sorted(data)]:
        if path.is_file():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, hashlib.blake2b).digest())
        digest.update(path.name.encode() + b"\0")
    return digest.digest()


def _check_finite(scores: Mapping[Pair, float]) -> None:
    for (query, text), score in scores.items():
        if not math.isfinite(score):
            raise ModelError(
                f"the score of a teacher must be finite, got {score} for the query {shown(query)}"
                f" and the text {shown(text)}: remove the row, or choose another teacher"
            )
