"""Compare the Triton kernel with the head of torch; run with TRITON_INTERPRET=1 on the CPU."""

import sys

import torch

from lexpand.train.head import Activation, plain_head, splade_head


def main() -> None:
    """Compare values, positions and gradients on random texts of several shapes."""
    torch.manual_seed(3)
    compared = 0
    activations: tuple[Activation, ...] = ("log1p(relu)", "log1p(log1p(relu))")
    for lengths, width, terms in (
        ([1], 5, 3),
        ([33, 1, 70], 40, 130),
        ([32, 64, 5, 31], 64, 64),
        ([7] * 3, 96, 65),
    ):
        for activation in activations:
            mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
            hidden = torch.randn(len(lengths), max(lengths), width).round(decimals=1)
            if len(hidden) > 1:
                hidden[1, 0] = hidden[1, -1]
            inputs = [hidden, torch.randn(terms, width), torch.randn(terms)]
            upstream = torch.randn(len(lengths), terms)
            found = []
            for triton in (False, True):
                leaves = [each.clone().requires_grad_() for each in inputs]
                weights, positions = splade_head(
                    leaves[0], mask, leaves[1], leaves[2], activation, triton=triton
                )
                gradients = torch.autograd.grad((weights * upstream).sum(), leaves)
                found.append((weights.detach(), positions, gradients))
            (weights, positions, gradients), (other, places, others) = found
            assert torch.allclose(weights, other, atol=1e-5)
            assert torch.equal(positions[weights > 0], places[weights > 0])
            for one, two in zip(gradients, others, strict=True):
                assert torch.allclose(one, two, atol=1e-4)
            plain = plain_head(inputs[0], mask, inputs[1], inputs[2], activation)
            assert torch.allclose(other, plain, atol=1e-5)
            assert (other > 0).any()
            compared += 1
    sys.stdout.write(f"{compared} comparisons agree")


if __name__ == "__main__":
    main()
