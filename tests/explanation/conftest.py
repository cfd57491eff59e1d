"""A collection of a few hundred real abstracts with words, indexed once."""

from collections.abc import Iterator

import pytest
from explain_cases import TOKENS, Collection

from lexpand import Document, DocumentEncoding, Encoder, Index, ingest, read_queries
from lexpand.data import collection_path
from lexpand.encode import WordAnalyzer


@pytest.fixture(scope="session")
def collection(
    scifact: list[Document], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collection]:
    encoder = Encoder.load(documents=DocumentEncoding(max_tokens=TOKENS))
    documents = scifact[::17][:300]
    queries = list(read_queries(collection_path("scifact")))[:20]
    path = tmp_path_factory.mktemp("explain") / "i"
    with Index.create(path, encoder.space, words=WordAnalyzer()) as index:
        ingest(index, encoder, documents, commit_every=200)
        yield Collection(index, encoder, documents, queries)
