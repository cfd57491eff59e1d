"""JSON files of a checkpoint, with errors that name them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lexpand.errors import ModelError


def read_json(path: Path, kind: type[Any]) -> Any:  # noqa: ANN401 - `kind`
    """The content of a file, which must be of `kind` (``dict`` or ``list``).

    Raises:
        ModelError: it is missing, no JSON, or of another kind.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ModelError(f"{path.parent} has no {path.name}: copy the checkpoint again") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, kind):
        raise ModelError(f"{path} holds a {type(content).__name__}, not a {kind.__name__}")
    return content
