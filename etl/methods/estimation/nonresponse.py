"""Total after an adjustment for non-response, with the variance of both phases: selection and response."""

import math

import numpy as np
from numpy.typing import NDArray

from etl.methods.estimation.design import StratifiedSample, known
from etl.methods.estimation.estimate import Estimate
from etl.methods.estimation.variance import Lonely
from etl.methods.registry import method

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@method("estimation.nonresponse_total")
def nonresponse_total(
    y: FloatArray,
    weight: FloatArray,
    answered: NDArray[np.bool_],
    group: IntArray,
    sample: StratifiedSample,
    *,
    lonely: Lonely = "refuse",
) -> Estimate:
    r"""Total :math:`\sum_r w_i y_i` over those who answered; response is a second phase of sampling in each group.

    .. math:: \hat V = \sum_h N_h^2 \Big(\frac{1}{n_h} - \frac{1}{N_h}\Big) \hat S_h^2
              + \sum_g \Big(1 - \frac{m_g}{n_g}\Big) \frac{m_g}{m_g - 1} \sum_{i \in r_g} (w_i y_i - \overline{wy}_g)^2

    :math:`n_g` asked and :math:`m_g` answering units of a response group within a stratum, :math:`\hat S_h^2` from the
    answering units, each standing for :math:`n_g / m_g` (Särndal, Swensson & Wretman 1992, ch. 15).

    Parameters
    ----------
    y
        Shape ``(n,)`` of all asked units; ``nan`` where not answered, 0 for units found ineligible.
    weight
        Shape ``(n,)``: adjusted weights (``NonresponseAdjustment.weight``).
    answered
        Shape ``(n,)``: respondents and units found ineligible.
    group
        Shape ``(n,)``: response groups (``NonresponseAdjustment.group``); groups that cross strata are cut at them.
    sample
        All asked units.
    lonely
        What to do with a sampled stratum in which fewer than two units answered: ``refuse``, or give it the pooled
        variance of the others (``centre``; conservative where small units are thin).

    Raises
    ------
    ValueError
        If a value of an answering unit is missing, shapes differ, or fewer than two units of a sampled stratum answered
        and ``lonely`` is ``refuse``.
    """
    shape = sample.code.shape
    if np.shape(answered) != shape or np.shape(group) != shape or np.shape(weight) != shape or np.shape(y) != shape:
        raise ValueError(f"y, weight, answered and group need one entry for each of {shape[0]} asked units")
    value = known("y of answering units", np.asarray(y)[answered], (int(np.count_nonzero(answered)),))
    w, code = np.asarray(weight, dtype=np.float64)[answered], sample.code[answered]
    _, cell = np.unique(np.stack([sample.code, group]), axis=1, return_inverse=True)
    cell = cell.reshape(-1)
    asked = np.bincount(cell).astype(np.float64)
    came = np.bincount(cell[answered], minlength=len(asked)).astype(np.float64)
    stands_for = (asked / np.maximum(came, 1))[cell[answered]]
    deviation, middle = _stratum_variance(value, stands_for, code, sample, lonely)
    first = sample.size**2 * (1 / sample.count - 1 / sample.size) * deviation
    z = w * value
    alone = came == 1
    mean = np.bincount(cell[answered], weights=z, minlength=len(asked)) / np.maximum(came, 1)
    centre = np.where(alone[cell[answered]], w * middle[code], mean[cell[answered]])
    spread = np.where(alone, 1.0, came / np.maximum(came - 1, 1)) * (1 - came / asked)
    second = np.bincount(code, weights=spread[cell[answered]] * (z - centre) ** 2, minlength=len(sample.labels))
    by_stratum = first + second
    number = np.bincount(code, minlength=len(sample.labels))
    below = float((by_stratum**2 / np.maximum(number - 1, 1)).sum())
    variance = float(by_stratum.sum())
    degrees = variance**2 / below if below > 0 else math.inf
    return Estimate(float(z.sum()), variance, degrees, len(value), "nonresponse")


def _stratum_variance(
    value: FloatArray, stands_for: FloatArray, code: IntArray, sample: StratifiedSample, lonely: Lonely
) -> tuple[FloatArray, FloatArray]:
    """Variance and mean of the values of each stratum, estimated from those who answered."""
    strata = len(sample.labels)
    number = np.bincount(code, minlength=strata)
    thin = (number < 2) & (sample.size > 1)
    if thin.any() and (lonely == "refuse" or thin.all()):
        name = sample.labels[int(np.flatnonzero(thin)[0])]
        raise ValueError(f"stratum {name}: fewer than two units answered; join it to a neighbour")
    weight = np.bincount(code, weights=stands_for, minlength=strata)
    mean = np.bincount(code, weights=stands_for * value, minlength=strata) / np.maximum(weight, 1e-300)
    square = np.bincount(code, weights=stands_for * (value - mean[code]) ** 2, minlength=strata)
    variance = square / np.maximum(weight, 1e-300) * number / np.maximum(number - 1, 1)
    if thin.any():
        variance[thin] = np.average(variance[~thin], weights=np.maximum(number[~thin] - 1, 1))
    return variance, mean
