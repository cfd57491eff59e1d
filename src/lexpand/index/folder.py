"""The folder of an index: creation, and the files that an interrupted creation leaves."""

from __future__ import annotations

from pathlib import Path

from lexpand.errors import IndexStateError, StorageError
from lexpand.index.catalog import FILE, Catalog


def is_unfinished(path: Path) -> bool:
    """Return whether the folder holds only files of an interrupted `create`."""
    made_by_create = {FILE, f"{FILE}-wal", f"{FILE}-shm", f"{FILE}-journal"}
    if not {entry.name for entry in path.iterdir()} <= made_by_create:
        return False
    catalog = Catalog(path)
    try:
        return catalog.is_blank()
    finally:
        catalog.close()


def make_folder(path: Path) -> None:
    """Create the folder, or empty it if it holds only files of an interrupted `create`.

    Raises:
        IndexStateError: the folder holds an index or other files.
        StorageError: the folder cannot be created, or is on a network file system.
    """
    _refuse_network(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not any(path.iterdir()):
            return
    except OSError as error:
        raise StorageError(
            f"cannot create an index at {path} ({error.strerror}): choose another place"
        ) from error
    if (path / FILE).exists() and not is_unfinished(path):
        raise IndexStateError(
            f"{path} already holds an index, or a {FILE} that another program wrote:"
            " open it, or choose another folder"
        )
    if not (path / FILE).exists():
        raise IndexStateError(f"{path} is not empty and holds no index: choose another folder")
    for entry in path.iterdir():
        entry.unlink()


# SQLite's log needs shared memory, and locks of many network file systems do not work:
# sqlite.org/wal.html, section 2.
_NETWORK_FILE_SYSTEMS = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "afs",
    "ceph",
    "fuse.sshfs",
    "glusterfs",
    "fuse.glusterfs",
}


def _refuse_network(path: Path) -> None:
    kind = file_system(path, Path("/proc/self/mounts"))
    if kind in _NETWORK_FILE_SYSTEMS:
        raise StorageError(
            f"{path} is on a network file system ({kind}), where locks and shared memory fail:"
            " choose a local disk, and copy the finished index"
        )


def file_system(path: Path, mounts: Path) -> str:
    """Return the kind of file system of a path, from Linux's mount table; empty if unknown."""
    try:
        lines = [
            line.split()
            for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines()
        ]
    except OSError:
        return ""
    absolute = path.absolute()
    # A space in a mount point is written as an octal escape.
    points = [(Path(line[1].replace("\\040", " ")), line[2]) for line in lines if len(line) > 2]
    # The innermost mount point counts; of equal ones, the last.
    candidates = [
        (len(point.parts), i, kind)
        for i, (point, kind) in enumerate(points)
        if absolute.is_relative_to(point)
    ]
    return max(candidates)[2] if candidates else ""
