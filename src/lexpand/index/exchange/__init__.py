"""How do sparse vectors come from other systems, and go to them? One file a format; docs/exchange.md.

Begin reading at `exporting.py` and `importing.py`; `source.py` is what every format is read as.

It is not for text without vectors (`lexpand.data.readers` and `lexpand.encode`), nor for runs and
qrels.
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
