"""Import SPLADE checkpoints as model folders.

`source` finds a checkpoint, `checkpoint` reads it, and `importing` writes a model folder. `graphs`
and `optimizing` make the files that speed it up, and `checking` replays its golden pairs.

To run a model, use `lexpand.encode.Encoder`, which does not need this package.
"""

from lexpand.models.checking import CheckResult, check_model
from lexpand.models.checkpoint import Checkpoint, read_checkpoint
from lexpand.models.importing import ImportResult, import_model
from lexpand.models.optimizing import OptimizeResult, optimize_model
from lexpand.models.options import ImportOptions
from lexpand.models.source import find_source

__all__ = [
    "CheckResult",
    "Checkpoint",
    "ImportOptions",
    "ImportResult",
    "OptimizeResult",
    "check_model",
    "find_source",
    "import_model",
    "optimize_model",
    "read_checkpoint",
]
