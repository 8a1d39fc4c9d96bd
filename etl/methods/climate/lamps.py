"""Early-warning lamps (预警灯): one scheme an indicator, five states, and how they would have done in the past."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.refusals import one_spelling, refuse_duplicates
from etl.methods.registry import method
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method

FloatArray = NDArray[np.float64]
Kind = Literal["fixed", "quantile", "target"]
BOUNDS: Final = ("b1", "b2", "b3", "b4")
LAMPS: Final = ("blue", "light_blue", "green", "yellow", "red")
"""过冷、偏冷、正常、偏热、过热: the five states of China's business-climate signal system, coldest first."""


@dataclass(frozen=True)
class Scheme:
    """How an indicator lights up. ``bounds``: four ascending limits between the five states.

    ``fixed``: limits in the indicator's unit; ``quantile``: shares of its own history (0-1); ``target``: ratios to the plan's
    ``target`` (0.9 is nine tenths of it). ``direction`` -1: less is hotter (the value is turned round first).
    """

    kind: Kind
    bounds: tuple[float, float, float, float]
    target: float | None = None
    direction: int = 1

    def __post_init__(self) -> None:
        """Refuse limits that do not ascend, quantiles outside 0-1, a target scheme without a target."""
        if list(self.bounds) != sorted(self.bounds) or len(set(self.bounds)) != 4:
            raise ValueError(f"four ascending bounds are needed, got {self.bounds}")
        if self.kind == "quantile" and not all(0 < b < 1 for b in self.bounds):
            raise ValueError(f"quantile bounds lie between 0 and 1, got {self.bounds}")
        if self.kind == "target" and not (self.target and self.target > 0):
            raise ValueError(f"a target scheme needs a positive target, got {self.target}")
        if self.direction not in (1, -1):
            raise ValueError(f"direction is 1 or -1, got {self.direction}")


@method("climate.lamps")
def lamps(values: FloatArray, scheme: Scheme, *, min_history: int = 8) -> list[str | None]:
    """State of every period, in time order; None where the value or enough history is missing.

    ``quantile`` looks only at periods before the one it judges (what was known then), at least ``min_history`` of them.

    Raises
    ------
    ValueError
        If ``min_history`` is below 1.
    """
    if min_history < 1:
        raise ValueError(f"min_history is {min_history}; a quantile needs at least one period before")
    turned = values * scheme.direction
    states: list[str | None] = []
    for t, value in enumerate(turned):
        if np.isnan(value):
            states.append(None)
            continue
        limits = _limits(turned[:t], scheme, min_history)
        states.append(None if limits is None else LAMPS[int(np.searchsorted(limits, value, side="right"))])
    return states


def _limits(history: FloatArray, scheme: Scheme, min_history: int) -> FloatArray | None:
    if scheme.kind == "fixed":
        return np.sort(np.asarray(scheme.bounds) * float(scheme.direction))
    if scheme.kind == "target":
        return np.sort(np.asarray(scheme.bounds) * float(scheme.target or 0) * scheme.direction)
    known = history[~np.isnan(history)]
    return None if known.size < min_history else np.asarray(np.quantile(known, scheme.bounds))


@dataclass(frozen=True)
class Backtest:
    """How signals foretold events: shares ``nan`` where there was nothing to count. ``mean_lead`` in periods."""

    events: int
    foretold: int
    signals: int
    false_alarms: int
    hit_rate: float
    false_alarm_rate: float
    noise_to_signal: float
    mean_lead: float


@method("climate.backtest")
def backtest(signals: Sequence[bool], events: Sequence[bool], horizon: int) -> Backtest:
    """Count an event as foretold when a signal stood in the ``horizon`` periods before it (Kaminsky and others 1998).

    A signal is a false alarm when no event comes within ``horizon`` periods after it; signals too near the end of the series
    to be judged are left out. Noise to signal: share of quiet periods with a signal by share of pre-event periods with one.

    Raises
    ------
    ValueError
        If the lengths differ or ``horizon`` is below 1.
    """
    s, e = np.asarray(signals, dtype=bool), np.asarray(events, dtype=bool)
    if s.shape != e.shape or horizon < 1:
        raise ValueError(
            f"signals and events of one length and a horizon of at least 1, got {s.size}, {e.size}, {horizon}"
        )
    at = np.flatnonzero(e)
    leads = [
        int(t - np.flatnonzero(s[max(t - horizon, 0) : t])[0] - max(t - horizon, 0))
        for t in at
        if s[max(t - horizon, 0) : t].any()
    ]
    before = np.array([e[t + 1 : t + 1 + horizon].any() for t in range(s.size)])
    judged = before | (np.arange(s.size) + horizon < s.size)
    raised, false = int((s & judged).sum()), int((s & judged & ~before).sum())
    good = float(s[before].mean()) if before.any() else np.nan
    noise = float(s[judged & ~before].mean()) if (judged & ~before).any() else np.nan
    return Backtest(
        events=int(at.size), foretold=len(leads), signals=raised, false_alarms=false,
        hit_rate=len(leads) / at.size if at.size else np.nan,
        false_alarm_rate=false / raised if raised else np.nan,
        noise_to_signal=noise / good if good > 0 else np.nan, mean_lead=float(np.mean(leads)) if leads else np.nan,
    )  # fmt: skip


@table_method(
    "warning_lamps",
    "预警灯 / early-warning lamps",
    [
        Column("indicator", "text", "指标 / indicator"),
        Column("period", "period", "参考期 / reference period"),
        Column("value", "number", "数值 / value", nullable=True),
        Column(
            "event",
            "flag",
            "事后认定的过冷或过热 / event recognised afterwards, for the back-test",
            required=False,
            nullable=True,
        ),
    ],
    [
        Parameter(
            "scheme", "table", "文件：indicator, kind, b1…b4, target, direction / file of schemes", required=True
        ),
        Parameter("min_history", "integer", "分位数所需历史期数 / periods a quantile needs", 8, least=1),
        Parameter("horizon", "integer", "回测提前期 / periods ahead for the back-test", 4, least=1),
    ],
)
def run_warning_lamps(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows: ``indicator, period, value, lamp, score`` (1 blue to 5 red); result: back-test by indicator where events are given."""
    schemes = _schemes(parameters["scheme"])
    unknown = sorted(set(frame["indicator"]) - set(schemes))
    if unknown:
        raise BadInput(f"warning_lamps: no scheme for {', '.join(unknown)}; add a row to the scheme file")
    frame = one_spelling("warning_lamps", frame)
    refuse_duplicates("warning_lamps", frame, "period", "indicator")
    parts, tests = [], {}
    for (name,), rows in frame.sort("indicator", "period").group_by("indicator", maintain_order=True):
        states = lamps(
            rows["value"].fill_null(np.nan).to_numpy(), schemes[str(name)], min_history=int(parameters["min_history"])
        )
        scores = [None if x is None else LAMPS.index(x) + 1 for x in states]
        parts.append(
            rows.select("indicator", "period", "value").with_columns(
                lamp=pl.Series(states, dtype=pl.String), score=pl.Series(scores, dtype=pl.Int64)
            )
        )
        if "event" in rows.columns and rows["event"].any():
            signals = [x in ("blue", "red") for x in states]
            tests[str(name)] = backtest(
                signals, rows["event"].fill_null(False).to_list(), int(parameters["horizon"])
            ).__dict__
    return MethodResult({"backtest": tests}, pl.concat(parts) if parts else pl.DataFrame())


def _schemes(table: pl.DataFrame) -> dict[str, Scheme]:
    where = "warning_lamps: parameter scheme"
    lost = [c for c in ("indicator", "kind", *BOUNDS) if c not in table.columns]
    if lost:
        raise BadInput(f"{where}: column {lost[0]} is missing; found: {', '.join(table.columns)}; expected indicator, "
                       "kind, b1, b2, b3, b4, and target and direction where needed")  # fmt: skip
    refuse_duplicates(where, table, "indicator")
    found: dict[str, Scheme] = {}
    for row in table.iter_rows(named=True):
        try:
            found[row["indicator"]] = _scheme(row)
        except ValueError as error:
            raise BadInput(f"{where}, indicator {row['indicator']}: {error}") from None
    return found


def _scheme(row: Mapping[str, Any]) -> Scheme:
    kind: Any = row["kind"]
    if kind not in ("fixed", "quantile", "target"):
        raise ValueError(f"kind is fixed, quantile or target, got {kind}")
    b1, b2, b3, b4 = (_number(row, name) for name in BOUNDS)
    target = _number(row, "target") if row.get("target") else None
    direction = _number(row, "direction") if row.get("direction") else 1
    if direction not in (1, -1):
        raise ValueError(f"direction is 1 or -1, got {row['direction']}")
    return Scheme(kind, (b1, b2, b3, b4), target, int(direction))


def _number(row: Mapping[str, Any], name: str) -> float:
    try:
        number = float(row[name])
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise ValueError(f"{name} is {'empty' if row[name] in (None, '') else repr(row[name])}; a number is expected")
    return number
