"""The head without logits against the plain head, and sampled columns against all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from lexpand.train import head as module  # noqa: E402
from lexpand.train.head import (  # noqa: E402
    plain_head,
    sampled_columns,
    splade_head,
    sum_head,
)
from lexpand.train.regularizers import flops  # noqa: E402

ACTIVATIONS = ["log1p(relu)", "log1p(log1p(relu))"]


def inputs(seed: int, texts: int, length: int, width: int, terms: int):  # type: ignore[no-untyped-def]
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64).requires_grad_()

    lengths = torch.randint(1, length + 1, (texts,), generator=random)
    mask = torch.arange(length)[None] < lengths[:, None]
    return normal(texts, length, width), mask, normal(terms, width), normal(terms)


@given(
    seed=st.integers(0, 10**6),
    texts=st.integers(1, 4),
    length=st.integers(1, 6),
    terms=st.integers(1, 30),
    tile=st.integers(1, 40),
    activation=st.sampled_from(ACTIVATIONS),
)
def test_values_and_gradients_equal_the_plain_head_s(
    seed: int, texts: int, length: int, terms: int, tile: int, activation: module.Activation
) -> None:
    hidden, mask, decoder, bias = inputs(seed, texts, length, 5, terms)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_TILE_BYTES", tile * 8 * int(mask.sum()))
        weights, positions = splade_head(hidden, mask, decoder, bias, activation)
        expected = plain_head(hidden, mask, decoder, bias, activation)
        assert torch.allclose(weights, expected, rtol=0, atol=1e-12)
        upstream = torch.randn_like(weights)
        found = torch.autograd.grad((weights * upstream).sum(), (hidden, decoder, bias))
        wanted = torch.autograd.grad((expected * upstream).sum(), (hidden, decoder, bias))
        for one, other in zip(found, wanted, strict=True):
            assert torch.allclose(one, other, rtol=0, atol=1e-12)
        with torch.no_grad():
            values, nowhere = splade_head(hidden, mask, decoder, bias, activation)
        assert nowhere is None
        assert torch.equal(values, weights)
        logits = hidden @ decoder.T + bias
        assert positions is not None
        at = torch.gather(logits, 1, positions.long()[:, None]).squeeze(1)
        assert torch.allclose(at, logits.masked_fill(~mask[..., None], -torch.inf).amax(1))


@given(
    seed=st.integers(0, 10**6),
    texts=st.integers(1, 4),
    length=st.integers(1, 5),
    most=st.integers(1, 6),
    activation=st.sampled_from(ACTIVATIONS),
)
def test_a_position_gives_the_largest_of_its_terms(
    seed: int, texts: int, length: int, most: int, activation: module.Activation
) -> None:
    hidden, mask, decoder, bias = inputs(seed, texts, length, 5, 25)
    whole, positions = splade_head(hidden, mask, decoder, bias, activation)
    weights, expected = whole.detach().numpy(), torch.zeros_like(whole)
    for text in range(texts):
        for position in range(length):
            won = [t for t in range(25) if positions[text, t] == position]
            for term in sorted(won, key=lambda t: (-weights[text, t], t))[:most]:
                expected[text, term] = whole[text, term]
    found, _ = splade_head(hidden, mask, decoder, bias, activation, position_terms=most)
    assert torch.equal(found, expected)
    gradients = [
        torch.autograd.grad(each.square().sum(), (hidden, decoder, bias))
        for each in (found, expected)
    ]
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-12)
    with torch.no_grad():
        values, _ = splade_head(hidden, mask, decoder, bias, activation, position_terms=most)
    assert torch.equal(values, found)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_finite_differences(activation: module.Activation) -> None:
    hidden, mask, decoder, bias = inputs(7, 3, 4, 5, 9)

    def weights(*moved: torch.Tensor) -> torch.Tensor:
        return splade_head(moved[0], mask, moved[1], moved[2], activation)[0]

    assert torch.autograd.gradcheck(weights, (hidden, decoder, bias))


def test_padding_has_no_gradient() -> None:
    hidden, mask, decoder, bias = inputs(1, 4, 6, 5, 20)
    splade_head(hidden, mask, decoder, bias)[0].sum().backward()
    assert hidden.grad is not None
    assert (hidden.grad[~mask] == 0).all()


def test_columns_are_those_of_the_whole_head() -> None:
    hidden, mask, decoder, bias = inputs(2, 3, 4, 5, 20)
    columns = torch.tensor([3, 7, 19])
    found = splade_head(hidden, mask, decoder[columns], bias[columns])[0]
    whole, _ = splade_head(hidden, mask, decoder, bias)
    assert torch.allclose(found, whole[:, columns], rtol=0, atol=1e-12)
    (gradient,) = torch.autograd.grad(found.sum(), decoder)
    rest = [term for term in range(20) if term not in columns.tolist()]
    assert (gradient[rest] == 0).all()


def test_sampled_columns_give_an_unbiased_regularizer() -> None:
    hidden, mask, decoder, bias = inputs(3, 6, 4, 5, 12)
    needed = torch.tensor([2, 5, 9])
    whole = splade_head(hidden, mask, decoder, bias)[0].detach()
    generator = torch.Generator().manual_seed(0)
    estimates = []
    for _ in range(4000):
        columns, factor = sampled_columns(needed, 12, 3, generator)
        assert columns[:3].tolist() == needed.tolist()
        assert len(columns.unique()) == 6
        assert factor == 3
        sampled = whole[:, columns]
        estimates.append(flops(sampled[:, :3]) + factor * flops(sampled[:, 3:]))
    found = torch.stack(estimates)
    error = found.std() / len(found) ** 0.5
    assert abs(float(found.mean() - flops(whole))) < 4 * float(error)
    columns, factor = sampled_columns(needed, 12, 100, generator)
    assert (len(columns), factor) == (12, 1)
    assert sampled_columns(torch.arange(12), 12, 5, generator)[1] == 0


@given(seed=st.integers(0, 10**6), tile=st.integers(1, 40), activation=st.sampled_from(ACTIVATIONS))
def test_the_sum_over_positions_equals_that_of_all_logits(
    seed: int, tile: int, activation: module.Activation
) -> None:
    hidden, mask, decoder, bias = inputs(seed, 3, 5, 4, 20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_TILE_BYTES", tile * 8 * mask.numel())
        weights = sum_head(hidden, mask, decoder, bias, activation)
        active = (hidden @ decoder.T + bias).relu().log1p()
        active = active if activation == "log1p(relu)" else active.log1p()
        expected = (active * mask[..., None]).sum(1)
        assert torch.allclose(weights, expected, rtol=0, atol=1e-12)
        upstream = torch.randn_like(weights)
        found = torch.autograd.grad((weights * upstream).sum(), (hidden, decoder, bias))
        wanted = torch.autograd.grad((expected * upstream).sum(), (hidden, decoder, bias))
        for one, other in zip(found, wanted, strict=True):
            assert torch.allclose(one, other, rtol=0, atol=1e-12)


def test_the_triton_kernel_gives_the_same_in_its_interpreter() -> None:
    """Values, positions and gradients; the interpreter is chosen before triton is imported."""
    pytest.importorskip("triton")
    script = Path(__file__).parent / "triton_check.py"
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    ran = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, env=environment
    )
    assert ran.stdout == "8 comparisons agree", ran.stderr
