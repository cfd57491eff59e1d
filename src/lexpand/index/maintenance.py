"""Checks of an index, and backups that are taken while others write."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lexpand import _native
from lexpand.errors import LexpandError, StorageError
from lexpand.index.catalog import Catalog, Commit
from lexpand.index.folder import make_folder
from lexpand.index.grouping import doc_ids_of
from lexpand.index.segment_files import FOLDER
from lexpand.index.snapshot import Snapshot

# The number of ids compared at a time.
_IDS = 10_000


def check_index(folder: Path, catalog: Catalog, snapshot: Snapshot) -> list[str]:
    """See `Index.check`."""
    faults = [f"{folder}: {fault}" for fault in catalog.database.integrity()]
    for segment in snapshot.segments:
        faults += _faults_of_segment(segment.path)
    try:
        faults += _faults_of_documents(folder, catalog, snapshot)
        faults += _faults_of_ids(folder, catalog, snapshot)
    except LexpandError as error:
        faults.append(str(error))
    return faults


def _faults_of_segment(path: Path) -> list[str]:
    try:
        _native.Segment.open(path, verify=True).check_deep()
    except LexpandError as error:
        return [str(error)]
    return []


def _faults_of_documents(folder: Path, catalog: Catalog, snapshot: Snapshot) -> Iterator[str]:
    rows = [np.unique(segment.rows) for segment in snapshot.segments]
    all_rows, counts = np.unique(
        np.concatenate([np.zeros(0, np.uint32), *rows]), return_counts=True
    )
    for row in all_rows[counts > 1].tolist():
        yield f"{folder}: row {row} is in more than one segment"
    unmatched, commit, live = set(all_rows.tolist()), snapshot.commit.commit_id, 0
    for row, created, deleted, document, digest in catalog.each_document():
        if created > commit:
            continue
        name = f"{document.doc_id!r} (row {row})"
        if document.content_hash != digest:
            yield f"{folder}: the text, title or metadata of {name} differs from what was added"
        is_live = deleted is None or deleted > commit
        live += is_live
        if is_live and row not in unmatched:
            yield f"{folder}: document {name} is in no segment"
        unmatched.discard(row)
    for row in sorted(unmatched):
        yield f"{folder}: a segment has row {row}, which no document has"
    recorded = snapshot.commit.documents
    if live != recorded:
        yield f"{folder}: {live} documents are live, but commit {commit} records {recorded}"


def _faults_of_ids(folder: Path, catalog: Catalog, snapshot: Snapshot) -> Iterator[str]:
    documents = snapshot.documents(snapshot.live)
    for first in range(0, len(documents), _IDS):
        passages = documents.at(slice(first, first + _IDS))
        rows = passages.rows.tolist()
        recorded = catalog.doc_ids(rows)
        for row, doc_id in zip(rows, doc_ids_of(passages, snapshot), strict=True):
            if recorded[row] != doc_id:
                yield (
                    f"{folder}: row {row} is {doc_id!r} in its segment,"
                    f" but {recorded[row]!r} in the catalog"
                )


def back_up(folder: Path, catalog: Catalog, target: Path) -> Commit:
    """See `Index.backup`.

    The lease of the caller's snapshot keeps the segments of later commits in place meanwhile.
    """
    make_folder(target)
    try:
        catalog.copy_to(target)
        return _copy_segments(folder, target)
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, OSError):
            raise StorageError(
                f"cannot copy {folder} to {target} ({error.strerror}): the copy was removed"
            ) from error
        raise


def _copy_segments(folder: Path, target: Path) -> Commit:
    copy = Catalog.open(target)
    try:
        commit = copy.last_commit()
        (target / FOLDER).mkdir()
        for entry in copy.segments(commit.commit_id):
            _copy_durably(folder / FOLDER / entry.file, target / FOLDER / entry.file)
        return commit
    finally:
        copy.close()


def _copy_durably(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    with target.open("rb+") as file:
        os.fsync(file.fileno())
