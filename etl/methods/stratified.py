"""Share and its variance from a stratified sample: the simple combined ratio estimator with design weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.methods.registry import method

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class StratifiedShare:
    """``share`` in 0-1, its ``variance``, the coefficient of variation ``cv`` (share of 0: nan), respondents ``n`` in the domain."""

    share: float
    variance: float
    cv: float
    n: int


@method("stratified.share")
def stratified_share(
    stratum: Sequence[str], weight: FloatArray, inside: BoolArray, of: BoolArray
) -> StratifiedShare:  # fmt: skip
    r"""Share of ``inside`` in the domain ``of``, with the linearised variance of the combined ratio.

    .. math:: \hat r = \frac{\sum_i w_i y_i}{\sum_i w_i x_i}, \qquad
              \hat V = \frac{1}{\hat X^2} \sum_h \Big(1 - \frac{n_h}{N_h}\Big) \frac{n_h}{n_h - 1}
              \sum_{i \in h} (z_i - \bar z_h)^2, \quad z_i = w_i (y_i - \hat r x_i)

    with :math:`N_h = \sum_{i \in h} w_i`. A stratum with one respondent is centred at zero, the mean of all :math:`z`:
    its contribution is over- rather than understated.

    Parameters
    ----------
    stratum, weight, inside, of
        One entry a respondent, those outside the domain too (they carry the variance of its size); ``inside`` counts only
        within ``of``.

    Raises
    ------
    ValueError
        For unequal lengths, weights below one, or a domain without a respondent.
    """
    if not len(stratum) == len(weight) == len(inside) == len(of):
        raise ValueError(f"unequal lengths: {len(stratum)}, {len(weight)}, {len(inside)}, {len(of)}")
    if weight.size and float(weight.min()) < 1:
        raise ValueError("a design weight is below 1; weights are numbers of units represented")
    if not of.any():
        raise ValueError("no respondent in the domain; there is nothing to estimate")
    x, y = of.astype(np.float64), (inside & of).astype(np.float64)
    size = float(weight @ x)
    share = float(weight @ y) / size
    z = weight * (y - share * x)
    _, index = np.unique(np.asarray(stratum, str), return_inverse=True)
    n = np.bincount(index).astype(np.float64)
    population = np.bincount(index, weights=weight)
    mean = np.where(n > 1, np.bincount(index, weights=z) / n, 0.0)
    squares = np.bincount(index, weights=(z - mean[index]) ** 2)
    spread = squares * np.where(n > 1, n / np.maximum(n - 1, 1), 1.0)
    variance = float(((1 - n / population) * spread).sum()) / size**2
    cv = float(np.sqrt(variance)) / share if share > 0 else float("nan")
    return StratifiedShare(share, variance, cv, int(of.sum()))
