"""Write the weights of a packed model as float32, for other libraries.

The export is the same model: same contract hash, same vectors.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lexpand.encode.contract import Contract
from lexpand.encode.folder import ModelFolder, find_folder
from lexpand.encode.json_files import read_json
from lexpand.encode.packed import PACKED, unpack
from lexpand.errors import ModelError
from lexpand.models.staging import staging
from lexpand.models.writing import WEIGHTS, write_contract


def export_model(source: str | Path, dest: str | Path) -> Contract:
    """Write a model folder with float32 weights, for sentence-transformers and transformers.

    The exported model is the same model: indexes and contracts do not tell them apart.

    Args:
        source: the model: ``default`` or the path of a model folder.
        dest: the new folder.

    Raises:
        ModelError: the source is damaged, or ``dest`` exists.
        StorageError: the disk refuses.
    """
    folder, dest = ModelFolder(find_folder(source)), Path(dest)
    check_free(dest)
    with staging(dest) as scratch:
        made = scratch / "made"
        shutil.copytree(folder.path, made, ignore=shutil.ignore_patterns(PACKED))
        packed = folder.contract.packed
        if packed is not None:
            content = float32_file((folder.path / packed.file).read_bytes())
            found = hashlib.sha256(content).hexdigest()
            if found != folder.contract.weights_sha256:
                raise ModelError(
                    f"the float32 weights of {folder.path} must have the SHA-256"
                    f" {folder.contract.weights_sha256}, got {found}: copy the model folder again"
                )
            (made / WEIGHTS).write_bytes(content)
            raw = read_json(made / "contract.json", dict)
            del raw["weights"]["packed"]
            write_contract(made, raw)
        made.rename(dest)
    return Contract.load(dest)


@contextmanager
def float32_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder with float32 weights: the folder itself, or an export that is removed."""
    if not (folder / PACKED).is_file():
        yield folder
        return
    # Windows does not remove a file that is mapped into memory.
    with tempfile.TemporaryDirectory(prefix="lexpand-", ignore_cleanup_errors=True) as scratch:
        export_model(folder, Path(scratch) / folder.name)
        yield Path(scratch) / folder.name


def float32_file(content: bytes) -> bytes:
    """Return the file of float32 weights of a packed file; the same bytes on every machine."""
    from safetensors.numpy import save

    return save(unpack(content, PACKED), metadata={"format": "pt"})


def check_free(dest: Path) -> None:
    """Raise a ModelError if a folder exists."""
    if dest.exists():
        raise ModelError(f"{dest} exists: give another folder")
