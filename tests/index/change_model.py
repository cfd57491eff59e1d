"""A model of an index under changes: a dictionary, and an index that is rebuilt from it."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from index_toys import SPACE, TERMS, toy_vectors

from lexpand import Document, Index
from lexpand.encode import WordAnalyzer
from lexpand.index import Matches
from lexpand.index.filters import matches, parse_filter

WORDS = WordAnalyzer("english")
COLUMNS = {"number": "integer", "team": "keyword"}
TEAMS = ["red", "green", "blue"]

QUERIES = toy_vectors([{0: 1.0}, {3: 1.0, 5: 2.0}, {1: 0.5, 2: 0.25, 8: 1.0}, {}])
WORD_QUERIES = ["paper", "red paper", "version2 green", "nothing like it", ""]
FILTERS = [
    "number >= 3",
    "team = red",
    "not team in (red, blue)",
    "version = 1",
    "size.length > 2 and number < 8",
    "exists(size) or team = green",
]

State = Mapping[str, Document]


def versioned(number: int, version: int) -> Document:
    """Return a document whose text and metadata depend on the version.

    Every third document has two chunks.
    """
    metadata = {"number": number, "team": TEAMS[(number + version) % 3], "version": version}
    if number % 2:
        metadata["size"] = {"length": number % 5}
    text = (
        f"paper {TEAMS[(number + version) % 3]} version{version}. "
        + f"Paper number{number}. " * (1 + number % 3)
    )
    return Document(f"d{number}", text, f"Title {number}", metadata)


def chunks_of(document: Document) -> list[tuple[int, int]]:
    end = len(document.full_text)
    return [(0, end // 2), (end // 2, end)] if document.metadata["number"] % 3 == 0 else [(0, end)]


def rows_of(document: Document) -> list[dict[int, float]]:
    """Return a vector per chunk."""
    number, version = document.metadata["number"], document.metadata["version"]
    return [
        {
            0: 1.0 + place,
            1 + (number + 5 * place) % (TERMS - 1): 1 + number / 8 + version,
            15 - version: 0.5,
        }
        for place, _ in enumerate(chunks_of(document))
    ]


def put(index: Index, documents: Iterable[Document], *, replace: bool = True) -> int:
    documents = list(documents)
    vectors = toy_vectors([row for document in documents for row in rows_of(document)])
    change = index.replace if replace else index.add
    return change(documents, vectors, chunks=[chunks_of(document) for document in documents])


def create(path: Path) -> Index:
    return Index.create(path, SPACE, words=WORDS, columns=COLUMNS)


def create_with(path: Path, state: State) -> Index:
    """Create an index with these documents in one commit."""
    index = create(path)
    put(index, state.values())
    index.commit()
    return index


class Changes:
    """The committed documents, and the uncommitted changes."""

    def __init__(self) -> None:
        self.committed: dict[str, Document] = {}
        self._added: dict[str, Document] = {}
        self._dropped: set[str] = set()

    def present(self) -> dict[str, Document]:
        """Return the documents of the next commit, in order of insertion."""
        kept = {
            doc_id: document
            for doc_id, document in self.committed.items()
            if doc_id not in self._dropped
        }
        return kept | self._added

    def put(self, document: Document) -> bool:
        if self.present().get(document.doc_id) == document:
            return False
        self.delete(document.doc_id)
        self._added[document.doc_id] = document
        return True

    def delete(self, doc_id: str) -> bool:
        was_present = doc_id in self.present()
        self._added.pop(doc_id, None)
        if doc_id in self.committed:
            self._dropped.add(doc_id)
        return was_present

    def commit(self) -> None:
        self.committed = self.present()
        self.rollback()

    def rollback(self) -> None:
        self._added, self._dropped = {}, set()


def without_rows(found: list[Matches]) -> list[list[tuple]]:
    """Return results without rows, which a rebuilt index numbers differently but in one order."""
    return [[(match.doc_id, match.score, match.span) for match in matches] for matches in found]


def all_results(index: Index) -> list[list[tuple]]:
    """Return the results of many searches."""
    found = []
    for filter in (None, *FILTERS):
        for k in (3, 1000):
            vectors = index.search(QUERIES, k, filter=filter)
            assert vectors == index.search(QUERIES, k, filter=filter, exhaustive=True)
            found += without_rows(vectors) + without_rows(
                index.search_words(WORD_QUERIES, k, filter=filter)
            )
    found += without_rows(index.search(QUERIES, 3, group_by="team"))
    found += without_rows(index.search(QUERIES, 3, group_by="team", exhaustive=True))
    found += without_rows(index.search_words(WORD_QUERIES, 2, group_by="size.length"))
    return found


def assert_holds(index: Index, state: State) -> None:
    """Assert that the index has exactly this state: ids, order, documents, vectors, filters."""
    assert len(index) == len(state)
    (found,) = index.search(QUERIES[0:1], 10_000)
    in_order = sorted(found, key=lambda match: match.row)
    assert [match.doc_id for match in in_order] == list(state)
    documents = index.documents([match.row for match in in_order])
    assert list(documents.values()) == list(state.values())
    for doc_id, document in state.items():
        assert index.document(doc_id) == document
        assert [vector.terms.tolist() for vector in index.vectors(doc_id)] == [
            sorted(r) for r in rows_of(document)
        ]
    for filter in FILTERS:
        expression = parse_filter(filter)
        expected = [
            doc_id for doc_id, document in state.items() if matches(expression, document.metadata)
        ]
        assert index.matching(filter) == expected, filter
