"""Measure a model during training on a small collection, by the index."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lexpand.data import (
    ModelId,
    Run,
    SparseVectors,
    VectorSpace,
    Vocabulary,
    read_documents,
    read_judged,
)
from lexpand.evaluation import evaluate
from lexpand.index import Index
from lexpand.train.student import Student

MEASURE = "nDCG@10"
"""The measure that decides which checkpoint is best."""

_BATCH = 32

_Encode = Callable[[Mapping[str, Tensor]], Tensor]
"""Returns the weights [texts, terms] of token ids."""


class TrainingEvaluation:
    """A collection in BEIR's layout, measured with the student's vectors.

    Args:
        folder: ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/``, of which ``dev.tsv`` or else
            ``test.tsv`` is used.

    Attributes:
        name: of the folder.
        digest: a hash of its content.

    Raises:
        SourceError, DataError: a file is missing or invalid.
    """

    def __init__(self, folder: str | Path) -> None:
        self.name = Path(folder).name
        self._documents = list(read_documents(folder))
        judged = read_judged(folder, split=("dev", "test"))
        self._queries, self._qrels = judged.judged, judged.qrels
        texts = [(each.doc_id, each.title, each.text) for each in self._documents]
        queries = [(each.query_id, each.text) for each in self._queries]
        content = json.dumps([texts, queries, self._qrels.judgments]).encode()
        self.digest = hashlib.blake2b(content, digest_size=16).hexdigest()

    def measure(self, student: Student, *, encode_queries: bool = False) -> float:
        """Return nDCG@10 of the student. Random numbers and the training mode are as before.

        The vectors are searched in a temporary index, by the search that users have.

        Args:
            student: the model.
            encode_queries: return the mean of the model's two query modes; see `Recipe`.
        """
        was_training = student.training
        student.eval()
        try:
            with (
                torch.no_grad(),
                student.reading(student.longest),
                tempfile.TemporaryDirectory() as folder,
            ):
                runs = self._runs(student, Path(folder) / "index", encode_queries)
        finally:
            student.train(was_training)
        found = [evaluate(run, self._qrels, [MEASURE])[MEASURE] for run in runs]
        return sum(found) / len(found)

    def _runs(self, student: Student, folder: Path, encode_queries: bool) -> list[Run]:
        """Return the run of each query mode."""
        tokens = student.model.tokenizer.get_vocab()
        vocabulary = Vocabulary(sorted(tokens, key=tokens.__getitem__)[: student.terms])
        model = ModelId("training", "0" * 64)
        asked = [query.text for query in self._queries]
        modes = [student.queries]
        if encode_queries:
            modes.append(student.encoded_queries)
        queries = [
            SparseVectors.concatenate(
                [part for _, part in _encoded(student, asked, "query", encode, model)]
            )
            for encode in modes
        ]
        with Index.create(folder, VectorSpace(model, vocabulary)) as index:
            texts = [document.full_text for document in self._documents]
            for places, vectors in _encoded(student, texts, "document", student.documents, model):
                index.add([self._documents[place] for place in places], vectors)
            index.commit()
            runs = [index.search(vectors, 10) for vectors in queries]
        return [
            Run(
                {
                    query.query_id: list(zip(matches.doc_ids, matches.scores.tolist(), strict=True))
                    for query, matches in zip(self._queries, found, strict=True)
                }
            )
            for found in runs
        ]


def _weights_of(
    student: Student, texts: Sequence[str], task: str, encode: _Encode
) -> Iterator[Tensor]:
    """Yield the dense weights [texts of a batch, terms] of texts, in their order."""
    for first in range(0, len(texts), _BATCH):
        routed = {"task": task} if student.routed else {}
        features = student.model.preprocess(list(texts[first : first + _BATCH]), **routed)
        device = student.decoder.weight.device
        features = {k: v.to(device) if torch.is_tensor(v) else v for k, v in features.items()}
        yield encode(features)


def _encoded(
    student: Student, texts: Sequence[str], task: str, encode: _Encode, model: ModelId
) -> Iterator[tuple[Sequence[int], SparseVectors]]:
    """Yield batches of vectors with the places of their texts; documents are sorted by length."""
    places = list(range(len(texts)))
    if task == "document":
        places.sort(key=lambda place: len(texts[place]))
    done = 0
    for weights in _weights_of(student, [texts[place] for place in places], task, encode):
        rows, terms = weights.nonzero(as_tuple=True)
        indptr = np.zeros(len(weights) + 1, np.int64)
        np.cumsum(np.bincount(rows.cpu().numpy(), minlength=len(weights)), out=indptr[1:])
        values = weights[rows, terms].float().cpu().numpy()
        vectors = SparseVectors(indptr, terms.cpu().numpy(), values, student.terms, model)
        yield places[done : done + len(weights)], vectors
        done += len(weights)
