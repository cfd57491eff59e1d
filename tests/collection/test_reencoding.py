"""The stored documents of an index, encoded again."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from checkpoint_makers import write_bert

import lexpand
from lexpand import Document, Encoder, Fields, Index, ingest
from lexpand.collection import reencode, reencoding
from lexpand.collection.reencoding import unfinished
from lexpand.data import Pruning
from lexpand.errors import DataError, IndexLocked, IndexStateError
from lexpand.models import import_model


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with another vocabulary, which reads 32 tokens."""
    folder = tmp_path_factory.mktemp("model")
    return import_model(write_bert(folder / "plain"), folder / "small").path


@pytest.fixture
def path(tmp_path: Path, encoder: Encoder, pages: list[Document]) -> Path:
    """An index of the five pages with a BM25 field, a column and recorded source fields."""
    folder = tmp_path / "pages.index"
    fields = Fields(doc_id="id")
    lexpand.create(
        folder, pages, words="english", columns={"year": "integer"}, fields=fields
    ).close()
    return folder


def vectors(path: Path) -> dict[str, list[tuple[list[int], list[int]]]]:
    with Index.open(path) as index:
        return {
            doc_id: [(each.terms.tolist(), each.impacts.tolist()) for each in index.vectors(doc_id)]
            for doc_id in index.doc_ids()
        }


def test_the_index_is_as_if_it_were_made_with_the_new_model(
    path: Path, small: Path, tmp_path: Path
) -> None:
    with Index.open(path) as index:
        before = [index.document(doc_id) for doc_id in index.doc_ids()]
    report = reencode(path, model=small)
    fresh = tmp_path / "fresh.index"
    lexpand.create(fresh, before, model=small).close()
    assert vectors(path) == vectors(fresh)
    assert (report.documents, report.encoded, report.changed) == (5, 5, True)
    assert report.before != report.after
    with lexpand.open(path) as kb:
        assert [kb.index.document(doc_id) for doc_id in kb.index.doc_ids()] == before
        assert kb.index.space.model.name == "small"
        assert kb.index.schema.words is not None
        assert dict(kb.index.schema.columns) == {"year": "integer"}
        assert kb.index.source_fields == {"doc_id": "id"}
        assert not kb.index.check()
        assert kb.search("hearts")  # with the model that the index records now
    assert not unfinished(path).exists()


def test_other_settings_can_change_and_the_rest_stays(path: Path) -> None:
    report = reencode(path, encoding={"pruning": "top=3"}, words="none")
    assert report.terms_after == 3 < report.terms_before
    with Index.open(path) as index:
        assert index.schema.words is None
        assert index.space.encoding.pruning == Pruning(top=3)
        assert dict(index.schema.columns) == {"year": "integer"}
    again = reencode(path)
    assert (again.changed, again.encoded, again.terms_after) == (False, 0, 3)
    assert not unfinished(path).exists()


def test_banned_terms_keep_their_tokens_in_another_vocabulary(
    path: Path, small: Path, encoder: Encoder
) -> None:
    reencode(path, encoding={"pruning": "ban=heart,ban=the,ban=holiday"})
    with Index.open(path) as index:
        before = index.space.encoding.pruning.banned  # type: ignore[union-attr]
    reencode(path, model=small)
    with Index.open(path) as index:
        banned = index.space.encoding.pruning.banned  # type: ignore[union-attr]
        tokens = {index.space.vocabulary.tokens[term] for term in banned}
        known = set(index.space.vocabulary.tokens) & {"heart", "the", "holiday"}
        assert tokens == known != set()
        assert banned != before
        assert not banned & set(np.concatenate([v[0] for d in vectors(path).values() for v in d]))


def test_an_interrupted_call_continues(path: Path, small: Path) -> None:
    before, done = vectors(path), 0

    def stop(count: int) -> None:
        nonlocal done
        done += count
        if done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reencode(path, model=small, commit_every=1, on_done=stop)
    assert vectors(path) == before
    with pytest.raises(
        IndexStateError, match=r"interrupted call with other settings: repeat .*--r"
    ):
        reencode(path, model="default", encoding={"pruning": "top=3"})
    report = reencode(path, model=small)
    assert (report.documents, report.encoded) == (5, 4)
    assert list(vectors(path)) == list(before)


def test_the_work_of_an_interrupted_call_can_be_discarded(path: Path, small: Path) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reencode(path, model=small, commit_every=1, on_done=stop)
    assert unfinished(path).is_dir()
    report = reencode(path, encoding={"pruning": "top=3"}, restart=True)
    assert (report.encoded, report.terms_after) == (5, 3)


def test_changes_since_an_interrupted_call_are_not_lost(path: Path, small: Path) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reencode(path, model=small, commit_every=1, on_done=stop)
    with lexpand.open(path) as kb:
        first = next(iter(kb.index.doc_ids()))
        kb.delete([first])
        kb.add([Document("new", "hearts and minds")])
    reencode(path, model=small)
    with lexpand.open(path) as kb:
        assert len(kb) == 5
        assert kb.get("new").text == "hearts and minds"
        assert first not in set(kb.index.doc_ids())


def test_others_search_meanwhile_and_cannot_change(path: Path, small: Path) -> None:
    def look(_: int) -> None:
        with lexpand.open(path) as kb:
            assert kb.search("holiday")
            with pytest.raises(IndexLocked, match="is being written by another"):
                kb.add(["a new page"])

    assert reencode(path, model=small, on_done=look).encoded == 5


def test_a_reader_of_the_old_index_learns_that_it_was_replaced(path: Path, small: Path) -> None:
    with lexpand.open(path) as kb:
        reencode(path, model=small)
        assert kb.search("holiday")  # still the old one
        with pytest.raises(IndexStateError, match="removed or replaced"):
            kb.index.refresh()


def test_the_old_index_can_be_kept(path: Path, small: Path, tmp_path: Path) -> None:
    before, old = vectors(path), tmp_path / "old.index"
    report = reencode(path, model=small, keep=old)
    assert (vectors(old), report.kept) == (before, old)
    with pytest.raises(IndexStateError, match=r"old\.index exists, .* name a new folder"):
        reencode(path, model="default", keep=old)
    with pytest.raises(
        IndexStateError, match=r"must be in a folder on the disk of .* --keep|\(--keep"
    ):
        reencode(path, model="default", keep=tmp_path / "none" / "old.index")


def test_documents_in_chunks_stay_in_chunks(tmp_path: Path, small: Path) -> None:
    path = tmp_path / "long.index"
    text = " ".join(["hearts", "minds"] * 60)
    lexpand.create(path, [Document("long", text), Document("short", "hearts")], model=small).close()
    reencode(path, encoding={"long": "chunk"})
    with Index.open(path) as index:
        assert len(index.vectors("long")) > 1
        spans = [each.span for each in index.vectors("long")]
    reencode(path, encoding={"pruning": "top=2"})
    with Index.open(path) as index:
        assert [each.span for each in index.vectors("long")] == spans
        assert index.document("long").text == text


def test_a_document_that_does_not_fit_keeps_the_old_index(
    path: Path, small: Path, pages: list[Document]
) -> None:
    with lexpand.open(path) as kb:
        kb.add([Document("long", "minds " * 2000)])
    before = vectors(path)
    with pytest.raises(DataError, match=r"was not replaced, .* refuse 1 of its documents.*long"):
        reencode(path, encoding={"long": "refuse"})
    assert vectors(path) == before


def test_a_document_that_was_changed_and_no_longer_fits_keeps_the_old_index(path: Path) -> None:
    """The new index still has its old text from the interrupted call."""
    with lexpand.open(path) as kb:
        first = next(iter(kb.index.doc_ids()))
        kb.add([Document("long", "minds " * 2000)])
    for _ in range(2):
        with pytest.raises(DataError, match="was not replaced"):
            reencode(path, encoding={"long": "refuse"})
        with lexpand.open(path) as kb:
            kb.delete(["long"])
            kb.replace([Document(first, "hearts " * 2000)])
    with Index.open(path) as index:
        assert index.document(first).text.startswith("hearts hearts")


def test_a_length_that_was_dropped_is_another_setting(path: Path) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reencode(path, encoding={"max_tokens": 16}, commit_every=1, on_done=stop)
    with pytest.raises(IndexStateError, match="interrupted call with other settings"):
        reencode(path, encoding={"pruning": "top=30"})
    with pytest.raises(IndexStateError, match="interrupted call with other settings"):
        reencode(path)
    assert reencode(path, encoding={"max_tokens": 16}).changed


def test_a_chosen_length_stays_with_another_model(path: Path, small: Path) -> None:
    reencode(path, encoding={"max_tokens": 16})
    reencode(path, model=small)
    with Index.open(path) as index:
        assert index.space.encoding.max_tokens == 16
    reencode(path, encoding={"max_tokens": 32})
    reencode(path, model="default")
    with Index.open(path) as index:  # 32 is the limit of the small model
        assert index.space.encoding.max_tokens == 512


def test_a_crash_in_the_exchange_is_repaired(path: Path, small: Path) -> None:
    before = vectors(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reencoding, "swap", lambda *_: None)
        reencode(path, model=small)
    path.rename(path.with_name(".pages.index.0a1b.old"))  # the first of two moves, then a crash
    report = reencode(path, model=small)
    assert (report.documents, report.encoded) == (5, 0)
    assert vectors(path) != before
    left = path.with_name(".pages.index.0a1c.old")
    left.mkdir()  # a crash while the old index was deleted
    reencode(path)
    assert not left.exists()


def test_vectors_without_texts_are_refused(tmp_path: Path, encoder: Encoder) -> None:
    path = tmp_path / "vectors.index"
    with Index.create(path, encoder.space) as index:
        index.add([Document("bare", "")], encoder.encode_documents(["holiday"]))
        index.commit()
    with pytest.raises(DataError, match=r"vectors without texts, the first of 'bare'"):
        reencode(path, encoding={"pruning": "top=3"})
    assert vectors(path)["bare"]


def test_an_index_that_names_no_model_needs_one(tmp_path: Path, encoder: Encoder) -> None:
    from dataclasses import replace

    path = tmp_path / "moved.index"
    with Index.create(path, replace(encoder.space, location="")) as index:
        ingest(index, encoder, [Document("one", "holiday")])
    with pytest.raises(DataError, match=r"does not record where its model .*--model"):
        reencode(path)
    assert not reencode(path, model="default").changed


def test_a_folder_that_cannot_be_moved_changes_nothing(
    path: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = vectors(path)

    def refuse(*_: object) -> None:
        raise OSError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        with pytest.raises(lexpand.errors.StorageError, match="cannot be replaced"):
            reencode(path, model=small)
    assert vectors(path) == before
    assert reencode(path, model=small).encoded == 0  # nothing is encoded twice
    shutil.rmtree(path)


def test_a_missing_index_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(lexpand.errors.NotAnIndex):
        reencode(tmp_path / "none.index")
    assert not unfinished(tmp_path / "none.index").exists()
    assert reencoding.unfinished(tmp_path / "a").name == ".a.reencode"
