"""Teachers that score all documents of a batch, without a file of scores."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

from lexpand.encode.json_files import read_json
from lexpand.errors import ModelError
from lexpand.experiments.baselines import POOLING_FILE, DensePooling, configured_pooling
from lexpand.models import find_base
from lexpand.train.recipe import Recipe
from lexpand.train.rewording import Rewording
from lexpand.train.student import Student, load_model, with_special

_POSITIONS = 512
"""The tokens that a sentence encoder reads whose configuration gives no number."""


class BatchTeacher(Protocol):
    """Encodes texts as vectors, of which the product is the score of a query and a document."""

    def queries(self, features: dict[str, Tensor]) -> Tensor:
        """Return the vectors [queries, width] of queries given as token ids."""
        ...

    def documents(self, features: dict[str, Tensor]) -> Tensor:
        """Return the vectors [documents, width] of documents given as token ids."""
        ...


def make_batch_teachers(recipe: Recipe, student: Student) -> list[BatchTeacher]:
    """Load the batch teachers of a recipe: none, one, or a dense one and then a sparse one.

    Raises:
        ModelError: a model cannot be loaded, or its tokenizer is not the student's.
    """
    if not recipe.batch_teacher:
        return []
    if recipe.batch_teacher == "self":
        return [SparseTeacher(copy.deepcopy(student))]
    teachers: list[BatchTeacher] = [DenseTeacher(recipe.batch_teacher, student, bf16=recipe.bf16)]
    if recipe.sparse_teacher:
        model = load_model(recipe.sparse_teacher, recipe)
        teacher = Student(model, bf16=recipe.bf16)
        reword = _rewording(
            "sparse_teacher", recipe.sparse_teacher, model.tokenizer, student, teacher.longest
        )
        bare = student.table is not None
        teachers.append(SparseTeacher(teacher, bare_queries=bare, reword=reword))
    return teachers


class SparseTeacher:
    """A SPLADE model, such as the student before training (self-distillation).

    Args:
        model: its forward passes. It is not copied.
        bare_queries: queries come without special tokens, as a table takes them.
        reword: makes the token ids of the student those of the model; None if they are the same.
    """

    def __init__(
        self, model: Student, *, bare_queries: bool = False, reword: Rewording | None = None
    ) -> None:
        self._model = model.eval()
        self._reword = reword or (lambda features: features)
        self._add_special = bare_queries and model.table is None

    def queries(self, features: dict[str, Tensor]) -> Tensor:
        """Return the sparse vectors of queries."""
        self._model.to(features["input_ids"].device)
        if self._add_special:
            features = with_special(features, self._model.model.tokenizer)
        features = self._reword(features)
        with torch.no_grad():
            return self._model.queries(features)

    def documents(self, features: dict[str, Tensor]) -> Tensor:
        """Return the sparse vectors of documents."""
        self._model.to(features["input_ids"].device)
        with torch.no_grad():
            return self._model.documents(self._reword(features))


class DenseTeacher:
    """A sentence encoder: the cosine of the dense vectors of query and document.

    The vector is the mean of the states of all tokens, or the state of the first token if
    ``1_Pooling/config.json`` says so.
    """

    def __init__(self, model: str, student: Student, *, bf16: bool = False) -> None:
        folder = find_base(model)
        try:
            self._model: Any = AutoModel.from_pretrained(folder)
            tokenizer = AutoTokenizer.from_pretrained(folder)
        # The loaders of transformers raise errors of many kinds.
        except Exception as error:
            raise ModelError(f"cannot load the batch teacher {model}: {error}") from error
        positions = getattr(self._model.config, "max_position_embeddings", _POSITIONS)
        longest = min(int(positions), int(tokenizer.model_max_length))
        self._reword = _rewording("batch_teacher", model, tokenizer, student, longest)
        self._model.eval()
        self._bf16 = bf16
        self._tokenizer = tokenizer
        self._first = _pools_first(folder)
        # A table looks up the tokens of a query without the special ones.
        self._bare_queries = student.table is not None

    def queries(self, features: dict[str, Tensor]) -> Tensor:
        """Return the unit vectors of queries."""
        bare = self._bare_queries
        return self._vectors(with_special(features, self._tokenizer) if bare else features)

    def documents(self, features: dict[str, Tensor]) -> Tensor:
        """Return the unit vectors of documents."""
        return self._vectors(features)

    def _vectors(self, features: dict[str, Tensor]) -> Tensor:
        features = self._reword(features)
        names = ("input_ids", "attention_mask", "token_type_ids")
        inputs = {name: features[name] for name in names if name in features}
        device = inputs["input_ids"].device
        self._model.to(device)
        with (
            torch.no_grad(),
            torch.autocast(device.type, torch.bfloat16, enabled=self._bf16),
        ):
            states: Tensor = self._model(**inputs).last_hidden_state.float()
        mask = inputs["attention_mask"][..., None].to(states.dtype)
        found = states[:, 0] if self._first else (states * mask).sum(1) / mask.sum(1)
        return functional.normalize(found, dim=1)


def _rewording(
    key: str,
    name: str,
    tokenizer: Any,  # noqa: ANN401 - of transformers
    student: Student,
    longest: int,
) -> Rewording:
    try:
        return Rewording(student.model.tokenizer, tokenizer, longest)
    except ValueError as error:
        raise ModelError(
            f"the {key} {Path(name).name} must have the tokenizer of the base, or that of the base"
            f" before terms were added, and {error}: choose another teacher, or score the data with"
            " `lexpand score`"
        ) from None


def _pools_first(folder: Path) -> bool:
    """Return whether the first token stands for the text; without settings the mean does."""
    settings = read_json(folder / POOLING_FILE, dict) if (folder / POOLING_FILE).is_file() else {}
    return configured_pooling(settings) is DensePooling.CLS
