"""Objectives against their equations in NumPy, and their errors."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lexpand.errors import DataError  # noqa: E402
from lexpand.train.objectives import (  # noqa: E402
    grouped,
    info_nce,
    kl_divergence,
    margin_mse,
    mixed_scores,
    positives_of,
)

RANDOM = np.random.default_rng(0)


def scores(*shape: int) -> np.ndarray:
    return RANDOM.normal(5, 3, shape)


def softmax(rows: np.ndarray) -> np.ndarray:
    powers = np.exp(rows - rows.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def test_info_nce_is_its_equation() -> None:
    made = scores(4, 12)
    positives = positives_of(4, 3)
    expected = -np.log(softmax(made / 0.5)[np.arange(4), np.arange(4) * 3]).mean()
    found = info_nce(torch.from_numpy(made), positives, temperature=0.5)
    assert float(found) == pytest.approx(expected, rel=1e-12)


def test_margin_mse_is_its_equation() -> None:
    made, teacher = scores(4, 5), scores(4, 5)
    margins = (made[:, :1] - made[:, 1:]) - (teacher[:, :1] - teacher[:, 1:])
    found = margin_mse(torch.from_numpy(made), torch.from_numpy(teacher))
    assert float(found) == pytest.approx((margins**2).mean(), rel=1e-12)


def test_kl_divergence_is_its_equation() -> None:
    made, teacher = scores(4, 5), scores(4, 5)
    target, student = softmax(teacher / 2), softmax(made)
    expected = (target * (np.log(target) - np.log(student))).sum(1).mean()
    found = kl_divergence(torch.from_numpy(made), torch.from_numpy(teacher), temperature=2)
    assert float(found) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("objective", [margin_mse, kl_divergence])
def test_a_missing_teacher_score_leaves_its_document_out(objective) -> None:  # type: ignore[no-untyped-def]
    made, teacher = torch.from_numpy(scores(3, 4)), torch.from_numpy(scores(3, 4))
    whole = objective(made[:, :3], teacher[:, :3])
    teacher[:, 3] = torch.nan
    made.requires_grad_()
    found = objective(made, teacher)
    assert float(found.detach()) == pytest.approx(float(whole), rel=1e-12)
    found.backward()
    assert made.grad is not None
    assert made.grad.isfinite().all()
    assert (made.grad[:, 3] == 0).all()


@pytest.mark.parametrize("objective", [margin_mse, kl_divergence])
def test_a_query_without_teacher_scores_is_refused(objective) -> None:  # type: ignore[no-untyped-def]
    made, teacher = torch.zeros(3, 4), torch.zeros(3, 4)
    teacher[1, :3] = torch.nan
    with pytest.raises(DataError, match=r"query 1 of the batch .* leave the query out"):
        objective(made, teacher)
    with pytest.raises(DataError, match=r"must have the shape \[3, 4\], got \[3, 3\]"):
        objective(made, teacher[:, 1:])


def test_the_mean_of_two_teachers_is_their_mean_in_units_of_the_first() -> None:
    first, second = scores(3, 5), scores(3, 5)
    found = mixed_scores(torch.tensor(first), torch.tensor(second), 0.25).numpy()
    ratio = first.std(1, ddof=1).mean() / second.std(1, ddof=1).mean()
    assert np.allclose(found, 0.75 * first + 0.25 * ratio * second)
    scaled = mixed_scores(torch.tensor(first), torch.tensor(100 * second), 0.25).numpy()
    assert np.allclose(found, scaled)


def test_a_teacher_whose_scores_are_all_equal_says_nothing() -> None:
    first = torch.tensor(scores(3, 5))
    found = mixed_scores(first, torch.zeros(3, 5).double(), 0.25)
    assert torch.allclose(found, 0.75 * first)


def test_grouped_scores_are_those_of_a_query_s_own_documents() -> None:
    in_batch = torch.arange(2 * 6).view(2, 6)
    assert grouped(in_batch, 3).tolist() == [[0, 1, 2], [9, 10, 11]]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: info_nce(torch.zeros(2, 0), torch.zeros(2).long()), "a matrix with columns"),
        (lambda: info_nce(torch.zeros(2, 2), torch.zeros(2).long(), temperature=0), "above 0"),
    ],
)
def test_invalid_arguments_are_refused(call, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=said):
        call()
