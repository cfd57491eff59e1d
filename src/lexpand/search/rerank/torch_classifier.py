"""Sequence classifiers on PyTorch, for folders without a graph. Needs the extra `torch`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lexpand.encode.body import pad
from lexpand.errors import MissingExtra, ModelError

if TYPE_CHECKING:
    from tokenizers import Encoding


class TorchClassifier:
    """A transformers model with one label. It has the same interface as `Graph`.

    Args:
        folder: the folder, as ``save_pretrained`` wrote it.
        threads: the number of torch threads, for the whole process.

    Raises:
        MissingExtra: torch or transformers is not installed.
        ModelError: transformers refuses the folder, or the model has several labels.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        try:
            import torch
            from transformers import AutoModelForSequenceClassification
        except ModuleNotFoundError as error:
            if error.name not in ("torch", "transformers"):
                raise
            raise MissingExtra(error.name, "torch", "the backend 'torch'") from None
        self._made = folder, threads
        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.set_num_threads(threads)
        try:
            model = AutoModelForSequenceClassification.from_pretrained(
                folder, local_files_only=True
            )
            self._model = model.to(self._device).eval()
        # Both libraries raise errors of any kind. The folder or the device is the cause.
        except Exception as error:
            raise ModelError(
                f"PyTorch cannot load {folder} on {self._device}: {error}: "
                "copy the model again, or choose another device"
            ) from error
        if self._model.config.num_labels != 1:
            raise ModelError(
                f"{folder} must have one label, got {self._model.config.num_labels}: "
                "a reranker has one score"
            )

    def __reduce__(self) -> tuple[object, ...]:
        return TorchClassifier, self._made

    def run(self, encodings: Sequence[Encoding]) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
        """Return the logits, float32 [pairs, 1], and the lengths in tokens, uint32 [pairs]."""
        torch = self._torch
        ids, mask, lengths = pad([encoding.ids for encoding in encodings])
        inputs = {"input_ids": ids, "attention_mask": mask}
        if getattr(self._model.config, "type_vocab_size", 0) > 1:
            inputs["token_type_ids"] = pad([encoding.type_ids for encoding in encodings])[0]
        with torch.inference_mode():
            tensors = {
                name: torch.from_numpy(array).to(self._device) for name, array in inputs.items()
            }
            logits = self._model(**tensors).logits.float().cpu().numpy()
        return logits, lengths
