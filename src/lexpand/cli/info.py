"""`lexpand info`: describe an index."""

from __future__ import annotations

from lexpand.cli.options import IndexPath, Json, Verbose
from lexpand.cli.output import print_json, show
from lexpand.collection import open as open_collection


def info(index_path: IndexPath, as_json: Json = False, verbose: Verbose = False) -> None:
    """Describe INDEX: documents, model, settings and size."""
    with open_collection(index_path) as kb:
        found = kb.info()
    if as_json:
        print_json(found.to_dict())
        return
    for line in str(found).splitlines():
        show(line, wrap=False)
