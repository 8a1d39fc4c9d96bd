"""Carry forward (结转): structure variables that change slowly keep the last known value, no longer than stated."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from etl.methods.imputation.ratio_of_means import steps
from etl.methods.registry import method
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method


@method("imputation.carry")
def carry_forward(frame: pl.DataFrame, *, most: int = 12, periodicity: int = 1) -> pl.DataFrame:
    """Missing values by the unit's latest known value of at most ``most`` periods before.

    Parameters
    ----------
    frame
        ``unit, period, value`` (any type; null missing), one row a unit and period.

    Returns
    -------
    pl.DataFrame
        The input, in its order, with ``value`` filled, ``marker`` (``r`` returned, ``cf`` carried, null none) and ``age``
        (periods since it was returned).

    Raises
    ------
    BadInput
        If a unit stands twice in a period or ``most`` is below 1.
    """
    if most < 1:
        raise BadInput(f"impute_carry: most {most}; expected at least 1 period")
    table = frame.with_columns(_step=steps(frame["period"], periodicity)).with_row_index("_row")
    twice = table.filter(pl.struct("unit", "_step").is_duplicated())
    if twice.height:
        raise BadInput(
            f"unit {twice['unit'][0]} stands twice in period {twice['period'][0]}; keep one row a unit and period"
        )
    known = pl.col("value").is_not_null()
    filled = table.sort("unit", "_step").with_columns(
        _value=pl.col("value").forward_fill().over("unit"),
        _from=pl.when(known).then(pl.col("_step")).forward_fill().over("unit"),
    )
    age = pl.col("_step") - pl.col("_from")
    fits = age <= most
    filled = filled.with_columns(
        marker=pl.when(known).then(pl.lit("r")).when(fits).then(pl.lit("cf")),
        age=pl.when(fits).then(age),
        value=pl.when(known | fits).then("_value"),
    )
    return filled.sort("_row").drop("_row", "_step", "_value", "_from")


@table_method(
    "impute_carry",
    "结转上期值 / carried forward",
    [
        Column("unit", "text", "单位 / unit"),
        Column("period", "period", "报告期 / period"),
        Column("value", "text", "数值或代码 / value or code", nullable=True),
    ],
    [
        Parameter("most", "integer", "最多结转几期 / periods a value is carried at most", default=12, least=1),
        Parameter("periodicity", "integer", "期间隔月数 / months between periods", default=1, least=1),
    ],
)
def run_impute_carry(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows: ``unit, period, value, marker, age``."""
    rows = carry_forward(frame, most=parameters["most"], periodicity=parameters["periodicity"])
    marker = rows["marker"]
    counts = {
        "returned": int((marker == "r").sum()),
        "carried": int((marker == "cf").sum()),
        "missing": marker.null_count(),
    }
    return MethodResult(result=counts, rows=rows)
