"""Which files of somebody's model are its graph, its tokenizer and its settings?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lexpand.errors import ModelError

# Where exporters put the graph, in the order in which they are tried; sentence-transformers writes
# the first two names.
_GRAPHS = ("onnx/model.onnx", "model.onnx")

# What the models of this kind read where nothing in the folder says it.
_MAX_TOKENS = 512

# Families whose first place for a token is that of padding plus one: two places of
# `max_position_embeddings` are lost.
_OFFSET_FAMILIES = ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer")


@dataclass(frozen=True)
class ModelFiles:
    """A model's folder as Hugging Face and sentence-transformers have it.

    Attributes:
        folder: that of ``tokenizer.json`` and ``config.json``.
        named: the ONNX file that was asked for; None for the one that the folder has.
    """

    folder: Path
    named: Path | None = None

    @classmethod
    def find(cls, model: str | Path) -> ModelFiles:
        """The files of a folder, or of an ONNX file: beside it, or one folder up.

        Raises:
            ModelError: there is neither, or the tokenizer is missing.
        """
        path = Path(model).expanduser()
        if path.is_dir():
            found = cls(path)
        elif path.is_file():
            up = (path.parent, path.parent.parent)
            found = cls(
                next(
                    (folder for folder in up if (folder / "tokenizer.json").is_file()), path.parent
                ),
                path,
            )
        else:
            raise ModelError(
                f"no model {str(model)!r}: give a model folder's path, or that of an ONNX file"
            )
        if not found.tokenizer.is_file():
            raise ModelError(
                f"{found.folder} has no tokenizer.json: save the model's fast tokenizer there "
                "(AutoTokenizer.from_pretrained(...).save_pretrained(...))"
            )
        return found

    @property
    def tokenizer(self) -> Path:
        """Its ``tokenizer.json``."""
        return self.folder / "tokenizer.json"

    @cached_property
    def graph(self) -> Path:
        """The ONNX file.

        Raises:
            ModelError: there is none, or there are several of which none is named ``model.onnx``.
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
            f"{self.folder} has no ONNX file: export one (optimum-cli export onnx --model ... --task "
            "text-classification ...), or run the model on PyTorch: backend='torch'"
        )

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """``config.json``; nothing where there is none."""
        return self.json("config.json")

    def json(self, name: str) -> Mapping[str, Any]:
        """A JSON object of the folder; an empty one where there is no such file.

        Raises:
            ModelError: it cannot be read, or is no object.
        """
        path = self.folder / name
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ModelError(f"{path} cannot be read: {error}") from error
        if not isinstance(found, dict):
            raise ModelError(f"{path} holds no JSON object")
        return found

    def max_tokens(self, wanted: int | None) -> int:
        """The longest input in tokens, special ones included: the least of what the folder says, or 512.

        Args:
            wanted: fewer, by choice.

        Raises:
            ModelError: ``wanted`` is more than the model reads, or too few for a pair's special
                tokens.
        """
        places = self.config.get("max_position_embeddings")
        if isinstance(places, int) and self.config.get("model_type") in _OFFSET_FAMILIES:
            places -= 2
        said = [self.json("tokenizer_config.json").get("model_max_length"), places]
        # transformers writes 10^30 for "nobody knows".
        known = [
            int(number)
            for number in said
            if isinstance(number, int | float) and 0 < number < 1_000_000
        ]
        most = min(known, default=_MAX_TOKENS)
        if wanted is not None and not 8 <= wanted <= most:
            raise ModelError(f"max_tokens is {wanted}: {self.folder} reads 8 to {most}")
        return wanted or most
