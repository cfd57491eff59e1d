"""Golden pairs: texts with their vectors, to check a runtime against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lexpand.encode.contract import Role

Weigh = Callable[[Role, str], Mapping[int, float]]
"""Returns the weights of a text that are above zero, by term."""

_LONG_TEXT = " ".join(
    f"Step {step}: open valve {step}, wait until the gauge shows {step * 7} degrees, "
    "then write the reading into the log book and tell the engineer on duty if the pump makes a "
    "noise."
    for step in range(1, 31)
)

GOLDEN_TEXTS = [
    (Role.QUERY, "automobile accident injury"),
    (Role.QUERY, "reset my login"),
    (Role.QUERY, "heart"),
    (Role.QUERY, "Is café Zürich open at 7:30 p.m. on Sundays?"),
    (
        Role.DOCUMENT,
        "Account recovery. If you have forgotten your password, open the sign-in page and choose "
        "'I cannot get in'. We send a code to your phone; it is valid for ten minutes.",
    ),
    (
        Role.DOCUMENT,
        "Ünïcödé: 東京の天気 ☂ naïve façade, Ελλάδα, Привет мир, "
        "e\u0301le\u0300ve, \u200b👩‍🔬 ½ ﬁne",
    ),
    (Role.DOCUMENT, "x = [i**2 for i in range(10)]  # squares; see RFC-2119 & ISO/IEC 8859-1"),
    (Role.DOCUMENT, _LONG_TEXT),
]


def make_golden(weigh: Weigh) -> list[dict[str, Any]]:
    """Return the golden pairs for the contract.

    Weights have nine significant digits, which restore a float32 exactly.
    """
    pairs = []
    for role, text in GOLDEN_TEXTS:
        weights = dict(sorted(weigh(role, text).items()))
        digits = [float(f"{weight:.9g}") for weight in weights.values()]
        pairs.append({"role": role.value, "text": text, "terms": list(weights), "weights": digits})
    return pairs
