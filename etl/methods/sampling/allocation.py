"""How many units to ask in each stratum."""

import heapq
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.methods.registry import method

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Allocation:
    """``size`` of the sample by stratum, shape ``(H,)``; the expected ``variance`` of the total it gives."""

    size: IntArray
    variance: float

    @property
    def total(self) -> int:
        """Units asked in all."""
        return int(self.size.sum())


def stratified_total_variance(units: FloatArray, deviation: FloatArray, size: FloatArray) -> float:
    r"""Variance of the expansion total, :math:`\sum N_h^2 (1/n_h - 1/N_h) S_h^2`; empty strata contribute nothing."""
    live = units > 0
    n, s, k = units[live], deviation[live], size[live]
    return float((n**2 * (1 / k - 1 / n) * s**2).sum())


@method("sampling.neyman_allocation")
def neyman_allocation(
    units: FloatArray,
    deviation: FloatArray,
    total: int,
    *,
    minimum: int = 2,
    take_all: NDArray[np.bool_] | None = None,
) -> Allocation:
    r"""Whole-number allocation of ``total`` units with the smallest variance of the expansion total.

    Neyman (1934): :math:`n_h \propto N_h S_h`. Here the optimum over whole numbers with
    :math:`\min(m, N_h) \le n_h \le N_h` is found exactly by priority values (Wright 2012):
    each next unit goes to the stratum with the largest :math:`N_h S_h / \sqrt{n_h (n_h + 1)}` that still has one to
    give.

    Parameters
    ----------
    units, deviation
        Shape ``(H,)``: population units :math:`N_h` and standard deviations :math:`S_h` of a size variable.
    total
        Units to be asked in all, take-all strata included.
    minimum
        At least so many in each stratum (or all of a smaller one); 2 allow a variance.
    take_all
        Shape ``(H,)``: strata of which every unit is asked.

    Raises
    ------
    ValueError
        If shapes differ, numbers are missing or negative, or ``total`` is below the minima or above the population.
    """
    size, scale = np.asarray(units, dtype=np.float64), np.asarray(deviation, dtype=np.float64)
    if size.shape != scale.shape or not (size >= 0).all() or not (scale >= 0).all() or (size % 1).any():
        raise ValueError("units and deviations have to be known, not negative and one of each for every stratum")
    every = np.zeros(size.shape, dtype=bool) if take_all is None else np.asarray(take_all, dtype=bool)
    low = np.where(every, size, np.minimum(minimum, size)).astype(np.int64)
    if not low.sum() <= total <= size.sum():
        raise ValueError(
            f"{total} units cannot be allocated: minima and take-all strata need {low.sum()}, "
            f"the population has {size.sum():.0f}"
        )
    given = low.copy()
    heap = [(-_priority(size[h] * scale[h], int(given[h])), h) for h in range(len(size)) if given[h] < size[h]]
    heapq.heapify(heap)
    for _ in range(total - int(given.sum())):
        _, h = heapq.heappop(heap)
        given[h] += 1
        if given[h] < size[h]:
            heapq.heappush(heap, (-_priority(size[h] * scale[h], int(given[h])), h))
    bare = (given == 0) & (size > 0)
    return Allocation(
        given, math.inf if bare.any() else stratified_total_variance(size, scale, given.astype(np.float64))
    )


def _priority(weight: float, given: int) -> float:
    return weight / math.sqrt(given * (given + 1)) if given else math.inf


@method("sampling.size_for_cv")
def size_for_cv(
    units: FloatArray,
    deviation: FloatArray,
    expected_total: float,
    cv: float,
    *,
    minimum: int = 2,
    take_all: NDArray[np.bool_] | None = None,
) -> Allocation:
    """The smallest Neyman allocation whose expansion total has at most this coefficient of variation (0.03 is 3 %).

    Found by bisection on the exact allocation; the whole population always suffices.

    Raises
    ------
    ValueError
        If the expected total or the coefficient is not positive, or as in :func:`neyman_allocation`.
    """
    if not expected_total > 0 or not cv > 0:
        raise ValueError(f"expected total {expected_total} and coefficient of variation {cv} have to be positive")
    limit = (cv * expected_total) ** 2
    size = np.asarray(units, dtype=np.float64)
    every = np.zeros(size.shape, dtype=bool) if take_all is None else np.asarray(take_all, dtype=bool)
    low, high = int(np.where(every, size, np.minimum(minimum, size)).sum()), int(size.sum())
    while low < high:
        middle = (low + high) // 2
        found = neyman_allocation(size, deviation, middle, minimum=minimum, take_all=every)
        low, high = (low, middle) if found.variance <= limit else (middle + 1, high)
    return neyman_allocation(size, deviation, low, minimum=minimum, take_all=every)


@method("sampling.take_all_boundary")
def take_all_boundary(sizes: FloatArray, cv: float) -> tuple[float, int]:
    r"""Boundary of the take-all stratum that needs the fewest units for a given coefficient of variation.

    With the :math:`t` largest units taken and a simple random sample of the rest (Hidiroglou 1986)

    .. math:: n(t) = t + \frac{(N-t)^2 S_{N-t}^2}{c^2 Y^2 + (N-t) S_{N-t}^2}

    and the smallest :math:`n(t)` is found over all :math:`t`.

    Parameters
    ----------
    sizes
        Shape ``(N,)``: a size variable of every unit, not negative.
    cv
        Coefficient of variation asked of the total (0.05 is 5 %).

    Returns
    -------
    tuple
        Smallest size of a unit that is taken (``inf`` where none is), and the number of units to be asked in all.

    Raises
    ------
    ValueError
        If sizes are missing, negative or all zero, or the coefficient is not positive.
    """
    x = np.sort(np.asarray(sizes, dtype=np.float64))
    if not (x >= 0).all() or x.sum() <= 0 or not cv > 0:
        raise ValueError("sizes have to be known, not negative and not all zero; the coefficient positive")
    rest = np.arange(1, len(x) + 1, dtype=np.float64)
    mean = np.cumsum(x) / rest
    square = np.maximum(np.cumsum(x**2) - rest * mean**2, 0) / np.maximum(rest - 1, 1)
    needed = (len(x) - rest) + np.ceil(rest**2 * square / ((cv * x.sum()) ** 2 + rest * square) - 1e-9)
    best = int(len(x) - 1 - np.argmin(needed[::-1]))
    boundary = float(x[best + 1]) if best + 1 < len(x) else math.inf
    return boundary, max(int(needed[best]), 1)
