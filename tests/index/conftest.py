"""Fixtures for tests of the index: vectors of real texts, read-only mounts and small disks."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from index_toys import RealCollection

from lexpand import Document, DocumentEncoding, Encoder, Index, Role, read_queries
from lexpand.data import collection_path


@pytest.fixture(scope="session")
def real(scifact: list[Document], tmp_path_factory: pytest.TempPathFactory) -> RealCollection:
    # The first tokens of each text give vectors of realistic shape in less time.
    encoder = Encoder.load(documents=DocumentEncoding(max_tokens=64))
    documents = scifact[::17][:300]
    vectors = encoder.encode(documents, Role.DOCUMENT).vectors
    queries = encoder.encode_queries(
        [query.text for query in read_queries(collection_path("scifact"))][:50]
    )
    path = tmp_path_factory.mktemp("real") / "real.index"
    with Index.create(path, encoder.space) as index:
        for part in (slice(0, 120), slice(120, 121), slice(121, 300)):
            index.add(documents[part], vectors[part])
            index.commit()
    return RealCollection(path, documents, vectors, queries)


def mount(*arguments: str) -> None:
    try:
        subprocess.run(["mount", *arguments], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"mounting is not permitted here: {error}")


@pytest.fixture
def unmounted() -> Iterator[list[Path]]:
    """Yield a list of mount points that are unmounted at the end, the last one first."""
    places: list[Path] = []
    yield places
    for place in reversed(places):
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def read_only(unmounted: list[Path], tmp_path: Path) -> Callable[[Path], Path]:
    """Return a function that mounts a folder at a second place, read-only even for root."""

    def show(folder: Path) -> Path:
        if os.geteuid() != 0:
            pytest.skip("a read-only mount needs root")
        place = tmp_path / f"read only {len(unmounted)}"
        place.mkdir()
        mount("--bind", str(folder), str(place))
        unmounted.append(place)
        mount("-o", "remount,ro,bind", str(place))
        return place

    return show


@pytest.fixture
def small_disk(unmounted: list[Path], tmp_path: Path) -> Path:
    """Return the mount point of a file system of 2 MB."""
    if os.geteuid() != 0:
        pytest.skip("a file system of its own needs root")
    place = tmp_path / "small disk"
    place.mkdir()
    mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place))
    unmounted.append(place)
    return place
