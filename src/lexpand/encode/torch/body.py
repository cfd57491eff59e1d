"""The transformer's body on PyTorch: for folders without a graph, and for GPUs. Needs the extra `torch`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lexpand.data.document_encoding import Dtype
from lexpand.encode.body import pad
from lexpand.encode.decoder import Decoder
from lexpand.encode.torch.head import TorchHead, way_on
from lexpand.errors import MissingExtra, ModelError

if TYPE_CHECKING:
    import torch


class TorchBody:
    """A masked language model of transformers whose decoder is left out; it stands where `Body` does.

    Args:
        folder: a model folder.
        decoder: the model's.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; ``cuda`` where there is one, by default.
        dtype: ``float32``, or ``bfloat16``: sooner on a GPU, and weights differ in the third digit.

    Attributes:
        head: takes what `states` gives; None on a CPU, where the native head is faster, and takes
            what `run` gives.

    Raises:
        MissingExtra: torch or transformers is not installed.
        ModelError: transformers refuses the folder, or torch the device.
    """

    def __init__(self, folder: Path, decoder: Decoder, device: str | None, dtype: Dtype) -> None:
        try:
            import torch
            from transformers import AutoModelForMaskedLM
        except ModuleNotFoundError as error:
            if error.name not in ("torch", "transformers"):
                raise
            raise MissingExtra(error.name, "torch", "the backend 'torch'") from None
        self._torch = torch
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            model = AutoModelForMaskedLM.from_pretrained(folder, local_files_only=True)
            # What comes out in the place of logits is what the decoder would have taken.
            open_end = torch.nn.Identity()
            open_end.bias = None  # BERT's head asks its decoder for it
            model.set_output_embeddings(open_end)
            self._model = model.to(self._device, getattr(torch, dtype)).eval()
        # Both raise what they like; the folder or the device is at fault.
        except Exception as error:
            raise ModelError(f"PyTorch cannot load {folder} on {self._device}: {error}") from error
        way = way_on(torch.device(self._device).type)
        self.head = (
            None if way is None else TorchHead(decoder, self._device, getattr(torch, dtype), way)
        )

    def run(self, texts: Sequence[Sequence[int]]) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
        """Hidden states [texts, tokens, width], padded at the end, and each text's length uint32 [texts].

        What stands at padded places is meaningless.
        """
        hidden, lengths = self.states(texts)
        return np.ascontiguousarray(hidden.float().cpu().numpy()), lengths

    def states(self, texts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, NDArray[np.uint32]]:
        """What `run` gives, but on the device and in its dtype."""
        torch = self._torch
        ids, mask, lengths = pad(texts)
        with torch.inference_mode():
            inputs = {"input_ids": ids, "attention_mask": mask}
            given = {
                name: torch.from_numpy(array).to(self._device) for name, array in inputs.items()
            }
            return self._model(**given).logits, lengths
