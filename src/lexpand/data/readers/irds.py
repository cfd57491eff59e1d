"""Read queries and judgments of a dataset of ir_datasets, if that package is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from lexpand.data.documents import Query, check_id
from lexpand.data.readers.judgments import Judgment, parse_grade
from lexpand.errors import DataError, MissingExtra, RowError, SourceError

PREFIX = "irds:"
"""What an id of ir_datasets starts with: ``irds:beir/scifact/test``."""

T = TypeVar("T")


class IrDataset:
    """A dataset with queries and judgments, which ir_datasets downloads when they are read.

    Args:
        source: the id, with `PREFIX`.

    Raises:
        MissingExtra: ir_datasets is not installed.
        SourceError: the id is unknown, or the dataset has no queries or no judgments.
    """

    def __init__(self, source: str) -> None:
        try:
            import ir_datasets
        except ImportError:
            raise MissingExtra("ir_datasets", "", f"reading {source}") from None
        self._source = source
        try:
            self._dataset: Any = ir_datasets.load(source.removeprefix(PREFIX))
        except KeyError:
            raise SourceError(
                f"{source} must be the id of a dataset of ir_datasets, and is not: "
                "https://ir-datasets.com lists them"
            ) from None
        for kind in ("queries", "qrels"):
            if not getattr(self._dataset, f"has_{kind}")():
                raise SourceError(
                    f"{source} must have queries and qrels, and has no {kind}: name a subset that "
                    "has both, such as irds:beir/scifact/test"
                )

    def queries(self) -> Iterator[Query | RowError]:
        """Yield the queries; their text is the default text of the dataset.

        Raises:
            SourceError: the dataset cannot be downloaded or read.
        """
        return self._read("queries", lambda _, each: Query(each.query_id, _text(each)))

    def judgments(self) -> Iterator[Judgment | RowError]:
        """Yield the judgments.

        Raises:
            SourceError: the dataset cannot be downloaded or read.
        """
        return self._read("qrels", _judgment)

    def _read(self, kind: str, convert: Callable[[str, Any], T]) -> Iterator[T | RowError]:
        for number, record in enumerate(self._records(kind), 1):
            place = f"{self._source}: {kind} {number}"
            try:
                yield convert(place, record)
            except DataError as error:
                yield RowError(place, str(error))

    def _records(self, kind: str) -> Iterator[Any]:
        try:
            yield from getattr(self._dataset, f"{kind}_iter")()
        except Exception as error:
            raise SourceError(
                f"{self._source} cannot be downloaded or read ({type(error).__name__}: {error}): "
                "check the connection, or pass files"
            ) from error


def _judgment(place: str, record: Any) -> Judgment:  # noqa: ANN401 - the fields vary
    query_id, doc_id = check_id(record.query_id, "query_id"), check_id(record.doc_id, "doc_id")
    return Judgment(place, query_id, doc_id, parse_grade(record.relevance))


def _text(record: Any) -> str:  # noqa: ANN401 - as above
    """Return the default text of a query; versions before 0.5.4 have only the fields."""
    if hasattr(record, "default_text"):
        return str(record.default_text())
    return str(record.text if hasattr(record, "text") else record.title)
