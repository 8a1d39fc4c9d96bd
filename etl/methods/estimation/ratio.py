"""Ratio estimators of a total (separate, combined, by group of strata) and of a ratio of two totals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.methods.estimation.design import StratifiedSample, known
from etl.methods.estimation.estimate import Estimate
from etl.methods.estimation.variance import Lonely, linearised_variance
from etl.methods.registry import method

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class RatioTotal:
    """``estimate`` of the total; by group: ``ratio`` of the totals and ``factor`` (g-weight), shape ``(G,)``."""

    estimate: Estimate
    groups: tuple[str, ...]
    ratio: FloatArray
    factor: FloatArray


@method("estimation.ratio_total")
def ratio_total(
    y: FloatArray,
    x: FloatArray,
    sample: StratifiedSample,
    totals: Mapping[str, float],
    groups: Sequence[str] | None = None,
    *,
    weight: FloatArray | None = None,
    g_weighted: bool = True,
    lonely: Lonely = "refuse",
) -> RatioTotal:
    r"""Total by ratio to an auxiliary variable whose total is known for each group.

    .. math:: \hat Y = \sum_g X_g \hat R_g, \qquad \hat R_g = \frac{\sum_{i \in g} w_i y_i}{\sum_{i \in g} w_i x_i},
              \qquad g_i = X_g \Big/ \sum_{i \in g} w_i x_i

    A group that is one stratum gives the separate, a group of several the combined ratio estimator.

    Parameters
    ----------
    y, x
        Shape ``(n,)``: study variable and auxiliary, no gaps.
    totals
        Population total of ``x`` by group.
    groups
        Group of each unit, length ``n``; default: the strata (separate ratio). No stratum may lie in two groups.
    g_weighted
        Residuals of the variance are multiplied by ``g`` (Särndal, Swensson & Wretman 1992); without it the formulae of
        Cochran (1977, ch. 6).

    Raises
    ------
    ValueError
        If values are missing, a stratum lies in two groups, a group's known or estimated total of ``x`` is not
        positive.
    """
    shape = sample.code.shape
    y, x = known("y", y, shape), known("x", x, shape)
    w = sample.weight if weight is None else known("weight", weight, shape)
    names, code = _groups(sample, groups)
    target, below = _known_totals(names, totals), np.bincount(code, weights=w * x)
    if (below <= 0).any():
        bad = names[int(np.flatnonzero(below <= 0)[0])]
        raise ValueError(f"group {bad}: the sample's total of the auxiliary is not positive; no ratio can be formed")
    ratio, factor = np.bincount(code, weights=w * y) / below, target / below
    residual = y - ratio[code] * x
    used = w * factor[code] if g_weighted else w
    found = linearised_variance(residual, used, sample, lonely=lonely)
    kind = "separate_ratio" if len(names) == len(sample.labels) else "combined_ratio"
    value = float(target @ ratio)
    estimate = Estimate(value, found.variance, found.degrees, len(y), kind, found.skewness)
    return RatioTotal(estimate, names, ratio, factor)


@method("estimation.ratio")
def ratio(
    y: FloatArray,
    x: FloatArray,
    sample: StratifiedSample,
    *,
    weight: FloatArray | None = None,
    lonely: Lonely = "refuse",
) -> Estimate:
    r"""Ratio of two totals :math:`\hat R = \hat Y / \hat X` with :math:`e_i = (y_i - \hat R x_i) / \hat X`."""
    shape = sample.code.shape
    y, x = known("y", y, shape), known("x", x, shape)
    w = sample.weight if weight is None else known("weight", weight, shape)
    below = float(w @ x)
    if below <= 0:
        raise ValueError("the estimated total of the denominator is not positive; no ratio can be formed")
    value = float(w @ y) / below
    found = linearised_variance((y - value * x) / below, w, sample, lonely=lonely)
    return Estimate(value, found.variance, found.degrees, len(y), "ratio", found.skewness)


def _groups(sample: StratifiedSample, groups: Sequence[str] | None) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    if groups is None:
        return sample.labels, sample.code
    names, code = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    if code.shape != sample.code.shape:
        raise ValueError(f"groups have length {code.size}, expected {sample.code.size}")
    first = np.zeros(len(sample.labels), dtype=np.int64)
    first[sample.code] = code
    split = np.flatnonzero(first[sample.code] != code)
    if split.size:
        raise ValueError(
            f"stratum {sample.labels[sample.code[split[0]]]} lies in two groups; a group is made of strata"
        )
    return tuple(str(n) for n in names), code.astype(np.int64)


def _known_totals(names: tuple[str, ...], totals: Mapping[str, float]) -> FloatArray:
    missing = [n for n in names if n not in totals]
    if missing:
        raise ValueError(f"group {missing[0]} has no known total of the auxiliary")
    extra = sorted(set(totals) - set(names))
    if extra and any(totals[e] != 0 for e in extra):
        raise ValueError(f"group {extra[0]} has a known total but no sampled unit; join it to a neighbour")
    bad = next((n for n in names if not totals[n] > 0), None)
    if bad is not None:
        raise ValueError(
            f"group {bad}: the known total of the auxiliary is {totals[bad]:g}; a positive one is expected"
        )
    return np.array([float(totals[n]) for n in names])
