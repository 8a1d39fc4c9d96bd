"""Variance of totals by Taylor linearisation: stratified, finite population, take-all strata contribute nothing."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from etl.methods.estimation.design import StratifiedSample, known
from etl.methods.estimation.estimate import Estimate
from etl.methods.registry import method

FloatArray = NDArray[np.float64]
Lonely = Literal["refuse", "centre"]


@dataclass(frozen=True)
class LinearisedVariance:
    """``variance`` of the total, by stratum ``(H,)``, effective ``degrees`` of freedom, ``skewness``."""

    variance: float
    by_stratum: FloatArray
    degrees: float
    skewness: float


@method("estimation.linearised_variance")
def linearised_variance(
    residual: FloatArray, weight: FloatArray, sample: StratifiedSample, *, lonely: Lonely = "refuse"
) -> LinearisedVariance:
    r"""Variance of :math:`\sum w_i e_i` under stratified simple random sampling without replacement.

    .. math:: \hat V = \sum_h \left(1 - \tfrac{n_h}{N_h}\right) \frac{n_h}{n_h - 1}
              \sum_{i \in h} (z_i - \bar z_h)^2, \qquad z_i = w_i e_i

    Parameters
    ----------
    residual
        Shape ``(n,)``: the study variable itself for an expansion estimator, otherwise its linearised variable.
    weight
        Shape ``(n,)``: the weights the estimate was made with (design, adjusted for non-response, calibrated).
    lonely
        What to do with a stratum of one sampled unit of several: ``refuse``, or ``centre`` it at the mean of all units
        (conservative).

    Returns
    -------
    LinearisedVariance
        ``degrees``: Satterthwaite, :math:`(\sum v_h)^2 / \sum v_h^2 / (n_h - 1)` (Cochran 1977, 5.16); ``skewness``:
        :math:`\kappa_3 / \hat V^{3/2}` with :math:`\kappa_3 = \sum_h (1 - f_h)(1 - 2 f_h) \frac{n_h^2}{(n_h-1)(n_h-2)}
        \sum (z_i - \bar z_h)^3`.

    Raises
    ------
    ValueError
        If shapes disagree, values are missing, or a stratum has one sampled unit and ``lonely`` is ``refuse``.
    """
    shape = sample.code.shape
    z = known("weight", weight, shape) * known("residual", residual, shape)
    count, rest = sample.count, 1 - sample.fraction
    alone = (count == 1) & (rest > 0)
    if alone.any() and lonely == "refuse":
        name = sample.labels[int(np.flatnonzero(alone)[0])]
        raise ValueError(f"stratum {name} has one sampled unit of several: no variance; join it to a neighbour")
    middle = np.where(alone, z.mean(), sample.sums(z) / count)
    deviation = z - middle[sample.code]
    spread = np.where(alone, 1.0, count / np.maximum(count - 1, 1))
    by_stratum = rest * spread * sample.sums(deviation**2)
    variance = float(by_stratum.sum())
    return LinearisedVariance(variance, by_stratum, _degrees(by_stratum, count), _skewness(deviation, sample, variance))


def _degrees(by_stratum: FloatArray, count: FloatArray) -> float:
    below = float((by_stratum**2 / np.maximum(count - 1, 1)).sum())
    return float(by_stratum.sum()) ** 2 / below if below > 0 else math.inf


def _skewness(deviation: FloatArray, sample: StratifiedSample, variance: float) -> float:
    count, fraction = sample.count, sample.fraction
    enough = count >= 3
    spread = np.where(enough, count**2 / np.maximum((count - 1) * (count - 2), 1), 0.0)
    third = float(((1 - fraction) * (1 - 2 * fraction) * spread * sample.sums(deviation**3)).sum())
    return third / variance**1.5 if variance > 0 else 0.0


@method("estimation.calibrated_total")
def calibrated_total(
    y: FloatArray,
    x: FloatArray,
    weight: FloatArray,
    calibrated: FloatArray,
    sample: StratifiedSample,
    *,
    lonely: Lonely = "refuse",
) -> Estimate:
    r"""Total with calibrated weights and its variance by residuals (Deville & Särndal 1992, g-weighted).

    .. math:: \hat Y = \sum w_i y_i, \qquad e_i = y_i - x_i^\top \hat B, \qquad
              \hat B = \Big(\sum d_i x_i x_i^\top\Big)^{-1} \sum d_i x_i y_i

    and :math:`\hat V` is :func:`linearised_variance` of :math:`e` with the calibrated weights. All calibration
    estimators share it asymptotically.

    Parameters
    ----------
    y, weight, calibrated
        Shape ``(n,)``: study variable (times the domain's indicator for a domain), weights before and after
        calibration.
    x
        Shape ``(n, k)``: the calibration variables.
    """
    values = known("y", y, sample.code.shape)
    residual = values - regression_fit(values, x, weight)
    found = linearised_variance(residual, calibrated, sample, lonely=lonely)
    total = float(calibrated @ values)
    return Estimate(total, found.variance, found.degrees, len(values), "calibrated", found.skewness)


def regression_fit(y: FloatArray, x: FloatArray, weight: FloatArray) -> FloatArray:
    """Weighted least-squares fit of ``y`` on ``x`` (no intercept added), ``(n,)``; redundant columns are harmless."""
    scale = np.sqrt(weight)
    coefficient, *_ = np.linalg.lstsq(x * scale[:, None], y * scale, rcond=None)
    return np.asarray(x @ coefficient)
