"""The part of a population below the reporting threshold (规模以下): estimated, stated, never left out."""

import math
from dataclasses import dataclass
from typing import Literal

from etl.methods.estimation.estimate import Estimate
from etl.methods.registry import method

Source = Literal["sample", "benchmark", "none_exist"]


@dataclass(frozen=True)
class BelowPart:
    """The part below the threshold: ``value``, ``variance``, ``units``, what it rests on, and its error's shape."""

    value: float
    variance: float
    units: int
    source: Source
    degrees: float = math.inf
    skewness: float = 0.0


@dataclass(frozen=True)
class WholeTotal:
    """Above plus below: ``estimate``, ``below_share`` and ``model_share`` of the total (None for a total of 0)."""

    estimate: Estimate
    below_share: float | None
    model_share: float | None
    source: Source


def below_by_sample(estimate: Estimate) -> BelowPart:
    """The part below the threshold from its own sample: an expansion, ratio or calibrated estimate of it."""
    return BelowPart(estimate.value, estimate.variance, estimate.units, "sample", estimate.degrees, estimate.skewness)


def below_is_empty() -> BelowPart:
    """To be said, not assumed: the register holds no unit below the threshold."""
    return BelowPart(0.0, 0.0, 0, "none_exist")


@method("estimation.below_by_benchmark")
def below_by_benchmark(
    benchmark: float, indicator_then: float, indicator_now: float, relative_error: float, *, units: int
) -> BelowPart:
    r"""The part below the threshold carried from a census or an earlier sample by an indicator of its movement.

    .. math:: \hat Y_b = Y_b^{0} \, I / I^{0}, \qquad \hat V = (c\, \hat Y_b)^2

    Parameters
    ----------
    benchmark
        Value of the part at the benchmark, in the unit of the result.
    indicator_then, indicator_now
        The same indicator then and now: registered units below the threshold, their payroll tax, their electricity.
    relative_error
        Root mean squared relative error :math:`c` of such a movement, from earlier benchmarks (0.08 is 8 %). There is
        no default: what is not known has to be estimated or stated, not set to 0.

    Raises
    ------
    ValueError
        If the indicator then is not positive, a value is missing, or the relative error is not positive.
    """
    numbers = (benchmark, indicator_then, indicator_now, relative_error)
    if not all(math.isfinite(n) for n in numbers) or indicator_then <= 0 or indicator_now < 0:
        raise ValueError(
            f"benchmark {benchmark}, indicators {indicator_then} and {indicator_now}: none may be missing, "
            "the indicator then has to be positive"
        )
    if relative_error <= 0:
        raise ValueError("a part carried by an indicator has an error: give relative_error above 0")
    value = benchmark * indicator_now / indicator_then
    return BelowPart(value, (relative_error * value) ** 2, units, "benchmark")


@method("estimation.whole_total")
def whole_total(above: Estimate, below: BelowPart | None) -> WholeTotal:
    """Total of the units above and below the threshold; variances add (samples apart).

    Raises
    ------
    ValueError
        If ``below`` is None: a total of a population cannot leave out its small units. Estimate them by a sample
        (:func:`below_by_sample`) or a benchmark (:func:`below_by_benchmark`), or state :func:`below_is_empty`.
    """
    if below is None:
        raise ValueError(
            "the part below the threshold is missing; estimate it by sample or benchmark, or state that the "
            "register holds no such unit (below_is_empty)"
        )
    value, variance = above.value + below.value, above.variance + below.variance
    spread = sum(part.variance**2 / part.degrees for part in (above, below))
    degrees = variance**2 / spread if spread > 0 else math.inf
    third = sum(part.skewness * part.variance**1.5 for part in (above, below))
    skewness = third / variance**1.5 if variance > 0 else 0.0
    estimate = Estimate(value, variance, degrees, above.units + below.units, f"{above.method}+{below.source}", skewness)
    share = below.value / value if value else None
    modelled = share if below.source == "benchmark" else 0.0
    return WholeTotal(estimate, share, modelled, below.source)
