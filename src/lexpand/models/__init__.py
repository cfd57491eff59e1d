"""Here is somebody's SPLADE checkpoint: what is it, and how does it become a model folder?

`source` finds it, `checkpoint` reads it as it is, `importing` writes a model folder, `graphs` and
`optimizing` make what runs it fast, `checking` replays its golden pairs.

It is not for running models: that is `lexpand.encode.Encoder`, which needs nothing of this.
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
