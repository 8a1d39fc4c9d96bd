"""Denton's benchmarking: keep the movements of the indicator, meet the totals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from etl.methods.registry import method

FloatArray = NDArray[np.float64]
Variant = Literal["proportional", "additive", "proportional_original", "additive_original", "enhanced"]
Aggregation = Literal["sum", "mean", "last"]
VARIANTS: tuple[Variant, ...] = (
    "proportional",
    "additive",
    "proportional_original",
    "additive_original",
    "enhanced",
)
AGGREGATIONS: tuple[Aggregation, ...] = ("sum", "mean", "last")


@dataclass(frozen=True)
class Benchmarked:
    """``value`` and ``ratio`` (value to indicator; ``nan`` where that is 0) shape ``(t,)``.

    ``ratio_forecast``: annual benchmark-to-indicator ratio assumed for the year after the last benchmark (``enhanced``),
    else None. ``error``: largest distance of the aggregated values from a benchmark.
    """

    value: FloatArray
    ratio: FloatArray
    ratio_forecast: float | None
    error: float


@method("benchmark.denton")
def denton(
    indicator: FloatArray,
    blocks: Sequence[tuple[int, int]],
    benchmarks: FloatArray,
    *,
    variant: Variant = "proportional",
    aggregation: Aggregation = "sum",
    tail: tuple[int, int] | None = None,
    ratio_forecast: float | None = None,
) -> Benchmarked:
    r"""Values :math:`x_t` nearest in movement to the indicator :math:`i_t` that add up to the benchmarks.

    .. math::
        \min_x \sum_{t=2}^{T} \Bigl(\frac{x_t}{i_t} - \frac{x_{t-1}}{i_{t-1}}\Bigr)^2
        \quad\text{or}\quad \min_x \sum_{t=2}^{T} \bigl((x_t - i_t) - (x_{t-1} - i_{t-1})\bigr)^2
        \quad\text{subject to}\quad \textstyle\sum_{t \in y} x_t = b_y

    Parameters
    ----------
    indicator
        Shape ``(t,)``, every period; above zero for the proportional variants. Periods outside the blocks are
        extrapolated (forwards and backwards) with the nearest ratio or difference.
    blocks, benchmarks
        Half-open ranges of positions, one a benchmark, not overlapping; the totals, same length.
    variant
        ``proportional`` and ``additive`` leave the start free (Cholette's correction); ``*_original`` tie the first
        period to the indicator as Denton (1971) did; ``enhanced`` is proportional with a total for the year after the
        last benchmark from a forecast of the annual ratio, so that the current year follows the drift of the ratio.
    aggregation
        The benchmark is the ``sum``, the ``mean`` or the ``last`` of its block.
    tail, ratio_forecast
        For ``enhanced``: the periods of that next year that exist, and its annual ratio; left out it is the last annual
        ratio times the geometric mean of its yearly changes.

    Returns
    -------
    Benchmarked

    Raises
    ------
    ValueError
        If lengths differ, a value is missing, no benchmark is given, a proportional indicator is not above zero,
        ``enhanced`` has no current year, or only one benchmark and no forecast, or ``ratio_forecast`` is not above zero or given
        for another variant.

    Source: F. Denton (1971), JASA 66, 99-102; P. Cholette (1984); IMF, *Quarterly National Accounts Manual* (2017), ch. 6.
    """
    proportional = not variant.startswith("additive")
    _check(indicator, blocks, benchmarks, proportional=proportional)
    if ratio_forecast is not None and variant != "enhanced":
        raise ValueError(
            f"ratio_forecast is for variant=enhanced alone, found variant={variant}; leave it out or choose enhanced"
        )
    if ratio_forecast is not None and ratio_forecast <= 0:
        raise ValueError(
            f"ratio_forecast {ratio_forecast:g} is not above zero; the ratio of a total to its indicator is expected"
        )
    rows = np.zeros((len(blocks), indicator.size))
    for k, (start, stop) in enumerate(blocks):
        rows[k, start:stop] = _weights(stop - start, aggregation)
    targets, forecast = np.asarray(benchmarks, dtype=np.float64), None
    constraints = rows
    if variant == "enhanced":
        forecast = _forecast(rows @ indicator, targets, tail, ratio_forecast, aggregation)
        start, stop = tail or (0, 0)
        extra = np.zeros(indicator.size)
        extra[start:stop] = 1.0
        constraints = np.vstack([rows, extra])
        targets = np.append(targets, forecast * indicator[start:stop].sum())
    value = _solve(indicator, constraints, targets, proportional=proportional, tied=variant.endswith("original"))
    value = _meet(value, constraints, targets)
    ratio = np.divide(value, indicator, out=np.full(value.shape, np.nan), where=indicator != 0)
    error = float(np.abs(rows @ value - benchmarks).max())
    return Benchmarked(value, ratio, forecast, error)


def _check(
    indicator: FloatArray, blocks: Sequence[tuple[int, int]], benchmarks: FloatArray, *, proportional: bool
) -> None:
    if len(blocks) == 0 or len(blocks) != len(benchmarks):
        raise ValueError(f"{len(blocks)} blocks and {len(benchmarks)} benchmarks; one each, at least one")
    if not (np.isfinite(indicator).all() and np.isfinite(benchmarks).all()):
        raise ValueError("an indicator or benchmark is missing; complete the series first")
    if proportional and not (indicator > 0).all():
        raise ValueError(
            "the indicator is not above zero everywhere, so ratios to it have no meaning; use variant=additive"
        )


def _weights(length: int, aggregation: Aggregation) -> FloatArray:
    if aggregation == "last":
        return np.asarray(np.arange(length) == length - 1, dtype=np.float64)
    return np.full(length, 1.0 if aggregation == "sum" else 1.0 / length)


def _forecast(
    annual: FloatArray,
    benchmarks: FloatArray,
    tail: tuple[int, int] | None,
    given: float | None,
    aggregation: Aggregation,
) -> float:
    """The annual ratio of the year after the last benchmark."""
    if tail is None or aggregation == "last":
        raise ValueError("variant=enhanced needs periods after the last benchmark, and sums or means; use proportional")
    if given is not None:
        return given
    ratios = benchmarks / annual
    if ratios.size < 2 or not (ratios > 0).all():
        raise ValueError("variant=enhanced needs two benchmarks above zero, or the annual ratio of the current year")
    return float(ratios[-1] * (ratios[-1] / ratios[0]) ** (1 / (ratios.size - 1)))


def _solve(
    indicator: FloatArray, constraints: FloatArray, targets: FloatArray, *, proportional: bool, tied: bool
) -> FloatArray:
    """First-order conditions of the quadratic problem, in ratios (about 1) or differences on the indicator's scale."""
    t, m = indicator.size, targets.size
    scale = float(np.abs(indicator).mean()) or 1.0
    level = float(np.abs(targets).sum() / max(np.abs(constraints @ indicator).sum(), 1e-300)) if proportional else scale
    start = 1.0 if proportional else 0.0
    unit = indicator / scale if proportional else np.ones(t)
    goal = targets / (scale * level) if proportional else (targets - constraints @ indicator) / scale
    steps = np.diff(np.eye(t), axis=0)
    right = np.zeros(t + m)
    if tied:
        steps = np.vstack([np.eye(t)[:1], steps])
        right[0] = 2.0 * start / (level if proportional else 1.0)
    system = np.zeros((t + m, t + m))
    system[:t, :t] = 2.0 * steps.T @ steps
    system[:t, t:] = (constraints * unit).T
    system[t:, :t] = constraints * unit
    right[t:] = goal
    solution = np.linalg.solve(system, right)
    solution += np.linalg.solve(system, right - system @ solution)
    moved = solution[:t] * unit * scale
    return moved * level if proportional else indicator + moved


def _meet(value: FloatArray, constraints: FloatArray, targets: FloatArray) -> FloatArray:
    """Take the last rounding errors out: each block shares what it misses, in proportion to the weights squared."""
    found = value.copy()
    for row, target in zip(constraints, targets, strict=True):
        missed = target - math.fsum(row * found)
        found += row * (missed / float(row @ row))
    return found
