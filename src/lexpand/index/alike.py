"""Were these documents encoded as those? An index holds one kind, or its scores compare nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lexpand.data import VectorSpace
from lexpand.encode import LongDocuments, Pruning
from lexpand.encode.dtypes import check_same_dtype
from lexpand.encode.rules.record import check_same_rules
from lexpand.encode.titles import check_same_title_weight
from lexpand.errors import IndexStateError


def check_alike(index: str | Path, recorded: VectorSpace, offered: VectorSpace) -> None:
    """Nothing, where the offered documents' vectors are made as those of the index were.

    Args:
        index: what the message calls it.
        recorded: the index's.
        offered: the encoder's, or a file's; its ``document_max_tokens`` may be unknown too.

    Raises:
        IndexStateError: they have other rules, another dtype, weight for titles, policy for long documents, length or
            pruning; the message names both.
    """
    has, new = recorded.document_settings, offered.document_settings
    check_same_rules(index, has, new)
    check_same_dtype(index, has, new)
    check_same_title_weight(index, has, new)
    kept, given = _cutting(recorded), _cutting(offered)
    for name in kept:
        # An index, or a file, that was made of vectors alone may know no length.
        if None not in (kept[name], given[name]) and kept[name] != given[name]:
            raise IndexStateError(
                f"{index} was made with {name}={kept[name]}, not {given[name]}: take what was made alike "
                "(`encoder_of` gives an encoder that does), or make a new index"
            )


def _cutting(space: VectorSpace) -> dict[str, object]:
    """What is left out of documents and of their vectors."""
    settings: Mapping[str, Any] = space.document_settings
    return {
        "max_tokens": space.document_max_tokens,
        "long": LongDocuments.from_dict(settings.get("long")),
        "pruning": Pruning.from_dict(settings.get("pruning")),
    }
