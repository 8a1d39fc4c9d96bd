"""An estimate with its variance, and the intervals made from it."""

import math
from dataclasses import dataclass
from typing import Literal

from scipy.special import ndtri, stdtrit

IntervalKind = Literal["t", "normal", "log", "skewness"]


@dataclass(frozen=True)
class Estimate:
    """A published figure: ``value``, sampling ``variance``, its degrees of freedom, ``units`` behind it.

    ``degrees`` is Satterthwaite's effective number (``inf`` where nothing was sampled); ``skewness`` that of the
    estimator itself, from the third moments of the strata; ``method`` names the estimator.
    """

    value: float
    variance: float
    degrees: float
    units: int
    method: str
    skewness: float = 0.0

    @property
    def standard_error(self) -> float:
        """Square root of the variance, in the unit of the value."""
        return math.sqrt(self.variance)

    @property
    def cv(self) -> float | None:
        """Standard error over the absolute value; None where the value is 0."""
        return self.standard_error / abs(self.value) if self.value else None

    def interval(self, level: float = 0.95, kind: IntervalKind = "t") -> tuple[float, float]:
        r"""Confidence limits.

        ``t``: Student with the effective degrees of freedom. ``normal``. ``log``: :math:`v \exp(\pm t\,cv)`, never
        below 0, for positive totals of skewed strata. ``skewness``: Hall's (1992) transformation

        .. math:: v - s\,\tfrac{3}{G}\left[(1 + G (z - G/6))^{1/3} - 1\right]

        with the skewness :math:`G` of the estimator; equals ``normal`` (with Student's quantile) where :math:`G = 0`.

        Raises
        ------
        ValueError
            If the level is not between 0 and 1, or ``log`` is asked for a value that is not positive.
        """
        if not 0 < level < 1:
            raise ValueError(f"level {level} is not between 0 and 1")
        tail = (1 + level) / 2
        quantile = float(ndtri(tail))
        if kind != "normal" and math.isfinite(self.degrees):
            quantile = float(stdtrit(self.degrees, tail))
        if kind == "log":
            if self.value <= 0:
                raise ValueError(
                    f"a logarithmic interval needs a positive estimate, got {self.value:g}; "
                    "choose interval t, normal or skewness"
                )
            factor = math.exp(quantile * self.standard_error / self.value)
            return self.value / factor, self.value * factor
        if kind == "skewness" and abs(self.skewness) > 1e-9:
            low, high = (_hall(z, self.skewness) for z in (quantile, -quantile))
            return self.value - self.standard_error * low, self.value - self.standard_error * high
        return self.value - quantile * self.standard_error, self.value + quantile * self.standard_error


def _hall(z: float, skewness: float) -> float:
    """Quantile of the studentised estimator whose skewness the transformation removes."""
    return 3 / skewness * (math.cbrt(1 + skewness * (z - skewness / 6)) - 1)
