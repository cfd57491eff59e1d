"""Bulk encoding: Parquet in, Parquet out, by one process, by Ray or by Spark.

The rows of the source are cut into shards of whole row groups. A shard becomes one file of the
target, which is written under its final name only when it is complete. So a shard that is encoded
twice, because a worker died, is one file all the same, and a job that is started again goes on with
the shards that have no file.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lexpand.collection import encode_to_file
from lexpand.data import DocumentEncoding, Fields
from lexpand.data.objects import documents_of
from lexpand.encode import Encoder
from lexpand.engines.stores import (
    absolute,
    claim,
    is_draft,
    put,
    store_errors,
    store_path,
    version_of,
)
from lexpand.errors import DataError, MissingExtra, RowError, SourceError, StorageError

JOB = "_job.json"
"""The file of the target that says what its parts are made of."""

SHARD_ROWS = 50_000
"""The default number of rows of a shard: about half an hour on a core, at 30 documents a second."""

_LISTED = 100  # refused rows of a shard
_REFUSED = "_refused-"


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of the source.

    Attributes:
        number: from 0; it names the part.
        path: the Parquet file.
        groups: the first row group, and the one after the last.
        first_row: the number of the first row in its file, from 0.
        rows: the number of rows.
    """

    number: int
    path: str
    groups: tuple[int, int]
    first_row: int
    rows: int

    @property
    def part(self) -> str:
        """The name of the file of its vectors."""
        return f"part-{self.number:06d}.parquet"


@dataclass(frozen=True, slots=True)
class ShardReport:
    """What became of a shard.

    Attributes:
        number: of the shard.
        documents: the number of documents encoded.
        refused: the number of rows that cannot be used.
        listed: their errors, the first 100.
    """

    number: int
    documents: int
    refused: int = 0
    listed: tuple[str, ...] = ()


@dataclass(frozen=True)
class BulkJob:
    """A source that is encoded to a folder of Parquet files. Workers get a copy of it.

    Attributes:
        source: a Parquet file or a folder of them; a path, or a URL of fsspec such as
            ``s3://bucket/pages``.
        target: the folder of the parts; a path or a URL. Workers must be able to write to it.
        model: a model folder that each worker can read, or ``default``.
        encoding: the settings of `DocumentEncoding`.
        fields: the columns of ids, titles and texts.
        rules: the path of a rule file.
        threads: the number of threads of a worker; None for all cores.
        shard_rows: the least number of rows of a shard; shards are whole row groups.
    """

    source: str
    target: str
    model: str = "default"
    encoding: Mapping[str, Any] = field(default_factory=dict)
    fields: Fields = Fields()  # noqa: RUF009 - immutable
    rules: str | None = None
    threads: int | None = None
    shard_rows: int = SHARD_ROWS

    def __post_init__(self) -> None:
        for name in ("source", "target"):
            object.__setattr__(self, name, absolute(getattr(self, name)))
        if self.rules is not None:
            object.__setattr__(self, "rules", absolute(self.rules))
        if Path(self.model).is_dir():
            object.__setattr__(self, "model", absolute(self.model))

    def prepare(self) -> list[Shard]:
        """Write what the target will hold, and return the shards that it lacks.

        Of several jobs that start at the same time on an empty target, one writes `JOB`. The
        others go on as if they had come later: an equal job joins, and another one is refused.

        Raises:
            DataError: the target holds the parts of another job, or something else.
            MissingExtra: pyarrow, fsspec or the package of the store is not installed.
            SourceError: the source has no Parquet files, or cannot be read.
            StorageError: the target cannot be written.
        """
        shards = self.shards()
        description = self._description(shards)
        folder = store_path(self.target)
        with store_errors(StorageError, f"{self.target} cannot be written"):
            if not folder.is_object:
                folder.system.makedirs(folder.root, exist_ok=True)
            there = self._there()
            held = sorted(name for name in there if not is_draft(name, JOB))
            if held and JOB not in there:
                raise DataError(f"{self.target} must be empty, and has {held[0]}")
            if not held:
                claim(json.dumps(description, indent=1).encode(), f"{self.target}/{JOB}")
                there = self._there()
            written = folder.system.cat_file(f"{folder.root}/{JOB}")
        try:
            found = json.loads(written)
        except ValueError as error:
            raise StorageError(f"{self.target}/{JOB} is damaged: {error}") from None
        if found != description:
            other = _difference(found, description)
            raise DataError(
                f"{self.target} has the parts of another job ({other}): choose another target"
            )
        return [shard for shard in shards if shard.part not in there]

    def missing(self) -> list[Shard]:
        """Return the shards that have no part now.

        Raises:
            StorageError: the target cannot be read.
        """
        there = self._there()
        return [shard for shard in self.shards() if shard.part not in there]

    def refused(self) -> tuple[int, list[str]]:
        """Return the number of refused rows of all parts, and their errors, 100 of a shard.

        Raises:
            StorageError: the target cannot be read.
        """
        folder, count, listed = store_path(self.target), 0, list[str]()
        with store_errors(StorageError, f"{self.target} cannot be read"):
            for name in sorted(self._there()):
                if name.startswith(_REFUSED):
                    plain = json.loads(folder.system.cat_file(f"{folder.root}/{name}"))
                    count += plain["refused"]
                    listed += plain["listed"]
        return count, listed

    def _there(self) -> set[str]:
        """Return the names in the target."""
        with store_errors(StorageError, f"{self.target} cannot be read"):
            return store_path(self.target).names()

    def shards(self) -> list[Shard]:
        """Return all shards of the source, in the order of its files."""
        found: list[Shard] = []
        for path in self._sources:
            first, row, rows, start = 0, 0, 0, 0
            sizes = _row_groups(path)
            for place, size in enumerate(sizes, 1):
                rows += size
                row += size
                if rows >= self.shard_rows or place == len(sizes):
                    if rows:
                        found.append(Shard(len(found), path, (first, place), start, rows))
                    first, rows, start = place, 0, row
        return found

    @cached_property
    def _sources(self) -> list[str]:
        source = store_path(self.source)
        with store_errors(SourceError, f"{self.source} cannot be read"):
            if source.system.isfile(source.root):
                return [self.source]
            inner = [name[len(source.root) :] for name in source.system.find(source.root)]
        names = sorted(
            name
            for name in inner
            if name.endswith(".parquet")
            and not any(part.startswith(("_", ".")) for part in name.strip("/").split("/"))
        )
        if not names:
            raise SourceError(
                f"{self.source} must be a Parquet file or a folder of them, and there is none"
            )
        return [f"{self.source}/{name.lstrip('/')}" for name in names]

    def _description(self, shards: Sequence[Shard]) -> dict[str, Any]:
        """Return what decides the parts, as JSON."""
        encoder = self.encoder
        digest = hashlib.blake2b(digest_size=16)
        for shard in shards:
            digest.update(repr(asdict(shard)).encode())
        for path in self._sources:
            digest.update(version_of(path).encode())
        return {
            "source": self.source,
            "shards": len(shards),
            "rows": sum(shard.rows for shard in shards),
            "shards_hash": digest.hexdigest(),
            "model": list(encoder.space.model),
            "encoding": encoder.space.encoding.to_dict(),
            "fields": asdict(self.fields),
        }

    @property
    def encoder(self) -> Encoder:
        """The encoder of this process, which is loaded once for a job."""
        key = json.dumps([self.model, dict(self.encoding), self.rules, self.threads], default=str)
        if key not in _ENCODERS:
            _ENCODERS.clear()
            _ENCODERS[key] = Encoder.load(
                self.model,
                documents=DocumentEncoding(**self.encoding),
                rules=self.rules,
                threads=self.threads,
            )
        return _ENCODERS[key]

    def encode(self, shard: Shard) -> ShardReport:
        """Encode a shard, and write its part. This is what a worker does.

        Raises:
            SourceError: the source cannot be read.
            StorageError: the target cannot be written.
        """
        refused: list[RowError] = []
        rows = _rows_of(shard)
        documents = documents_of(rows, fields=self.fields, on_bad_row=refused.append)
        with tempfile.TemporaryDirectory(prefix="lexpand-shard-") as scratch:
            path = Path(scratch) / shard.part
            done = encode_to_file(self.encoder, documents, path, on_bad_row=refused.append)
            listed = tuple(f"{shard.path}, rows from {shard.first_row}: {each}" for each in refused)
            report = ShardReport(shard.number, done.documents, len(refused), listed[:_LISTED])
            if refused:
                name = f"{_REFUSED}{shard.number:06d}.json"
                put(json.dumps(asdict(report)).encode(), f"{self.target}/{name}")
            put(path.read_bytes(), f"{self.target}/{shard.part}")
        return report


_ENCODERS: dict[str, Encoder] = {}


def encode_here(job: BulkJob, shards: Iterable[Shard]) -> Iterator[ShardReport]:
    """Encode shards in this process, one after the other: the reference of all others."""
    for shard in shards:
        yield job.encode(shard)


def _parquet() -> Any:  # noqa: ANN401 - pyarrow has no types
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("pyarrow", "bulk", "reading Parquet files") from None
    return pyarrow


def _row_groups(path: str) -> list[int]:
    """Return the number of rows of each row group."""
    pyarrow, source = _parquet(), store_path(path)
    with (
        store_errors(SourceError, f"{path} is not a Parquet file, or is damaged"),
        source.system.open(source.root, "rb") as file,
    ):
        metadata = pyarrow.parquet.ParquetFile(file).metadata
        return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


def _rows_of(shard: Shard) -> Iterator[Any]:
    """Yield the row groups of a shard as tables of Arrow."""
    pyarrow, source = _parquet(), store_path(shard.path)
    with (
        store_errors(SourceError, f"{shard.path} cannot be read"),
        source.system.open(source.root, "rb") as file,
    ):
        parquet = pyarrow.parquet.ParquetFile(file)
        for group in range(*shard.groups):
            yield parquet.read_row_group(group)


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    names = [name for name in wanted if found.get(name) != wanted[name]]
    if names == ["shards_hash"]:
        return "a file of the source has another size or time than then"
    return ", ".join(f"{name}: {found.get(name)}, not {wanted[name]}" for name in names[:2])
