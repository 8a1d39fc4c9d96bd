"""STL: seasonal adjustment by local regression, without a model, calendar effects or the diagnostics of X-13."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from etl.methods.periods import Period
from etl.methods.registry import method
from etl.methods.seasonal.x13 import check

FloatArray = NDArray[np.float64]
EXACT = 1e-12
"""A remainder below this part of the range of the series is rounding."""


@dataclass(frozen=True)
class Decomposed:
    """Shape ``(t,)`` each; ``transform`` log: factors around 1 and value = trend * seasonal * irregular; none: sums."""

    adjusted: FloatArray
    trend: FloatArray
    seasonal: FloatArray
    irregular: FloatArray
    transform: Literal["log", "none"]
    notes: tuple[str, ...]


@method("seasonal.stl")
def stl(
    periods: Sequence[Period],
    values: FloatArray,
    *,
    transform: Literal["auto", "log", "none"] = "auto",
    seasonal_window: int = 13,
    robust: bool = True,
) -> Decomposed:
    """Decompose a monthly or quarterly series by STL.

    Parameters
    ----------
    periods, values, transform
        As for X-13; ``auto`` takes the logarithm where every value is above zero.
    seasonal_window
        Years (odd, from 7) the seasonal pattern is smoothed over.
    robust
        Weigh outliers down.

    Raises
    ------
    Refused
        As X-13: short, gaps, missing, logarithm of what is not above zero.
    ValueError
        If the window is even or below 7.

    Source: R. Cleveland, W. Cleveland, J. McRae and I. Terpenning (1990), STL, *Journal of Official Statistics* 6, 3-73.
    """
    if seasonal_window < 7 or seasonal_window % 2 == 0:
        raise ValueError(f"seasonal_window is {seasonal_window}; an odd number from 7 on is needed")
    notes = check(periods, values, transform, model=False)
    from statsmodels.tsa.seasonal import STL  # type: ignore[import-untyped]  # here: seconds to import

    log = transform == "log" or (transform == "auto" and bool((values > 0).all()))
    work = np.log(values) if log else values
    options = {"period": periods[0].frequency, "seasonal": seasonal_window}
    fit = STL(work, **options).fit()
    # Without a remainder there is no outlier: the weights would be made of rounding errors, and lose whole years.
    if robust and np.abs(fit.resid).max() > EXACT * np.ptp(work):
        fit = STL(work, **options, robust=True).fit()
    parts = [np.asarray(a, dtype=np.float64) for a in (fit.trend, fit.seasonal, fit.resid)]
    trend, seasonal, irregular = (np.exp(a) for a in parts) if log else parts
    adjusted = values / seasonal if log else values - seasonal
    return Decomposed(adjusted, trend, seasonal, irregular, "log" if log else "none", tuple(notes))
