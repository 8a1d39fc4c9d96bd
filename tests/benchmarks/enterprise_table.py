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
LETTERS: Final = {"ind": ("A", "B", "C"), "place": ("D", "E")}


@dataclass(frozen=True)
class Shape:
    """Codes by level of industry and place below their totals, size classes, enterprises."""

    industry: tuple[int, ...]
    place: tuple[int, ...]
    sizes: int
    rows: int

    def sources(self) -> tuple[Source, ...]:
        """The three dimensions and the columns of their levels."""
        return (
            Source("industry", _columns("ind", len(self.industry))),
            Source("place", _columns("place", len(self.place))),
            Source("size", ("size",)),
        )


#: 51 × 10 × 5 = 2,550; 59 × 51 × 5 = 15,045; 119 × 85 × 5 = 50,575 cells. In S the total is the first level of each
#: dimension, as the field's tools count (industry 3, place 2); the others, D with the cells of S, have one level more.
SHAPES: Final = {
    "S": Shape((10, 40), (9,), 4, 4_000),
    "D": Shape((5, 15, 30), (3, 6), 4, 4_000),
    "M": Shape((6, 16, 36), (10, 40), 4, 15_000),
    "L": Shape((8, 30, 80), (12, 72), 4, 40_000),
}


def _columns(name: str, depth: int) -> tuple[str, ...]:
    return tuple(f"{name}{k + 1}" for k in range(depth))


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


def _codes(name: str, finest: np.ndarray, tree: list[np.ndarray]) -> dict[str, list[str]]:
    """The codes of all levels of a dimension, coarse to fine, one a row."""
    levels = [finest]
    for parents in tree[::-1]:
        levels.insert(0, parents[levels[0]])
    names = _columns(name, len(levels))
    letters = LETTERS[name][-len(levels) :]
    return {n: [f"{letter}{c}" for c in level] for n, letter, level in zip(names, letters, levels, strict=True)}


def enterprises(shape: Shape, seed: int = SEED) -> pl.DataFrame:
    """One row an enterprise: codes of all levels, ``revenue`` (whole, lognormal, by size class) and ``holding``."""
    random = np.random.default_rng(seed)
    industries, places = _tree(random, shape.industry), _tree(random, shape.place)
    industry = random.choice(shape.industry[-1], shape.rows, p=_skewed(random, shape.industry[-1]))
    place = random.choice(shape.place[-1], shape.rows, p=_skewed(random, shape.place[-1]))
    share = np.array([0.55, 0.27, 0.13, 0.05])[: shape.sizes]
    size = random.choice(shape.sizes, shape.rows, p=share / share.sum())
    revenue = np.rint(np.exp(random.normal(3.0 + 1.6 * size, 1.1))).astype(np.int64) + 1
    held = random.random(shape.rows) < IN_HOLDINGS
    holding = random.integers(0, max(1, shape.rows * 3 // 100), shape.rows)
    return pl.DataFrame(
        {
            **_codes("ind", industry, industries),
            **_codes("place", place, places),
            "size": [f"S{c}" for c in size],
            "revenue": revenue,
            "holding": [
                f"H{h}" if inside else f"U{i}" for i, (h, inside) in enumerate(zip(holding, held, strict=True))
            ],
        }
    )


def table(shape: Shape, seed: int = SEED) -> Problem:
    """The three-dimensional table of revenue with all its totals."""
    return from_microdata(enterprises(shape, seed), shape.sources(), "revenue", "holding")
