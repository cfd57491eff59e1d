"""Import and export of sparse vectors, in formats of other systems (docs/exchange.md).

Start reading at `exporting.py` and `importing.py`. Each format has a file of its own, and
`source.py` is the common form that every format is read as.

The package does not read text without vectors (`lexpand.data.readers`, `lexpand.encode`), runs or
judgments.
"""

from lexpand.index.exchange.exporting import ExportReport, check_target, export_index
from lexpand.index.exchange.formats import Format
from lexpand.index.exchange.importing import ImportReport, ReadVectors, import_vectors, read_vectors

__all__ = [
    "ExportReport",
    "Format",
    "ImportReport",
    "ReadVectors",
    "check_target",
    "export_index",
    "import_vectors",
    "read_vectors",
]
