"""The reference implementation for golden pairs: transformers on PyTorch, in float32."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from lexpand.encode.contract import QueryMode, Role
from lexpand.errors import ModelError
from lexpand.models.checkpoint import Checkpoint
from lexpand.models.exporting import float32_folder
from lexpand.models.golden import Weigh


def has_torch() -> bool:
    """Return whether torch and transformers are installed, which `torch_reference` needs."""
    return find_spec("torch") is not None and find_spec("transformers") is not None


def torch_reference(checkpoint: Checkpoint) -> Weigh:
    """Return a function that computes the weights of one text.

    It shares no tokenizer, graph or head with Lexpand's encoder.

    Raises:
        ModelError: transformers cannot load the checkpoint.
    """
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    with _quiet():
        try:
            with float32_folder(checkpoint.folder) as folder:
                model = AutoModelForMaskedLM.from_pretrained(folder, local_files_only=True)
                tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = model.float().eval()
        # transformers raises errors of any type. The checkpoint is at fault.
        except Exception as error:
            raise ModelError(
                f"{checkpoint.folder} cannot be loaded by transformers: {error}"
            ) from error

    def weigh(role: Role, text: str) -> Mapping[int, float]:
        inputs = tokenizer(
            text, truncation=True, max_length=checkpoint.max_tokens, return_tensors="pt"
        )
        looked_up = checkpoint.query_mode is QueryMode.LOOKUP
        if role is Role.QUERY and looked_up and checkpoint.query_table is not None:
            weights = checkpoint.query_table.weights
            terms = sorted(set(inputs["input_ids"][0].tolist()))
            return {term: float(weights[term]) for term in terms if weights[term]}
        with torch.no_grad():
            ids, mask = inputs["input_ids"], inputs["attention_mask"]
            logits = model(input_ids=ids, attention_mask=mask).logits[0]
            activated = torch.log1p(torch.relu(logits[:, : len(checkpoint.vocabulary)]))
            if checkpoint.activation == "log1p(log1p(relu))":
                activated = torch.log1p(activated)
            pooled = activated.amax(0) if checkpoint.pooling == "max" else activated.sum(0)
        return {term: float(pooled[term]) for term in torch.nonzero(pooled)[:, 0].tolist()}

    return weigh


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the logging and the progress bars of transformers.

    It reports weights that are not part of the masked language model.
    """
    from transformers.utils import logging

    settings: Any = logging
    verbosity, bars = settings.get_verbosity(), settings.is_progress_bar_enabled()
    settings.set_verbosity_error()
    settings.disable_progress_bar()
    try:
        yield
    finally:
        settings.set_verbosity(verbosity)
        if bars:
            settings.enable_progress_bar()
