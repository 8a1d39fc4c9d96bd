"""Seasonal methods run on a table of any user."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.periods import Frequency, Period, edge, of, series
from etl.methods.seasonal.diagnostics import Diagnostics
from etl.methods.seasonal.genhol import CENTRES, YEARS, chinese_new_year, genhol
from etl.methods.seasonal.program import X13Error
from etl.methods.seasonal.stl import Decomposed, stl
from etl.methods.seasonal.x13 import WINDOWS, Adjusted, Refused, adjust, factors
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method

FloatArray = NDArray[np.float64]
WINDOW = re.compile(r"(?:([a-z][a-z0-9_]*)=)?([+-]?\d+):([+-]?\d+)", re.A)
COLUMNS = [
    Column("period", "period", "月或季 / month or quarter"),
    Column("value", "number", "数值 / value", nullable=True),
]
TRANSFORM = Parameter("transform", "choice", "对数 / logarithm", "auto", ("auto", "log", "none"))


def _series(method: str, frame: pl.DataFrame) -> tuple[list[Period], FloatArray]:
    try:
        periods = series(frame["period"].to_list())
    except ValueError as error:
        raise BadInput(f"{method}: column period: {error}") from None
    values = frame["value"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    order = sorted(range(len(periods)), key=lambda i: periods[i])
    return [periods[i] for i in order], np.asarray(values[order], dtype=np.float64)


@table_method(
    "seasonal_x13",
    "季节调整 X-13，含春节 / seasonal adjustment by X-13 with Chinese New Year",
    COLUMNS,
    [
        TRANSFORM,
        Parameter("holiday", "choice", "春节回归 / Chinese New Year regressors", "none", ("none", "cny")),
        Parameter("windows", "text", "春节前、中、后天数 / days around New Year", "pre=-20:-1,during=0:6,post=7:20"),
        Parameter("spec_overrides", "text", "X-13 设定，; 分隔 / x11.seasonalma=s3x5;arima.model=(0 1 1)(0 1 1)", ""),
        Parameter("spec_file", "lines", "同上，一行一项 / the same as a file, one a line"),
        Parameter("fallback", "choice", "X-13 不能运行时 / when X-13 cannot run", "stl", ("stl", "none")),
        Parameter(
            "seconds", "number", "每次运行的时限，秒 / time limit of one run of the program, seconds", 60.0, least=1
        ),
    ],
)
def run_x13(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """One row a period; result: model and diagnostics. A series that cannot be adjusted is refused with the reason."""
    periods, values = _series("seasonal_x13", frame)
    inline = [c for c in str(parameters["spec_overrides"]).split(";") if c.strip()]
    try:
        found = adjust(
            periods,
            values,
            transform=parameters["transform"],
            holiday=parameters["holiday"],
            windows=_windows(parameters["windows"]),
            changes=[*(parameters["spec_file"] or []), *inline],
            seconds=parameters["seconds"],
        )
    except Refused as error:
        raise BadInput(f"seasonal_x13: {error}") from None
    except X13Error as error:
        if parameters["fallback"] == "none" or inline or parameters["spec_file"]:
            raise BadInput(f"seasonal_x13: {error}") from None
        return _fallen_back(periods, values, parameters, str(error))
    return MethodResult(_said(found), _rows(periods, values, factors(found)))


def _fallen_back(
    periods: Sequence[Period], values: FloatArray, parameters: Mapping[str, Any], reason: str
) -> MethodResult:
    found = _by_stl("seasonal_x13", periods, values, {"transform": parameters["transform"]}, reason=reason)
    if parameters["holiday"] == "none":
        return found
    lost = "the effect of the New Year (holiday=cny) is still in the adjusted series: STL has no regressors"
    return replace(found, result={**found.result, "notes": [*found.result["notes"], lost]})


def _windows(text: str) -> list[tuple[str, int, int]]:
    """``pre=-20:-1,during=0:6`` or ``-20:-1,0:6`` (names then: those of the default when three, else cny1 …)."""
    parts = [p.strip() for p in text.split(",") if p.strip()]
    found = [WINDOW.fullmatch(p) for p in parts]
    if not found or not all(found):
        raise BadInput(
            f"seasonal_x13: parameter windows: {text!r}; expected windows of days such as -20:-1,0:6,7:20, "
            "or with names in lower-case ASCII letters, digits and _ (pre=-20:-1)"
        )
    plain = (
        [name for name, _, _ in WINDOWS] if len(found) == len(WINDOWS) else [f"cny{k + 1}" for k in range(len(found))]
    )
    named = [(m[1] or plain[k], int(m[2]), int(m[3])) for k, m in enumerate(found) if m]
    if len({name for name, _, _ in named}) < len(named):
        raise BadInput(f"seasonal_x13: parameter windows: {text!r} names a window twice")
    return named


def _rows(periods: Sequence[Period], values: FloatArray, parts: Mapping[str, FloatArray]) -> pl.DataFrame:
    return pl.DataFrame({"period": [str(p) for p in periods], "value": values, **parts})


def _said(found: Adjusted) -> dict[str, Any]:
    d = found.diagnostics
    holiday = {name for name, _, _ in found.holiday}
    terms = [asdict(c) for c in d.coefficients]
    return {
        "method": "x13_x11",
        "program": f"X-13ARIMA-SEATS {d.version}",
        "transform": d.transform,
        "mode": d.mode,
        "model": d.model,
        "aicc": d.aicc,
        "aic": d.aic,
        "bic": d.bic,
        "coefficients": terms,
        "outliers": [c["name"] for c in terms if "Outlier" in c["group"]],
        "holiday": [{"name": n, "start": s, "end": e, **_estimate(d, n)} for n, s, e in found.holiday if n in holiday],
        **d.m,
        "q": d.q,
        "q2": d.q2,
        "qs": {name: {"statistic": s, "p": p} for name, (s, p) in d.qs.items()},
        "sliding_spans": dict(d.sliding_spans),
        "mean_absolute_revision": d.revision,
        "identifiable_seasonality": d.identifiable,
        "seasonal_filter": d.seasonal_filter,
        "trend_filter": d.trend_filter,
        "cautions": list(d.cautions),
        "notes": list(found.notes),
        "warnings": list(found.warnings),
        "spec": found.spec,
    }


def _estimate(d: Diagnostics, name: str) -> dict[str, Any]:
    match = next((c for c in d.coefficients if c.name.lower() == name.lower()), None)
    return {} if match is None else {"estimate": match.estimate, "standard_error": match.standard_error, "t": match.t}


@table_method(
    "seasonal_stl",
    "季节调整 STL / seasonal adjustment by STL",
    COLUMNS,
    [
        TRANSFORM,
        Parameter("seasonal_window", "integer", "季节平滑年数，奇数 / years, odd", 13),
        Parameter("robust", "flag", "稳健 / weigh outliers down", True),
    ],
)
def run_stl(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """One row a period."""
    periods, values = _series("seasonal_stl", frame)
    return _by_stl("seasonal_stl", periods, values, parameters, reason=None)


def _by_stl(
    method: str, periods: Sequence[Period], values: FloatArray, options: Mapping[str, Any], *, reason: str | None
) -> MethodResult:
    try:
        found: Decomposed = stl(periods, values, **options)
    except ValueError as error:
        raise BadInput(f"{method}: {error}") from None
    parts = {
        "seasonally_adjusted": found.adjusted,
        "trend": found.trend,
        "seasonal": found.seasonal,
        "irregular": found.irregular,
        "combined": found.seasonal,
    }
    said = {"method": "stl", "fallback_reason": reason, "transform": found.transform, "notes": list(found.notes)}
    return MethodResult(said, _rows(periods, values, parts))


@table_method(
    "genhol_cny",
    "春节回归变量 / regressor of the Chinese New Year",
    [],
    [
        Parameter("from", "text", "起始期或年 / first period or year", required=True),
        Parameter("to", "text", "终止期或年 / last period or year", required=True),
        Parameter("start", "integer", "春节前后第一天（除夕 = -1） / first day, counted from New Year", 0),
        Parameter("end", "integer", "最后一天，含 / last day, included", 0),
        Parameter("frequency", "integer", "12 月，4 季 / months or quarters", 12),
        Parameter("centre", "choice", "中心化 / centring", "none", CENTRES),
        Parameter(
            "centre_over", "text", "中心化所用年份 / years the means are taken over: window or 1931-2100", "window"
        ),
    ],
    input_needed=False,
)
def run_genhol(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows: ``period, value``."""
    if parameters["frequency"] not in (4, 12):
        raise BadInput(
            f"genhol_cny: parameter frequency: {parameters['frequency']} is neither 12 (months) nor 4 (quarters)"
        )
    frequency: Frequency = 12 if parameters["frequency"] == 12 else 4
    try:
        first, last = (_known("from and to", edge(parameters[k], frequency, last=k == "to")) for k in ("from", "to"))
        over = _span(parameters["centre_over"], frequency)
        options = {k: parameters[k] for k in ("start", "end", "centre")}
        values = genhol(chinese_new_year(), first, last, centre_over=over, **options)
    except ValueError as error:
        raise BadInput(f"genhol_cny: {error}") from None
    periods = [first.shift(k) for k in range(values.size)]
    rows = pl.DataFrame({"period": [str(p) for p in periods], "value": values})
    centred = None if parameters["centre"] == "none" else [str(p) for p in over or (first, last)]
    return MethodResult({"days": parameters["end"] - parameters["start"] + 1, "centred_over": centred}, rows)


def _span(text: str, frequency: Frequency) -> tuple[Period, Period] | None:
    if text == "window":
        return None
    years = re.fullmatch(r"(\d{4})-(\d{4})", text)
    if years is None or int(years[1]) > int(years[2]):
        raise ValueError(f"parameter centre_over: {text!r} is neither window nor years such as 1931-2100")
    first, last = (_known("centre_over", of(frequency, int(y), w)) for y, w in ((years[1], 1), (years[2], frequency)))
    return first, last


def _known(parameter: str, period: Period) -> Period:
    if not YEARS[0] <= period.year <= YEARS[1]:
        known = of(period.frequency, YEARS[0]), of(period.frequency, YEARS[1], period.frequency)
        raise ValueError(f"parameter {parameter}: the dates are known for {known[0]} to {known[1]}; got {period}")
    return period
