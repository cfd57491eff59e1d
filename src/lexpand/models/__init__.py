"""Import SPLADE checkpoints as model folders.

`source` finds a checkpoint, `checkpoint` reads it, and `importing` writes a model folder. `graphs`
and `optimizing` make the files that speed it up, and `checking` replays its golden pairs.
`packing` rounds the weights of a model to 8 bits, and `exporting` writes them as float32 again.
`choosing` finds words that should be terms, `vocabulary` adds them to a model, and `folding` makes
the forms of a word one term.

To run a model, use `lexpand.encode.Encoder`, which does not need this package.
"""

from lexpand.models.blending import blend_models
from lexpand.models.checking import CheckResult, check_model
from lexpand.models.checkpoint import Checkpoint, read_checkpoint
from lexpand.models.choosing import NewTerm, choose_terms
from lexpand.models.exporting import export_model
from lexpand.models.folding import FoldResult, fold_vocabulary
from lexpand.models.importing import ImportResult, import_model
from lexpand.models.optimizing import OptimizeResult, optimize_model
from lexpand.models.options import ImportOptions
from lexpand.models.packing import pack_model
from lexpand.models.source import find_base, find_source
from lexpand.models.vocabulary import AddResult, add_terms

__all__ = [
    "AddResult",
    "CheckResult",
    "Checkpoint",
    "FoldResult",
    "ImportOptions",
    "ImportResult",
    "NewTerm",
    "OptimizeResult",
    "add_terms",
    "blend_models",
    "check_model",
    "choose_terms",
    "export_model",
    "find_base",
    "find_source",
    "fold_vocabulary",
    "import_model",
    "optimize_model",
    "pack_model",
    "read_checkpoint",
]
