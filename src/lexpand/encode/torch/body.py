"""The transformer body on PyTorch, for GPUs and for folders without a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lexpand.data.document_encoding import Dtype
from lexpand.encode.body import pad
from lexpand.encode.decoder import Decoder
from lexpand.encode.torch.head import TorchHead, implementation_for
from lexpand.errors import MissingExtra, ModelError

if TYPE_CHECKING:
    import torch


class TorchBody:
    """A masked language model of transformers without its decoder, with the interface of `Body`.

    Args:
        folder: a model folder.
        decoder: the decoder of the model, for the head.
        device: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``. The default is ``cuda`` if it is
            available, else ``cpu``.
        dtype: ``float32`` or ``bfloat16``. bfloat16 is faster on a GPU, and weights differ in the
            third digit.
        tensors: the weights by name, if the folder has them only in packed form.

    Attributes:
        head: the head for the output of `states`. None on a CPU, where the native head takes the
            output of `run`.

    Raises:
        MissingExtra: torch or transformers is not installed.
        ModelError: transformers refuses the folder, or torch the device.
    """

    def __init__(
        self,
        folder: Path,
        decoder: Decoder,
        device: str | None,
        dtype: Dtype,
        tensors: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> None:
        try:
            import torch
            from transformers import MODEL_FOR_MASKED_LM_MAPPING, AutoConfig
        except ModuleNotFoundError as error:
            if error.name not in ("torch", "transformers"):
                raise
            raise MissingExtra(error.name, "torch", "the backend 'torch'") from None
        self._torch = torch
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            states = None
            if tensors is not None:
                states = {name: torch.from_numpy(each) for name, each in tensors.items()}
            # This loader also maps the tensor names of older versions.
            model, found = MODEL_FOR_MASKED_LM_MAPPING[type(config)].from_pretrained(
                folder if states is None else None,
                config=config,
                state_dict=states,
                local_files_only=True,
                output_loading_info=True,
            )
            missing = sorted(found["missing_keys"])
            if missing:
                raise ValueError(f"its weights lack {missing[0]!r}")
            # With the identity as decoder, the model returns the input of the decoder, not logits.
            identity = torch.nn.Identity()
            identity.bias = None  # BERT's head reads this attribute of its decoder
            model.set_output_embeddings(identity)
            self._model = model.to(self._device, getattr(torch, dtype)).eval()
        # Both libraries raise errors of any type. The folder or the device is at fault.
        except Exception as error:
            raise ModelError(f"PyTorch cannot load {folder} on {self._device}: {error}") from error
        self.head: TorchHead | None = None
        implementation = implementation_for(torch.device(self._device).type)
        if implementation is not None:
            self.head = TorchHead(decoder, self._device, getattr(torch, dtype), implementation)

    def run(self, texts: Sequence[Sequence[int]]) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
        """Compute hidden states as `Body.run` does.

        Returns:
            The hidden states, float32 [texts, tokens, width], padded at the end, and the length of
            each text, uint32 [texts]. Values at padding positions are meaningless.
        """
        hidden, lengths = self.states(texts)
        return np.ascontiguousarray(hidden.float().cpu().numpy()), lengths

    def states(self, texts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, NDArray[np.uint32]]:
        """Compute hidden states as `run` does, but leave them on the device and in its dtype."""
        torch = self._torch
        ids, mask, lengths = pad(texts)
        with torch.inference_mode():
            arrays = {"input_ids": ids, "attention_mask": mask}
            inputs = {
                name: torch.from_numpy(array).to(self._device) for name, array in arrays.items()
            }
            return self._model(**inputs).logits, lengths
