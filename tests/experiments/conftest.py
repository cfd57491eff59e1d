"""The support pages of `examples/support`, indexed once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import lexpand
from lexpand import Encoder, Index
from lexpand.collection import Collection
from lexpand.data import JudgedQueries, read_judged

SUPPORT = Path(__file__).parents[2] / "examples" / "support"


@pytest.fixture(scope="session")
def questions() -> JudgedQueries:
    return read_judged(SUPPORT / "questions.csv")


@pytest.fixture(scope="session")
def support_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the pages, which tests must not change."""
    path = tmp_path_factory.mktemp("support") / "pages.index"
    lexpand.create(path, SUPPORT / "pages.jsonl.gz").close()
    return path


@pytest.fixture
def support(support_index: Path, encoder: Encoder) -> Iterator[Collection]:
    with Collection(Index.open(support_index), encoder=encoder) as kb:
        yield kb
