"""Regressors of a moving holiday: the share of its days that falls into each month or quarter."""

import csv
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from etl.methods.periods import Frequency, Period, of
from etl.methods.registry import method

FloatArray = NDArray[np.float64]
Centre = Literal["none", "mean", "calendar"]
CENTRES: tuple[Centre, ...] = ("none", "mean", "calendar")
LONGEST = 150
FARTHEST = 366
YEARS = (1900, 2100)  # periods whose every New Year within FARTHEST days is in the table
TABLE = Path(__file__).with_name("cny.csv")


@cache
def chinese_new_year() -> tuple[date, ...]:
    """Dates of the Chinese New Year (春节) of 1899 to 2101, in order.

    ``cny.csv``: the calendar of GB/T 33661-2017 as the conversion tables of the Hong Kong Observatory give it; a test
    computes every date again from the new moons and the winter solstice. The first and last, which those tables do not have, are
    such computed dates; they are there for windows that reach from them into 1900 and 2100.
    """
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(date.fromisoformat(row["new_year"]) for row in csv.DictReader(file))


def first_day(period: Period) -> date:
    """The first day of a period."""
    return date(period.year, (period.within - 1) * (12 // period.frequency) + 1, 1)


@method("seasonal.genhol")
def genhol(
    dates: Sequence[date],
    first: Period,
    last: Period,
    *,
    start: int,
    end: int,
    centre: Centre = "none",
    centre_over: tuple[Period, Period] | None = None,
) -> FloatArray:
    r"""Share of the holiday's days in each period, :math:`h_t = |\{d_{y}+start, …, d_{y}+end\} \cap t| / (end - start + 1)`.

    Parameters
    ----------
    dates
        The day of the holiday of each year.
    first, last
        The periods wanted, both included; one frequency (4 or 12).
    start, end
        First and last day of the holiday counted from that day, both included (-7 to -1: the week before).
    centre
        ``mean`` takes the mean of the series away, ``calendar`` the mean of each month (quarter), so that the regressor
        does not take the place of the seasonal pattern.
    centre_over
        Periods the means are taken over; left out, ``first`` to ``last``. Taken over many years, the regressor of a
        month does not change when the series grows.

    Returns
    -------
    array
        Shape ``(periods,)``.

    Raises
    ------
    ValueError
        If ``end`` is before ``start``, the holiday is longer than 151 days or more than 366 days away from its date, or
        ``last`` before ``first``.

    Source: the program genhol of the U.S. Census Bureau and its notes on centring; the function of the same name of
    the R package seasonal gives the same series (its means are over the years of the dates it is given).
    """
    if end < start:
        raise ValueError(f"the holiday ends (day {end}) before it starts (day {start}); exchange start and end")
    if end - start > LONGEST:
        raise ValueError(f"the holiday has {end - start + 1} days; at most {LONGEST + 1}, for windows must not meet")
    if max(abs(start), abs(end)) > FARTHEST:
        raise ValueError(f"days {start} to {end} lie far from the holiday; at most {FARTHEST} days before or after it")
    if last < first:
        raise ValueError(f"the series ends ({last}) before it starts ({first})")
    shares = _shares(dates, first, last, start, end)
    if centre == "none":
        return shares
    over = centre_over or (first, last)
    whole = _shares(dates, *over, start, end)
    if centre == "mean":
        return np.asarray(shares - whole.mean(), dtype=np.float64)
    places = {k: whole[_places(*over) == k].mean() for k in set(_places(*over))}
    lost = set(_places(first, last)) - set(places)
    if lost:
        raise ValueError("the periods the means are taken over miss a month (quarter) of the series; take whole years")
    return np.asarray(shares - np.array([places[k] for k in _places(first, last)]), dtype=np.float64)


def _places(first: Period, last: Period) -> NDArray[np.int64]:
    return np.array([i % first.frequency for i in range(first.ordinal, last.ordinal + 1)], dtype=np.int64)


def _shares(dates: Sequence[date], first: Period, last: Period, start: int, end: int) -> FloatArray:
    found = np.zeros(last.ordinal - first.ordinal + 1)
    opens, closes = first_day(first), first_day(last.shift(1))
    for day in dates:
        if day + timedelta(end) < opens or day + timedelta(start) >= closes:
            continue
        for offset in range(start, end + 1):
            moment = day + timedelta(offset)
            if opens <= moment < closes:
                found[_period(first.frequency, moment).ordinal - first.ordinal] += 1
    return np.asarray(found / (end - start + 1), dtype=np.float64)


def _period(frequency: Frequency, day: date) -> Period:
    return of(frequency, day.year, (day.month - 1) * frequency // 12 + 1)
