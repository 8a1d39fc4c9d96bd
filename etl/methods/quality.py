"""Quality and performance indicators of the European Statistical System, computed from process data, never by hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import polars as pl

from etl.methods.refusals import refuse_row
from etl.methods.registry import method
from etl.methods.tabular import Column, MethodResult, table_method

STATUSES: Final = ("responded", "nonresponse", "out_of_scope", "unresolved")
FLAGS: Final = ("reported", "edited", "imputed")


@dataclass(frozen=True)
class ProcessQuality:
    """Shares (0-1) of one survey and variable; None where there is nothing to divide by.

    ``weighted``: by design weight; ``of_value``: by weight times value. Codes are those of the ESS guidelines.
    """

    units: int
    over_coverage_rate: float | None
    unresolved_rate: float | None
    unit_nonresponse_rate: float | None
    unit_nonresponse_rate_weighted: float | None
    item_nonresponse_rate: float | None
    imputation_rate: float | None
    imputation_rate_of_value: float | None
    editing_rate: float | None
    editing_rate_of_value: float | None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


@method("quality.process")
def process_quality(units: pl.DataFrame) -> ProcessQuality:
    r"""Indicators A2, A4, A5, A7 and the editing rate.

    Parameters
    ----------
    units
        One row a unit of the sample: ``status`` (responded, nonresponse, out_of_scope, unresolved), ``weight`` (design
        weight), ``value`` (final value, null where there is none), ``flag`` (reported, edited, imputed; null with no value).

    Notes
    -----
    Over-coverage (A2) is out of scope by all units whose status is known. Unit non-response (A4) is by eligible units; of the
    unresolved ones the share that was eligible among the resolved is counted as eligible (the usual assumption, AAPOR RR3).
    Item non-response (A5) is by responding units: no reported value, be it imputed or empty. Imputation (A7) and editing are
    by units in scope with a value, and by value.
    """
    n = dict(units.group_by("status").agg(pl.len()).iter_rows())
    w = dict(units.group_by("status").agg(pl.col("weight").sum()).iter_rows())
    known = units.height - n.get("unresolved", 0)
    responded = units.filter(pl.col("status") == "responded")
    valued = units.filter(pl.col("status") != "out_of_scope").drop_nulls("value")
    mass = valued.select("flag", m=pl.col("weight") * pl.col("value").abs())
    by_flag = dict(mass.group_by("flag").agg(pl.col("m").sum()).iter_rows())
    total = float(mass["m"].sum())

    def nonresponse(count: Mapping[str, float]) -> float | None:
        eligible = count.get("responded", 0.0) + count.get("nonresponse", 0.0)
        share = _ratio(eligible, eligible + count.get("out_of_scope", 0.0))
        whole = eligible + count.get("unresolved", 0.0) * (1.0 if share is None else share)
        return _ratio(whole - count.get("responded", 0.0), whole)

    def flagged(flag: str) -> float | None:
        return _ratio(valued.filter(pl.col("flag") == flag).height, valued.height)

    unanswered = responded.filter(pl.col("value").is_null() | (pl.col("flag") == "imputed")).height
    return ProcessQuality(
        units=units.height,
        over_coverage_rate=_ratio(n.get("out_of_scope", 0), known),
        unresolved_rate=_ratio(n.get("unresolved", 0), units.height),
        unit_nonresponse_rate=nonresponse(n), unit_nonresponse_rate_weighted=nonresponse(w),
        item_nonresponse_rate=_ratio(unanswered, responded.height),
        imputation_rate=flagged("imputed"), imputation_rate_of_value=_ratio(by_flag.get("imputed", 0.0), total),
        editing_rate=flagged("edited"), editing_rate_of_value=_ratio(by_flag.get("edited", 0.0), total),
    )  # fmt: skip


@dataclass(frozen=True)
class Timeliness:
    """Days: TP1 end of the reference period to the first results, TP2 to the final ones, TP3 planned to actual (positive: late)."""

    first_results_days: int | None
    final_results_days: int | None
    punctuality_days: int | None


@method("quality.timeliness")
def timeliness(period_end: date, first: date | None, final: date | None, planned: date | None) -> Timeliness:
    """Indicators TP1, TP2, TP3; None where a date is not known (yet)."""

    def days(start: date | None, end: date | None) -> int | None:
        return (end - start).days if start is not None and end is not None else None

    return Timeliness(days(period_end, first), days(period_end, final), days(planned, first))


@method("quality.completeness")
def completeness(delivered: pl.DataFrame, expected: pl.DataFrame) -> float | None:
    """R1 data completeness: share of the expected cells that are there (withheld cells are there; missing ones are not).

    Both frames hold the key columns of ``expected``; ``delivered`` also ``obs_status`` (``M`` is missing).
    """
    there = delivered.filter(pl.col("obs_status") != "M").select(expected.columns).unique()
    return _ratio(expected.unique().join(there, on=expected.columns, how="semi").height, expected.unique().height)


@method("quality.comparable_length")
def comparable_length(breaks: list[str], periods: list[str]) -> int:
    """CC2: number of periods since the last break in comparability. ``periods`` ascending; a break begins a new series."""
    last = max((b for b in breaks if b in periods), default=None)
    return len(periods) if last is None else len(periods) - periods.index(last)


@table_method(
    "quality_indicators",
    "过程质量指标 / process quality (ESS)",
    [
        Column("unit", "text", "单位 / unit"),
        Column("status", "text", "responded | nonresponse | out_of_scope | unresolved"),
        Column("weight", "number", "设计权数 / design weight; 1 without", required=False),
        Column("value", "number", "最终值 / final value", nullable=True),
        Column("flag", "text", "reported | edited | imputed", nullable=True),
    ],
)
def run_quality(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Result: the fields of :class:`ProcessQuality`; rows: units by status and flag."""
    if "weight" not in frame.columns:
        frame = frame.with_columns(weight=pl.lit(1.0))
    _refuse_rows(frame)
    rows = frame.group_by("status", "flag").agg(units=pl.len(), weight=pl.col("weight").sum()).sort("status", "flag")
    return MethodResult(process_quality(frame).__dict__, rows)


def _refuse_rows(frame: pl.DataFrame) -> None:
    """BadInput for words that are not known, and for what cannot be true of a unit."""
    status, flag, valued = frame["status"], frame["flag"], frame["value"].is_not_null()
    answered = valued & flag.is_in(["reported", "edited"])
    silent = status.is_in(["nonresponse", "unresolved"])
    for column, words in (("status", STATUSES), ("flag", FLAGS)):
        bad = ~frame[column].is_in(words)
        refuse_row("quality_indicators", frame, bad, f"not one of {', '.join(words)}", "unit", column)
    for bad, said in (
        (frame["unit"].is_duplicated(), "the unit stands twice; one row a unit is expected"),
        (valued & flag.is_null(), "its value has no flag; reported, edited or imputed is expected"),
        (frame["weight"] < 0, "its weight is below zero; a design weight is expected"),
        (silent & answered, "it did not respond, yet its flag says that it reported a value; correct status or flag"),
    ):
        refuse_row("quality_indicators", frame, bad, said, "unit")
