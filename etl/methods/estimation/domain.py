"""Domains: totals and means of parts of the population that are not strata."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.methods.estimation.design import StratifiedSample, known
from etl.methods.estimation.estimate import Estimate
from etl.methods.estimation.variance import Lonely, linearised_variance, regression_fit
from etl.methods.registry import method

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class DomainEstimate:
    """Total and mean of one domain; ``units`` of each is the number of sampled units of the domain."""

    domain: str
    total: Estimate
    mean: Estimate


@method("estimation.domains")
def domain_estimates(
    y: FloatArray,
    domains: Sequence[str],
    sample: StratifiedSample,
    *,
    weight: FloatArray | None = None,
    auxiliary: FloatArray | None = None,
    lonely: Lonely = "refuse",
) -> tuple[DomainEstimate, ...]:
    r"""Totals and means of every domain, sorted by name; totals add to the total of all units.

    .. math:: \hat Y_D = \sum_{i \in D} w_i y_i, \quad e_i = \delta_i y_i; \qquad
              \bar y_D = \hat Y_D / \hat N_D, \quad e_i = \delta_i (y_i - \bar y_D) / \hat N_D

    Units outside the domain count with 0 in the variance: the number of domain units in the sample is random.

    Parameters
    ----------
    y
        Shape ``(n,)``; ``domains`` of length ``n``; ``weight`` default ``N_h / n_h``.
    auxiliary
        Shape ``(n, k)``: variables the weights were calibrated to; residuals are then taken from the regression on
        them.

    Raises
    ------
    ValueError
        If values are missing or lengths differ.
    """
    shape = sample.code.shape
    y = known("y", y, shape)
    w = sample.weight if weight is None else known("weight", weight, shape)
    labels, code = np.unique(np.asarray(domains, dtype=str), return_inverse=True)
    if code.shape != shape:
        raise ValueError(f"domains have length {code.size}, expected {shape[0]}")
    found = []
    for place, label in enumerate(labels):
        inside = (code == place).astype(np.float64)
        units, size = int(inside.sum()), float(w @ inside)
        value = float(w @ (inside * y))
        total = _estimate(value, inside * y, w, auxiliary, sample, units, "domain_total", lonely)
        mean = value / size
        lin = inside * (y - mean) / size
        found.append(
            DomainEstimate(str(label), total, _estimate(mean, lin, w, auxiliary, sample, units, "domain_mean", lonely))
        )
    return tuple(found)


def _estimate(
    value: float,
    variable: FloatArray,
    weight: FloatArray,
    auxiliary: FloatArray | None,
    sample: StratifiedSample,
    units: int,
    name: str,
    lonely: Lonely,
) -> Estimate:
    residual = variable if auxiliary is None else variable - regression_fit(variable, auxiliary, sample.weight)
    found = linearised_variance(residual, weight, sample, lonely=lonely)
    return Estimate(value, found.variance, found.degrees, units, name, found.skewness)
