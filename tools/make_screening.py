"""Write the basis with which the head of a model folder is screened, and name it in contract.json.

    make_screening.py MODEL COLLECTION [--documents N] [--kept K]

The basis comes from the hidden states of N documents of COLLECTION (BEIR layout). It changes how
fast vectors are made, never the vectors. `lexpand model optimize` does the same for models that
people import, with fewer documents.
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
    parser.add_argument("model", type=Path)
    parser.add_argument("collection", type=Path)
    parser.add_argument("--documents", type=int, default=300)
    parser.add_argument("--kept", type=int, default=96)
    options = parser.parse_args()
    documents = islice(read_documents(options.collection), options.documents)
    write_screening(options.model, (document.full_text for document in documents), options.kept)


if __name__ == "__main__":
    main()
