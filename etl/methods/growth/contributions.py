"""Contributions of the parts of a total to its growth; they add up to it."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.methods.growth.yoy import Growth, yoy
from etl.methods.registry import method

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Contributions:
    """``points`` shape ``(n,)``, percentage points of the total's growth; ``share`` shape ``(n,)``, of its change.

    ``total`` is the growth of the total; where it has none, ``points`` are ``nan``. ``share`` is ``nan`` where the
    total did not change.
    """

    points: FloatArray
    share: FloatArray
    total: Growth


def _total(terms: FloatArray) -> float:
    """Their sum; 0 where it is no larger than what the decimals of the terms lose in binary (0.1 + 0.2 - 0.3)."""
    total = math.fsum(terms)
    return total if abs(total) > np.finfo(np.float64).eps * math.fsum(np.abs(terms)) else 0.0


@method("growth.contributions")
def contributions(value: FloatArray, value_prev: FloatArray) -> Contributions:
    r"""Contribution of part i, :math:`100 (x_{i,t} - x_{i,t-1}) / \sum_j x_{j,t-1}` percentage points (拉动).

    Parameters
    ----------
    value, value_prev
        Shape ``(n,)``: the disjoint parts of one total in both periods, same unit and prices; a part that was not
        there is 0. Their signs may differ, the total of the base must be positive.

    Raises
    ------
    ValueError
        If the lengths differ or a value is missing (impute it first; missing is not zero).
    """
    if value.shape != value_prev.shape:
        raise ValueError(f"value and value_prev need the same length; {value.shape[0]} and {value_prev.shape[0]}")
    if not (np.isfinite(value).all() and np.isfinite(value_prev).all()):
        raise ValueError("a part is missing in one period; a total needs all its parts, impute or leave both out")
    base, change = _total(value_prev), value - value_prev
    total = yoy(math.fsum(value), base)
    whole = _total(np.concatenate([value, -value_prev]))
    points = 100.0 * change / base if total.ratio is not None else np.full(value.shape, np.nan)
    share = change / whole if whole != 0 else np.full(value.shape, np.nan)
    return Contributions(points, share, total)
