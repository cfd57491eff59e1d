"""Low-rank changes of a transformer's matrices (LoRA, Hu et al. 2021, arXiv 2106.09685), by peft.

A matrix W stays as it is, and W + 2 B A is used, where A has few rows and B few columns. Gradients
and the optimizer's state are then small, so a larger transformer fits. In the end 2 B A is added to
W: the saved model has the modules and the size of its base.
"""

from __future__ import annotations

from typing import Any

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

from lexpand.errors import ModelError


def add_low_rank(body: Any, rank: int) -> None:  # noqa: ANN401 - a model of transformers
    """Freeze a masked language model but for low-rank changes of its transformer, and its head.

    The head's transform and bias are trained as before, its decoder and the embeddings are not.

    Args:
        body: a masked language model.
        rank: rows of A, >= 1.

    Raises:
        ModelError: the transformer has no linear layer.
    """
    transformer, decoder = body.base_model, body.get_output_embeddings()
    layers = [name for name, layer in transformer.named_modules() if isinstance(layer, nn.Linear)]
    if not layers:
        raise ModelError("lora_rank needs a transformer with linear layers: set it to 0")
    config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=layers)
    inject_adapter_in_model(config, transformer)
    decoder.weight.requires_grad_(requires_grad=False)
    # With gradient checkpointing, a layer whose input needs no gradient would get none.
    body.enable_input_require_grads()


def merge_low_rank(model: nn.Module) -> None:
    """Add the low-rank changes to the matrices of a model, and remove them, in place."""
    for layer in list(model.modules()):
        for name, child in list(layer.named_children()):
            if isinstance(child, LoraLayer):
                child.merge()
                setattr(layer, name, child.get_base_layer())
