"""The sample behind an estimate: strata, population and sample sizes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class StratifiedSample:
    """Simple random sample without replacement in each stratum.

    ``labels`` the ``H`` strata that hold sampled units, sorted; ``code`` shape ``(n,)`` index of the stratum of each
    unit; ``size`` shape ``(H,)`` units of the population; ``count`` shape ``(H,)`` units of the sample.
    """

    labels: tuple[str, ...]
    code: IntArray
    size: FloatArray
    count: FloatArray

    @property
    def weight(self) -> FloatArray:
        """Design weight of each unit, ``N_h / n_h``, shape ``(n,)``."""
        return (self.size / self.count)[self.code]

    @property
    def fraction(self) -> FloatArray:
        """Sampling fraction of each stratum, shape ``(H,)``; 1 where all units are taken."""
        return self.count / self.size

    def sums(self, values: FloatArray) -> FloatArray:
        """Unweighted sums by stratum, shape ``(H,)``, of values of shape ``(n,)``."""
        return np.bincount(self.code, weights=values, minlength=len(self.labels)).astype(np.float64)


def stratified_sample(strata: Sequence[str], population: Mapping[str, float]) -> StratifiedSample:
    """The sample of units in ``strata`` (length ``n``) from a population with so many units in each stratum.

    Raises
    ------
    ValueError
        If a stratum of the population has no sampled unit (it cannot be estimated: join it to its neighbour), a sampled
        unit's stratum has no population size, or a sample is larger than its population.
    """
    labels, code, count = np.unique(np.asarray(strata, dtype=str), return_inverse=True, return_counts=True)
    names = tuple(str(label) for label in labels)
    unknown = [n for n in names if n not in population]
    if unknown:
        raise ValueError(f"stratum {unknown[0]} has sampled units but no population size; give its number of units")
    bare = sorted(str(h) for h, size in population.items() if size > 0 and h not in set(names))
    if bare:
        raise ValueError(
            f"stratum {bare[0]} has units but none in the sample; join it to a neighbour before estimating"
        )
    size = np.array([float(population[n]) for n in names])
    over = np.flatnonzero(count > size)
    if over.size:
        h = int(over[0])
        raise ValueError(f"stratum {names[h]} has {count[h]} sampled units but a population of {size[h]:g}")
    return StratifiedSample(names, code.astype(np.int64), size, count.astype(np.float64))


def known(name: str, values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """``values`` as floats of the expected shape without gaps.

    Raises
    ------
    ValueError
        If the shape differs or a value is missing: missing is not zero, impute or adjust weights first.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
    gaps = int(np.count_nonzero(~np.isfinite(array)))
    if gaps:
        raise ValueError(f"{name} has {gaps} missing values; impute them or adjust the weights for non-response before")
    return array
