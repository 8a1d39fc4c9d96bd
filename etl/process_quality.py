"""Quality and performance indicators of every survey (ESS), computed from the process's own tables (GSBPM overarching: quality)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

import polars as pl

from etl.contract import Contract
from etl.methods.periods import parse
from etl.methods.quality import process_quality, timeliness

SCHEMA: Final = {
    "source": pl.String, "period": pl.String, "variable": pl.String, "indicator": pl.String, "value": pl.Float64,
    "unit": pl.String, "note_zh": pl.String, "note_en": pl.String,
}  # fmt: skip
DECIMALS: Final = 8
NORMAL_95: Final = 1.959963984540054
#: Survey → variable of the frame's units → the indicator whose contributions hold its final values.
VARIABLES: Final = {
    "ai_survey_annual": {"ai_revenue_cny": "ai_revenue"},
    "finance_annual": {"operating_revenue_cny": "operating_revenue"},
    "labour_annual": {"employed_persons": "employed_persons", "rd_staff_persons": "rd_staff"},
}
#: Items by which a return of the survey is recognised among the columns of the unit-years.
ITEMS: Final = {
    "ai_survey_annual": ("main_revenue_cny", "ai_revenue_cny"),
    "finance_annual": ("operating_revenue_cny", "operating_cost_cny", "total_profit_cny", "total_assets_cny"),
    "labour_annual": ("employed_persons", "average_employed_persons", "female_persons", "rd_staff_persons"),
}
#: ESS code of each indicator (*ESS Guidelines for the Implementation of the ESS Quality and Performance Indicators*).
CODES: Final = {
    "coverage_rate": "", "over_coverage_rate": "A2", "unit_nonresponse_rate": "A4", "item_nonresponse_rate": "A5",
    "imputation_rate": "A7", "imputation_rate_of_value": "A7", "editing_rate": "", "quarantine_rate": "",
    "correction_rate": "", "cv": "A1", "first_results_days": "TP1", "punctuality_days": "TP3", "return_days": "",
    "rows": "", "model_share": "",
}  # fmt: skip
Row = tuple[str, str, str, str, float | None, str, str, str]


def _receipts(contract: Contract, receipts: pl.DataFrame, superseded: pl.DataFrame | None) -> Iterator[Row]:
    """Rows received, refused and replaced by corrections, by period; how long after its end the returns came is apart."""
    own = receipts.filter((pl.col("status") == "accepted") & pl.col("ref_period").is_not_null())
    replaced: Mapping[str, int] = {}
    if superseded is not None:
        key = "ref_period" if "ref_period" in superseded.columns else "ref_year"
        counts = superseded.group_by(pl.col(key).cast(pl.String).alias("p")).agg(pl.len()) if key in superseded.columns else None  # fmt: skip
        replaced = {} if counts is None else dict(counts.iter_rows())
    sums = (
        own.group_by("ref_period").agg(pl.col("rows_in", "rows_accepted", "rows_quarantined").sum()).sort("ref_period")
    )
    for period, rows_in, accepted, quarantined in sums.iter_rows():
        yield contract.id, period, "", "rows", float(accepted), "rows", "", ""
        if rows_in:
            yield contract.id, period, "", "quarantine_rate", quarantined / rows_in, "share", "", ""
        if accepted:
            yield contract.id, period, "", "correction_rate", replaced.get(period, 0) / accepted, "share", "", ""


def _return_days(contract: Contract, rows: pl.DataFrame) -> Iterator[Row]:
    """Median days from the end of the period to the day a return came in."""
    medians = (
        rows.drop_nulls("submitted_on").group_by("ref_period").agg(pl.col("submitted_on").median()).sort("ref_period")
    )
    for period, middle in medians.iter_rows():
        day = middle.date() if hasattr(middle, "date") else middle
        yield contract.id, period, "", "return_days", float((day - parse(period).end).days), "days", "", ""


def _units(frame: pl.DataFrame, source: str, column: str, values: pl.DataFrame) -> pl.DataFrame:
    """Units of a year as :func:`etl.methods.quality.process_quality` takes them.

    A unit returned the form if any of its items (:data:`ITEMS`) is there; what it reported of an item is reported even if
    nothing of it enters the published figure (a unit that is no member counts with zero); a contribution without a report is
    imputed. A unit of the AI survey without AI business is out of scope.
    """
    reported = pl.col(column).is_not_null()
    returned = pl.any_horizontal(pl.col(i).is_not_null() for i in ITEMS[source])
    outside = (pl.col("responded") & (pl.col("ai_revenue_cny") == 0)) if source == "ai_survey_annual" else pl.lit(False)
    final = values.group_by("uscc").agg(pl.col("value").cast(pl.Float64).sum())
    value = pl.coalesce("value", pl.when(reported).then(0.0))
    marked = frame.join(final, on="uscc", how="left").with_columns(outside=outside.fill_null(False), known=value)
    inside = pl.col("known").is_not_null() & ~pl.col("outside")
    return marked.select(
        status=pl.when("outside").then(pl.lit("out_of_scope")).when(returned).then(pl.lit("responded"))
        .otherwise(pl.lit("nonresponse")),
        weight=pl.lit(1.0), value=pl.when(inside).then("known"),
        flag=pl.when(inside).then(pl.when(reported).then(pl.lit("reported")).otherwise(pl.lit("imputed"))),
    )  # fmt: skip


def _survey(source: str, units: pl.DataFrame, contributions: pl.DataFrame) -> Iterator[Row]:  # fmt: skip
    """Coverage, response and imputation of an annual survey by year and variable, over the units of the frame."""
    years = sorted(units["ref_year"].unique().to_list())
    for variable, indicator in VARIABLES[source].items():
        for year in years:
            frame = units.filter(pl.col("ref_year") == year)
            values = contributions.filter((pl.col("indicator") == indicator) & (pl.col("ref_year") == year))
            own = _units(frame, source, variable, values.drop_nulls("value"))
            q = process_quality(own)
            answered = own.filter(pl.col("status") != "nonresponse").height
            found = {
                "coverage_rate": answered / own.height if own.height else None,
                "over_coverage_rate": q.over_coverage_rate if source == "ai_survey_annual" else None,
                "unit_nonresponse_rate": q.unit_nonresponse_rate, "item_nonresponse_rate": q.item_nonresponse_rate,
                "imputation_rate": q.imputation_rate, "imputation_rate_of_value": q.imputation_rate_of_value,
            }  # fmt: skip
            for name, value in found.items():
                if value is not None:
                    yield source, str(year), variable, name, value, "share", "", ""


def _accuracy(quantities: pl.DataFrame) -> Iterator[Row]:
    """Coefficient of variation of AI revenue, from its 95 % interval (imputation and rounding of the form)."""
    own = quantities.filter((pl.col("metric") == "ai_revenue") & pl.col("lower").is_not_null()).sort("period")
    for period, value, lower, upper in own.select("period", "value", "lower", "upper").iter_rows():
        if value:
            cv = (upper - lower) / (2 * NORMAL_95 * value)
            yield "ai_survey_annual", period, "ai_revenue_cny", "cv", cv, "share", "由 95% 区间折算，含推算与表式舍入", "from the 95 % interval: imputation and rounding of the form"  # fmt: skip


def _dates(newest: Mapping[str, tuple[str, str]], calendar: Mapping[str, Any]) -> Iterator[Row]:
    for dataset, (period, vintage) in sorted(newest.items()):
        end = parse(period).end
        planned = calendar.get(dataset)
        due = None if planned is None else date.fromordinal(end.toordinal() + int(str(planned)))
        found = timeliness(end, date.fromisoformat(vintage), None, due)
        if found.first_results_days is not None:
            yield dataset, period, "", "first_results_days", float(found.first_results_days), "days", "", ""
        if found.punctuality_days is not None:
            said = f"计划 {due}，首次发布 {vintage}", f"planned {due}, first released {vintage}"
            yield dataset, period, "", "punctuality_days", float(found.punctuality_days), "days", *said


def process_rows(
    contracts: Sequence[Contract], receipts: Mapping[str, pl.DataFrame], superseded: Mapping[str, pl.DataFrame],
    returned: Mapping[str, pl.DataFrame], units: pl.DataFrame, contributions: pl.DataFrame, quantities: pl.DataFrame,
    shares: pl.DataFrame, newest: Mapping[str, tuple[str, str]], calendar: Mapping[str, Any],
    edited: Mapping[tuple[str, str], float],
) -> pl.DataFrame:  # fmt: skip
    """The table ``meta_process_quality``: ``source, period, variable, indicator, value, unit, note_zh, note_en``.

    Indicators: :data:`CODES`. ``source`` is a survey, or a dataset for timeliness and punctuality, or an indicator for the
    share of its city total that rests on a model (``model_share``). ``unit``: share (0-1), days, rows.

    Parameters
    ----------
    contracts, receipts, superseded
        Surveys; receipts and replaced rows by source id.
    returned
        ``ref_period, submitted_on`` of the surveys that say when a return came in.
    units, contributions, quantities, shares
        Unit-years, contributions, the table of quantities, ``indicator, period, model_share``.
    newest
        Dataset → (newest period, vintage in which it was first released).
    calendar
        Dataset → planned days after the end of the period.
    edited
        (source, period) → share of values changed by editing, where editing was run.
    """
    rows: list[Row] = []
    for contract in contracts:
        rows += _receipts(contract, receipts[contract.id], superseded.get(contract.id))
        if contract.id in returned:
            rows += _return_days(contract, returned[contract.id])
        if contract.id in VARIABLES:
            rows += _survey(contract.id, units, contributions)
    rows += [(s, p, "", "editing_rate", v, "share", "", "") for (s, p), v in edited.items()]
    rows += _accuracy(quantities)
    rows += _dates(newest, calendar)
    rows += [(i, p, "", "model_share", s, "share", "", "") for i, p, s in shares.drop_nulls().iter_rows()]
    table = pl.DataFrame(rows, schema=SCHEMA, orient="row").with_columns(pl.col("value").round(DECIMALS))
    return table.sort("source", "period", "variable", "indicator")
