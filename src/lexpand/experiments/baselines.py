"""Dense and late-interaction rerankers: baselines for learned sparse retrieval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexpand.errors import ModelError
from lexpand.search.rerank.model_files import ModelFiles
from lexpand.search.rerank.reranker import Reranker
from lexpand.search.rerank.text_model import TextModel, unit_rows

POOLING_FILE = "1_Pooling/config.json"
"""The settings of the pooling, in a folder of sentence-transformers."""


class DensePooling(StrEnum):
    """The vector that represents a text."""

    CLS = "cls"
    """The state of the first token."""

    MEAN = "mean"
    """The mean of the states of all tokens, special tokens included."""


class DenseReranker(Reranker):
    """A reranker by the cosine of two vectors (Reimers and Gurevych 2019); see `load`.

    This is a baseline. Texts are encoded again for each query, while a dense index would store
    their vectors. Layers of sentence-transformers after the pooling are not applied.

    Args:
        model: returns the states of tokens.
        pooling: the vector that represents a text.
        query_prefix: a prefix of queries, e.g. ``Represent this sentence for searching relevant
            passages: `` for BGE.
        document_prefix: a prefix of texts.
    """

    def __init__(
        self,
        model: TextModel,
        pooling: DensePooling | str,
        *,
        query_prefix: str = "",
        document_prefix: str = "",
    ) -> None:
        self._model = model
        self.pooling = _parse_pooling(str(pooling))
        self._prefixes = query_prefix, document_prefix

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        threads: int | None = None,
        max_tokens: int | None = None,
        pooling: DensePooling | str | None = None,
        query_prefix: str = "",
        document_prefix: str = "",
    ) -> DenseReranker:
        """Load a model.

        Args:
            model: a folder or an ONNX file, as for `CrossEncoder.load`. Its output is [texts,
                tokens, width].
            threads: the number of threads of one call; all cores of this process by default.
            max_tokens: a shorter maximum length of texts than that of the model.
            pooling: by default the pooling in ``1_Pooling/config.json``, or the mean without that
                file.
            query_prefix: see the class.
            document_prefix: see the class.

        Raises:
            ModelError: a file is missing or invalid, or the pooling is unknown.
        """
        files = ModelFiles.find(model)
        return cls(
            TextModel.load(files, threads, max_tokens),
            _pooling(files, pooling),
            query_prefix=query_prefix,
            document_prefix=document_prefix,
        )

    def score(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the cosines, float32 [texts], from -1 to 1."""
        if not texts:
            return np.zeros(0, np.float32)
        (query_vector,) = self.query_vectors([query])
        scores: NDArray[np.float32] = self.document_vectors(texts) @ query_vector
        return scores

    def query_vectors(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of queries, of length 1, float32 [queries, width]."""
        return self._vectors([self._prefixes[0] + query for query in queries])

    def document_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of texts, of length 1, float32 [texts, width]."""
        return self._vectors([self._prefixes[1] + text for text in texts])

    def _vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        states = self._model.states(texts)
        first = self.pooling is DensePooling.CLS
        return unit_rows(np.stack([rows[0] if first else rows.mean(axis=0) for rows in states]))


class LateInteractionReranker(Reranker):
    """A reranker by MaxSim (Khattab and Zaharia 2020, *ColBERT*, equation 3).

    MaxSim is a sum over the tokens of the query: the largest cosine of each with a token of the
    text. This is a baseline: states are compared as the graph returns them. It adds no markers
    ([Q], [D]), does not pad the query with [MASK], and keeps punctuation. A projection outside the
    graph is not applied.

    Args:
        model: returns the states of tokens.
        kept_bytes: the most memory for the vectors of texts, in float16. They stand for the stored
            vectors of a late-interaction index. Texts beyond it are encoded again for each query.
    """

    def __init__(self, model: TextModel, *, kept_bytes: int = 0) -> None:
        self._model = model
        self._kept: dict[str, NDArray[np.float16]] = {}
        self._room = kept_bytes

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        threads: int | None = None,
        max_tokens: int | None = None,
        kept_bytes: int = 0,
    ) -> LateInteractionReranker:
        """Load a model.

        Args:
            model: a folder or an ONNX file, as for `CrossEncoder.load`. Its output is [texts,
                tokens, width].
            threads: the number of threads of one call; all cores of this process by default.
            max_tokens: a shorter maximum length of texts than that of the model.
            kept_bytes: see the class.

        Raises:
            ModelError: a file is missing or invalid.
        """
        return cls(
            TextModel.load(ModelFiles.find(model), threads, max_tokens), kept_bytes=kept_bytes
        )

    @property
    def vector_bytes(self) -> float | None:
        """The mean size of a kept text's vectors in bytes; None if none are kept."""
        if not self._kept:
            return None
        return sum(states.nbytes for states in self._kept.values()) / len(self._kept)

    def score(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the sums, float32 [texts]; at most the number of query tokens."""
        (query_states,) = map(unit_rows, self._model.states([query]))
        sums = [
            (query_states @ states.T).max(axis=1).sum() for states in self._document_states(texts)
        ]
        return np.array(sums, np.float32)

    def _document_states(self, texts: Sequence[str]) -> Iterator[NDArray[np.float32]]:
        """Yield the unit states of texts; kept ones are rounded from their first use on."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._kept]
        new = dict(zip(missing, map(unit_rows, self._model.states(missing)), strict=True))
        for text, states in new.items():
            small = states.astype(np.float16)
            if small.nbytes <= self._room:
                self._kept[text] = small
                self._room -= small.nbytes
        for text in texts:
            kept = self._kept.get(text)
            yield new[text] if kept is None else kept.astype(np.float32)


def _pooling(files: ModelFiles, requested: DensePooling | str | None) -> DensePooling:
    if requested:
        return _parse_pooling(str(requested))
    return configured_pooling(files.json(POOLING_FILE))


def _parse_pooling(name: str) -> DensePooling:
    try:
        return DensePooling(name)
    except ValueError:
        raise ModelError(
            f"pooling must be one of {', '.join(DensePooling)}, got {name!r}"
        ) from None


def configured_pooling(settings: Mapping[str, Any]) -> DensePooling:
    """Return the pooling in the settings of sentence-transformers; the mean if they have none.

    Older versions have a flag for each kind, newer ones a name.

    Args:
        settings: the content of `POOLING_FILE`; empty if there is no such file.

    Raises:
        ModelError: the pooling is unknown.
    """
    names = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean"}
    flags = [
        names.get(key, key)
        for key, value in settings.items()
        if key.startswith("pooling_mode_") and value is True
    ]
    return _parse_pooling(
        str(settings.get("pooling_mode", " and ".join(flags) or DensePooling.MEAN))
    )
