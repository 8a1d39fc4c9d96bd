"""Expansion (Horvitz-Thompson) estimator of a total."""

import numpy as np
from numpy.typing import NDArray

from etl.methods.estimation.design import StratifiedSample, known
from etl.methods.estimation.estimate import Estimate
from etl.methods.estimation.variance import Lonely, linearised_variance
from etl.methods.registry import method

FloatArray = NDArray[np.float64]


@method("estimation.expansion_total")
def expansion_total(
    y: FloatArray, sample: StratifiedSample, *, weight: FloatArray | None = None, lonely: Lonely = "refuse"
) -> Estimate:
    r"""Total :math:`\hat Y = \sum w_i y_i`.

    Parameters
    ----------
    y
        Shape ``(n,)``, any unit of measure, no gaps.
    weight
        Shape ``(n,)``; default ``N_h / n_h``. Weights adjusted for deaths or non-response go here; the variance takes
        respondents as a simple random sample of their stratum.

    Raises
    ------
    ValueError
        If values are missing or a stratum has one sampled unit of several (see ``lonely``).
    """
    values = known("y", y, sample.code.shape)
    used = sample.weight if weight is None else known("weight", weight, sample.code.shape)
    found = linearised_variance(values, used, sample, lonely=lonely)
    return Estimate(float(used @ values), found.variance, found.degrees, len(values), "expansion", found.skewness)
