"""Import SPLADE checkpoints as model folders.

`source` finds a checkpoint, `checkpoint` reads it, and `importing` writes a model folder. `graphs`
and `optimizing` make the files that speed it up, and `checking` replays its golden pairs.

To run a model, use `lexpand.encode.Encoder`, which does not need this package.
"""

from lexpand.models.checking import Replay, check_model
from lexpand.models.checkpoint import Checkpoint, read_checkpoint
from lexpand.models.choices import Choices
from lexpand.models.importing import Imported, import_model
from lexpand.models.optimizing import Optimized, optimize_model
from lexpand.models.source import find_source

__all__ = [
    "Checkpoint",
    "Choices",
    "Imported",
    "Optimized",
    "Replay",
    "check_model",
    "find_source",
    "import_model",
    "optimize_model",
    "read_checkpoint",
]
