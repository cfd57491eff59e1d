"""Collections that come with the package, in the BEIR layout; NOTICE.md names each source."""

from __future__ import annotations

from pathlib import Path

from lexpand.errors import SourceError

COLLECTIONS = ("scifact",)


def collection_path(name: str) -> Path:
    """The folder of a packaged collection.

    Args:
        name: one of COLLECTIONS.

    Raises:
        SourceError: no collection of that name is packaged.
    """
    if name not in COLLECTIONS:
        raise SourceError(
            f"no collection {name!r} is packaged; there are: {', '.join(COLLECTIONS)}"
        )
    return Path(__file__).parent / name
