"""Has the population moved since the gold sample was drawn? A test on the shares of the strata."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from etl.methods.registry import method

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class ShiftTest:
    """Result of :func:`shift_test`.

    ``statistic``, ``dof``, ``p_value`` of the chi-square test; ``distance``, the share of units that would have to
    change stratum (total variation) divided by the share of the units predicted AI then; ``rejected``.
    """

    statistic: float
    dof: int
    p_value: float
    distance: float
    rejected: bool


@method("misclassification.shift")
def shift_test(
    then: IntArray, now: IntArray, *, ai: NDArray[np.bool_], alpha: float = 0.01, tolerance: float = 0.0
) -> ShiftTest:
    r"""Chi-square test that the strata (predicted class by band) had the same shares then and now.

    .. math:: X^2 = \sum_{t} \sum_h \frac{(N_{th} - N_{t+} N_{+h} / N_{++})^2}{N_{t+} N_{+h} / N_{++}}

    Strata with an expected count below 5 in either period are pooled. Units present in both periods make the two
    frames more alike than independent ones, so that the test rejects no more often than ``alpha``.

    Parameters
    ----------
    then, now
        Shape ``(H,)``, units of each stratum in the frame of the gold sample and in the current frame.
    ai
        Shape ``(H,)``, strata predicted AI (the scale of ``distance``).
    alpha
        Level of the test; it rejects where ``p_value < alpha`` and ``distance > tolerance``.
    tolerance
        Change too small to matter, in the unit of ``distance``: in a frame of millions any change is significant.

    Raises
    ------
    ValueError
        If the shapes differ or one of the frames is empty.
    """
    if then.shape != now.shape or ai.shape != then.shape or then.sum() <= 0 or now.sum() <= 0:
        raise ValueError(
            f"shift_test: then {then.shape}, now {now.shape}: expected the same strata, with units in both"
        )
    table = np.stack([then, now]).astype(np.float64)
    share = table / table.sum(axis=1, keepdims=True)
    distance = float(np.abs(share[0] - share[1]).sum() / 2 / max(float(share[0][ai].sum()), 1.0 / table[0].sum()))
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    small = expected.min(axis=0) < 5
    if small.any():
        table, expected = (np.column_stack([part[:, ~small], part[:, small].sum(axis=1)]) for part in (table, expected))
    used = expected.min(axis=0) > 0
    statistic = float(((table - expected)[:, used] ** 2 / expected[:, used]).sum())
    dof = max(int(used.sum()) - 1, 1)
    p_value = float(chi2.sf(statistic, dof))
    return ShiftTest(statistic, dof, p_value, distance, p_value < alpha and distance > tolerance)
