"""The files of a third-party model: its graph, its tokenizer and its settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lexpand.errors import ModelError

# The usual paths of the graph, in order of preference. sentence-transformers writes both.
_GRAPHS = ("onnx/model.onnx", "model.onnx")

# The maximum length of models whose folder does not state one.
_MAX_TOKENS = 512

# Families whose positions start after that of padding, so two of `max_position_embeddings` are
# never used.
_OFFSET_FAMILIES = ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer")


@dataclass(frozen=True)
class ModelFiles:
    """The folder of a model as Hugging Face and sentence-transformers write it.

    Attributes:
        folder: the folder of ``tokenizer.json`` and ``config.json``.
        named: the requested ONNX file; None for the one of the folder.
    """

    folder: Path
    named: Path | None = None

    @classmethod
    def find(cls, model: str | Path) -> ModelFiles:
        """Return the files of a model folder or of an ONNX file.

        The other files of an ONNX file are in its folder or in the folder above.

        Raises:
            ModelError: the path does not exist, or the tokenizer is missing.
        """
        path = Path(model).expanduser()
        if path.is_dir():
            found = cls(path)
        elif path.is_file():
            folders = (path.parent, path.parent.parent)
            complete = (folder for folder in folders if (folder / "tokenizer.json").is_file())
            found = cls(next(complete, path.parent), path)
        else:
            raise ModelError(
                f"no model at {str(model)!r}: give the path of a model folder or an ONNX file"
            )
        if not found.tokenizer.is_file():
            raise ModelError(
                f"{found.folder} has no tokenizer.json: save the model's fast tokenizer there "
                "(AutoTokenizer.from_pretrained(...).save_pretrained(...))"
            )
        return found

    @property
    def tokenizer(self) -> Path:
        """The path of ``tokenizer.json``."""
        return self.folder / "tokenizer.json"

    @cached_property
    def graph(self) -> Path:
        """The path of the ONNX file.

        Raises:
            ModelError: there is no ONNX file, or there are several and none is named
                ``model.onnx``.
        """
        if self.named is not None:
            return self.named
        for name in _GRAPHS:
            if (self.folder / name).is_file():
                return self.folder / name
        others = sorted([*self.folder.glob("*.onnx"), *self.folder.glob("onnx/*.onnx")])
        if len(others) == 1:
            return others[0]
        if others:
            names = ", ".join(str(path.relative_to(self.folder)) for path in others)
            raise ModelError(f"{self.folder} has several graphs ({names}): give the path of one")
        raise ModelError(
            f"{self.folder} has no ONNX file: export one (optimum-cli export onnx --model ... "
            "--task text-classification ...), or run the model on PyTorch: backend='torch'"
        )

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The content of ``config.json``; empty if there is no such file."""
        return self.json("config.json")

    def json(self, name: str) -> Mapping[str, Any]:
        """Read a JSON object of the folder; empty if there is no such file.

        Raises:
            ModelError: the file cannot be read or is not a JSON object.
        """
        path = self.folder / name
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ModelError(f"{path} cannot be read: {error}: copy the model again") from error
        if not isinstance(found, dict):
            raise ModelError(
                f"{path} must hold a JSON object, got a {type(found).__name__}: "
                "copy the model again"
            )
        return found

    def max_tokens(self, requested: int | None) -> int:
        """Return the maximum length of an input in tokens, special tokens included.

        It is the least of the lengths that the folder states, or 512 if it states none.

        Args:
            requested: a smaller length, or None.

        Raises:
            ModelError: ``requested`` is above the length of the model, or too small for the special
                tokens of a pair.
        """
        places = self.config.get("max_position_embeddings")
        if isinstance(places, int) and self.config.get("model_type") in _OFFSET_FAMILIES:
            places -= 2
        stated = [self.json("tokenizer_config.json").get("model_max_length"), places]
        # transformers writes 10^30 for an unknown length.
        known = [
            int(number)
            for number in stated
            if isinstance(number, int | float) and 0 < number < 1_000_000
        ]
        limit = min(known, default=_MAX_TOKENS)
        if requested is not None and not 8 <= requested <= limit:
            raise ModelError(
                f"max_tokens must be from 8 to {limit} for {self.folder}, got {requested}"
            )
        return requested or limit
