"""Seasonal adjustment by X-13ARIMA-SEATS (X-11) with the Chinese New Year taken into account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from etl.methods.periods import Period, gaps, of
from etl.methods.registry import method
from etl.methods.seasonal.attempts import attempt
from etl.methods.seasonal.diagnostics import Diagnostics, summary
from etl.methods.seasonal.genhol import YEARS, chinese_new_year, genhol
from etl.methods.seasonal.program import Output
from etl.methods.seasonal.spec import FORCED, Job, Regressors, defaults, overrides

FloatArray = NDArray[np.float64]
Transform = Literal["auto", "log", "none"]
Holiday = Literal["none", "cny"]
TABLES = ("d10", "d11", "d12", "d13", "d16")
LEAST_YEARS = 3
SHORT_YEARS = 5
# Days before, of and after the New Year: the statutory week, and about three weeks of early and late effects around it.
WINDOWS: tuple[tuple[str, int, int], ...] = (("pre", -20, -1), ("during", 0, 6), ("post", 7, 20))
SIGNIFICANT = 2.0
MARGIN = 3  # years of regressor beyond the series: forecasts


class Refused(ValueError):
    """The series cannot be adjusted; the text says why and what to do."""


@dataclass(frozen=True)
class Adjusted:
    """All arrays shape ``(t,)``; multiplicative: factors around 1, additive: in units of the series.

    ``adjusted`` d11 (with ``force``: the series with forced years), ``trend`` d12, ``seasonal`` d10, ``irregular`` d13, ``combined`` d16 (seasonal, trading days and
    holidays: value / adjusted). ``holiday``: windows used; ``notes``: what was decided for the user; ``warnings``: the
    program's own.
    """

    adjusted: FloatArray
    trend: FloatArray
    seasonal: FloatArray
    irregular: FloatArray
    combined: FloatArray
    diagnostics: Diagnostics
    holiday: tuple[tuple[str, int, int], ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    spec: str


@method("seasonal.x13")
def adjust(
    periods: Sequence[Period],
    values: FloatArray,
    *,
    transform: Transform = "auto",
    holiday: Holiday = "none",
    windows: Sequence[tuple[str, int, int]] = WINDOWS,
    changes: Sequence[str] = (),
    spans: bool = True,
    history: bool = True,
    seconds: float = 60.0,
) -> Adjusted:
    """Adjust one monthly or quarterly series.

    Parameters
    ----------
    periods, values
        Consecutive periods in time order and their values, shape ``(t,)``, no value missing.
    transform
        ``auto`` lets AICC choose between logarithm and none; a series not above zero is left as it is.
    holiday
        ``cny`` adds user regressors of the Chinese New Year, one a window, centred by calendar month over 1900 to 2100.
    windows
        Name, first and last day around the New Year, both included. A window that does not move between the periods
        (every one of them, in quarters) is left out with a note.
    changes
        Changes of the spec (:func:`etl.methods.seasonal.spec.overrides`).
    spans, history
        Compute sliding spans and the revision history (left out below five years).

    Returns
    -------
    Adjusted

    Raises
    ------
    Refused
        Fewer than three whole years, a gap, a missing value, a yearly series, a logarithm of what is not above zero, a
        change of the spec that is not allowed.
    X13Error
        If the program is missing, does not end, or refuses.

    Source: U.S. Census Bureau, *X-13ARIMA-SEATS Reference Manual* 1.1; Eurostat, *ESS Guidelines on Seasonal Adjustment*
    (2015), on short series.
    """
    notes = check(periods, values, transform)
    first, years = periods[0], len(periods) / periods[0].frequency
    if transform == "auto" and not (values > 0).all():
        transform = "none"
    long = years >= SHORT_YEARS
    specs = defaults(first, transform, spans=spans and long, history=history and long)
    try:
        specs = overrides(specs, changes)
    except ValueError as error:
        raise Refused(str(error)) from None
    regressors, used, more = _holiday(periods, windows) if holiday == "cny" else (None, (), [])
    done = attempt(Job(first, values, specs, regressors), TABLES, seconds=seconds)
    out, diagnostics = done.output, summary(done.output.diagnostics)
    adjusted, forced = _adjusted(out)
    tests = [c.t for c in diagnostics.coefficients if c.name in {name for name, _, _ in used}]
    if used and all(abs(t) < SIGNIFICANT for t in tests):
        more.append("no window of the New Year has an effect (|t| < 2): prefer holiday=none, or other windows")
    return Adjusted(
        adjusted=adjusted,
        trend=out.tables["d12"],
        seasonal=out.tables["d10"],
        irregular=out.tables["d13"],
        combined=out.tables["d16"],
        diagnostics=diagnostics,
        holiday=used,
        notes=(*notes, *more, *done.notes, *forced),
        warnings=out.warnings,
        spec=done.spec,
    )


def _adjusted(out: Output) -> tuple[FloatArray, list[str]]:
    """The series to publish: with forced years where that was asked for, and what is to be known of it."""
    forced = next((out.tables[t] for t in FORCED if t in out.tables), None)
    if forced is None:
        return out.tables["d11"], []
    return forced, ["years are forced: seasonally_adjusted is not value less (by) combined, nor trend with irregular"]


def check(periods: Sequence[Period], values: FloatArray, transform: str, *, model: bool = True) -> list[str]:
    """Refuse what cannot be adjusted; returns what the user should know about the series (``model``: adjusted by X-13).

    Raises
    ------
    Refused
        As :func:`adjust` says.
    """
    if not periods:
        raise Refused("the series is empty; at least three years are needed")
    frequency = periods[0].frequency
    if frequency == 1:
        raise Refused("the series is yearly, so it has no season; give months or quarters")
    holes = gaps(periods)
    if holes:
        raise Refused(
            f"the series has no row for {holes[0]} ({len(holes)} such periods); every period is needed, complete it"
        )
    missing = np.flatnonzero(~np.isfinite(values))
    if missing.size:
        raise Refused(
            f"the value of {periods[missing[0]]} is missing ({missing.size} such periods); complete the series "
            "(split January—February, estimate), missing is not zero"
        )
    if len(periods) < LEAST_YEARS * frequency:
        raise Refused(
            f"the series has {len(periods)} periods, {LEAST_YEARS * frequency} ({LEAST_YEARS} years) are the least; "
            "publish the year-on-year rate until then"
        )
    if transform == "log" and not (values > 0).all():
        raise Refused("a value is not above zero, so it has no logarithm; use transform=none or auto")
    notes = []
    if transform == "auto" and not (values > 0).all():
        notes.append("a value is not above zero: no logarithm, additive adjustment")
    if len(periods) < SHORT_YEARS * frequency:
        unstable = (
            "model and factors are unstable; no sliding spans, no revision history" if model else "unstable factors"
        )
        notes.append(f"fewer than {SHORT_YEARS} years: {unstable}")
    if np.ptp(values) == 0:
        raise Refused("the series does not change, so there is nothing to adjust; check the values")
    return notes


def _holiday(
    periods: Sequence[Period], windows: Sequence[tuple[str, int, int]]
) -> tuple[Regressors | None, tuple[tuple[str, int, int], ...], list[str]]:
    """Regressors of the windows that move between periods, over the series and its forecasts."""
    frequency = periods[0].frequency
    first, last = periods[0], periods[-1].shift(MARGIN * frequency)
    dates = chinese_new_year()
    over = of(frequency, YEARS[0]), of(frequency, YEARS[1], frequency)
    if first.year < YEARS[0] or last.year > YEARS[1]:
        raise Refused(
            f"the dates of the New Year are known for {YEARS[0]} to {YEARS[1]}; the series, with {MARGIN} years of "
            "forecasts, lies outside"
        )
    kept: list[tuple[str, int, int]] = []
    columns, notes = [], []
    for name, start, end in windows:
        try:
            column = genhol(dates, first, last, start=start, end=end, centre="calendar", centre_over=over)
        except ValueError as error:
            raise Refused(f"window {name}: {error}") from None
        if np.ptp(_without_season(column, frequency)) < 1e-9:
            notes.append(
                f"window {name} ({start} to {end} days) lies in the same period every year; it is season, left out"
            )
            continue
        kept.append((name, start, end))
        columns.append(column)
    if not columns:
        return None, (), notes
    return Regressors([n for n, _, _ in kept], np.column_stack(columns), first), tuple(kept), notes


def _without_season(column: FloatArray, frequency: int) -> FloatArray:
    return np.concatenate([column[k::frequency] - column[k::frequency].mean() for k in range(frequency)])


def factors(found: Adjusted) -> Mapping[str, FloatArray]:
    """The components by the names of the answer."""
    return {
        "seasonally_adjusted": found.adjusted,
        "trend": found.trend,
        "seasonal": found.seasonal,
        "irregular": found.irregular,
        "combined": found.combined,
    }
