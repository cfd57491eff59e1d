"""Why a stored vector differs from the expected one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Vector = Mapping[int, float]

_FEWEST = 3  # terms that must agree before a cause is named
_MOST_DROPPED = 20  # terms
_SHARE = 0.9  # of the terms that a cause must explain
_MODULI: list[int] = [2**power for power in range(10, 18)]


@dataclass(frozen=True, slots=True)
class Pair:
    """The expected and the stored vector of a record."""

    record_id: str
    expected: Vector
    stored: Vector

    def agrees(self, tolerance: float) -> bool:
        """Return whether both have the same weights, apart from rounding.

        Args:
            tolerance: the largest relative error. An index of Lexpand stores 16 bits of the largest
                weight of a vector, so an error of two such steps is rounding too.
        """
        step = self._step()
        return all(
            abs(self.stored.get(term, 0.0) - self.expected.get(term, 0.0))
            <= tolerance * self.expected.get(term, 0.0) + step
            for term in self.expected.keys() | self.stored.keys()
        )

    def largest_error(self) -> float:
        """Return the largest relative error of a shared weight, beyond the rounding of an index."""
        step = self._step()
        return max(
            (
                max(0.0, abs(self.stored[term] - weight) - step) / weight
                for term, weight in self.expected.items()
                if term in self.stored and weight > 0
            ),
            default=0.0,
        )

    def _step(self) -> float:
        return 2 * max(self.expected.values(), default=0.0) / 65535

    def cosine(self) -> float:
        """Return the cosine of both vectors; 0 if one is empty."""
        shared = self.expected.keys() & self.stored.keys()
        dot = sum(self.expected[term] * self.stored[term] for term in shared)
        norms = [
            float(np.sqrt(sum(weight**2 for weight in each.values())))
            for each in (self.expected, self.stored)
        ]
        return dot / (norms[0] * norms[1]) if all(norms) else 0.0


def causes_of(
    pairs: Sequence[Pair], tolerance: float, spelled: Callable[[int], str] = str
) -> list[str]:
    """Return what explains the pairs that disagree, the most specific cause first.

    Args:
        pairs: the sample.
        tolerance: the largest relative error of a weight that the engine's precision explains.
        spelled: returns a term in readable form.
    """
    different = [pair for pair in pairs if not pair.agrees(tolerance)]
    if not different:
        return []
    if dropped := _dropped(pairs, tolerance):
        listed = " ".join(map(spelled, dropped))
        noun = "term is" if len(dropped) == 1 else "terms are"
        return [
            f"{len(dropped)} {noun} never stored, in none of {len(pairs):,} vectors: {listed} (some"
            " engines refuse names with a dot: name terms by ids)"
        ]
    for cause in _causes(different, tolerance):
        return [cause]
    mean = float(np.mean([pair.cosine() for pair in different]))
    return [
        f"{len(different):,} of {len(pairs):,} vectors differ, with a mean cosine of {mean:.2f}:"
        " they are of another model or of other texts"
        if mean < 0.9
        else f"{len(different):,} of {len(pairs):,} vectors differ, with a mean cosine of"
        f" {mean:.3f}: they are of another version of the model, or of changed texts"
    ]


def _causes(pairs: Sequence[Pair], tolerance: float) -> Iterator[str]:
    count = f"{len(pairs):,} vectors"
    if all(not pair.stored for pair in pairs):
        yield f"{count} are empty: the field has another name or type, or was not written"
    if modulus := _modulus(pairs, tolerance):
        yield f"term ids are folded modulo {modulus:,}, so that terms collide"
    if shift := _shift(pairs, tolerance):
        yield f"term ids are shifted by {shift:+d}: ids start at 0 here, and at 1 in pgvector"
    for what, change in _ACTIVATIONS.items():
        if _explained(pairs, change, tolerance):
            yield f"the weights of {count} have another activation: {what}"
    if scale := _scale(pairs, tolerance):
        yield f"the weights of {count} are multiplied by {scale:.4g}"
    if _is_pruned(pairs, tolerance):
        kept = np.mean([len(pair.stored) / max(1, len(pair.expected)) for pair in pairs])
        yield f"{count} are pruned: {kept:.0%} of the terms are stored, the largest weights"
    if _is_unpooled(pairs, tolerance):
        kept = np.mean([len(pair.stored) / max(1, len(pair.expected)) for pair in pairs])
        yield (
            f"{count} lack the maximum over positions: {kept:.0%} of the terms are stored, with"
            " smaller weights"
        )


def _modulus(pairs: Sequence[Pair], tolerance: float) -> int | None:
    for modulus in _MODULI:
        if all(max(pair.expected, default=0) < modulus for pair in pairs):
            return None
        if all(max(pair.stored, default=0) < modulus for pair in pairs) and all(
            Pair("", _folded(pair.expected, modulus), pair.stored).agrees(tolerance)
            for pair in pairs
        ):
            return modulus
    return None


def _dropped(pairs: Sequence[Pair], tolerance: float) -> list[int]:
    """Return the few terms that no vector has, if everything else agrees."""
    wanted = {term for pair in pairs for term in pair.expected}
    dropped = wanted - {term for pair in pairs for term in pair.stored}
    if len(pairs) < _FEWEST or len(dropped) > _MOST_DROPPED:
        return []
    kept = [
        {term: weight for term, weight in pair.expected.items() if term not in dropped}
        for pair in pairs
    ]
    if all(
        Pair("", weights, pair.stored).agrees(tolerance)
        for pair, weights in zip(pairs, kept, strict=True)
    ):
        return sorted(dropped)
    return []


def _shift(pairs: Sequence[Pair], tolerance: float) -> int | None:
    for shift in (-1, 1):
        if all(
            Pair(
                "", {term + shift: weight for term, weight in pair.expected.items()}, pair.stored
            ).agrees(tolerance)
            for pair in pairs
        ):
            return shift
    return None


def _folded(vector: Vector, modulus: int) -> dict[int, float]:
    found: dict[int, float] = {}
    for term, weight in vector.items():
        found[term % modulus] = max(found.get(term % modulus, 0.0), weight)
    return found


_ACTIVATIONS: dict[str, Callable[[float], float]] = {
    "relu instead of log1p(relu)": lambda weight: float(np.expm1(weight)),
    "log1p twice instead of once": lambda weight: float(np.log1p(weight)),
    "log1p once instead of twice": lambda weight: float(np.expm1(weight)),
}


def _explained(pairs: Sequence[Pair], change: Callable[[float], float], tolerance: float) -> bool:
    """Return whether the change of the weights explains the stored ones, a few terms aside."""
    return _share(
        pairs,
        lambda expected, stored: abs(stored - change(expected)) <= 4 * tolerance * change(expected),
    )


def _share(pairs: Sequence[Pair], test: Callable[[float, float], bool]) -> bool:
    shared = [
        (pair.expected[term], pair.stored[term])
        for pair in pairs
        for term in pair.expected.keys() & pair.stored.keys()
    ]
    total = sum(len(pair.expected.keys() | pair.stored.keys()) for pair in pairs)
    if len(shared) < _FEWEST or len(shared) < _SHARE * total:
        return False
    return sum(test(*each) for each in shared) >= _SHARE * len(shared)


def _scale(pairs: Sequence[Pair], tolerance: float) -> float | None:
    """Return the factor of the stored weights; rounding to integers is allowed."""
    ratios = [
        pair.stored[term] / pair.expected[term]
        for pair in pairs
        for term in pair.expected.keys() & pair.stored.keys()
    ]
    if not ratios:
        return None
    middle = float(np.median(ratios))
    if abs(middle - 1) <= 4 * tolerance:
        return None
    is_scaled = _share(
        pairs,
        lambda expected, stored: (
            abs(stored - middle * expected)
            <= 4 * tolerance * middle * expected + (0.5 if middle > 1 else 0.0)
        ),
    )
    return middle if is_scaled else None


def _is_pruned(pairs: Sequence[Pair], tolerance: float) -> bool:
    """Return whether the stored terms are the largest expected ones, with their weights."""
    for pair in pairs:
        if not pair.stored or not pair.stored.keys() <= pair.expected.keys():
            return False
        kept = {term: pair.expected[term] for term in pair.stored}
        if not Pair("", kept, pair.stored).agrees(4 * tolerance):
            return False
        lost = [weight for term, weight in pair.expected.items() if term not in kept]
        if lost and max(lost) > min(kept.values()) * (1 + tolerance):
            return False
    return True


def _is_unpooled(pairs: Sequence[Pair], tolerance: float) -> bool:
    """Return whether stored weights are those of some positions: fewer terms, none heavier."""
    subset = [
        pair.stored.keys() <= pair.expected.keys()
        and all(
            weight <= pair.expected[term] * (1 + 4 * tolerance)
            for term, weight in pair.stored.items()
        )
        for pair in pairs
    ]
    fewer = float(np.mean([len(pair.stored) / max(1, len(pair.expected)) for pair in pairs]))
    return float(np.mean(subset)) >= _SHARE and fewer < _SHARE
