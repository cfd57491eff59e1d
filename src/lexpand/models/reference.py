"""What a checkpoint's vectors are by transformers on PyTorch, in float32: the reference for golden pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from lexpand.encode.contract import Role
from lexpand.errors import ModelError
from lexpand.models.checkpoint import Checkpoint
from lexpand.models.golden import Weigh


def has_torch() -> bool:
    """Whether what `torch_reference` needs is installed."""
    return find_spec("torch") is not None and find_spec("transformers") is not None


def torch_reference(checkpoint: Checkpoint) -> Weigh:
    """Weights of one text at a time; it shares neither tokenizer, graph nor head with Lexpand's encoder.

    Raises:
        ModelError: transformers cannot load the checkpoint.
    """
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    with _quiet():
        try:
            model = (
                AutoModelForMaskedLM.from_pretrained(checkpoint.folder, local_files_only=True)
                .float()
                .eval()
            )
            tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder, local_files_only=True)
        # Whatever it raises, the checkpoint is at fault.
        except Exception as error:
            raise ModelError(
                f"{checkpoint.folder} cannot be loaded by transformers: {error}"
            ) from error

    def weigh(role: Role, text: str) -> Mapping[int, float]:
        inputs = tokenizer(
            text, truncation=True, max_length=checkpoint.max_tokens, return_tensors="pt"
        )
        if role is Role.QUERY and checkpoint.query_table is not None:
            weights = checkpoint.query_table.weights
            terms = sorted(set(inputs["input_ids"][0].tolist()))
            return {term: float(weights[term]) for term in terms if weights[term]}
        with torch.no_grad():
            logits = model(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
            ).logits[0]
            activated = torch.log1p(torch.relu(logits[:, : len(checkpoint.vocabulary)]))
            if checkpoint.activation == "log1p(log1p(relu))":
                activated = torch.log1p(activated)
            pooled = activated.amax(0) if checkpoint.pooling == "max" else activated.sum(0)
        return {term: float(pooled[term]) for term in torch.nonzero(pooled)[:, 0].tolist()}

    return weigh


@contextmanager
def _quiet() -> Iterator[None]:
    """Transformers' reports about weights that a checkpoint has beside the masked language model's are left out."""
    from transformers.utils import logging

    reports: Any = logging
    before, bars = reports.get_verbosity(), reports.is_progress_bar_enabled()
    reports.set_verbosity_error()
    reports.disable_progress_bar()
    try:
        yield
    finally:
        reports.set_verbosity(before)
        if bars:
            reports.enable_progress_bar()
