import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand.data import ModelId, SparseVectors, vector_file
from lexpand.errors import SourceError, StorageError, VectorError


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "vectors.npz"
    vectors().save(path)
    return path


def vectors():
    return SparseVectors([0, 2, 2, 3], [1, 4, 0], [0.5, 1.0, 2.0], 5)


def members(path):
    with np.load(path) as archive:
        return dict(archive)


@given(
    st.lists(
        st.dictionaries(st.integers(0, 99), st.floats(0, 100, width=32), max_size=5), max_size=5
    )
)
def test_vectors_round_trip(tmp_path_factory, rows):
    made = SparseVectors.from_rows(rows, 100)
    path = tmp_path_factory.mktemp("round") / "any name"
    made.save(path)
    loaded = SparseVectors.load(str(path))
    assert loaded == made
    assert not loaded.terms.flags.writeable


def test_numpy_can_read_the_file(saved):
    assert members(saved)["terms"].tolist() == [1, 4, 0]
    assert [entry.name for entry in saved.parent.iterdir()] == ["vectors.npz"]


def test_a_file_has_a_format_and_a_version(saved):
    assert str(members(saved)["format"]) == "lexpand.sparse-vectors"
    assert int(members(saved)["version"]) == 1


def test_any_changed_byte_is_detected(saved):
    """Some bytes of a zip file, such as times, have no effect; then the vectors must be equal."""
    good = saved.read_bytes()
    refused = 0
    for place in range(len(good)):
        saved.write_bytes(good[:place] + bytes([good[place] ^ 0x41]) + good[place + 1 :])
        try:
            assert SparseVectors.load(saved) == vectors()
        except SourceError:
            refused += 1
    assert refused > len(good) / 2


@pytest.mark.parametrize("kept", [0, 1, 30, 500, -1])
def test_a_truncated_file_is_refused(saved, kept):
    saved.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(SourceError, match="cut short"):
        SparseVectors.load(saved)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(SourceError, match="No such file"):
        SparseVectors.load(tmp_path / "gone.npz")
    with pytest.raises(SourceError, match="Is a directory"):
        SparseVectors.load(tmp_path)
    (tmp_path / "x").write_text("hello")
    with pytest.raises(SourceError, match="is not a file of sparse vectors"):
        SparseVectors.load(tmp_path / "x")
    np.savez(tmp_path / "y.npz", terms=np.arange(3))
    with pytest.raises(SourceError, match="is not a file of sparse vectors"):
        SparseVectors.load(tmp_path / "y.npz")


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "x.npz", format=np.array([print], dtype=object))
    with pytest.raises(SourceError, match="damaged"):
        SparseVectors.load(tmp_path / "x.npz")


def test_a_newer_version_is_refused(saved):
    np.savez(saved, **{**members(saved), "version": 2})
    with pytest.raises(SourceError, match="version 2; this Lexpand reads up to 1: upgrade"):
        SparseVectors.load(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"terms": np.array([1, 3, 0], np.uint32)},
        {"terms": np.array([1, 4, 0], np.int64)},
        {"weights": np.array([0.5, 1, 3], np.float32)},
        {"indptr": np.array([0, 1, 2, 3])},
        {"vocabulary_size": np.array([6])},
        {"sha256": np.zeros(32, np.uint8)},
    ],
)
def test_the_checksum_covers_every_array(saved, change):
    np.savez(saved, **{**members(saved), **change})
    with pytest.raises(SourceError, match="checksum"):
        SparseVectors.load(saved)


@pytest.mark.parametrize(
    "name", ["terms", "weights", "indptr", "vocabulary_size", "sha256", "version"]
)
def test_a_missing_array_is_refused(saved, name):
    arrays = members(saved)
    del arrays[name]
    np.savez(saved, **arrays)
    with pytest.raises(SourceError, match="damaged"):
        SparseVectors.load(saved)


def test_limits_are_checked_after_a_valid_checksum(saved):
    vector_file.write_arrays(
        saved, np.array([0, 1]), np.array([9], "u4"), np.array([1], "f4"), 5, None
    )
    with pytest.raises(VectorError, match="term 9"):
        SparseVectors.load(saved)


def test_saving_to_a_missing_folder_raises(tmp_path):
    with pytest.raises(StorageError, match="cannot write"):
        vectors().save(tmp_path / "gone" / "x.npz")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Not a directory"):
        vectors().save(tmp_path / "file" / "x.npz")


def test_a_failed_save_leaves_the_old_file(saved, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    before = saved.read_bytes()
    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(StorageError, match="No space left"):
        SparseVectors.empty(1, 5).save(saved)
    assert saved.read_bytes() == before
    assert [entry.name for entry in saved.parent.iterdir()] == ["vectors.npz"]


def test_the_model_is_kept_and_covered_by_the_checksum(tmp_path):
    path = tmp_path / "x.npz"
    made = SparseVectors([0, 1], [2], [0.5], 5, ModelId("mine", "ab" * 32))
    made.save(path)
    assert SparseVectors.load(path) == made
    assert SparseVectors.load(path).model == ModelId("mine", "ab" * 32)
    members = dict(np.load(path))
    members["model"] = np.frombuffer(members["model"].tobytes().replace(b"mine", b"ours"), np.uint8)
    np.savez(path, **members)
    with pytest.raises(SourceError, match="checksum"):
        SparseVectors.load(path)
