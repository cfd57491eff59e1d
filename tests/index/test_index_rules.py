"""The rules that an index records for its documents."""

from pathlib import Path

import pytest

from lexpand import Document, Encoder, Index, Role, SparseRetriever, ingest
from lexpand.collection import sync
from lexpand.encode import Rules
from lexpand.errors import DataError, IndexStateError
from lexpand.search import encoder_of

RULES = Rules.from_dict(
    {
        "version": 1,
        "cap": [{"term": "printer", "weight": 0.5, "side": "document"}],
        "pin": [{"text": "err_42"}],
    }
)
PAGES = [Document("a", "The printer shows ERR_42."), Document("b", "The printer is on.")]


def test_documents_under_other_rules_are_refused(encoder: Encoder, tmp_path: Path) -> None:
    ruled = Encoder.load(rules=RULES)
    with Index.create(tmp_path / "i", ruled.space) as index:
        ingest(index, ruled, PAGES)
        rules_hash = RULES.hash(Role.DOCUMENT)[:12]
        message = f"encoded with rules {rules_hash}, got none: leave the setting out"
        with pytest.raises(IndexStateError, match=message):
            ingest(index, encoder, PAGES)
        with pytest.raises(IndexStateError, match=message):
            sync(index, encoder, PAGES, refused=[])
        assert len(index) == 2
    with Index.create(tmp_path / "j", encoder.space) as index:
        with pytest.raises(
            IndexStateError, match=f"with rules none, got {rules_hash}: .*`lexpand reencode`"
        ):
            ingest(index, ruled, PAGES)
        ingest(
            index,
            Encoder.load(
                rules=Rules.from_dict({"version": 1, "ban": [{"term": "on", "side": "query"}]})
            ),
            PAGES,
        )


def test_a_search_refuses_a_pin_that_takes_the_term_of_another(tmp_path: Path) -> None:
    ruled = Encoder.load(rules=RULES)
    with Index.create(tmp_path / "i", ruled.space) as index:
        SparseRetriever(
            index, Encoder.load(rules=Rules.from_dict({"version": 1, "pin": [{"text": "ERR_42"}]}))
        )
        moved = Encoder.load(rules=Rules.from_dict({"version": 1, "pin": [{"text": "err_43"}]}))
        with pytest.raises(
            DataError,
            match="'err_43' would take the term of 'err_42' in the documents of the index",
        ):
            SparseRetriever(index, moved)


def test_an_opened_index_has_its_rules(tmp_path: Path) -> None:
    ruled = Encoder.load(rules=RULES)
    with Index.create(tmp_path / "i", ruled.space) as index:
        ingest(index, ruled, PAGES[:1])
    with Index.open(tmp_path / "i") as index:
        assert index.space.encoding.rules_hash == RULES.hash(Role.DOCUMENT)
        assert Rules.recorded(index.space.encoding).to_dict() == RULES.to_dict()
        again = encoder_of(index)
        assert ingest(index, again, PAGES[1:]).added == 1
        printer = again.vocabulary.id("printer")
        for page in PAGES:
            stored = index.vector(page.doc_id)
            weights = dict(zip(stored.terms.tolist(), stored.weights.tolist(), strict=True))
            assert weights[printer] == pytest.approx(0.5, abs=1e-3)  # type: ignore[index]
        assert again.encode_queries(["printer err_42"]).as_dict(0)[1] == pytest.approx(3), (
            "queries have the pins"
        )
        plain = encoder_of(index, rules=Rules())
        assert plain.encode_queries(["printer err_42"]).as_dict(0).get(1) is None, (
            "unless other rules are given"
        )
