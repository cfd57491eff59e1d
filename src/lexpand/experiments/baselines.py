"""Dense and late-interaction models as rerankers: the baselines that learned sparse retrieval is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand.errors import ModelError
from lexpand.search.rerank.model_files import ModelFiles
from lexpand.search.rerank.reranker import Reranker
from lexpand.search.rerank.text_model import TextModel, unit_rows


class DensePooling(StrEnum):
    """Which vector stands for a text."""

    CLS = "cls"
    """The state of its first token."""

    MEAN = "mean"
    """The mean of its tokens' states, special ones included."""


class DenseReranker(Reranker):
    """Scores by the cosine of two vectors (Reimers and Gurevych 2019); see `load`.

    A baseline: texts are encoded anew for every query, where a dense index would keep their
    vectors; layers of sentence-transformers behind the pooling are not applied.

    Args:
        model: gives states.
        pooling: which vector stands for a text.
        query_prefix: put before a query, e.g. BGE's ``Represent this sentence for searching
            relevant passages: ``.
        document_prefix: put before a text.
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
            model: a folder or an ONNX file, as `CrossEncoder.load` takes them; its output is
                [texts, tokens, width].
            threads: that one call may use; all cores of this process by default.
            max_tokens: cut texts at fewer tokens than the model reads.
            pooling: what ``1_Pooling/config.json`` says by default, and the mean where there is
                none.
            query_prefix: see the class.
            document_prefix: see the class.

        Raises:
            ModelError: a file is missing or cannot be used, or the pooling is neither.
        """
        files = ModelFiles.find(model)
        return cls(
            TextModel.load(files, threads, max_tokens),
            _pooling(files, pooling),
            query_prefix=query_prefix,
            document_prefix=document_prefix,
        )

    def score(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """The cosines, float32 [texts], from -1 to 1."""
        if not texts:
            return np.zeros(0, np.float32)
        query_prefix, document_prefix = self._prefixes
        (asked,) = self._vectors([query_prefix + query])
        scores: NDArray[np.float32] = (
            self._vectors([document_prefix + text for text in texts]) @ asked
        )
        return scores

    def _vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        states = self._model.states(texts)
        first = self.pooling is DensePooling.CLS
        return unit_rows(np.stack([rows[0] if first else rows.mean(axis=0) for rows in states]))


class LateInteractionReranker(Reranker):
    """Scores by MaxSim: for each token of the query the largest cosine with a token of the text, summed up.

    Khattab and Zaharia 2020, *ColBERT*, equation 3. A baseline: texts are encoded anew for every
    query, and states are compared as the graph gives them. It adds no markers ([Q], [D]), does not
    fill the query up with [MASK], and leaves punctuation in; a projection that lies outside the
    graph is not applied.

    Args:
        model: gives states.
    """

    def __init__(self, model: TextModel) -> None:
        self._model = model

    @classmethod
    def load(
        cls, model: str | Path, *, threads: int | None = None, max_tokens: int | None = None
    ) -> LateInteractionReranker:
        """Load a model.

        Args:
            model: a folder or an ONNX file, as `CrossEncoder.load` takes them; its output is
                [texts, tokens, width].
            threads: that one call may use; all cores of this process by default.
            max_tokens: cut texts at fewer tokens than the model reads.

        Raises:
            ModelError: a file is missing or cannot be used.
        """
        return cls(TextModel.load(ModelFiles.find(model), threads, max_tokens))

    def score(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """The sums, float32 [texts], at most the query's tokens."""
        (asked,) = self._model.states([query])
        asked = unit_rows(asked)
        best = [
            (asked @ unit_rows(states).T).max(axis=1).sum() for states in self._model.states(texts)
        ]
        return np.array(best, np.float32)


def _pooling(files: ModelFiles, wanted: DensePooling | str | None) -> DensePooling:
    return _parse_pooling(str(wanted) if wanted else _said(files))


def _parse_pooling(said: str) -> DensePooling:
    try:
        return DensePooling(said)
    except ValueError:
        raise ModelError(f"no pooling {said!r}: give one of {', '.join(DensePooling)}") from None


def _said(files: ModelFiles) -> str:
    """The pooling of sentence-transformers' settings: a flag for each kind, or in newer versions its name."""
    settings = files.json("1_Pooling/config.json")
    names = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean"}
    flags = [
        names.get(key, key)
        for key, value in settings.items()
        if key.startswith("pooling_mode_") and value is True
    ]
    return str(settings.get("pooling_mode", " and ".join(flags) or DensePooling.MEAN))
