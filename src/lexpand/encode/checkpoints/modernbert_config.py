"""What config.json says of a ModernBERT's layers, in the form of transformers 4 or of 5."""

from __future__ import annotations

from typing import Any

from lexpand.encode.checkpoints.architectures import Config
from lexpand.errors import ModelError

FULL, SLIDING = "full_attention", "sliding_attention"


def layer_types(config: Config, layers: int) -> list[str]:
    """``full_attention`` or ``sliding_attention``, by layer, from the older or the newer form of config.json."""
    if config.get("layer_types") is not None:
        return [str(kind) for kind in config["layer_types"]]
    every = int(config.get("global_attn_every_n_layers", 3))
    return [SLIDING if i % every else FULL for i in range(layers)]


def rope_theta(config: Config, kind: str) -> float:
    """The base of rotary positions in layers of a kind, from the older or the newer form of config.json.

    Raises:
        ModelError: positions are scaled, which this graph does not do.
    """
    rope: dict[str, Any] = (config.get("rope_parameters") or {}).get(kind) or {}
    if config.get("rope_scaling") or rope.get("rope_type", "default") != "default":
        raise ModelError(f"config.json scales rotary positions ({rope or config['rope_scaling']}): not supported")
    key, usual = ("global_rope_theta", 160000.0) if kind == FULL else ("local_rope_theta", 10000.0)
    return float(rope.get("rope_theta") or config.get(key) or usual)
