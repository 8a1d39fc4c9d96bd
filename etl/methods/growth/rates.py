"""Growth rates of one series by the conventions of Chinese statistics: 同比, 环比, 累计, 累计同比, 两年平均, 百分点."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from etl.methods.growth.yoy import yoy
from etl.methods.periods import Period, of
from etl.methods.registry import method

JanuaryFebruary = Literal["combined", "separate"]


@dataclass(frozen=True)
class Rate:
    """``ratio`` (0.054 is +5.4 %), or the ``reason`` there is none; exactly one of the two is set."""

    ratio: float | None
    reason: str | None


@dataclass(frozen=True)
class RateRow:
    """The figures of one published period; ``points`` are percentage points, all others ratios.

    ``value`` is the period's own amount (of January and February together in the combined row), ``cumulated`` the
    amount since January; ``nan`` where missing.
    """

    period: Period
    label: str
    value: float
    cumulated: float
    yoy: Rate
    change: Rate
    cumulated_yoy: Rate
    two_year_average: Rate
    points: Rate


def _rate(current: float | None, previous: float | None) -> Rate:
    found = yoy(current, previous)
    return Rate(found.ratio, found.reason)


def two_year_average(current: float | None, base: float | None) -> Rate:
    r"""Geometric mean growth of two years, :math:`\sqrt{x_t / x_{t-2}} - 1`, on the level of two years before.

    Reasons: those of :func:`yoy` and ``current_negative`` (no real root).
    """
    found = yoy(current, base)
    if found.ratio is None:
        return Rate(None, found.reason)
    return Rate(math.sqrt(found.ratio + 1) - 1, None) if found.ratio >= -1 else Rate(None, "current_negative")


def mean_growth(ratios: Sequence[float]) -> Rate:
    """Geometric mean of published growth ratios (两年平均 of 0.043 and 0.171 is 0.1051); any below -1 has none."""
    if not ratios:
        return Rate(None, "missing")
    if any(not math.isfinite(r) for r in ratios):
        return Rate(None, "missing")
    if any(r < -1 for r in ratios):
        return Rate(None, "current_negative")
    return Rate(math.prod(1 + r for r in ratios) ** (1 / len(ratios)) - 1, None)


def percentage_points(now: Rate, before: Rate) -> Rate:
    """Difference of two growth rates in percentage points (个百分点): 0.054 after 0.049 is 0.5; the reason of the first without."""
    if now.ratio is None or before.ratio is None:
        return Rate(None, now.reason or before.reason)
    return Rate((now.ratio - before.ratio) * 100, None)


def label(period: Period, *, combined: bool) -> str:
    """``2025年9月``, ``2025年三季度``, ``2025年``; ``2025年1—2月`` for January and February together."""
    if period.frequency == 1:
        return f"{period.year}年"
    if period.frequency == 4:
        return f"{period.year}年{'一二三四'[period.within - 1]}季度"
    return f"{period.year}年1—2月" if combined else f"{period.year}年{period.within}月"


def current_amounts(
    cumulated: Mapping[Period, float], *, combined: bool
) -> tuple[dict[Period, float], dict[Period, float]]:
    """Amounts of the periods out of amounts since January, by differencing; ``(current, cumulated)``.

    A revision of an earlier cumulated amount leaks into the difference, so such amounts are derived, not observed.
    The first period of a year is its own cumulated amount; with ``combined`` February is that of both months.
    """
    amounts: dict[Period, float] = {}
    for period, value in cumulated.items():
        starts = period.within == 1 or (combined and period.frequency == 12 and period.within == 2)
        before = 0.0 if starts else cumulated.get(period.shift(-1), math.nan)
        amounts[period] = value - before
    return amounts, dict(cumulated)


def cumulate(amounts: Mapping[Period, float], *, combined: bool) -> dict[Period, float]:
    """Amounts since January; ``nan`` from the first missing period of a year on (missing is not zero)."""
    found: dict[Period, float] = {}
    for period in amounts:
        first = 2 if combined and period.frequency == 12 else 1
        parts = [amounts.get(of(period.frequency, period.year, k), math.nan) for k in range(first, period.within + 1)]
        found[period] = math.fsum(parts)
    return found


def combine_january_february(amounts: Mapping[Period, float]) -> dict[Period, float]:
    """February stands for both months; January is no longer there.

    Where no year has a January, each February is taken to be that of both months already (as it is published). Where some
    have, the months stand apart, and a February without its January is one month of the two: the sum is missing.
    """
    apart = any(_january(p) for p in amounts)
    found: dict[Period, float] = {}
    for period, value in amounts.items():
        if apart and _february(period):
            found[period] = value + amounts.get(period.shift(-1), math.nan)
        elif not _january(period):
            found[period] = value
    return dict(sorted(found.items()))


def incomplete(periods: Sequence[Period], *, cumulated: bool) -> list[Period]:
    """Januaries and Februaries that are not there though the other month is, so that January and February have no sum.

    An amount since January needs no January of its own.
    """
    have = set(periods)
    apart = not cumulated and any(_january(p) for p in periods)
    partners = [p.shift(1) for p in periods if _january(p)]
    partners += [p.shift(-1) for p in periods if apart and _february(p)]
    return [p for p in partners if p not in have]


@method("growth.rates")
def growth_rates(
    amounts: Mapping[Period, float], *, cumulated: bool = False, january_february: JanuaryFebruary = "separate"
) -> list[RateRow]:
    """Every rate of one series of flows, a row a period, in time order.

    Parameters
    ----------
    amounts
        One frequency (year, quarter, month); ``nan`` or absent where missing. At constant prices the rates are real.
    cumulated
        The amounts are since January (1—9月), as the monthly bulletins give them.
    january_february
        ``combined``: January and February are never apart (the date of New Year moves between them): one row
        ``1—2月`` stands at February, and no rate on the period before is given for it or for March.

    Returns
    -------
    list of RateRow
        ``yoy`` and ``two_year_average`` of the period's own amount (of the combined row: of both months);
        ``change`` on the period before (环比, not seasonally adjusted); ``points`` is the yoy rate minus that of the
        period before. Reasons of :func:`yoy`, ``current_negative``, ``combined_period``.
    """
    combined = january_february == "combined"
    ordered = dict(sorted(amounts.items()))
    if cumulated:
        own, since = current_amounts(ordered, combined=combined)
        if combined:
            own = {p: v for p, v in own.items() if not _january(p)}
    else:
        own = combine_january_february(ordered) if combined else ordered
        since = cumulate(own, combined=combined)
    rates = {p: _rate(v, own.get(p.shift(-p.frequency))) for p, v in own.items()}
    return [_row(p, own, since, rates, combined=combined) for p in own]


def _january(period: Period) -> bool:
    return period.frequency == 12 and period.within == 1


def _february(period: Period) -> bool:
    return period.frequency == 12 and period.within == 2


def _row(
    period: Period,
    own: Mapping[Period, float],
    since: Mapping[Period, float],
    rates: Mapping[Period, Rate],
    *,
    combined: bool,
) -> RateRow:
    both = combined and _february(period)
    after_both = combined and period.frequency == 12 and period.within == 3
    before = period.shift(-2 if both else -1)
    year = period.frequency
    return RateRow(
        period,
        label(period, combined=both),
        own[period],
        since.get(period, math.nan),
        rates[period],
        Rate(None, "combined_period") if both or after_both else _rate(own[period], own.get(before)),
        _rate(since.get(period), since.get(period.shift(-year))),
        two_year_average(own[period], own.get(period.shift(-2 * year))),
        percentage_points(rates[period], rates.get(before, Rate(None, "missing"))),
    )
