"""The run store: evaluated runs in a folder that is readable without Lexpand (docs/runs.md)."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from filelock import FileLock, Timeout

from lexpand.data import Qrels, Query, Run, read_queries
from lexpand.data.streams import atomic_write, write_lines
from lexpand.errors import CorruptRun, DataError, LexpandError, NewerFormat, StorageError

VERSION = 1
"""The version of the format."""

LAST = "last"
"""The name of the newest run."""

_MARKER, _CARD, _TAGS, _LOCK = "store.json", "card.json", "tags.json", ".lock"
_RUN, _QRELS, _QUERIES, _VALUES = "run.trec.gz", "qrels.tsv.gz", "queries.jsonl.gz", "values.tsv"
_FILES = (_RUN, _QRELS, _QUERIES, _VALUES)
_SPACE, _ESCAPED = re.compile(r"\s"), re.compile(r"[%\s]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LOCK_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCard:
    """What a run is, and how it was made.

    Attributes:
        name: a name for people.
        measures: the means by the name of the measure.
        k: the number of documents that were requested for each query.
        created: the time (UTC, ISO 8601).
        run_id: the name of the folder in the store.
        escaped_ids: whether ids in the files of rankings and judgments have percent codes for white
            space and ``%``, since an id of TREC's format has no white space.
        facts: everything else, as JSON: the collection, the index, the model, the pipeline, the
            cost and the machine.
        files: the SHA-256 of each file of the folder.
    """

    name: str
    measures: Mapping[str, float]
    k: int
    created: str = ""
    run_id: str = ""
    escaped_ids: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``card.json``."""
        return {"format": "lexpand-run", "version": VERSION, **asdict(self)}


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run in a store. Files are read, and their checksums compared, when they are asked for."""

    folder: Path
    card: RunCard
    tags: tuple[str, ...] = ()

    def run(self) -> Run:
        """Return the rankings.

        Raises:
            CorruptRun: the file is missing or was changed.
        """
        run = Run.read_trec(self._checked(_RUN))
        return _with_ids(run, unquote) if self.card.escaped_ids else run

    def qrels(self) -> Qrels:
        """Return the judgments; see `run`."""
        qrels = Qrels.read(self._checked(_QRELS))
        return _qrels_with_ids(qrels, unquote) if self.card.escaped_ids else qrels

    def queries(self) -> list[Query]:
        """Return the queries; see `run`."""
        return list(read_queries(self._checked(_QUERIES)))

    def values(self) -> dict[str, dict[str, float]]:
        """Return the value of each measure by query_id; see `run`."""
        path = self._checked(_VALUES)
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            _, *names = next(rows)
            found: dict[str, dict[str, float]] = {name: {} for name in names}
            for query, *cells in rows:
                for name, cell in zip(names, cells, strict=True):
                    found[name][query] = float(cell)
        return found

    def _checked(self, name: str) -> Path:
        path = self.folder / name
        expected = self.card.files.get(name)
        if expected is None or not path.is_file():
            raise CorruptRun(f"{path} is missing: restore it, or remove the run and evaluate again")
        if _sha256(path) != expected:
            raise CorruptRun(
                f"{path} was changed since it was written: restore it, or remove the run and"
                " evaluate again"
            )
        return path


class RunStore:
    """A folder of runs; see docs/runs.md for its format.

    Several processes may write to it. A run appears when all of it is written.

    Args:
        path: the folder, which need not exist yet.

    Raises:
        NewerFormat: a newer version of Lexpand wrote the store.
        DataError: the folder holds other files.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        marker = self.path / _MARKER
        # Another process may create the store meanwhile. It writes the marker before any run, and
        # the marker under a temporary name first; so files are looked for before the marker is.
        if self._holds_files() and not marker.is_file():
            raise DataError(
                f"{self.path} must be a run store or an empty folder, and is neither: name another"
            )
        if marker.is_file():
            _check_version(marker, _read_json(marker))

    def _holds_files(self) -> bool:
        if not self.path.is_dir():
            return self.path.exists()
        return any(not path.name.startswith(".") for path in self.path.iterdir())

    def prepare(self) -> None:
        """Create the folder and check that it can be written, before the work of an evaluation.

        Raises:
            StorageError: it cannot be written.
        """
        self._create()
        probe = self.path / f".{secrets.token_hex(4)}.partial"
        try:
            probe.mkdir()
            probe.rmdir()
        except OSError as error:
            raise StorageError(f"cannot write {self.path}: {error.strerror or error}") from error

    def add(
        self,
        card: RunCard,
        run: Run,
        values: Mapping[str, Mapping[str, float]],
        queries: Sequence[Query],
        qrels: Qrels,
    ) -> StoredRun:
        """Write a run.

        Args:
            card: its description; the run_id, the time and the checksums are set here.
            run: the rankings.
            values: the value of each measure by query_id.
            queries: the queries.
            qrels: the judgments.

        Raises:
            DataError: the name is invalid, or an id contains a tab or a line end.
            StorageError: the folder cannot be written.
        """
        check_name(card.name, "the name of a run")
        self._check_name_is_free(card.name)
        self._create()
        now = datetime.now(UTC)
        run_id, partial = self._new_folder(now)
        try:
            escaped = _has_white_space(run, qrels)
            (_with_ids(run, _escape) if escaped else run).write_trec(partial / _RUN, card.name)
            (_qrels_with_ids(qrels, _escape) if escaped else qrels).write_beir(partial / _QRELS)
            write_lines(partial / _QUERIES, map(_query_line, queries))
            write_lines(partial / _VALUES, _value_lines(values))
            card = replace(
                card,
                run_id=run_id,
                escaped_ids=escaped,
                created=now.isoformat(timespec="microseconds"),
                files={name: _sha256(partial / name) for name in _FILES},
            )
            _write_json(partial / _CARD, card.to_dict())
            partial.rename(self.path / run_id)
        except OSError as error:
            raise StorageError(f"cannot write {partial}: {error.strerror or error}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return StoredRun(self.path / run_id, card)

    def _new_folder(self, now: datetime) -> tuple[str, Path]:
        """Create the hidden folder of a run whose id no other run and no other process has."""
        while True:
            run_id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
            partial = self.path / f".{run_id}.partial"
            try:
                partial.mkdir()
            except FileExistsError:
                continue
            except OSError as error:
                raise StorageError(f"cannot write {partial}: {error.strerror or error}") from error
            if not (self.path / run_id).exists():
                return run_id, partial
            partial.rmdir()

    def runs(self) -> list[StoredRun]:
        """Return all runs that can be read, the oldest first; `damaged` has the others."""
        tags = self._tags()
        found = []
        for folder in self._folders():
            try:
                card = _read_card(folder / _CARD)
            except (CorruptRun, NewerFormat):
                continue
            marks = sorted(tag for tag, run_id in tags.items() if run_id == card.run_id)
            found.append(StoredRun(folder, card, tuple(marks)))
        return sorted(found, key=lambda each: (each.card.created, each.card.run_id))

    def damaged(self) -> dict[str, LexpandError]:
        """Return the runs whose card cannot be read: the error by id."""
        found: dict[str, LexpandError] = {}
        for folder in self._folders():
            try:
                _read_card(folder / _CARD)
            except (CorruptRun, NewerFormat) as error:
                found[folder.name] = error
        return found

    def _folders(self) -> list[Path]:
        if not self.path.is_dir():
            return []
        return sorted(
            path.parent
            for path in self.path.glob(f"*/{_CARD}")
            if not path.parent.name.startswith(".")
        )

    def find(self, name: str) -> StoredRun:
        """Return a run by its tag, ``last``, its id, the beginning of its id, or its name.

        If several runs have the name, the newest is returned.

        Raises:
            DataError: there is no such run, or several ids begin so.
            CorruptRun, NewerFormat: the card of the run with this id cannot be read.
        """
        runs = self.runs()
        if error := self.damaged().get(name):
            raise error
        if not runs:
            raise DataError(f"{self.path} has no runs: evaluate something first")
        if name == LAST:
            return runs[-1]
        for matches in (
            [each for each in runs if name == each.card.run_id],
            [each for each in runs if name in each.tags],
            [each for each in runs if name == each.card.name][-1:],
            [each for each in runs if each.card.run_id.startswith(name)],
        ):
            if len(matches) == 1:
                return matches[0]
            if matches:
                listed = ", ".join(each.card.run_id for each in matches)
                raise DataError(f"a run must be named uniquely, got {name!r} for {listed}")
        raise DataError(
            f"{self.path} has no run {name!r}: `lexpand runs list` shows ids, names and tags"
        )

    def tag(self, name: str, tag: str) -> StoredRun:
        """Give a run a tag, and take the tag from any other run.

        Raises:
            DataError: see `find`; or the tag is invalid.
        """
        check_name(tag, "a tag")
        if tag == LAST:
            raise DataError(f"a tag must not be {LAST!r}, which names the newest run")
        found = self.find(name)
        others = [each for each in self.runs() if each.card.run_id != found.card.run_id]
        if any(tag in (each.card.run_id, each.card.name) for each in others):
            raise DataError(
                f"a tag must not be the name or the id of another run, got {tag!r}: choose another"
            )
        with self._locked():
            _write_json(self.path / _TAGS, {**self._tags(), tag: found.card.run_id})
        return self.find(found.card.run_id)

    def untag(self, tag: str) -> None:
        """Remove a tag.

        Raises:
            DataError: there is no such tag.
        """
        with self._locked():
            tags = self._tags()
            if tags.pop(tag, None) is None:
                raise DataError(f"{self.path} has no tag {tag!r}")
            _write_json(self.path / _TAGS, tags)

    def remove(self, name: str) -> str:
        """Delete a run and its tags, and return its id. A damaged run is removed by its id.

        Raises:
            DataError: see `find`.
            StorageError: the folder cannot be deleted.
        """
        run_id = name if name in self.damaged() else self.find(name).card.run_id
        with self._locked():
            kept = {tag: each for tag, each in self._tags().items() if each != run_id}
            _write_json(self.path / _TAGS, kept)
            hidden = self.path / f".{run_id}.removed"
            try:
                (self.path / run_id).rename(hidden)
                shutil.rmtree(hidden)
            except OSError as error:
                raise StorageError(f"cannot remove {self.path / run_id}: {error}") from error
        return run_id

    def _check_name_is_free(self, name: str) -> None:
        if name == LAST or (self.path / name / _CARD).exists():
            raise DataError(
                f"the name of a run must not be {LAST!r} or the id of a run, got {name!r}"
            )

    def _create(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot create {self.path}: {error.strerror or error}") from error
        if not (self.path / _MARKER).is_file():
            _write_json(self.path / _MARKER, {"format": "lexpand-runs", "version": VERSION})

    def _tags(self) -> dict[str, str]:
        path = self.path / _TAGS
        return (
            {str(tag): str(run_id) for tag, run_id in _read_json(path).items()}
            if (path.is_file())
            else {}
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with FileLock(self.path / _LOCK, timeout=_LOCK_SECONDS):
                yield
        except Timeout:
            raise StorageError(
                f"{self.path} is locked by another process for {_LOCK_SECONDS} s: try again"
            ) from None


def read_run(path: Path) -> Run:
    """Read a run file in TREC's format; one in a store is read with its own ids.

    Raises:
        RowError, SourceError: see `Run.read_trec`.
        CorruptRun: the file of a store was changed.
    """
    if path.name == _RUN and (path.parent / _CARD).is_file():
        return StoredRun(path.parent, _read_card(path.parent / _CARD)).run()
    return Run.read_trec(path)


def check_name(value: str, what: str) -> str:
    """Return the name of a run or a tag.

    Raises:
        DataError: it has other characters than letters, digits, ``.``, ``_`` and ``-``.
    """
    if not _NAME.fullmatch(value):
        raise DataError(
            f"{what} must have 1 to 64 letters, digits, '.', '_' or '-', and begin with a letter or"
            f" a digit, got {value!r}"
        )
    return value


def _has_white_space(run: Run, qrels: Qrels) -> bool:
    ids = itertools.chain.from_iterable(
        (query, *documents)
        for query, documents in (
            *((query, (hit.doc_id for hit in hits)) for query, hits in run.rankings.items()),
            *qrels.judgments.items(),
        )
    )
    return any(_SPACE.search(each) for each in ids)


def _qrels_with_ids(qrels: Qrels, change: Callable[[str], str]) -> Qrels:
    return Qrels(
        {
            change(query): {change(document): grade for document, grade in grades.items()}
            for query, grades in qrels.judgments.items()
        }
    )


def _with_ids(run: Run, change: Callable[[str], str]) -> Run:
    return Run(
        {
            change(query): [(change(hit.doc_id), hit.score) for hit in ranking]
            for query, ranking in run.rankings.items()
        }
    )


def _escape(value: str) -> str:
    return _ESCAPED.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), value)


def _read_card(path: Path) -> RunCard:
    raw = _read_json(path)
    _check_version(path, raw)
    try:
        known = {name: raw[name] for name in RunCard.__dataclass_fields__}
        if not all(isinstance(known[name], dict) for name in ("measures", "facts", "files")):
            raise TypeError("measures, facts and files must be objects")
        return RunCard(**known)
    except (KeyError, TypeError) as error:
        raise CorruptRun(f"{path} is damaged ({error}): restore or delete its folder") from None


def _check_version(path: Path, raw: Mapping[str, Any]) -> None:
    version = raw.get("version")
    if not isinstance(version, int) or version < 1:
        raise CorruptRun(f"{path} must have a version >= 1, got {version!r}: restore the file")
    if version > VERSION:
        raise NewerFormat(
            f"{path} has version {version}, and this Lexpand reads up to {VERSION}: upgrade Lexpand"
        )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptRun(f"{path} cannot be read ({error}): restore or delete it") from error
    if not isinstance(raw, dict):
        raise CorruptRun(f"{path} must be a JSON object: restore or delete it")
    return raw


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n")


def _query_line(query: Query) -> str:
    return json.dumps({"_id": query.query_id, "text": query.text}, ensure_ascii=False)


def _value_lines(values: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    yield "\t".join(["query_id", *values])
    for query in next(iter(values.values()), {}):
        yield "\t".join([query, *(repr(value[query]) for value in values.values())])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
