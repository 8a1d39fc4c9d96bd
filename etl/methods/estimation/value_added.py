"""Value added by the income method (收入法增加值) and the part of it that is AI, with the uncertainty of the share."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from etl.methods.estimation.design import StratifiedSample, known
from etl.methods.estimation.estimate import Estimate
from etl.methods.estimation.variance import Lonely, linearised_variance
from etl.methods.registry import method

FloatArray = NDArray[np.float64]
ShareError = Literal["measurement", "model"]
COMPONENTS = ("compensation", "net_taxes_on_production", "depreciation", "operating_surplus")
"""劳动者报酬、生产税净额、固定资产折旧、营业盈余."""


@dataclass(frozen=True)
class AiValueAdded:
    """``estimate`` with both sources of error; ``sampling_variance`` and ``share_variance`` are its parts."""

    estimate: Estimate
    sampling_variance: float
    share_variance: float


@method("estimation.value_added")
def value_added_by_income(
    compensation: FloatArray,
    net_taxes_on_production: FloatArray,
    depreciation: FloatArray,
    operating_surplus: FloatArray,
) -> FloatArray:
    """Value added of each unit: 劳动者报酬 + 生产税净额 + 固定资产折旧 + 营业盈余, all in one unit of money.

    Shape ``(n,)``; ``nan`` where any component is missing (a missing component is not zero). Surplus and net taxes
    may be negative (losses, subsidies), value added too.

    Raises
    ------
    ValueError
        If shapes differ, or compensation or depreciation is negative.
    """
    parts = [np.asarray(p, dtype=np.float64) for p in
             (compensation, net_taxes_on_production, depreciation, operating_surplus)]  # fmt: skip
    if len({p.shape for p in parts}) != 1:
        raise ValueError(
            f"components have shapes {[p.shape for p in parts]}; one value of each for every unit is expected"
        )
    for name, part in ((COMPONENTS[0], parts[0]), (COMPONENTS[2], parts[2])):
        if (part < 0).any():
            raise ValueError(f"{name} is negative in {int((part < 0).sum())} units; edit them before")
    return np.asarray(sum(parts))


def net_taxes(surcharges: FloatArray, vat_payable: FloatArray, subsidies: FloatArray) -> FloatArray:
    """生产税净额 = 税金及附加 + 应交增值税 − 生产补贴, of each unit; ``nan`` where one of them is missing."""
    return np.asarray(surcharges + vat_payable - subsidies)


@method("estimation.ai_value_added")
def ai_value_added(
    value_added: FloatArray,
    share: FloatArray,
    share_error: FloatArray,
    sample: StratifiedSample,
    *,
    weight: FloatArray | None = None,
    kind: ShareError = "measurement",
    correlation: float = 0.0,
    lonely: Lonely = "refuse",
) -> AiValueAdded:
    r"""AI value added :math:`\sum w_i s_i v_i` with the uncertainty of the shares carried into its variance.

    With errors of correlation :math:`\rho` between units

    .. math:: \hat V = \hat V_{\text{sampling}}(s v) + (1 - \rho)\, E + \rho \Big(\sum w_i |v_i| \sigma_i\Big)^2

    ``measurement``: answers scatter about the true share, so that the sampling variance of what was answered holds
    the part :math:`1 - f_h` of it already: :math:`E = \sum f_h (w_i v_i \sigma_i)^2`. ``model``: true shares scatter
    about a prediction: :math:`E = \sum w_i (v_i \sigma_i)^2`. In a census both are the same.

    Parameters
    ----------
    value_added
        Shape ``(n,)``, any unit of money, may be negative.
    share, share_error
        Shape ``(n,)``: AI share of each unit (0 to 1) and its standard error; 0 where it is an answer taken as exact.
    kind
        How a share differs from the truth, see above.
    correlation
        Correlation :math:`\rho` of the errors of two units: 0 for units that estimate their own share, near 1 for
        shares taken from one model or one survey ratio.

    Raises
    ------
    ValueError
        If values are missing, a share is outside 0 to 1, an error is negative or the correlation outside 0 to 1.
    """
    shape = sample.code.shape
    v, s, sd = (known(n, a, shape) for n, a in
                (("value_added", value_added), ("share", share), ("share_error", share_error)))  # fmt: skip
    if ((s < 0) | (s > 1)).any():
        raise ValueError(f"{int(((s < 0) | (s > 1)).sum())} shares lie outside 0 to 1")
    if (sd < 0).any() or not 0 <= correlation <= 1:
        raise ValueError("errors of shares have to be 0 or more and their correlation between 0 and 1")
    w = sample.weight if weight is None else known("weight", weight, shape)
    found = linearised_variance(s * v, w, sample, lonely=lonely)
    part = sample.fraction[sample.code] if kind == "measurement" else 1 / w
    apart, together = float((part * (w * v * sd) ** 2).sum()), float((w * np.abs(v) * sd).sum()) ** 2
    shared = (1 - correlation) * apart + correlation * together
    variance = found.variance + shared
    degrees = found.degrees * (variance / found.variance) ** 2 if found.variance > 0 else math.inf
    skewness = found.skewness * (found.variance / variance) ** 1.5 if variance > 0 else 0.0
    estimate = Estimate(float(w @ (s * v)), variance, degrees, len(v), "ai_value_added", skewness)
    return AiValueAdded(estimate, found.variance, shared)
