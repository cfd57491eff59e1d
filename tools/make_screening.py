"""Write the basis for safe pruning of the head, and record it in contract.json.

    make_screening.py MODEL COLLECTION [--documents N] [--kept K]

The basis is computed from the hidden states of N documents of COLLECTION (BEIR layout). It changes
the speed of encoding but not the vectors. `lexpand model optimize` does the same for imported
models, with fewer documents.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

from lexpand import read_documents
from lexpand.models.screening import write_screening


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="the model folder")
    parser.add_argument("collection", type=Path, help="a BEIR folder")
    parser.add_argument("--documents", type=int, default=300, help="documents to encode (300)")
    parser.add_argument("--kept", type=int, default=96, help="leading dimensions to keep (96)")
    options = parser.parse_args()
    documents = islice(read_documents(options.collection), options.documents)
    write_screening(options.model, (document.full_text for document in documents), options.kept)


if __name__ == "__main__":
    main()
