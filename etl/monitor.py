"""The quarterly monitor: released quarters, seasonal adjustment with its diagnostics, climate index and lamps (GSBPM 6)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.climate.index import composite, diffusion, standardise
from etl.methods.climate.lamps import Scheme, backtest, lamps
from etl.methods.disclosure import RuleSet
from etl.methods.growth.rates import Rate
from etl.methods.seasonal.program import X13Error
from etl.methods.seasonal.stl import stl
from etl.methods.seasonal.x13 import Adjusted, Refused, adjust
from etl.quarters import Quarters, safe_periods, single_quarters

FloatArray = NDArray[np.float64]
ADJUSTMENTS: Final = (("N", "原始", "unadjusted"), ("S", "季节调整后", "seasonally adjusted"))
DATASET: Final = "core_quarter"
DECIMALS: Final = 10
"""Places of ratios and index points: beyond them is the noise of floating-point sums, and a release must come out the same."""
DIAGNOSTICS: Final = {
    "series": pl.String, "item": pl.String, "value": pl.Float64, "text_zh": pl.String, "text_en": pl.String,
}  # fmt: skip
CLIMATE: Final = {
    "component": pl.String, "measure": pl.String, "period": pl.String, "value": pl.Float64, "text_zh": pl.String,
    "text_en": pl.String,
}  # fmt: skip
QS: Final = (("original", "原始序列"), ("seasonally_adjusted", "调整后序列"), ("irregular", "不规则成分"))
Item = tuple[str, float | None, str, str]


@dataclass(frozen=True)
class Seasonal:
    """``adjusted`` shape ``(t,)``, or None with the reason among the ``items`` (item, value, Chinese, English)."""

    adjusted: FloatArray | None
    items: tuple[Item, ...]


def _refusal(zh: str, en: str) -> Seasonal:
    return Seasonal(None, (("refused", None, zh, en),))


def _diagnostics(found: Adjusted) -> Iterator[Item]:
    d = found.diagnostics
    yield "method", None, "X-13ARIMA-SEATS（X-11）", "X-13ARIMA-SEATS (X-11)"
    yield "model", None, f"{d.model}，{d.transform}", f"{d.model}, {d.transform}"
    windows = [f"{n} {a}..{b}" for n, a, b in found.holiday]
    none = "季度序列中春节各窗口都在同一季，属季节因素，不设回归", "in quarters every window of New Year lies in one quarter: season, no regressor"  # fmt: skip
    yield "holiday", None, *(("、".join(windows), ", ".join(windows)) if windows else none)
    yield from ((name, value, "", "") for name, value in sorted(d.m.items(), key=lambda x: int(x[0][1:])))
    for name, value in (("q", d.q), ("q2", d.q2)):
        yield name, value, "大于 1 不可接受", "not acceptable above 1"
    for key, zh in QS:
        if key in d.qs:
            statistic, p = d.qs[key]
            yield f"qs_{key}", statistic, f"{zh}，p = {p:.3f}", f"{key.replace('_', ' ')}, p = {p:.3f}"
    for name, value in d.sliding_spans.items():
        yield f"spans_{name}", value, "不稳定期数占比（%）", "per cent of unstable periods"
    if d.revision is not None:
        yield (
            "revision",
            d.revision,
            "调整后数平均绝对修订（%）",
            "mean absolute revision of the adjusted series, per cent",
        )
    yield from (("caution", None, text, text) for text in d.cautions)


def seasonal(series: Quarters) -> Seasonal:
    """Adjust a series by X-13, by STL where X-13 cannot run (labelled), or say why it is not adjusted.

    A series with a withheld quarter is not adjusted: the factors would tell of it. Nor is one released adjusted in which
    X-13 finds no identifiable seasonality, or whose Q is above 1.
    """
    if not all(series.shown):
        return _refusal("有季度保密，不作季节调整", "a quarter is withheld; the series is not adjusted")
    try:
        found = adjust(series.periods, series.values, holiday="cny")
    except Refused as error:
        return _refusal(f"序列不满足条件：{error}", str(error))
    except X13Error as error:
        other = stl(series.periods, series.values)
        return Seasonal(
            other.adjusted,
            (
                ("method", None, "STL（X-13 不能运行，后备方法，无诊断）", "STL (fallback, X-13 did not run; no diagnostics)"),
                ("caution", None, str(error), str(error)),
            ),
        )  # fmt: skip
    items = tuple(_diagnostics(found))
    d = found.diagnostics
    if d.identifiable is False or (d.q is not None and d.q > 1):
        zh, en = (
            "没有可识别的季节性或 Q 大于 1，只公布原始数",
            "no identifiable seasonality, or Q above 1: unadjusted figures only",
        )
        return Seasonal(None, (("refused", None, zh, en), *items))
    return Seasonal(found.adjusted, items)


# --- released cube -----------------------------------------------------------------------------------------------


def _growth(rate: Rate, shown: bool) -> tuple[float | None, str]:
    if not shown:
        return None, "withheld"
    return rate.ratio, "base_missing" if rate.reason == "missing" else rate.reason or ""


def _cells(name: str, series: Quarters, found: Seasonal) -> Iterator[dict[str, Any]]:
    shown = dict(zip(series.periods, series.shown, strict=True))
    adjusted = found.adjusted
    for i, row in enumerate(series.rates):
        p, late = row.period, series.extrapolated[i]
        base = {"period": str(p), "obs_status": "P" if late else "E"}
        both = shown[p] and shown.get(p.shift(-4), True)
        so_far = all(shown.get(p.shift(-k), True) for k in range(p.within))
        so_far_before = all(shown.get(p.shift(-4 - k), True) for k in range(p.within))
        sums, change = _growth(row.cumulated_yoy, so_far and so_far_before), _growth(row.yoy, both)
        step = row.change.ratio if shown[p] and shown.get(p.shift(-1), True) else None
        yield {**base, "adjustment": "N", "indicator": f"{name}_quarter", "value": row.value, "shown": shown[p], "growth": change}  # fmt: skip
        yield {**base, "adjustment": "N", "indicator": f"{name}_ytd", "value": row.cumulated, "shown": so_far, "growth": sums}  # fmt: skip
        if i:
            open_step = shown[p] and shown.get(p.shift(-1), True)
            yield {**base, "adjustment": "N", "indicator": f"{name}_qoq", "value": None if step is None else 100 * step, "shown": open_step, "growth": (None, "")}  # fmt: skip
        if adjusted is None:
            continue
        yield {**base, "adjustment": "S", "indicator": f"{name}_quarter", "value": float(adjusted[i]), "shown": True, "growth": (None, "")}  # fmt: skip
        if i and adjusted[i - 1] > 0:
            yield {**base, "adjustment": "S", "indicator": f"{name}_qoq", "value": 100 * float(adjusted[i] / adjusted[i - 1] - 1), "shown": True, "growth": (None, "")}  # fmt: skip


def quarter_cells(series: Mapping[str, Quarters], adjusted: Mapping[str, Seasonal]) -> pl.DataFrame:
    """Cells of the dataset ``core_quarter`` without their vintage; withheld ones have lost value and growth."""
    rows = []
    for name, quarters in series.items():
        for cell in _cells(name, quarters, adjusted[name]):
            ratio, note = cell.pop("growth")
            open_cell = cell.pop("shown")
            value = round(cell["value"], 2) if open_cell and cell["value"] is not None and np.isfinite(cell["value"]) else None  # fmt: skip
            rows.append(
                {**cell, "value": value, "conf_status": "F" if open_cell else "C", "yoy_ratio": ratio, "yoy_note": note,
                 "obs_status": "M" if open_cell and value is None else cell["obs_status"]}
            )  # fmt: skip
    schema = {
        "adjustment": pl.String, "period": pl.String, "indicator": pl.String, "value": pl.Float64,
        "obs_status": pl.String, "conf_status": pl.String, "yoy_ratio": pl.Float64, "yoy_note": pl.String,
    }  # fmt: skip
    frame = pl.DataFrame(rows, schema=schema)
    return frame.with_columns(
        pl.col("value").round(2).cast(pl.Decimal(24, 2)),
        pl.col("yoy_ratio").round(DECIMALS),
        model_share=pl.lit(None, pl.Float64),
    )


def diagnostic_rows(adjusted: Mapping[str, Seasonal]) -> pl.DataFrame:
    """The table ``meta_series``: ``series, item, value, text_zh, text_en``, in the order of the report."""
    rows = [(name, *item) for name, found in adjusted.items() for item in found.items]
    return pl.DataFrame(rows, schema=DIAGNOSTICS, orient="row")


# --- climate -----------------------------------------------------------------------------------------------------


def staff_growth(returns: pl.DataFrame, contributors: pl.DataFrame, limits: RuleSet, seed: int) -> dict[str, float]:
    """Period → growth (%) of AI staff on last year, of the units that returned both quarters, where both levels are safe."""
    rows = returns.drop_nulls("ai_employed_persons").select("uscc", "ref_period", n="ai_employed_persons")
    next_year = pl.col("ref_period").str.slice(0, 4).cast(pl.Int64) + 1
    same = pl.format("{}{}", next_year, pl.col("ref_period").str.slice(4))
    last = rows.select("uscc", ref_period=same, before="n")
    both = rows.join(last, on=["uscc", "ref_period"]).join(contributors, on="uscc", how="left")
    both = both.with_columns(contributor=pl.coalesce("contributor", "uscc"), period="ref_period")
    safe = safe_periods(both.with_columns(value="n"), limits, seed)
    safe &= safe_periods(both.with_columns(value="before"), limits, seed)
    sums = both.group_by("period").agg(pl.col("n", "before").sum()).filter(pl.col("before") > 0)
    return {p: 100 * (n / b - 1) for p, n, b in sums.rows() if p in safe}


def profit_margin(returns: pl.DataFrame, contributors: pl.DataFrame, limits: RuleSet, seed: int) -> dict[str, float]:
    """Period → profit by operating revenue (%) of the AI enterprises (those among ``contributors``), where both are safe."""
    returns = returns.join(contributors, on="uscc", how="semi")
    profit = single_quarters(returns, "total_profit_ytd_cny").select("uscc", "period", profit="value")
    revenue = single_quarters(returns, "operating_revenue_ytd_cny").select("uscc", "period", revenue="value")
    both = revenue.join(profit, on=["uscc", "period"]).join(contributors, on="uscc")
    safe = safe_periods(both.with_columns(value="revenue"), limits, seed)
    safe &= safe_periods(both.with_columns(value="profit"), limits, seed)
    sums = both.group_by("period").agg(pl.col("profit", "revenue").sum().cast(pl.Float64)).filter(pl.col("revenue") > 0)
    return {p: 100 * a / b for p, a, b in sums.rows() if p in safe}


def growth_of(series: Quarters | None) -> dict[str, float]:
    """Period → growth (%) on last year of the quarters that are shown."""
    if series is None:
        return {}
    shown = dict(zip(series.periods, series.shown, strict=True))
    rates = {r.period: r.yoy.ratio for r in series.rates}
    return {
        str(p): 100 * ratio
        for p, ratio in rates.items()
        if ratio is not None and shown[p] and shown.get(p.shift(-4), False)
    }


def _matrix(values: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> tuple[list[str], FloatArray]:
    periods = sorted({p for n in names for p in values.get(n, {})})
    return periods, np.array([[values.get(n, {}).get(p, np.nan) for n in names] for p in periods]).reshape(
        -1, len(names)
    )


def climate_rows(values: Mapping[str, Mapping[str, float]], settings: Mapping[str, Any]) -> pl.DataFrame:
    """The table ``meta_climate``: ``component, measure, period, value, text_zh, text_en``.

    ``component`` ``_T`` for the index: measures ``index, low, high`` (other weights) and ``diffusion``; for a component
    ``value`` (%), ``lamp`` (1 blue to 5 red), ``contribution`` (points of the index), ``weight``, and the back-test's
    ``events, foretold, signals, false_alarms``. A component without enough data makes the index ``refused``, with the
    reason.

    Parameters
    ----------
    values
        Component → period → value.
    settings
        As ``warehouse/metadata/climate.yaml``.
    """
    cards: Mapping[str, Any] = settings["components"]
    names = list(cards)
    periods, matrix = _matrix(values, names)
    weights = np.array([float(cards[n]["weight"]) for n in names])
    directions = np.array([float(cards[n].get("direction", 1)) for n in names])
    rows: list[tuple[str, str, str, float | None, str, str]] = []
    base = np.array([settings["base"]["from"] <= p <= settings["base"]["to"] for p in periods], dtype=bool)
    index: FloatArray = np.full(len(periods), np.nan)
    try:
        scores = standardise(matrix, settings["standard"], base, directions, names)
    except ValueError as error:
        zh = "分量数据不足，不编制指数"
        rows.append(("_T", "refused", "", None, zh, f"no index: {error}"))
    else:
        found = composite(scores, weights, **settings["sensitivity"])
        index = found.index
        spread = diffusion(matrix, directions)
        for name, line in (("index", index), ("low", found.low), ("high", found.high), ("diffusion", spread)):
            rows += [("_T", name, p, float(v), "", "") for p, v in zip(periods, line, strict=True) if np.isfinite(v)]
        for k, n in enumerate(names):
            column = found.contributions[:, k]
            rows += [(n, "contribution", p, float(v), "", "") for p, v in zip(periods, column, strict=True) if np.isfinite(v)]  # fmt: skip
    for k, n in enumerate(names):
        rows += _component(n, cards[n], float(weights[k] / weights.sum()), periods, matrix[:, k], index, settings)
    return pl.DataFrame(rows, schema=CLIMATE, orient="row").with_columns(pl.col("value").round(DECIMALS))


def _component(
    name: str, card: Mapping[str, Any], weight: float, periods: Sequence[str], column: FloatArray, index: FloatArray,
    settings: Mapping[str, Any],
) -> Iterator[tuple[str, str, str, float | None, str, str]]:  # fmt: skip
    lamp = card["lamp"]
    scheme = Scheme(lamp["kind"], tuple(lamp["bounds"]), lamp.get("target"), int(lamp.get("direction", 1)))
    states = lamps(column, scheme, min_history=int(settings["min_history"]))
    limits = ", ".join(f"{b:g}" for b in scheme.bounds) + (f" × {scheme.target:g}" if scheme.target else "")
    yield name, "weight", "", weight, f"{card['name_zh']}|{scheme.kind}|{limits}", f"{card['name_en']}|{scheme.kind}|{limits}"  # fmt: skip
    order = ("blue", "light_blue", "green", "yellow", "red")
    for p, v, state in zip(periods, column, states, strict=True):
        if np.isfinite(v):
            yield name, "value", p, float(v), "", ""
        if state is not None:
            yield name, "lamp", p, float(order.index(state) + 1), "", ""
    rule = settings["backtest"]
    known = np.isfinite(index)
    if known.any():
        signals = [s in rule["signal"] for s, k in zip(states, known, strict=True) if k]
        test = backtest(signals, (index[known] < float(rule["below"])).tolist(), int(rule["horizon"]))
        for measure in ("events", "foretold", "signals", "false_alarms"):
            yield name, measure, "", float(getattr(test, measure)), "", ""
