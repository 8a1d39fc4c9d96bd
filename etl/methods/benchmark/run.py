"""Benchmarking run on a table of any user."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from etl.methods.benchmark.denton import AGGREGATIONS, VARIANTS, denton
from etl.methods.periods import Period, gaps, parse, series
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method

LOW = ("low", "benchmark", "annual", "年度", "基准")
HIGH = ("high", "indicator", "quarterly", "monthly", "季度", "月度", "指标")


@table_method(
    "denton",
    "按年度总量调整季度或月度指标（Denton） / benchmark a frequent indicator to totals",
    [
        Column("series", "text", "low 总量，high 指标 / which series; left out: by the period", required=False),
        Column("period", "period", "时期 / period"),
        Column("value", "number", "数值 / value"),
    ],
    [
        Parameter("variant", "choice", "方法 / method", "proportional", VARIANTS),
        Parameter("aggregation", "choice", "总量是和、均值还是末期 / what the total is", "sum", AGGREGATIONS),
        Parameter("ratio_forecast", "number", "当年总量与指标之比的预测 / annual ratio of the current year (enhanced)"),
    ],
)
def run_denton(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """One row a period of the indicator, in time order."""
    totals, indicator = _two_series(frame)
    periods = sorted(indicator)
    blocks = _blocks(periods, sorted(totals))
    years, tail = sorted(totals), None
    if parameters["variant"] == "enhanced":
        last = blocks[-1][1]
        length = periods[0].frequency // years[0].frequency
        tail = (last, min(last + length, len(periods))) if last < len(periods) else None
    try:
        found = denton(
            np.array([indicator[p] for p in periods]),
            blocks,
            np.array([totals[y] for y in years]),
            variant=parameters["variant"],
            aggregation=parameters["aggregation"],
            tail=tail,
            ratio_forecast=parameters["ratio_forecast"],
        )
    except ValueError as error:
        raise BadInput(f"denton: {error}") from None
    inside = {i for start, stop in blocks for i in range(start, stop)}
    rows = pl.DataFrame(
        {
            "period": [str(p) for p in periods],
            "value": found.value,
            "indicator": [indicator[p] for p in periods],
            "ratio": found.ratio,
            "extrapolated": [i not in inside for i in range(len(periods))],
        }
    ).with_columns(pl.col("ratio").fill_nan(None))
    said = {k: parameters[k] for k in ("variant", "aggregation")}
    result = {**said, "benchmarks": len(years), "largest_error": found.error, "ratio_forecast": found.ratio_forecast}
    return MethodResult({**result, "note": _note(rows, totals, parameters["variant"])}, rows)


def _note(rows: pl.DataFrame, totals: Mapping[Period, float], variant: str) -> str | None:
    """What a reader of proportional values that are not above zero must know; else None."""
    low = rows.filter(pl.col("value") <= 0)
    if variant.startswith("additive") or not low.height:
        return None
    first = next((year for year in sorted(totals) if totals[year] <= 0), None)
    cause = "totals change too much for the indicator" if first is None else f"the total of {first} is not above zero"
    return (
        f"{low.height} values are not above zero, the first in {low['period'][0]}: {cause}; ratios to an indicator above zero have no "
        "meaning there, variant=additive does without them"
    )


def _two_series(frame: pl.DataFrame) -> tuple[dict[Period, float], dict[Period, float]]:
    """Totals and indicator by period."""
    low = _totals(frame)
    parts = [frame.filter(low), frame.filter(~low)]
    if not (parts[0].height and parts[1].height):
        raise BadInput("denton: both series are needed, the totals (series=low) and the indicator (series=high)")
    try:
        found = [dict(zip(series(p["period"].to_list()), p["value"].to_list(), strict=True)) for p in parts]
    except ValueError as error:
        raise BadInput(f"denton: column period: {error}") from None
    totals, indicator = found
    coarse, fine = next(iter(totals)).frequency, next(iter(indicator)).frequency
    if coarse >= fine:
        raise BadInput(f"denton: the totals have {coarse} periods a year and the indicator {fine}; it must have more")
    holes = gaps(list(indicator))
    if holes:
        raise BadInput(f"denton: the indicator has no value for {holes[0]}; every period from first to last is needed")
    return totals, indicator


def _totals(frame: pl.DataFrame) -> pl.Series:
    """Boolean: the row belongs to the totals; by the name of its series, or else by the length of its period."""
    periods = pl.Series([parse(t).frequency for t in frame["period"]], dtype=pl.Int64)
    if "series" in frame.columns:
        words = frame["series"].str.to_lowercase()
        known = words.is_in([*LOW, *HIGH])
        if known.all():
            return words.is_in(LOW)
        if words.n_unique() != 2 or words.n_unique() != pl.DataFrame([words, periods.alias("n")]).n_unique():
            raise BadInput(f"denton: column series: {frame['series'].filter(~known)[0]!r} is neither low nor high")
    return periods == periods.min()


def _blocks(periods: Sequence[Period], totals: Sequence[Period]) -> list[tuple[int, int]]:
    """Positions of the indicator inside each total."""
    length = periods[0].frequency // totals[0].frequency
    first, found = periods[0].ordinal, []
    for total in totals:
        start = total.ordinal * length - first
        if start < 0 or start + length > len(periods):
            raise BadInput(
                f"denton: the indicator ({periods[0]} to {periods[-1]}) does not cover the total of {total}; leave it out"
            )
        found.append((start, start + length))
    return found
