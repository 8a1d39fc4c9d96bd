"""Ratios carried from respondents to non-respondents of the same stratum."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.methods.registry import method

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class StratumRatio:
    """Ratio for every unit, and where it came from.

    ``ratio`` shape ``(n,)``, ``nan`` where no level had enough respondents; ``level`` shape ``(n,)``, the index of
    the stratification used (0 is the finest; -1 where none); ``respondents`` shape ``(n,)``, respondents behind it.
    """

    ratio: FloatArray
    level: NDArray[np.int64]
    respondents: NDArray[np.int64]


@method("stratum.ratio")
def ratio_by_strata(
    numerator: FloatArray,
    denominator: FloatArray,
    strata: Sequence[Sequence[str]],
    *,
    min_respondents: int = 10,
) -> StratumRatio:
    r"""Ratio of respondent totals in the finest stratum that holds enough respondents (比率插补).

    .. math:: \hat r_h = \sum_{i \in R_h} y_i \Big/ \sum_{i \in R_h} x_i

    With ``denominator`` all ones and a 0/1 ``numerator`` it is the post-stratified rate that corrects a classifier's
    count: the calibration estimator of Kloos et al. (2020), strata being bands of the predicted probability.

    Parameters
    ----------
    numerator, denominator
        Shape ``(n,)``; ``nan`` in either marks a unit that did not respond. Same order, any one unit of measure.
    strata
        Stratum labels from the finest to the coarsest, each of length ``n``; a unit falls back to the next level
        while its stratum has fewer than ``min_respondents`` respondents or a denominator total that is not positive.
    min_respondents
        Smallest number of respondents a ratio may rest on.

    Raises
    ------
    ValueError
        If the lengths differ or no stratification is given.
    """
    n = numerator.shape[0]
    if denominator.shape != (n,) or not strata or any(len(level) != n for level in strata):
        raise ValueError(f"numerator, denominator and every stratification need the same length ({n}) and one level")
    responded = ~(np.isnan(numerator) | np.isnan(denominator))
    ratio = np.full(n, np.nan)
    level_used = np.full(n, -1, dtype=np.int64)
    respondents = np.zeros(n, dtype=np.int64)
    for level, labels in enumerate(strata):
        open_units = np.isnan(ratio)
        if not open_units.any():
            break
        names, code = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
        # Added up in the order of the rows: the same to the last bit whatever runs in parallel.
        y, x, count = (
            np.bincount(code[responded], weights=w[responded], minlength=names.size)
            for w in (numerator, denominator, np.ones(n))
        )
        enough = (count >= min_respondents) & (x > 0)
        values = np.divide(y, x, out=np.full(names.size, np.nan), where=enough)
        found = open_units & enough[code]
        ratio[found] = values[code][found]
        level_used[found] = level
        respondents[found] = count[code][found].astype(np.int64)
    return StratumRatio(ratio, level_used, respondents)
