"""The folder of an index before it is one: is there room, and what did an interrupted start leave?"""

from __future__ import annotations

from pathlib import Path

from lexpand.errors import IndexStateError, StorageError
from lexpand.index.catalog import FILE, Catalog


def is_unfinished(path: Path) -> bool:
    """Whether the folder holds nothing but what an interrupted `create` leaves."""
    made_by_create = {FILE, f"{FILE}-wal", f"{FILE}-shm", f"{FILE}-journal"}
    if not {entry.name for entry in path.iterdir()} <= made_by_create:
        return False
    catalog = Catalog(path)
    try:
        return catalog.is_blank()
    finally:
        catalog.close()


def make_folder(path: Path) -> None:
    """Make the folder; one that holds more than the left-over of an interrupted `create` is refused.

    Raises:
        IndexStateError: the folder holds an index or other files.
        StorageError: the disk refuses.
    """
    _refuse_network(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not any(path.iterdir()):
            return
    except OSError as error:
        raise StorageError(
            f"cannot make an index at {path}: {error.strerror}; choose another place"
        ) from error
    if (path / FILE).exists() and not is_unfinished(path):
        raise IndexStateError(
            f"{path} holds an index already, or a {FILE} of something else: open it, or choose another folder"
        )
    if not (path / FILE).exists():
        raise IndexStateError(f"{path} is not empty and holds no index: choose another folder")
    for entry in path.iterdir():
        entry.unlink()


# SQLite's log is shared memory, and the locks of many network file systems do not lock:
# sqlite.org/wal.html, section 2.
_NETWORK = {
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
    if kind in _NETWORK:
        raise StorageError(
            f"{path} is on a network file system ({kind}), where locks and shared memory fail: choose a local disk, "
            "and copy the finished index"
        )


def file_system(path: Path, mounts: Path) -> str:
    """The kind of file system of a path, as Linux lists it; empty where nobody knows."""
    try:
        lines = [
            line.split()
            for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines()
        ]
    except OSError:
        return ""
    where = path.absolute()
    # A space in a mount point is written as an octal escape.
    points = [(Path(line[1].replace("\\040", " ")), line[2]) for line in lines if len(line) > 2]
    found = [
        (len(point.parts), i, kind)
        for i, (point, kind) in enumerate(points)
        if where.is_relative_to(point)
    ]
    return max(found)[2] if found else ""
