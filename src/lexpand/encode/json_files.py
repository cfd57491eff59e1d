"""Read JSON files of a checkpoint, with errors that name the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lexpand.errors import ModelError


def read_json(path: Path, kind: type[Any]) -> Any:  # noqa: ANN401 - `kind`
    """Return the content of a file, which must be a `kind` (``dict`` or ``list``).

    Raises:
        ModelError: the file is missing, is not JSON, or holds another type.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ModelError(f"{path.parent} has no {path.name}: copy the checkpoint again") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}: copy the checkpoint again") from error
    if not isinstance(content, kind):
        raise ModelError(
            f"{path} must hold a {kind.__name__}, got a {type(content).__name__}: "
            "copy the checkpoint again"
        )
    return content
