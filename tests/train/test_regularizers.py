"""Regularizers: their equations, and that their values do not depend on the batch size."""

import itertools
import json
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lexpand.errors import DataError  # noqa: E402
from lexpand.train.autopilot import Autopilot  # noqa: E402
from lexpand.train.head import sampled_columns  # noqa: E402
from lexpand.train.regularizers import (  # noqa: E402
    Ramp,
    RunningFlops,
    anti_zero,
    banned,
    expansion,
    flops,
    flops_of_batch,
    l1,
    masked_flops,
    own_terms,
    ramped,
    weighted_flops,
)


def weights(texts: int, terms: int = 7) -> torch.Tensor:
    drawn = torch.from_numpy(np.random.default_rng(texts).normal(size=(texts, terms)))
    return drawn.relu()


def test_flops_is_the_mean_over_pairs_of_texts() -> None:
    rows = weights(5)
    pairs = [float(rows[i] @ rows[j]) for i, j in itertools.permutations(range(5), 2)]
    assert float(flops(rows)) == pytest.approx(np.mean(pairs), rel=1e-12)
    assert float(flops(rows[:1])) == pytest.approx(float(rows[0] @ rows[0]), rel=1e-12)
    assert float(flops_of_batch(rows)) == pytest.approx(float(rows.mean(0).square().sum()))


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("regularizer", [flops, l1, anti_zero])
def test_values_and_gradients_do_not_depend_on_the_batch_size(regularizer, size: int) -> None:  # type: ignore[no-untyped-def]
    """Over all ways to choose a batch, the mean equals the value of the whole, gradients too."""
    rows = weights(6).requires_grad_()
    whole = regularizer(rows)
    (expected,) = torch.autograd.grad(whole, rows)
    batches = [list(chosen) for chosen in itertools.combinations(range(6), size)]
    mean = torch.stack([regularizer(rows[batch]) for batch in batches]).mean()
    (found,) = torch.autograd.grad(mean, rows)
    assert torch.allclose(mean, whole)
    assert torch.allclose(found, expected)


def test_the_estimate_of_the_papers_depends_on_the_batch_size() -> None:
    """Why `flops` is the default: the check above can fail."""
    rows = weights(6)
    batches = [list(chosen) for chosen in itertools.combinations(range(6), 2)]
    mean = torch.stack([flops_of_batch(rows[batch]) for batch in batches]).mean()
    assert float(mean) > float(flops_of_batch(rows)) + 0.1


def test_frequent_terms_cost_more() -> None:
    rows = torch.ones(4, 2, dtype=torch.float64)
    even = weighted_flops(rows, torch.tensor([0.5, 0.5], dtype=torch.float64))
    assert float(even) == pytest.approx(float(flops(rows)))
    rows.requires_grad_()
    share = torch.tensor([0.9, 0.1], dtype=torch.float64)
    (gradient,) = torch.autograd.grad(weighted_flops(rows, share), rows)
    assert torch.allclose(gradient[:, 0], 9 * gradient[:, 1])


def test_sparse_texts_are_not_pushed_further() -> None:
    rows = torch.zeros(3, 10, dtype=torch.float64)
    rows[0, :8] = rows[1, :8] = 1.0
    rows[2, :2] = 1.0
    rows.requires_grad_()
    masked_flops(rows, threshold=4).backward()
    assert rows.grad is not None
    assert (rows.grad[:2, :8] > 0).all()
    assert (rows.grad[2] == 0).all()


def test_empty_texts_are_pushed_up() -> None:
    rows = torch.tensor([[0.0, 0.1], [5.0, 5.0]], dtype=torch.float64, requires_grad=True)
    penalty = anti_zero(rows)
    penalty.backward()
    assert rows.grad is not None
    assert (rows.grad < 0).all()
    assert rows.grad[0, 0] < 100 * rows.grad[1, 0]


def test_banned_terms_cost_their_squares() -> None:
    rows = weights(3)
    expected = rows[:, [1, 4]].square().sum(1).mean()
    assert torch.allclose(banned(rows, torch.tensor([1, 4])), expected)


def test_own_terms_are_the_tokens_without_padding_and_special_ones() -> None:
    ids = torch.tensor([[6, 2, 3, 6], [6, 4, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    own = own_terms(ids, mask, 7, special=[6])
    assert own.nonzero().tolist() == [[0, 2], [0, 3], [1, 4]]


def test_terms_that_a_text_does_not_have_cost_their_weights() -> None:
    rows = torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 0.0]])
    own = torch.tensor([[True, False, False], [False, True, False]])
    cost, share = expansion(rows, own)
    assert (float(cost), share) == ((2 + 4 + 8) / 2, 14 / 31)
    cost, share = expansion(rows, own, torch.tensor([1.0, 1.0, 3.0]))
    assert (float(cost), share) == ((2 + 12 + 8) / 2, 22 / 39)
    assert expansion(torch.zeros(2, 3), own)[1] == 0


def test_a_factor_rises_and_stays() -> None:
    assert ramped(2.0, 0, 10, Ramp.QUADRATIC) == pytest.approx(0.02)
    assert ramped(2.0, 4, 10, Ramp.LINEAR) == pytest.approx(1.0)
    assert ramped(2.0, 9, 10) == ramped(2.0, 99, 10) == 2.0
    assert ramped(2.0, 0, 10, Ramp.CONSTANT) == 2.0
    with pytest.raises(DataError, match="must be >= 0, got -1"):
        ramped(-1, 0, 10)


@pytest.mark.parametrize("budget", [60, 120, 200])
@pytest.mark.parametrize("sensitivity", [0.3, 0.6])
def test_the_autopilot_reaches_and_holds_a_budget(budget: float, sensitivity: float) -> None:
    """On a model of training: terms follow a power of lambda, with delay and noise."""
    random = np.random.default_rng(1)
    pilot, terms, found = Autopilot(budget, warmup=50), 2000.0, []
    for _ in range(600):
        settled = 400 * pilot.factor**-sensitivity / 10
        terms += 0.1 * (settled - terms)
        pilot.update(terms * random.lognormal(0, 0.05))
        found.append(terms)
    assert np.mean(found[-100:]) == pytest.approx(budget, rel=0.1)
    assert np.ptp(found[-100:]) < 0.4 * budget


@pytest.mark.parametrize("budget", [60, 120, 200])
@pytest.mark.parametrize("delay", [60, 150])
def test_the_autopilot_keeps_pace_with_a_slow_model(budget: float, delay: float) -> None:
    """The model follows lambda after many steps, as real ones do, and the learning rate falls."""
    random = np.random.default_rng(2)
    pilot, first, found = Autopilot(budget, factor=1e-3), math.log(500), []
    level = first
    for step in range(500):
        settled = first - 0.35 * max(0.0, math.log(pilot.factor / 1e-3))
        change = (settled - level) / delay * min(step / 25, 1.02 - step / 500)
        level += change if change < 0 else change / 2  # expansion comes back slowly
        pilot.update(math.exp(level + random.normal(0, 0.08)))
        found.append(math.exp(level))
    assert np.mean(found[300:]) == pytest.approx(budget, rel=0.1)
    assert min(found) > 0.75 * budget


def test_the_autopilot_does_not_trust_the_first_batch() -> None:
    """A first batch of few terms would set a budget far below what the model has."""
    pilot = Autopilot(250, factor=1e-3)
    for terms in [150] + [350] * 29:
        pilot.update(terms)
    assert pilot.factor < 5e-3


def test_a_model_below_its_budget_may_grow_at_once() -> None:
    """Though a growing model is above its first measurement."""
    pilot = Autopilot(120, factor=1e-3, warmup=500)
    factors = [pilot.update(45 * 1.01**step) for step in range(40)]
    assert max(factors) <= 1e-3
    assert factors[-1] < 0.9e-3
    above = Autopilot(120, factor=1e-3, warmup=500)
    factors = [above.update(400 * 1.02**step) for step in range(20)]
    assert factors[:10] == [1e-3] * 10
    assert factors[-1] > 1e-3


def test_the_autopilot_resumes_from_its_state() -> None:
    pilot = Autopilot(100)
    for terms in range(900, 300, -50):
        pilot.update(terms)
    again = Autopilot.from_state(pilot.state())
    assert [pilot.update(terms) for terms in (400, 80)] == [
        again.update(terms) for terms in (400, 80)
    ]
    with pytest.raises(DataError, match="must be above 0, got 0 and"):
        Autopilot(0)


def test_running_flops_costs_what_the_data_use_and_not_the_batch() -> None:
    """Batches of one topic each: F is that of all texts, and a rare term costs little."""
    generator = torch.Generator().manual_seed(0)
    topics, terms = 10, 40
    running = RunningFlops(terms, 0.99)
    columns, factors = torch.arange(terms), torch.ones(terms)
    used = torch.zeros(topics, terms)
    used[:, 0] = 1.0  # a hub
    for topic in range(topics):
        used[topic, 1 + 3 * topic : 4 + 3 * topic] = 1.0
    values = []
    for step in range(1500):
        weights = (used[step % topics] * torch.rand(8, terms, generator=generator)).requires_grad_()
        value = running(weights, columns, factors)
        values.append(float(value.detach()))
    (gradient,) = torch.autograd.grad(value, weights)
    expected = float((used.mean(0) * 0.5).square().sum())
    assert np.mean(values[-500:]) == pytest.approx(expected, rel=0.05)
    topical = 1 + 3 * (step % topics)
    assert float(gradient[0, topical] / gradient[0, 0]) == pytest.approx(0.1, rel=0.2)
    (alone,) = torch.autograd.grad(flops(weights), weights)
    assert float(alone[0, topical] / alone[0, 0]) > 0.5


def test_running_flops_of_sampled_columns_is_that_of_all() -> None:
    """Of 60 terms, 4 are always computed and 8 of the others are drawn in each step."""
    generator = torch.Generator().manual_seed(1)
    scale = torch.linspace(0.1, 1, 60)
    running = RunningFlops(60, 0.98)
    values = []
    for _ in range(3000):
        columns, factor = sampled_columns(torch.arange(4), 60, 8, generator)
        weights = scale[columns] * torch.rand(5, len(columns), generator=generator)
        factors = torch.ones(len(columns))
        factors[4:] = factor
        values.append(float(running(weights, columns, factors)))
    assert np.mean(values[500:]) == pytest.approx(float((scale / 2).square().sum()), rel=0.02)
    again = RunningFlops(60, 0.98)
    again.restore(json.loads(json.dumps(running.state())))
    weights, columns = torch.rand(5, 60, generator=generator), torch.arange(60)
    one, other = (each(weights, columns, torch.ones(60)) for each in (running, again))
    assert float(one) == float(other)
