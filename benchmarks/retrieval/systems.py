"""The systems that are measured, with the settings that their documentation recommends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from retrieval.points import Settings

EFFORTS = (
    0.02,
    0.03,
    0.05,
    0.07,
    0.1,
    0.12,
    0.15,
    0.2,
    0.25,
    0.3,
    0.35,
    0.4,
    0.5,
    0.6,
    0.7,
    0.8,
    0.9,
    1.0,
)
_CUTS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 50)
_FACTORS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.4)

Ladder = Sequence[Settings]
"""Settings from the fastest to the most thorough."""


@dataclass(frozen=True, eq=False)
class System:
    """A search system.

    Attributes:
        name: the name in tables.
        module: the module in peers/.
        kept: the precision of the stored weights.
        build: settings of the index.
        search: settings of a search, if none are tuned.
        ladders: the settings that tuning tries; empty for a system without a knob.
        sweep: the settings of the curve in the plot.
        batch: whether it is measured on several threads.
    """

    name: str
    module: str
    kept: str
    build: Settings = field(default_factory=dict)
    search: Settings = field(default_factory=dict)
    ladders: Sequence[Ladder] = ()
    sweep: Ladder = ()
    batch: bool = True


LEXPAND = System(
    name="Lexpand",
    module="lexpand",
    kept="u16 times a scale",
    build={"commit_every": 1_000_000},
    search={"effort": 1.0},
    # The second ladder is the exact search, because reading less is not always faster.
    ladders=([{"effort": effort} for effort in EFFORTS], [{"effort": 1.0}]),
    sweep=[{"effort": effort} for effort in EFFORTS],
)

SEISMIC = System(
    name="Seismic",
    module="seismic",
    kept="float16",
    # The best of nine settings tried: the defaults of its package, those of docs/Guidelines.md, and
    # those of experiments/best_configs. These are for splade-cocondenser 1.5/99.
    build={
        "n_postings": 3000,
        "centroid_fraction": 0.1,
        "summary_energy": 0.4,
        "max_fraction": 6.0,
        "min_cluster_size": 10,
    },
    # docs/Guidelines.md: query_cut about 10, heap_factor from 0.7 to 1, unsorted for effectiveness.
    search={"query_cut": 10, "heap_factor": 0.8, "sorted": True},
    ladders=[
        [{"query_cut": cut, "heap_factor": factor, "sorted": in_order} for cut in _CUTS]
        for in_order in (True, False)
        for factor in _FACTORS
    ],
    sweep=[{"query_cut": cut, "heap_factor": 0.9, "sorted": True} for cut in _CUTS],
)

OTHERS = (
    System("splade-index", "splade_index", "float32"),
    System(
        "bmp", "bmp", "8 bits", {"bsize": 32, "compress_range": False}, {"alpha": 1.0, "beta": 1.0}
    ),
    System("qdrant-edge", "qdrant", "float32"),
    System("Lucene", "lucene", "hundredths", batch=False),
)

PEERS = (SEISMIC, *OTHERS)
