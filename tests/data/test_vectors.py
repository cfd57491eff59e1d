import copy
import pickle

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lexpand.data import ModelId, SparseVectors
from lexpand.errors import VectorError

dense_arrays = hnp.arrays(
    np.float32,
    st.tuples(st.integers(0, 6), st.integers(1, 7)),
    elements=st.sampled_from([0, 0, 0, 1, 0.5, 3.25, 2.0**-100, 2.0**100]),
)


def vectors():
    return SparseVectors([0, 2, 2, 3], [1, 4, 0], [0.5, 1.0, 2.0], 5)


def test_arrays_have_the_documented_dtypes():
    made = SparseVectors(
        np.array([0, 1], np.int32), np.array([3], np.int16), np.array([1], np.float64), 5
    )
    assert (made.indptr.dtype, made.terms.dtype, made.weights.dtype) == (
        np.int64,
        np.uint32,
        np.float32,
    )
    assert (len(made), made.nnz, made.vocabulary_size) == (1, 1, 5)
    assert repr(made) == "<SparseVectors: 1 rows, nnz 1, vocabulary 5>"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [5], [1.0], 5), "row 0: term 5 is outside the vocabulary of 5"),
        (([0, 1, 2], [1, -1], [1.0, 1.0], 5), "row 1: term -1"),
        (([0, 1], np.array([2**32 + 3]), [1.0], 5), "term 4294967299"),
        (([0, 1], np.array([2**63 + 3], np.uint64), [1.0], 5), "term 9223372036854775811"),
        (([0, 1], [1.0], [1.0], 5), "terms must hold integers, got the dtype float64"),
        (([0, 1], [True], [1.0], 5), "terms must hold integers, got the dtype bool"),
        (([0, 1], [[1]], [[1.0]], 5), r"terms must have one dimension, got the shape \(1, 1\)"),
        (([0, 0, 2], [1, 1], [1.0, 1.0], 5), "row 1 has term 1 twice"),
        (([0, 0, 2], [2, 1], [1.0, 1.0], 5), "row 1 has term 1 after 2"),
        (([0, 2], [1, 2], [1.0], 5), "got 1 weights for 2 terms"),
        (([0, 0, 1], [1], [np.nan], 5), "row 1: the weight nan"),
        (([0, 0, 1], [1], [np.inf], 5), "row 1: the weight inf is infinite"),
        (([0, 0, 1], [1], [-0.5], 5), "row 1: the weight -0.5"),
        (([0, 1], [1], [1e300], 5), r"the weight 1e\+300 is infinite as a float32"),
        (([0, 1], [1], [1e-300], 5), "the weight 1e-300 is too small"),
        (([0, 1], [1], ["1"], 5), "weights must hold numbers, got the dtype <U1"),
        (([0, 1], [1], [None], 5), "weights must hold numbers, got the dtype object"),
        (([0, 1], [1], [1j], 5), "weights must hold numbers, got the dtype complex128"),
        (([], [], [], 5), "indptr must run from 0 to .*, got nothing"),
        (([1, 1], [1], [1.0], 5), "indptr must run from 0 to .*, got 1 to 1"),
        (
            ([0, 2], [1], [1.0], 5),
            "indptr must run from 0 to the number of terms, 1, got 0 to 2",
        ),
        (([0, 2, 1, 2], [1, 2], [1.0, 1.0], 5), "row 1: indptr must not fall, got 1 after 2"),
        (([0.0, 1.0], [1], [1.0], 5), "indptr must hold integers, got the dtype float64"),
        (([0], [], [], 0), "vocabulary_size must be from 1 to 262144, got 0"),
        (([0], [], [], 2**18 + 1), "vocabulary_size must be from 1 to 262144, got 262145"),
        (([0], [], [], True), "vocabulary_size must be an integer, got True"),
        (([0], [], [], 5.0), "vocabulary_size must be an integer, got 5.0"),
    ],
)
def test_broken_limits_are_named(arguments, message):
    with pytest.raises(VectorError, match=message):
        SparseVectors(*arguments)


def test_a_falling_unsigned_indptr_is_detected():
    with pytest.raises(VectorError, match="indptr must not fall"):
        SparseVectors(np.array([0, 2, 1, 2], np.uint64), [1, 2], [1.0, 1.0], 5)


def test_a_row_holds_at_most_65536_terms():
    terms = np.arange(2**16 + 1)
    weights = np.ones(len(terms))
    assert SparseVectors([0, 2**16], terms[:-1], weights[:-1], 2**18).nnz == 2**16
    with pytest.raises(VectorError, match="row 1 must have at most 65536 terms, got 65537"):
        SparseVectors([0, 0, len(terms)], terms, weights, 2**18)


def test_weights_of_zero_are_kept():
    assert SparseVectors([0, 1], [2], [0.0], 5).as_dict(0) == {2: 0.0}


def test_terms_may_fall_from_row_to_row():
    assert list(SparseVectors([0, 0, 1, 1, 2, 2], [4, 0], [1, 1], 5).as_dicts()) == [
        {},
        {4: 1},
        {},
        {0: 1},
        {},
    ]


def test_vectors_are_immutable_and_independent_of_the_arguments():
    indptr, terms, weights = np.array([0, 1]), np.array([3], np.uint32), np.array([1], np.float32)
    made = SparseVectors(indptr, terms, weights, 5)
    terms[0], weights[0] = 4, 9
    assert made.as_dict(0) == {3: 1.0}
    for array in (
        made.indptr,
        made.terms,
        made.weights,
        *made.row(0),
        *made[:1].row(0),
        *made[[0]].row(0),
    ):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(AttributeError):
        made.terms = terms


def test_read_only_arrays_are_not_copied():
    weights = np.ones(1, np.float32)
    weights.flags.writeable = False
    assert SparseVectors([0, 1], [1], weights, 5).weights is weights


def test_a_strided_read_only_array_becomes_contiguous():
    weights = np.arange(4, dtype=np.float32)[::2]
    weights.flags.writeable = False
    assert SparseVectors([0, 2], [1, 2], weights, 5).weights.flags.c_contiguous


@pytest.mark.parametrize("again", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_copies_are_equal_and_immutable(again):
    made = again(vectors())
    assert made == vectors()
    assert not made.weights.flags.writeable


def test_equality_is_exact():
    assert vectors() == vectors()
    assert vectors() != SparseVectors(
        [0, 2, 2, 3], [1, 4, 0], [0.5, 1.0, np.nextafter(2, 3, dtype="f4")], 5
    )
    assert vectors() != SparseVectors([0, 2, 2, 3], [1, 4, 1], [0.5, 1.0, 2.0], 5)
    assert vectors() != SparseVectors([0, 2, 3, 3], [1, 4, 0], [0.5, 1.0, 2.0], 5)
    assert vectors() != SparseVectors([0, 2, 2, 3], [1, 4, 0], [0.5, 1.0, 2.0], 6)
    assert vectors() != "vectors"
    with pytest.raises(TypeError):
        hash(vectors())


def test_from_rows_sorts_terms():
    rows = [{4: 1, 1: 0.5}, {}, {np.int64(0): np.float32(2)}]
    assert SparseVectors.from_rows(iter(rows), 5) == vectors()
    assert len(SparseVectors.from_rows([], 5)) == 0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({1.5: 1}, "row 1: a term must be a 64-bit integer"),
        ({"1": 1}, "row 1: a term must be a 64-bit integer"),
        ({2**70: 1}, "row 1: a term must be a 64-bit integer"),
        ({2**32: 1}, "row 1: term 4294967296"),
        ({-1: 1}, "row 1: term -1"),
        ({1: "1"}, "row 1: a weight must be a number"),
        ({1: None}, "row 1: a weight must be a number"),
        ({1: -1}, "row 1: the weight -1"),
        ({1: 1e300}, "row 1: the weight 1e"),
    ],
)
def test_from_rows_names_the_row(row, message):
    with pytest.raises(VectorError, match=message):
        SparseVectors.from_rows([{0: 1}, row], 5)


@given(dense_arrays)
def test_from_dense_and_back(dense):
    made = SparseVectors.from_dense(dense)
    assert np.array_equal(made.to_dense(), dense)
    assert made.nnz == np.count_nonzero(dense)
    rows = [{int(term): float(row[term]) for term in np.flatnonzero(row)} for row in dense]
    assert list(made.as_dicts()) == rows
    assert SparseVectors.from_rows(rows, dense.shape[1]) == made


@given(
    dense_arrays, st.sampled_from(["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]), st.booleans()
)
@settings(max_examples=200)
def test_from_scipy_and_back(dense, kind, as_matrix):
    sparse = (scipy.sparse.csr_matrix if as_matrix else scipy.sparse.csr_array)(dense)
    sparse.eliminate_zeros()
    if dense.size:
        sparse = sparse.asformat(kind)
    made = SparseVectors.from_scipy(sparse)
    assert made.vocabulary_size == dense.shape[1]
    assert np.array_equal(made.to_dense(), dense)
    back = made.to_scipy()
    assert back.dtype == np.float32
    assert np.array_equal(back.toarray(), dense)


def test_from_scipy_sorts_and_refuses_duplicates():
    unsorted = scipy.sparse.csr_array(
        (np.array([1.0, 0.5]), np.array([4, 1]), np.array([0, 2])), shape=(1, 5)
    )
    assert SparseVectors.from_scipy(unsorted).as_dict(0) == {1: 0.5, 4: 1.0}
    twice = ([1.0, 2.0], ([0, 0], [3, 3]))
    for made in (scipy.sparse.coo_array(twice, shape=(1, 5)), csr_with_duplicates()):
        with pytest.raises(VectorError, match="row 0 has term 3 twice"):
            SparseVectors.from_scipy(made)


def csr_with_duplicates():
    return scipy.sparse.csr_array(
        (np.array([1.0, 2.0]), np.array([3, 3]), np.array([0, 2])), shape=(1, 5)
    )


@pytest.mark.parametrize("matrix", [np.zeros((2, 2)), [[1]], "csr"])
def test_from_scipy_refuses_other_objects(matrix):
    with pytest.raises(VectorError, match="must be a two-dimensional SciPy sparse matrix"):
        SparseVectors.from_scipy(matrix)


def test_from_dense_refuses_invalid_arrays():
    with pytest.raises(VectorError, match="row 1: the weight nan"):
        SparseVectors.from_dense([[0, 0], [0, np.nan]])
    with pytest.raises(VectorError, match="two dimensions"):
        SparseVectors.from_dense([1.0])


def test_to_scipy_returns_a_copy():
    made = vectors()
    made.to_scipy().data[:] = 0
    assert made == vectors()


def test_empty_makes_rows_without_terms():
    made = SparseVectors.empty(3, 5)
    assert (len(made), made.nnz) == (3, 0)
    assert made.to_dense().shape == (3, 5)


@given(
    st.lists(
        dense_arrays.map(lambda dense: np.resize(dense, (len(dense), 3))), min_size=1, max_size=3
    )
)
def test_concatenate_is_vstack(parts):
    made = SparseVectors.concatenate([SparseVectors.from_dense(part) for part in parts])
    assert made == SparseVectors.from_dense(np.vstack(parts))


def test_concatenate_refuses_incompatible_parts():
    with pytest.raises(VectorError, match=r"\[5, 6\]"):
        SparseVectors.concatenate([SparseVectors.empty(1, 5), SparseVectors.empty(1, 6)])
    with pytest.raises(VectorError, match="at least one item, got none"):
        SparseVectors.concatenate([])


@given(dense_arrays, st.data())
def test_rows_are_selected_as_in_numpy(dense, data):
    made = SparseVectors.from_dense(dense)
    count = len(dense)
    chosen = data.draw(st.slices(count))
    assert made[chosen] == SparseVectors.from_dense(dense[chosen])
    if count:
        numbers = data.draw(st.lists(st.integers(-count, count - 1), min_size=1))
        assert made[numbers] == SparseVectors.from_dense(dense[numbers])
        assert made[np.array(numbers)] == made[numbers]
    mask = data.draw(hnp.arrays(bool, count))
    assert made[mask] == SparseVectors.from_dense(dense[mask])


def test_rows_that_do_not_exist_are_refused():
    made = vectors()
    assert len(made[[]]) == 0
    assert made.as_dict(-1) == made.as_dict(2) == {0: 2.0}
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"row {index} of 3 vectors"):
            made.row(index)
    with pytest.raises(IndexError):
        SparseVectors.empty(0, 5).row(0)
    with pytest.raises(IndexError):
        made[[3]]
    with pytest.raises(TypeError, match=r"use row\(1\)"):
        made[1]


def test_a_slice_shares_its_terms():
    made = vectors()
    assert np.shares_memory(made[1:].terms, made.terms)


def test_operations_keep_the_model():
    model, other = ModelId("model", "a" * 64), ModelId("other", "b" * 64)
    vectors = SparseVectors([0, 1, 2], [2, 3], [0.5, 1.0], 5, model)
    assert (
        vectors[1:].model
        == vectors[[0]].model
        == pickle.loads(pickle.dumps(vectors)).model
        == model
    )
    assert SparseVectors.concatenate([vectors, vectors]).model == model
    assert vectors != SparseVectors([0, 1, 2], [2, 3], [0.5, 1.0], 5)
    for another, name in ((other, "other"), (None, "an unknown model")):
        with pytest.raises(VectorError, match=rf"different models: .*{name}"):
            SparseVectors.concatenate([vectors, SparseVectors([0], [], [], 5, another)])


@pytest.mark.parametrize(("rows", "name"), [("ab", "str"), ({1: 0.5}, "dict")])
def test_one_row_is_not_a_list_of_rows(rows, name):
    with pytest.raises(
        VectorError, match=rf"rows must be a list of mappings, got a {name}; pass \[row\]"
    ):
        SparseVectors.from_rows(rows, 10)
