"""Seeded synthetic enterprises for the benchmarks of disclosure control: industry × place × size, skewed revenue."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl

from etl.methods.disclosure.problem import Problem
from etl.methods.disclosure.problem_build import Source, from_microdata

SEED: Final = 20260401
IN_HOLDINGS: Final = 0.15
SOURCES: Final = (
    Source("industry", ("ind1", "ind2", "ind3")),
    Source("place", ("district", "street")),
    Source("size", ("size",)),
)


@dataclass(frozen=True)
class Shape:
    """Codes by level of industry (3) and place (2) below their totals, size classes, enterprises."""

    industry: tuple[int, int, int]
    place: tuple[int, int]
    sizes: int
    rows: int


#: 51 × 10 × 5 = 2,550; 59 × 51 × 5 = 15,045; 119 × 85 × 5 = 50,575 cells.
SHAPES: Final = {
    "S": Shape((5, 15, 30), (3, 6), 4, 4_000),
    "M": Shape((6, 16, 36), (10, 40), 4, 15_000),
    "L": Shape((8, 30, 80), (12, 72), 4, 40_000),
}


def _tree(random: np.random.Generator, counts: tuple[int, ...]) -> list[np.ndarray]:
    """Parent of every code of each level below the first: each parent gets one child at least."""
    parents = []
    for above, below in pairwise(counts):
        rest = random.choice(above, below - above)
        parents.append(np.sort(np.concatenate([np.arange(above), rest])))
    return parents


def _skewed(random: np.random.Generator, count: int) -> np.ndarray:
    weights = 1 / np.arange(1, count + 1) ** 0.8
    return random.permutation(weights / weights.sum())


def enterprises(shape: Shape, seed: int = SEED) -> pl.DataFrame:
    """One row an enterprise: codes of all levels, ``revenue`` (whole, lognormal, by size class) and ``holding``."""
    random = np.random.default_rng(seed)
    to_ind2, to_ind1 = _tree(random, shape.industry)[::-1]
    to_district = _tree(random, shape.place)[0]
    ind3 = random.choice(shape.industry[2], shape.rows, p=_skewed(random, shape.industry[2]))
    street = random.choice(shape.place[1], shape.rows, p=_skewed(random, shape.place[1]))
    share = np.array([0.55, 0.27, 0.13, 0.05])[: shape.sizes]
    size = random.choice(shape.sizes, shape.rows, p=share / share.sum())
    revenue = np.rint(np.exp(random.normal(3.0 + 1.6 * size, 1.1))).astype(np.int64) + 1
    held = random.random(shape.rows) < IN_HOLDINGS
    holding = random.integers(0, max(1, shape.rows * 3 // 100), shape.rows)
    ind2 = to_ind2[ind3]
    return pl.DataFrame(
        {
            "ind1": [f"A{c}" for c in to_ind1[ind2]],
            "ind2": [f"B{c}" for c in ind2],
            "ind3": [f"C{c}" for c in ind3],
            "district": [f"D{c}" for c in to_district[street]],
            "street": [f"E{c}" for c in street],
            "size": [f"S{c}" for c in size],
            "revenue": revenue,
            "holding": [
                f"H{h}" if inside else f"U{i}" for i, (h, inside) in enumerate(zip(holding, held, strict=True))
            ],
        }
    )


def table(shape: Shape, seed: int = SEED) -> Problem:
    """The three-dimensional table of revenue with all its totals."""
    return from_microdata(enterprises(shape, seed), SOURCES, "revenue", "holding")
