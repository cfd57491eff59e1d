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
            # Logits of small whole numbers are exact in every order of summation, so that equal
            # maxima, of which the first position counts, are equal in both.
            inputs = [
                torch.randint(-2, 3, shape).float()
                for shape in ((len(lengths), max(lengths), width), (terms, width), (terms,))
            ]
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
